// `npm run bench -- [--rounds N] [--messages N] [--only WORKLOAD] [--dir DIR] [--gigabytes N]`
//
// The first figures: our store and Apache RocketMQ's in one run, in rotation, each run in a process and a directory of
// its own on the same disk. Prints median and spread, and the ratio to RocketMQ's best way of doing the same.
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import * as concurrent from "./concurrent.mjs";
import * as manyQueues from "./many-queues.mjs";
import * as rocketmq from "./peers/rocketmq.mjs";
import * as reopen from "./reopen.mjs";

/** Ratios that have to be reached; the read is reported. */
const TARGETS = { "put-batch": 4, "put-one": 3, "append-durable": 1.5, filter: 5 };
const TITLES = {
  "put-batch": "put, batches of 64 × 1 KiB",
  "put-one": "put, one a call, 1 KiB",
  "append-durable": "append, durable, 64 waiting, 1 KiB",
  "batch-durable": "put in batches of 64 × 1 KiB, each with its flush",
  read: "get, 32 a call, 1 KiB, copied and checked",
  filter: "get, 32 a call, a tag filter that drops 99 %, queue entries passed",
};
/** Where the WebAssembly engine runs, too: the part of ours that it has to reach, and the multiple of RocketMQ's best. */
const WEBASSEMBLY = { "put-batch": { ours: 1 / 8, theirs: 2 }, "batch-durable": { ours: 1 / 2 }, read: {} };
/** What is measured against another workload of ours. */
const AGAINST_OURS = { filter: ["unfiltered", "moraine without a filter"] };

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    messages: { type: "string", default: "500000" },
    only: { type: "string" },
    dir: { type: "string", default: tmpdir() },
    gigabytes: { type: "string", default: "10" },
  },
});

const child = fileURLToPath(new URL("./load/child.mjs", import.meta.url));

/** Runs `work` with an empty directory that is removed afterwards. */
function inDirectory(work) {
  const dir = mkdtempSync(join(values.dir, "moraine-bench-"));
  try {
    return work(dir);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

function ours(workload, messages, engine = "native") {
  const env = { ...process.env, MORAINE_ENGINE: engine };
  const out = inDirectory((dir) =>
    execFileSync(process.execPath, [child, workload, dir, String(messages)], { encoding: "utf8", env }),
  );
  return JSON.parse(out).messagesPerSecond;
}

function theirs(mode, way, messages) {
  return inDirectory((dir) => rocketmq.run(mode, way, dir, messages).messagesPerSecond);
}

/** Whom a workload is measured against. */
function peersOf(workload, messages) {
  const own = AGAINST_OURS[workload];
  if (own) return [{ name: own[1], run: () => ours(own[0], messages), rates: [] }];
  if (why || rocketmq.WAYS[workload] === undefined) return [];
  const { mode, ways } = rocketmq.WAYS[workload];
  return ways.map((way) => ({ name: `RocketMQ ${way.join(" ")}`, run: () => theirs(mode, way, messages), rates: [] }));
}

function summary(rates) {
  const sorted = rates.toSorted((a, b) => a - b);
  return { median: sorted[Math.floor(sorted.length / 2)], least: sorted[0], most: sorted.at(-1), rates };
}

const thousands = (rate) => `${Math.round(rate / 1000).toLocaleString("en")} k/s`;
const line = (name, s) =>
  console.log(
    `  ${name.padEnd(44)} ${thousands(s.median).padStart(10)}   (${thousands(s.least)} – ${thousands(s.most)})`,
  );

/** What the WebAssembly engine reaches of ours and of RocketMQ's best, and what it should. */
function share(module, us, best, targets) {
  const told = (ratio, whose, target) => {
    const verdict = target === undefined ? "" : `, target ${target} × ${ratio >= target ? "met" : "MISSED"}`;
    return `${ratio.toFixed(2)} × ${whose}${verdict}`;
  };
  const parts = [told(module.median / us.median, "native", targets.ours)];
  if (best) parts.push(told(module.median / best.median, best.name, targets.theirs));
  return parts.join("; ");
}

const why = rocketmq.missing();
if (why) console.log(`Apache RocketMQ's store is not measured: ${why}.`);
const results = {
  machine: `${cpus().length} × ${cpus()[0]?.model}`,
  node: process.version,
  rounds: Number(values.rounds),
  workloads: {},
};
for (const workload of Object.keys(TITLES).filter((name) => !values.only || name === values.only)) {
  // A durable message costs a share of a sync: fewer are enough.
  const messages = workload.endsWith("-durable") ? Math.ceil(Number(values.messages) / 2) : Number(values.messages);
  const contestants = [
    { name: "moraine", run: () => ours(workload, messages), rates: [] },
    ...peersOf(workload, messages),
  ];
  const wasm = { name: "moraine, WebAssembly", run: () => ours(workload, messages, "wasm"), rates: [] };
  if (workload in WEBASSEMBLY) contestants.push(wasm);
  for (let round = 0; round < Number(values.rounds); round++) {
    // Every round starts with another contestant, so that nobody always runs on a warm or a tired machine.
    for (let i = 0; i < contestants.length; i++) {
      const contestant = contestants[(i + round) % contestants.length];
      contestant.rates.push(contestant.run());
    }
  }
  console.log(`\n${TITLES[workload]}, ${messages.toLocaleString("en")} messages, ${values.rounds} rounds`);
  const all = contestants.map(({ name, rates }) => ({ name, ...summary(rates) }));
  for (const one of all) line(one.name, one);
  const [us, ...others] = all;
  const peers = others.filter(({ name }) => name !== wasm.name);
  const best = peers.toSorted((a, b) => b.median - a.median)[0];
  if (best) {
    const ratio = us.median / best.median;
    const target = TARGETS[workload];
    const verdict =
      target === undefined ? "reported" : ratio >= target ? `target ${target} × met` : `target ${target} × MISSED`;
    const whose = workload in AGAINST_OURS ? best.name : `RocketMQ's best (${best.name})`;
    console.log(`  → ${ratio.toFixed(1)} × ${whose}; ${verdict}`);
  }
  const module = others.find(({ name }) => name === wasm.name);
  if (module) console.log(`  → WebAssembly: ${share(module, us, best, WEBASSEMBLY[workload])}`);
  results.workloads[workload] = { messages, contestants: all };
}
if (!values.only || values.only === "many-queues") {
  results.workloads["many-queues"] = manyQueues.run(inDirectory, Number(values.messages), Number(values.rounds));
}
// Takes more than twice its size on disk: only when it is asked for.
if (values.only === "reopen") {
  results.workloads.reopen = reopen.run(inDirectory, Number(values.gigabytes), Number(values.rounds));
}
// … and more than --gigabytes on disk.
if (values.only === "concurrent") {
  const [gigabytes, messages, rounds] = [values.gigabytes, values.messages, values.rounds].map(Number);
  results.workloads.concurrent = concurrent.run(inDirectory, gigabytes, messages, rounds);
}
const folder = fileURLToPath(new URL("./results/", import.meta.url));
mkdirSync(folder, { recursive: true });
writeFileSync(join(folder, "latest.json"), `${JSON.stringify(results, null, 2)}\n`);
console.log("\nWritten to bench/results/latest.json.");
