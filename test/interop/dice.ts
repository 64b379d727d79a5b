/** Choices that follow from a seed. */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** An integer from `low` to `high`. */
  from(low: number, high: number): number {
    return low + (this.#next() % (high - low + 1));
  }

  chance(probability: number): boolean {
    return this.#next() < probability * 2 ** 32;
  }

  one<T>(choices: readonly T[]): T {
    return choices[this.from(0, choices.length - 1)] as T;
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.#next() >>> 24);
  }

  /** The next number below 2^32 (mulberry32). */
  #next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }
}
