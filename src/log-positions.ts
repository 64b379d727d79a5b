/** Positions in the log, as the engine tells them. */
import type { EngineStore } from "./binding/contract.ts";

/** Positions in the commit log, in bytes: minimum ≤ visible ≤ end, durable ≤ end. */
export interface LogPositions {
  readonly minOffset: number;
  /** Behind the last record. */
  readonly endOffset: number;
  /** Everything below survives a power cut. */
  readonly durableOffset: number;
  /** Everything below can be read: `endOffset` with `flush: "async"`, `durableOffset` with `"sync"`. */
  readonly visibleOffset: number;
}

export class Positions {
  readonly #engine: EngineStore;
  /** Kept between calls. */
  readonly #numbers: Float64Array = new Float64Array(4);

  constructor(engine: EngineStore) {
    this.#engine = engine;
  }

  read(): LogPositions {
    this.#engine.positions(this.#numbers);
    const [minOffset = 0, endOffset = 0, durableOffset = 0, visibleOffset = 0] = this.#numbers;
    return { minOffset, endOffset, durableOffset, visibleOffset };
  }
}
