/**
 * Keeps the process alive while something is awaited that nothing else holds it for: the event functions of the addon
 * do not, so that an idle store lets a program end.
 */
export class ProcessHold {
  #count = 0;
  #timer: ReturnType<typeof setInterval> | undefined;

  take(): void {
    this.#count += 1;
    if (this.#count > 1) return;
    this.#timer ??= setInterval(() => {}, 2 ** 31 - 1);
    this.#timer.ref();
  }

  release(): void {
    this.#count -= 1;
    if (this.#count === 0) this.#timer?.unref();
  }

  /** Releases everything, for good. */
  end(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#count = 0;
  }
}
