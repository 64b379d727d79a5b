/** moraine is killed, or loses its power, and RocketMQ opens the store first. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe } from "vitest";
import { killPlan, type Life } from "./kill-plans.ts";
import { playKilled } from "./killed-stores.ts";
import { LINES, oracleTest } from "./oracle.ts";
import { ServedOracle } from "./served-oracle.ts";

/** Many at a time wait for each other's Java. */
const TIMEOUT_MS = 1_200_000;
/** `npm run interop -- --kills N`, or `--cuts N`, says how many and from which seed on (scripts/interop.mjs); both releases by turns. */
const FIRST_SEED = Number(process.env.MORAINE_KILLS_SEED ?? 1);
const KILLS = Number(process.env.MORAINE_KILLS ?? 6);

const oracle = new ServedOracle();
afterAll(() => oracle.end());

describe.concurrent("killed while it puts, opened by RocketMQ, then by moraine", () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + KILLS; seed++) {
    const plan = killPlan(seed, LINES[seed % LINES.length] as (typeof LINES)[number]);
    // What RocketMQ finds after the death of a process is promised; what it makes of the torn files of a power cut is its own
    // affair, and differs from one cut to the next.
    (plan.lives.at(-1) as Life).end = process.env.MORAINE_KILLS_LAST === "cut" ? "cut" : "kill";
    const play = async (): Promise<void> => {
      const folder = mkdtempSync(join(tmpdir(), `moraine-killed-${seed}-`));
      await playKilled(plan, folder, oracle);
      rmSync(folder, { recursive: true, force: true });
    };
    const ends = plan.lives.map(({ end }) => end).join(", ");
    oracleTest(`seed ${seed}: ${ends}, then RocketMQ ${plan.line}`, play, TIMEOUT_MS);
  }
});
