// `npm run bench -- --only concurrent [--gigabytes N] [--messages N] [--rounds N]`: puts while somebody else reads from the
// disk, a thread that puts beside one that consumes, against RocketMQ with a reader thread, and how soon a thread wakes up.
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { median } from "./median.mjs";
import { dropCaches } from "./page-cache.mjs";
import * as rocketmq from "./peers/rocketmq.mjs";

/** By how much the 99th percentile of a put may rise, how much faster both threads have to be, how soon one has to wake up. */
const MOST_RISE_MILLIS = 2;
const LEAST_RATIO = 5;
const LATEST_WAKE_MICROS = 50;
/** RocketMQ's ways to put of which the best one counts. */
const WAYS = [
  ["--batch", "64", "--threads", "1"],
  ["--batch", "1", "--threads", "1", "--window", "64"],
];

const child = fileURLToPath(new URL("./load/concurrent.mjs", import.meta.url));

function ours(mode, dir, ...more) {
  const args = [child, mode, dir, ...more.map(String)];
  return JSON.parse(execFileSync(process.execPath, args, { encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] }));
}

export function run(inDirectory, gigabytes, messages, rounds) {
  const why = rocketmq.missing();
  const consumed = { moraine: [], ...Object.fromEntries(why ? [] : WAYS.map((way) => [way.join(" "), []])) };
  const woken = [];
  for (let round = 0; round < rounds; round++) {
    const contestants = Object.keys(consumed);
    for (let i = 0; i < contestants.length; i++) {
      const name = contestants[(i + round) % contestants.length];
      const way = WAYS.find((way) => way.join(" ") === name);
      const rate = inDirectory((dir) =>
        way === undefined
          ? ours("consume", dir, messages).consumedPerSecond
          : rocketmq.run("async", [...way, "--readers", "1"], dir, messages).consumedPerSecond,
      );
      consumed[name].push(rate);
    }
    woken.push(inDirectory((dir) => ours("wake", dir, 5000)));
  }
  const cold = inDirectory((dir) => {
    ours("write", dir, gigabytes);
    execFileSync("sync");
    return dropCaches() ? ours("cold", dir) : undefined;
  });
  report({ consumed, woken, cold }, gigabytes, rounds);
  return { gigabytes, messages, consumed, woken, cold };
}

function report({ consumed, woken, cold }, gigabytes, rounds) {
  console.log(`\none thread puts, another consumes, 1 KiB, ${rounds} rounds, medians`);
  for (const [name, rates] of Object.entries(consumed))
    console.log(
      `  ${name.padEnd(44)} ${Math.round(median(rates) / 1000)} k/s   (${rates.map((rate) => Math.round(rate / 1000)).join(", ")})`,
    );
  const { moraine, ...theirs } = consumed;
  const best = Math.max(0, ...Object.values(theirs).map(median));
  if (best > 0)
    verdict(
      `${(median(moraine) / best).toFixed(1)} × RocketMQ's best`,
      `${LEAST_RATIO} ×`,
      median(moraine) / best >= LEAST_RATIO,
    );
  const [micros, p99, fromBegin] = ["medianMicros", "p99Micros", "medianFromBegin"].map((of) =>
    median(woken.map((one) => one[of])),
  );
  console.log(
    `\na thread that waits for a queue goes on ${micros.toFixed(1)} µs after a put has returned (median; 99 %: ${p99.toFixed(0)} µs), ${fromBegin.toFixed(1)} µs after it began`,
  );
  verdict("", `${LATEST_WAKE_MICROS} µs`, micros <= LATEST_WAKE_MICROS);
  console.log(`\nputs, 1,000 a second on time, alone and beside a consumer that reads ${gigabytes} GB from the disk`);
  if (cold === undefined) return console.log("  not measured: only who may drop the system's caches can");
  const row = (name, { p50, p99, most }) =>
    console.log(
      `  ${name.padEnd(20)} 50 %: ${p50.toFixed(2)} ms, 99 %: ${p99.toFixed(2)} ms, longest ${most.toFixed(1)} ms`,
    );
  row("alone", cold.alone);
  row("beside the consumer", cold.beside);
  console.log(
    `  the consumer read ${(cold.bytes / 1e9).toFixed(1)} GB, ${Math.round(cold.bytes / 1e6 / cold.seconds)} MB a second, ${cold.coldBatches} of ${cold.batches} batches from the disk`,
  );
  const rise = cold.beside.p99 - cold.alone.p99;
  verdict(`99 % rises by ${rise.toFixed(2)} ms`, `${MOST_RISE_MILLIS} ms`, rise < MOST_RISE_MILLIS);
}

function verdict(what, target, met) {
  console.log(`  → ${what === "" ? "" : `${what}; `}target ${target} ${met ? "met" : "MISSED"}`);
}
