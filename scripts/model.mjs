// The long form of the model tests: random sequences of operations against plain arrays, in Rust and in TypeScript.
// `npm run model -- [--rust | --typescript] [--engine E] [--sequences N] [--minutes N] [--seed S]`; 20,000 sequences of each by
// default. E is `native`, `wasm` or `alternating`, TypeScript's form of them alone; without it, native and alternating.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { requireTools, setUp } from "./set-up.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const SEQUENCES = 20_000;

function numberOf(name, text) {
  const value = Number(text);
  if (text !== "" && Number.isSafeInteger(value) && value >= 0) return value;
  throw new Error(`--${name} is ${JSON.stringify(text)}; it must be a whole number.`);
}

function environment({ seed, minutes }, sequences) {
  const variables = { MORAINE_MODEL_SEQUENCES: sequences, MORAINE_MODEL_SEED: seed, MORAINE_MODEL_MINUTES: minutes };
  const given = Object.entries(variables).filter(([, value]) => value !== undefined);
  return { ...process.env, ...Object.fromEntries(given.map(([name, value]) => [name, String(value)])) };
}

/** Vitest's projects, and what they are told of engines. */
function forms(engine) {
  const projects = { native: "model", wasm: "model", alternating: "alternating" };
  if (engine === undefined) return { projects: ["model", "alternating"], env: {} };
  if (!Object.hasOwn(projects, engine)) {
    const known = Object.keys(projects).join(", ");
    throw new Error(`--engine is ${JSON.stringify(engine)}; it must be one of ${known}.`);
  }
  return { projects: [projects[engine]], env: engine === "alternating" ? {} : { MORAINE_ENGINE: engine } };
}

function run(command, args, env) {
  return spawnSync(command, args, { cwd: root, env, stdio: "inherit" }).status === 0;
}

try {
  const number = { type: "string" };
  const flag = { type: "boolean", default: false };
  const { values } = parseArgs({
    options: { rust: flag, typescript: flag, engine: number, sequences: number, minutes: number, seed: number },
  });
  const given = Object.fromEntries(
    ["sequences", "minutes", "seed"].flatMap((name) =>
      values[name] === undefined ? [] : [[name, numberOf(name, values[name])]],
    ),
  );
  const sequences = given.sequences ?? SEQUENCES;
  const { projects, env } = forms(values.engine);
  const both = values.rust === values.typescript && values.engine === undefined;
  if (both || values.rust) requireTools();
  setUp();
  const outcomes = [];
  if (both || values.rust) {
    const cargo = ["test", "--locked", "-p", "moraine-core", "--test", "engine_model", "--", "--nocapture"];
    outcomes.push(run("cargo", cargo, environment(given, sequences)));
  }
  if (both || values.typescript || values.engine !== undefined) {
    const vitest = ["node_modules/vitest/vitest.mjs", "run", ...projects.map((name) => `--project=${name}`)];
    outcomes.push(run(process.execPath, vitest, { ...environment(given, sequences), ...env }));
  }
  process.exitCode = outcomes.every(Boolean) ? 0 : 1;
} catch (error) {
  console.error(`moraine: ${error.message}`);
  process.exitCode = 1;
}
