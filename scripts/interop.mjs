// The tests in which Apache RocketMQ is the judge. `--all`: 200 random stores written in turns instead of a few;
// `--seed S` and `--scenarios N`: only such stores, N of them from seed S on (a failed test says its seed).
// `--kills N`: only stores whose process is killed in the end and that RocketMQ opens first; with `--seed S` from that seed on.
// `--cuts N`: the same after a power cut, of which RocketMQ takes torn files as it likes (docs/durability.md, Known limits).
// `--images N`: only damaged stores that both read; `--seed S` as before. `--engine native` or `--engine wasm`: all of it over that engine.
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
  const { values } = parseArgs({
    options: {
      all: { type: "boolean" },
      engine: { type: "string" },
      ...{ seed: number, scenarios: number, kills: number, cuts: number, images: number },
    },
  });
  if (values.engine !== undefined && !["native", "wasm"].includes(values.engine)) {
    throw new Error(`--engine is ${values.engine}; it must be native or wasm`);
  }
  for (const name of ["seed", "scenarios", "kills", "cuts", "images"]) {
    const value = values[name];
    if (value !== undefined && !/^[1-9]\d{0,8}$/.test(value)) {
      throw new Error(`--${name} is ${value}; it must be an integer from 1 to 999999999`);
    }
  }
  return values;
}

/** Which tests are run, and what they are told. */
function chosen({ all, seed, scenarios, kills, cuts, images }) {
  if (kills !== undefined || cuts !== undefined) {
    const last = kills === undefined ? "cut" : "kill";
    const from = seed === undefined ? {} : { MORAINE_KILLS_SEED: seed };
    const env = { MORAINE_KILLS: kills ?? cuts, MORAINE_KILLS_LAST: last, ...from };
    return { env, files: ["test/interop/killed-stores.test.ts"] };
  }
  if (images !== undefined) {
    const env = { MORAINE_IMAGES: images, ...(seed === undefined ? {} : { MORAINE_IMAGES_SEED: seed }) };
    return { env, files: ["test/interop/damaged-images.test.ts"] };
  }
  const count = scenarios ?? (all ? ALL : seed === undefined ? undefined : "1");
  const env = {
    ...(seed === undefined ? {} : { MORAINE_TURNS_SEED: seed }),
    ...(count === undefined ? {} : { MORAINE_TURNS_SCENARIOS: count }),
  };
  return { env, files: seed !== undefined || scenarios !== undefined ? ["test/interop/in-turns.test.ts"] : [] };
}

function run(values) {
  setUp();
  const { env: told, files } = chosen(values);
  const env = { ...process.env, ...told, ...(values.engine === undefined ? {} : { MORAINE_ENGINE: values.engine }) };
  const vitest = ["node_modules/vitest/vitest.mjs", "run", "--project", "interop", "--maxConcurrency", AT_A_TIME];
  return spawnSync(process.execPath, [...vitest, ...files], { cwd: root, env, stdio: "inherit" }).status ?? 1;
}

try {
  process.exitCode = run(options());
} catch (error) {
  console.error(`moraine: ${error.message}`);
  process.exitCode = 1;
}
