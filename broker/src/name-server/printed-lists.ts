import type { Response } from "../protocol/command.ts";

/** Answers that are printed once for all who ask, until what they tell has changed: anybody may ask for long ones, at any rate. */
export class PrintedLists {
  readonly #version: () => number;
  readonly #answers: Map<string, Response> = new Map();
  #of = Number.NaN;

  /** `version` is another one whenever an answer may be. */
  constructor(version: () => number) {
    this.#version = version;
  }

  /** Each key has its answer here: it may be none that anybody can think of. */
  answer(key: string, print: () => Response): Response {
    const version = this.#version();
    if (version !== this.#of) {
      this.#answers.clear();
      this.#of = version;
    }
    const known = this.#answers.get(key);
    if (known !== undefined) return known;
    const answer = print();
    this.#answers.set(key, answer);
    return answer;
  }
}
