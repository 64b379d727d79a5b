// Runs the tests of both languages. The last line is `N passed, N failed`; a run that breaks off counts as failed.
// Where Rust cannot be compiled, and there is no addon, those that need neither: over the WebAssembly engine.
import { fileURLToPath } from "node:url";
import { attempt, cargoTests, conclude, vitestTests } from "./counted-runs.mjs";
import { instructionCounts } from "./instruction-counts.mjs";
import { readBugs, rotating } from "./planted-bugs.mjs";
import { plant, turn } from "./planted-run.mjs";
import { compileBroker, installBrokerPackages, missingTool, runs, setUp } from "./set-up.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
/** Planted bugs that a run tries, others each time; `npm run planted` tries all. */
const PLANTED_BUGS = 3;

/** Projects of vitest.config.ts that need no addon, those that do, and the files of the others that do. */
const WITHOUT_ADDON = ["wasm", "unit", "model", "broker", "package"];
const ADDON_PROJECTS = ["native", "interop"];
const ADDON_TESTS = ["test/unit/binding-*.test.ts", "test/package/addon-*.test.ts"];

/**
 * What cargo tests: everything, then the interleavings of a store's threads, whose locks are a scheduler's. The crate of the
 * WebAssembly module is compiled for its own target, and tested through it.
 */
const WORKSPACE = ["--workspace", "--exclude", "moraine-wasm"];
const MODELS = ["-p", "moraine-host", "--features", "models", "--test", "models"];

/** Each planted bug is a test, which passes when the tests notice the bug. */
async function plantedBugs() {
  const bugs = rotating(readBugs(), PLANTED_BUGS, turn());
  console.log(`\nPlanted bugs: ${bugs.map(({ name }) => name).join(", ")}`);
  const caught = (await plant(bugs, console.log)).filter((result) => result.caught).length;
  return { passed: caught, failed: bugs.length - caught, notRun: 0 };
}

async function rustTests() {
  const lacking = missingTool();
  if (lacking !== undefined) {
    console.log(`\nmoraine: left out: the tests of the Rust crates, and planted bugs. ${lacking}.`);
    return [];
  }
  const run = (which) => cargoTests(["--locked", "--no-fail-fast", ...which], { cwd: root });
  return [await attempt(() => run(WORKSPACE)), await attempt(() => run(MODELS))];
}

function typescriptTests(hasAddon) {
  const [args, env] = [[], { ...process.env }];
  if (!hasAddon) {
    console.log(`\nmoraine: there is no addon; left out: ${ADDON_PROJECTS.join(", ")} and ${ADDON_TESTS.join(", ")}.`);
    args.push(...WITHOUT_ADDON.map((name) => `--project=${name}`), ...ADDON_TESTS.map((path) => `--exclude=${path}`));
    env.MORAINE_ENGINE = "wasm";
  }
  if (!runs("cc")) {
    console.log("\nmoraine: cc is missing; not run: tests of the contract suite that make a disk fail under a store.");
    env.MORAINE_TEST_FAULTS = "none";
  }
  return vitestTests(args, { cwd: root, env });
}

const counts = [];
let hasAddon = false;
/** The broker as Java's client sees it; without Java they are counted as not run. The other clients: `npm run scenarios` in broker/. */
function brokerScenarios() {
  return vitestTests(["--config=broker/test/scenarios/vitest.config.ts"], { cwd: root });
}

const broken = await attempt(() => {
  ({ hasAddon } = setUp());
  installBrokerPackages();
  compileBroker();
});
if (broken) counts.push(broken);
else {
  counts.push(...(await rustTests()));
  counts.push(await attempt(instructionCounts));
  counts.push(await attempt(() => typescriptTests(hasAddon)));
  counts.push(await attempt(brokerScenarios));
  if (missingTool() === undefined) counts.push(await attempt(plantedBugs));
  console.log(
    `\nmoraine: ran over ${hasAddon ? "the native engine and the WebAssembly engine" : "the WebAssembly engine alone"}`,
  );
}
conclude(counts);
