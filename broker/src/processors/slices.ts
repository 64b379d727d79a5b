/** Long answers made in parts, so that others are served in between. */

/** Longest part, in milliseconds. */
const SLICE_MS = 5;

export class Slices {
  #until: number = performance.now() + SLICE_MS;

  /** Undefined while the part lasts; otherwise what resolves when others have had their turn. */
  pause(): Promise<void> | undefined {
    if (performance.now() < this.#until) return undefined;
    return new Promise((resolve) =>
      setImmediate(() => {
        this.#until = performance.now() + SLICE_MS;
        resolve();
      }),
    );
  }
}
