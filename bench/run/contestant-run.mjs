// One run of a contestant: a process of its own, in a directory.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import * as rocketmq from "../peers/rocketmq.mjs";
import * as rocketmqRust from "../peers/rocketmq-rust.mjs";
import { amountFor } from "../rules/amounts.mjs";

const child = fileURLToPath(new URL("../load/child.mjs", import.meta.url));
/** Longer than any run takes that still goes on. */
const LONGEST_MILLIS = 60 * 60_000;

/** Runs a job in Node.js and answers with its figures. */
export function runJob(job, env = {}) {
  const { stdout, stderr, status, signal } = spawnSync(process.execPath, [child, JSON.stringify(job)], {
    encoding: "utf8",
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: LONGEST_MILLIS,
  });
  if (status !== 0 && !(job.killed && signal === "SIGKILL"))
    throw new Error(reasonIn(stderr) ?? `it ended with ${signal ?? status}`);
  return stdout === "" ? {} : JSON.parse(stdout);
}

/** The line of an uncaught error that says what is wrong. */
function reasonIn(stderr) {
  const lines = stderr.split("\n");
  return (
    lines.find((line) => /^(\w*Error|StoreError)\b.*:/.test(line.trim()))?.trim() ??
    lines.findLast((line) => line !== "")
  );
}

/** Makes what the rounds of a `kept` row read, in a process of its own, so that nothing of that is in their figures. */
export function prepare(contestant, dir, messages, smoke) {
  if (contestant.job === undefined || contestant.job.contestant === "floor" || existsSync(join(dir, "filled"))) return;
  const amount = amountFor(contestant.job, messages, smoke);
  runJob({ ...contestant.job, workload: "prepare", dir, messages: amount }, contestant.env);
}

/** One round. The contents are verified, or it throws. */
export function runContestant(row, contestant, dir, messages, settings) {
  if (contestant.oracle !== undefined) return rocketmqRun(row, contestant, dir, messages);
  if (contestant.rust !== undefined) return rustRun(row, contestant, dir, messages);
  const jobs = Array.isArray(contestant.job) ? contestant.job : [contestant.job];
  const { gigabytes, smoke } = settings;
  const seconds = smoke ? 1 : contestant.timed;
  const figures = jobs.map((job) =>
    runJob({ gigabytes, seconds, ...job, messages: amountFor(job, messages, smoke), dir }, contestant.env),
  );
  return Object.assign({}, ...figures);
}

function rocketmqRun(row, { oracle: { mode, way, passes } }, dir, messages) {
  const reads =
    passes === undefined ? [] : ["--operations", messages * passes, "--warmup", Math.ceil((messages * passes) / 2)];
  const figures = rocketmq.run(mode, [...way, ...reads], dir, messages, row.bodyBytes);
  const puts = mode === "async" || mode === "sync";
  if (puts) verify(row, dir, figures.messages + rocketmq.warmUpOf(way, messages), rocketmq.queuesOf(way));
  return figures;
}

function rustRun(row, { rust: { mode, way } }, dir, messages) {
  const figures = rocketmqRust.run(mode, way, dir, messages, row.bodyBytes);
  if (mode === "async" || mode === "sync") verify(row, dir, figures.stored);
  return figures;
}

function verify(row, dir, messages, queues) {
  runJob({ workload: "verifyRocketmq", dir, messages, bodyBytes: row.bodyBytes, queues });
}
