/** The one thing that goes on while nothing happens: a look a minute at what nobody tells of by itself. */
import type { Log } from "../log.ts";
import { type Clock, systemClock } from "./clock.ts";

export interface MinuteLooksParts {
  readonly looks: readonly (() => void | Promise<void>)[];
  readonly log: Log;
  readonly clock?: Clock | undefined;
}

const LOOK_MS = 60_000;

export class MinuteLooks {
  readonly #looks: MinuteLooksParts["looks"];
  readonly #log: Log;
  readonly #clock: Clock;
  readonly #ending: AbortController = new AbortController();
  #run: Promise<void> = Promise.resolve();

  constructor({ looks, log, clock = systemClock }: MinuteLooksParts) {
    this.#looks = looks;
    this.#log = log;
    this.#clock = clock;
  }

  start(): void {
    this.#run = this.#lookOnAndOn(this.#ending.signal);
  }

  async stop(): Promise<void> {
    this.#ending.abort();
    await this.#run;
  }

  async #lookOnAndOn(signal: AbortSignal): Promise<void> {
    for (;;) {
      await this.#clock.sleep(LOOK_MS, signal);
      for (const look of this.#looks) {
        if (signal.aborted) return;
        try {
          await look();
        } catch (error) {
          this.#log.warn({ err: error }, "what is looked at each minute could not be seen; it is tried again");
        }
      }
    }
  }
}
