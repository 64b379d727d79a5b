import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe } from "vitest";
import { playInTurns } from "./in-turns.ts";
import { oracleTest } from "./oracle.ts";
import { ServedOracle } from "./served-oracle.ts";
import { turnPlan } from "./turn-plans.ts";

const ROUNDS = 10;
/** Many at a time wait for each other's Java. */
const TIMEOUT_MS = 1_200_000;
/** `npm run interop` says which seeds (scripts/interop.mjs); without it, a few in which every kind of queue is. */
const FIRST_SEED = Number(process.env.MORAINE_TURNS_SEED ?? 11);
const PLANS = Number(process.env.MORAINE_TURNS_SCENARIOS ?? 2);

const oracle = new ServedOracle();
afterAll(() => oracle.end());

describe.concurrent(`RocketMQ and moraine in turns on one directory, ${ROUNDS} rounds`, () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + PLANS; seed++) {
    const plan = turnPlan(seed, ROUNDS);
    const play = async (): Promise<void> => {
      const folder = mkdtempSync(join(tmpdir(), "moraine-turns-"));
      try {
        await playInTurns(plan, folder, oracle);
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    };
    oracleTest(`seed ${seed}, with RocketMQ ${plan.rocketmq}`, play, TIMEOUT_MS);
  }
});
