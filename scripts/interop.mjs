// The tests in which Apache RocketMQ is the judge. `--all`: 200 random stores written in turns instead of a few;
// `--seed S` and `--scenarios N`: only such stores, N of them from seed S on (a failed test says its seed).
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { setUp } from "./set-up.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const ALL = "200";
/** Most of a scenario is RocketMQ waiting for its own threads to end. */
const AT_A_TIME = "12";

function options() {
  const number = { type: "string" };
  const { values } = parseArgs({ options: { all: { type: "boolean" }, seed: number, scenarios: number } });
  for (const name of ["seed", "scenarios"]) {
    const value = values[name];
    if (value !== undefined && !/^[1-9]\d{0,8}$/.test(value)) {
      throw new Error(`--${name} is ${value}; it must be an integer from 1 to 999999999`);
    }
  }
  return values;
}

function run({ all, seed, scenarios }) {
  setUp();
  const env = { ...process.env };
  if (seed !== undefined) env.MORAINE_TURNS_SEED = seed;
  const count = scenarios ?? (all ? ALL : seed === undefined ? undefined : "1");
  if (count !== undefined) env.MORAINE_TURNS_SCENARIOS = count;
  const files = seed !== undefined || scenarios !== undefined ? ["test/interop/in-turns.test.ts"] : [];
  const vitest = ["node_modules/vitest/vitest.mjs", "run", "--project", "interop", "--maxConcurrency", AT_A_TIME];
  return spawnSync(process.execPath, [...vitest, ...files], { cwd: root, env, stdio: "inherit" }).status ?? 1;
}

try {
  process.exitCode = run(options());
} catch (error) {
  console.error(`moraine: ${error.message}`);
  process.exitCode = 1;
}
