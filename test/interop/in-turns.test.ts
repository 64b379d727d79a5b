import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe } from "vitest";
import { playInTurns } from "./in-turns.ts";
import { oracleTest } from "./oracle.ts";
import { ServedOracle } from "./served-oracle.ts";
import { turnPlan } from "./turn-plans.ts";

const ROUNDS = 10;
/** `npm run interop` says which seeds (scripts/interop.mjs); without it, a few. */
const FIRST_SEED = Number(process.env.MORAINE_TURNS_SEED ?? 1);
const PLANS = Number(process.env.MORAINE_TURNS_SCENARIOS ?? 6);

const oracle = new ServedOracle();
afterAll(() => oracle.end());

describe.concurrent(`RocketMQ and moraine in turns on one directory, ${ROUNDS} rounds`, () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + PLANS; seed++) {
    const plan = turnPlan(seed, ROUNDS);
    oracleTest(`seed ${seed}, with RocketMQ ${plan.rocketmq}`, async () => {
      const folder = mkdtempSync(join(tmpdir(), "moraine-turns-"));
      try {
        await playInTurns(plan, folder, oracle);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    });
  }
});
