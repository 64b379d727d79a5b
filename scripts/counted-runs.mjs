// Runs of tests, and how many of them passed, failed, were not run: `{ passed, failed, notRun }`.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** cargo's tests, counted from what each test binary announces and reports. `options` are those of `spawn`. */
export async function cargoTests(args, options) {
  const cargo = spawn("cargo", ["test", ...args], { ...options, stdio: ["ignore", "pipe", "inherit"] });
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

/** vitest's tests in the package `options.cwd`, counted from its JSON report. */
export async function vitestTests(args, options) {
  const folder = mkdtempSync(join(tmpdir(), "moraine-test-"));
  try {
    const report = join(folder, "vitest.json");
    const vitest = spawn(
      process.execPath,
      [
        ...["node_modules/vitest/vitest.mjs", "run", ...args],
        ...["--reporter=default", "--reporter=json", `--outputFile.json=${report}`],
      ],
      { ...options, stdio: ["ignore", "inherit", "inherit"] },
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

/** A run that failed as a whole, or found nothing to run, is a failure whatever was counted. */
function settle(count, status) {
  const sound = status === 0 && count.passed + count.failed + count.notRun > 0;
  return sound || count.failed > 0 ? count : { ...count, failed: 1 };
}

/** What `run` counts; one failure where it breaks off. */
export async function attempt(run) {
  try {
    return await run();
  } catch (error) {
    console.error(`moraine: ${error.message}`);
    return { passed: 0, failed: 1, notRun: 0 };
  }
}

/** Says the sums of all counts, `N passed, N failed` as the last line; the process leaves accordingly. */
export function conclude(counts) {
  const sum = (key) => counts.reduce((total, count) => total + count[key], 0);
  if (sum("notRun") > 0) console.log(`\n${sum("notRun")} not run`);
  console.log(`\n${sum("passed")} passed, ${sum("failed")} failed`);
  process.exitCode = sum("failed") > 0 ? 1 : 0;
}
