// Apache RocketMQ's own store, driven by the oracle's `bench` (test/interop/oracle/README.md).
import { spawnSync } from "node:child_process";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const ORACLE = fileURLToPath(new URL("../../test/interop/oracle/oracle", import.meta.url));

/** Why it cannot run here, or undefined. */
export function missing() {
  for (const tool of ["java", "mvn"])
    if (spawnSync(tool, ["--version"], { stdio: "ignore" }).status !== 0) return `${tool} is not installed`;
  // Now, or the first run would fetch and compile it.
  const { status, stderr } = spawnSync(ORACLE, ["build"], { encoding: "utf8", stdio: ["ignore", "ignore", "pipe"] });
  return status === 0 ? undefined : `its classes cannot be built: ${lastLine(stderr)}`;
}

const lastLine = (text) => text.trim().split("\n").at(-1) ?? "";

function optionOf(way, name, otherwise) {
  const at = way.indexOf(name);
  return at < 0 ? otherwise : Number(way[at + 1]);
}

/** Messages that the oracle puts before it measures: whole batches in each thread. */
export function warmUpOf(way, messages) {
  const warmUp = optionOf(way, "--warmup", Math.min(Math.floor(messages / 4), 200_000));
  return wholeOf(way, warmUp);
}

/** What it makes of a number of messages. */
export function wholeOf(way, messages) {
  const [threads, batch] = [optionOf(way, "--threads", 1), optionOf(way, "--batch", 1)];
  return threads * Math.ceil(Math.floor(messages / threads) / batch) * batch;
}

export const queuesOf = (way) => optionOf(way, "--queues", 8);

/**
 * One run in a directory; figures as ours have them. Its latencies are closed-loop, and left out. It is closed where others read
 * on: who has put ends as one that is killed, and who has only read changed nothing.
 */
export function run(mode, way, dir, messages, bodyBytes) {
  const args = ["bench", dir, "--mode", mode, "--size", bodyBytes, "--messages", messages, ...way].map(String);
  if (!way.includes("--queues")) args.push("--queues", "8");
  const reads = mode !== "async" && mode !== "sync";
  const fills = reads && !existsSync(join(dir, "commitlog"));
  if (!fills) args.push("--close", "false");
  const { status, stdout, stderr } = spawnSync(ORACLE, args, { encoding: "utf8", maxBuffer: 2 ** 28 });
  if (status !== 0) throw new Error(`the oracle ended with ${status}: ${lastLine(stderr)}`);
  // Its mark of a store that was not closed.
  if (reads) rmSync(join(dir, "abort"), { force: true });
  const line = JSON.parse(lastLine(stdout));
  const { cpuSeconds, consumedPerSecond, residentBytes, privateBytes, dispatchTailMs } = line;
  return {
    messages: line.messages,
    seconds: line.seconds,
    messagesPerSecond: line.messagesPerSecond,
    cpuSecondsPerMillion: (cpuSeconds / line.messages) * 1e6,
    residentBytes,
    privateBytes,
    ...(consumedPerSecond === undefined ? {} : { consumedPerSecond }),
    ...(dispatchTailMs === undefined ? {} : { dispatchTailMillis: dispatchTailMs }),
    threads: line.threads,
    version: line.rocketmq,
  };
}

/** RocketMQ's own sizes, which are ours: the oracle takes small ones where no file tells. */
const SIZES = { store: { consumeQueueFileSize: 6_000_000, indexSlots: 5_000_000, indexEntries: 20_000_000 } };

/** Opens a directory until everything is dispatched: `openMillis`, `residentBytes`. */
export function openTimed(dir) {
  const sizes = `${dir}.sizes.json`;
  writeFileSync(sizes, JSON.stringify(SIZES));
  const args = ["read", dir, "--in-place", "--open-only", "--scenario", sizes];
  const { status, stdout, stderr } = spawnSync(ORACLE, args, { encoding: "utf8", maxBuffer: 2 ** 30 });
  if (status !== 0) throw new Error(`the oracle ended with ${status}: ${lastLine(stderr)}`);
  return JSON.parse(lastLine(stdout));
}
