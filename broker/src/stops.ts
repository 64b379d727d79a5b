/** What ends the parts that were started, the last one first. */
import type { Log } from "./log.ts";

export class Stops {
  readonly #log: Log;
  readonly #stops: (readonly [part: string, stop: () => unknown])[] = [];

  constructor(log: Log) {
    this.#log = log;
  }

  /** `stop` may return a promise. */
  add(part: string, stop: () => unknown): void {
    this.#stops.push([part, stop]);
  }

  /** Ends everything whatever fails. Resolves with the failures, which are also logged. */
  async run(): Promise<Error[]> {
    const failures: Error[] = [];
    for (let last = this.#stops.pop(); last !== undefined; last = this.#stops.pop()) {
      const [part, stop] = last;
      try {
        await stop();
      } catch (error) {
        this.#log.error({ err: error, part }, `${part}: could not be stopped in good order`);
        failures.push(error instanceof Error ? error : new Error(String(error)));
      }
    }
    return failures;
  }
}
