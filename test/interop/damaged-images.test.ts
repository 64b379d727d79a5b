/** RocketMQ and moraine read the same damaged stores: we keep a superset. */
import { afterAll, describe, expect } from "vitest";
import { compareDamaged } from "./damaged-images.ts";
import { oracleTest } from "./oracle.ts";
import { ServedOracle } from "./served-oracle.ts";

/** `npm run interop -- --images N` says how many, and from which seed on (scripts/interop.mjs). */
const FIRST_SEED = Number(process.env.MORAINE_IMAGES_SEED ?? 1);
const IMAGES = Number(process.env.MORAINE_IMAGES ?? 16);
const TIMEOUT_MS = 1_200_000;

const oracle = new ServedOracle();
afterAll(() => oracle.end());

describe.concurrent("a damaged store", () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + IMAGES; seed++) {
    const compare = async (): Promise<void> => {
      const { image, damage, unexplained } = await compareDamaged(seed, oracle);
      expect(unexplained, `seed ${seed}, ${image}; ${damage.join("; ")}`).toEqual([]);
    };
    oracleTest(`seed ${seed}: we keep all that RocketMQ keeps`, compare, TIMEOUT_MS);
  }
});
