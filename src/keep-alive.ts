/** Longest delay of a timer, about 24 days. */
const LONG_MS = 2_147_483_647;

/**
 * Keeps the process running while somebody waits for the store: the engine's own threads do not, so that an idle
 * store does not hold a process.
 */
export class KeepAlive {
  #timer: NodeJS.Timeout | undefined;

  hold(): void {
    if (this.#timer === undefined) this.#timer = setInterval(() => {}, LONG_MS);
    else this.#timer.ref();
  }

  letGo(): void {
    this.#timer?.unref();
  }

  end(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }
}
