/**
 * Runs one file of the contract suite in this process, under whatever runtime this is, and writes down what became of it.
 *
 * suite.mjs FILE REPORT LEFT-OUT: absolute paths, and names of tests that are not run, as a JSON array. The report is JSON:
 * names of tests that `passed`, that `failed` with why, that were `notRun`.
 *
 * vitest itself starts on Node alone. The tests are collected and run by the part of it that they import anyway, which is any
 * runtime's; what its processes know of themselves is what `__vitest_worker__` gives to `expect.poll`.
 */
import { writeFileSync } from "node:fs";
import { startTests } from "@vitest/runner";

const MINUTE = 60_000;
const [file, report, leftOut] = process.argv.slice(2);
const absent = new Set(JSON.parse(leftOut));
const outcome = { passed: [], failed: [], notRun: [] };

const config = {
  root: process.cwd(),
  setupFiles: [],
  sequence: { hooks: "stack", setupFiles: "list" },
  testTimeout: MINUTE,
  hookTimeout: MINUTE,
  maxConcurrency: 5,
  retry: 0,
  tags: [],
  strictTags: false,
  passWithNoTests: false,
};
globalThis.__vitest_worker__ = { config, filepath: file };

/** Each test below a task with the names that lead to it, then the task itself where it is a suite. */
function visit(task, names, each) {
  const path = [...names, task.name];
  for (const below of task.tasks ?? []) visit(below, path, each);
  each(task, path.slice(1).join(" > "));
}

/** Names that no test has are told: they would be left out unseen. */
function leaveOut([collected]) {
  const unknown = new Set(absent);
  visit(collected, [], (task, name) => {
    if (task.type !== "test" || !unknown.delete(name)) return;
    task.mode = "skip";
  });
  for (const name of unknown) failed(name, new Error("is to be left out, and there is no such test"));
}

function failed(name, error) {
  outcome.failed.push({ name, why: String(error?.stack ?? error?.message ?? error) });
}

function note(task, name) {
  for (const error of task.result?.errors ?? []) failed(name || "(the file)", error);
  if (task.type !== "test" || task.result?.errors?.length) return;
  if (task.result?.state === "pass") outcome.passed.push(name);
  else if (task.mode === "skip") outcome.notRun.push(name);
  else failed(name, new Error(`it ended as ${task.result?.state ?? task.mode}`));
}

process.on("uncaughtException", (error) => failed("(nobody caught this)", error));
process.on("unhandledRejection", (error) => failed("(nobody handled this)", error));
// Tests may wait for what keeps no process alive.
setInterval(() => {}, MINUTE);
const [collected] = await startTests([file], { config, importFile: (path) => import(path), onCollected: leaveOut });
visit(collected, [], note);
// What nobody waited for can still fail.
await new Promise((resolve) => setTimeout(resolve, 10));
writeFileSync(report, JSON.stringify(outcome));
process.exit(0);
