/** Removing from a store: files of the log, topics; and what must not be removed. */
import { checkOffset, readOptions } from "./arguments.ts";
import type { EngineStore, Expired } from "./binding/contract.ts";
import type { Lifecycle } from "./lifecycle.ts";
import { checkTopic } from "./topic.ts";

export type { Expired } from "./binding/contract.ts";

/** Files of the log that one run of retention, or one call of `expire`, removes at most. */
export const EXPIRE_BATCH_FILES = 10;

export interface ExpireOptions {
  /** Messages stored before this time, in ms since the epoch, may go: files that hold no others, and did not change since. */
  readonly before?: number | undefined;
  /** Files may go that the newest so many bytes of the log all lie behind. */
  readonly maxBytes?: number | undefined;
}

/** Gives up what `retain` holds. Calling it again does nothing. */
export interface Release {
  (): void;
  [Symbol.dispose](): void;
}

const EXPIRE_OPTIONS: readonly string[] = ["before", "maxBytes"];

export class Retention {
  readonly #engine: EngineStore;
  readonly #lifecycle: Lifecycle;

  constructor(engine: EngineStore, lifecycle: Lifecycle) {
    this.#engine = engine;
    this.#lifecycle = lifecycle;
  }

  async expire(options: ExpireOptions | undefined): Promise<Expired> {
    this.#lifecycle.checkWritable();
    const { before, maxBytes } = readOptions(options, EXPIRE_OPTIONS);
    const time = before === undefined ? undefined : checkOffset("options.before", before);
    const bytes = maxBytes === undefined ? undefined : checkOffset("options.maxBytes", maxBytes);
    return await this.#engine.expire(time, bytes);
  }

  async deleteTopic(topic: string): Promise<boolean> {
    this.#lifecycle.checkWritable();
    checkTopic(topic);
    return await this.#engine.deleteTopic(topic);
  }

  retain(fromPhysicalOffset: number): Release {
    this.#lifecycle.checkWritable();
    const give = this.#engine.retain(checkOffset("fromPhysicalOffset", fromPhysicalOffset));
    let isHeld = true;
    const release = () => {
      if (!isHeld) return;
      isHeld = false;
      give();
    };
    if (Symbol.dispose !== undefined) Object.defineProperty(release, Symbol.dispose, { value: release });
    return release as Release;
  }
}
