// Runs the tests of both languages. The last line is `N passed, N failed`; a run that breaks off counts as failed.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { readBugs, rotating } from "./planted-bugs.mjs";
import { plant, turn } from "./planted-run.mjs";
import { setUp } from "./set-up.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
/** Planted bugs that a run tries, others each time; `npm run planted` tries all. */
const PLANTED_BUGS = 3;

/** What cargo tests: everything, then the interleavings of a store's threads, whose locks are a scheduler's. */
const WORKSPACE = ["--workspace"];
const MODELS = ["-p", "moraine-host", "--features", "models", "--test", "models"];

/** cargo's tests, counted from what each test binary announces and reports. */
async function rustTests(which) {
  const cargo = spawn("cargo", ["test", "--locked", "--no-fail-fast", ...which], {
    cwd: root,
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exit = once(cargo, "close");
  let announced = 0;
  const count = { passed: 0, failed: 0, notRun: 0 };
  for await (const line of createInterface({ input: cargo.stdout })) {
    console.log(line);
    announced += Number(/^running (\d+) tests?$/.exec(line)?.[1] ?? 0);
    const result = /^test result: \S+ (\d+) passed; (\d+) failed; (\d+) ignored/.exec(line);
    if (result) {
      count.passed += Number(result[1]);
      count.failed += Number(result[2]);
      count.notRun += Number(result[3]);
    }
  }
  // A binary that dies announces its tests and reports none.
  count.failed += Math.max(0, announced - count.passed - count.failed - count.notRun);
  const [status] = await exit;
  return settle(count, status);
}

/** vitest's tests, counted from its JSON report. */
async function typescriptTests() {
  const folder = mkdtempSync(join(tmpdir(), "moraine-test-"));
  try {
    const report = join(folder, "vitest.json");
    const vitest = spawn(
      process.execPath,
      ["node_modules/vitest/vitest.mjs", "run", "--reporter=default", "--reporter=json", `--outputFile.json=${report}`],
      { cwd: root, stdio: ["ignore", "inherit", "inherit"] },
    );
    const [status] = await once(vitest, "close");
    return settle(readReport(report), status);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function readReport(file) {
  const report = JSON.parse(readFileSync(file, "utf8"));
  // A file that cannot be loaded, or whose set-up fails, has no failed test of its own.
  const broken = report.testResults.filter(
    ({ status, assertionResults }) => status === "failed" && assertionResults.every((test) => test.status !== "failed"),
  );
  return {
    passed: report.numPassedTests,
    failed: report.numFailedTests + broken.length,
    notRun: report.numPendingTests + report.numTodoTests,
  };
}

/** Each planted bug is a test, which passes when the tests notice the bug. */
async function plantedBugs() {
  const bugs = rotating(readBugs(), PLANTED_BUGS, turn());
  console.log(`\nPlanted bugs: ${bugs.map(({ name }) => name).join(", ")}`);
  const caught = (await plant(bugs, console.log)).filter((result) => result.caught).length;
  return { passed: caught, failed: bugs.length - caught, notRun: 0 };
}

/** A run that failed as a whole, or ran nothing, is a failure whatever was counted. */
function settle(count, status) {
  const sound = status === 0 && count.passed + count.failed > 0;
  return sound || count.failed > 0 ? count : { ...count, failed: 1 };
}

async function attempt(run) {
  try {
    return await run();
  } catch (error) {
    console.error(`moraine: ${error.message}`);
    return { passed: 0, failed: 1, notRun: 0 };
  }
}

const counts = [];
const broken = await attempt(setUp);
if (broken) counts.push(broken);
else {
  for (const run of [() => rustTests(WORKSPACE), () => rustTests(MODELS), typescriptTests, plantedBugs])
    counts.push(await attempt(run));
}

const sum = (key) => counts.reduce((total, count) => total + count[key], 0);
if (sum("notRun") > 0) console.log(`\n${sum("notRun")} not run`);
console.log(`\n${sum("passed")} passed, ${sum("failed")} failed`);
process.exitCode = sum("failed") > 0 ? 1 : 0;
