// Runs the tests of both languages. The last line is `N passed, N failed`; a run that breaks off counts as failed.
import { fileURLToPath } from "node:url";
import { attempt, cargoTests, conclude, vitestTests } from "./counted-runs.mjs";
import { readBugs, rotating } from "./planted-bugs.mjs";
import { plant, turn } from "./planted-run.mjs";
import { setUp } from "./set-up.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
/** Planted bugs that a run tries, others each time; `npm run planted` tries all. */
const PLANTED_BUGS = 3;

/** What cargo tests: everything, then the interleavings of a store's threads, whose locks are a scheduler's. */
const WORKSPACE = ["--workspace"];
const MODELS = ["-p", "moraine-host", "--features", "models", "--test", "models"];

/** Each planted bug is a test, which passes when the tests notice the bug. */
async function plantedBugs() {
  const bugs = rotating(readBugs(), PLANTED_BUGS, turn());
  console.log(`\nPlanted bugs: ${bugs.map(({ name }) => name).join(", ")}`);
  const caught = (await plant(bugs, console.log)).filter((result) => result.caught).length;
  return { passed: caught, failed: bugs.length - caught, notRun: 0 };
}

const counts = [];
const broken = await attempt(setUp);
if (broken) counts.push(broken);
else {
  for (const which of [WORKSPACE, MODELS])
    counts.push(await attempt(() => cargoTests(["--locked", "--no-fail-fast", ...which], { cwd: root })));
  counts.push(await attempt(() => vitestTests([], { cwd: root })));
  counts.push(await attempt(plantedBugs));
}
conclude(counts);
