// Rows that need a store of many gigabytes on the disk.

import { spawnSync } from "node:child_process";
import { copyFileSync, existsSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { openTimed } from "../peers/rocketmq.mjs";
import { runJob } from "../run/contestant-run.mjs";
import { dropCaches } from "../run/page-cache.mjs";
import { CLASSES, floor, moraine, rocketmq } from "./peers.mjs";

/** What is built again where it is missing. */
const DERIVED = ["consumequeue", "index", "checkpoint", "moraine"];
const NATIVE = { MORAINE_ENGINE: "native" };

function makeKilled(dir, { gigabytes }) {
  const store = join(dir, "store");
  if (existsSync(store)) return store;
  runJob({ workload: "fillAndDie", contestant: "moraine", dir: store, gigabytes, killed: true }, NATIVE);
  copyFileSync(join(store, "checkpoint"), join(dir, "checkpoint"));
  return store;
}

/** The log is in memory as far as that goes; or nothing is, which only who may drop the system's caches can have. */
function inState(state, store, smoke) {
  // A smoke run says nothing of times, and lets others on the machine keep what they have in memory.
  if (smoke) return true;
  spawnSync("sync");
  if (state === "cold") return dropCaches();
  const log = join(store, "commitlog");
  for (const name of readdirSync(log)) spawnSync("cat", [join(log, name)], { stdio: ["ignore", "ignore", "inherit"] });
  return true;
}

/** Opens after a kill and rebuilds, warm and cold: with `open` and `rebuild`, which answer with milliseconds and memory. */
function reopened(dir, settings, { before, open, rebuild }) {
  const store = makeKilled(dir, settings);
  const figures = {};
  const timed = (state, name, work) => {
    before?.(dir, store);
    if (!inState(state, store, settings.smoke)) return;
    const { openMillis, residentBytes } = work(store);
    figures[name] = openMillis;
    if (name === "openMillis") figures.residentBytes = residentBytes;
  };
  timed("warm", "openMillis", open);
  timed("cold", "coldOpenMillis", open);
  const again = (at) => {
    for (const name of DERIVED) rmSync(join(at, name), { recursive: true, force: true });
    return rebuild(at);
  };
  timed("warm", "rebuildMillis", again);
  timed("cold", "coldRebuildMillis", again);
  // The next round finds a store whose process was killed.
  runJob({ workload: "openAndDie", dir: store, killed: true }, NATIVE);
  copyFileSync(join(store, "checkpoint"), join(dir, "checkpoint"));
  return figures;
}

const OURS = {
  open: (dir) => runJob({ workload: "openAndDie", dir, killed: true }, NATIVE),
  rebuild: (dir) => runJob({ workload: "openAndClose", dir }, NATIVE),
};

const THEIRS = {
  // Or each open would begin where the one before has come to.
  before(dir, store) {
    if (existsSync(join(store, "checkpoint"))) copyFileSync(join(dir, "checkpoint"), join(store, "checkpoint"));
    writeFileSync(join(store, "abort"), "1");
  },
  open: openTimed,
  rebuild: openTimed,
};

function openedWarm(dir, gigabytes, smoke) {
  const store = makeKilled(dir, { gigabytes });
  inState("warm", store, smoke);
  return OURS.open(store);
}

function cold(workload) {
  return (dir, _, { gigabytes, smoke }) => {
    const job = { contestant: "moraine", bodyBytes: 1024, dir, gigabytes };
    runJob({ ...job, workload: "fillBytes" }, NATIVE);
    if (!smoke) spawnSync("sync");
    if (!smoke && !dropCaches()) throw new Error("only who may drop the system's caches can read from the disk");
    return runJob({ ...job, workload, seconds: smoke ? 0.2 : 10 }, NATIVE);
  };
}

export const DISK = [
  {
    number: 17,
    name: "read-cold",
    title: "catch-up read from the disk, raw records, 1 KiB",
    class: CLASSES.read,
    kept: true,
    metric: "bytesPerSecond",
    gigabytes: true,
    messages: 1,
    bodyBytes: 1024,
    leavesOut:
      "Bytes are those of the log. The floor reads the same files in pieces of 1 MiB, and looks at nothing in them",
    contestants: [
      { ...moraine({}), run: cold("readCold") },
      { ...floor({}), needs: "native", run: cold("readDevice") },
    ],
  },
  {
    number: 21,
    name: "reopen",
    title: "opening a store whose process was killed; building its queues and index again",
    class: CLASSES.process,
    kept: true,
    metric: "openMillis",
    lessIsBetter: true,
    gigabytes: true,
    messages: 1,
    bodyBytes: 1024,
    leavesOut:
      "Both open stores that ours has written. The start of a process is in nobody's time. RocketMQ rebuilds while it opens; our rebuild is synced when the store is closed, which is not in the time either",
    contestants: [
      { ...moraine({}), run: (dir, _, settings) => reopened(dir, settings, OURS) },
      { ...rocketmq("open", [[]])[0], run: (dir, _, settings) => reopened(dir, settings, THEIRS) },
    ],
  },
  {
    number: 0,
    name: "beside-cold",
    title: "1,000 puts a second on time, beside a consumer on the same event loop that reads from the disk",
    class: CLASSES.process,
    kept: true,
    metric: "riseMillis",
    lessIsBetter: true,
    gigabytes: true,
    messages: 1,
    bodyBytes: 1024,
    leavesOut: "Ours alone: by how much the 99th percentile of a put rises over what it was without the consumer",
    contestants: [{ ...moraine({}), run: cold("besideCold") }],
  },
  {
    number: 0,
    name: "scale-open",
    title: "opening a store whose process was killed, over its size",
    class: CLASSES.process,
    kept: true,
    metric: "openMillis",
    lessIsBetter: true,
    curve: "MB",
    messages: 1,
    bodyBytes: 1024,
    leavesOut: "Ours alone: what counts is whether the line is flat. The start of a process is not in the time",
    contestants: [100, 1000, 10_000].map((megabytes) => ({
      ...moraine({}, `MB: ${megabytes.toLocaleString("en")}`),
      x: megabytes,
      bytes: megabytes * 1e6,
      run: (dir, _, { smoke }) => openedWarm(dir, smoke ? 0.02 : megabytes / 1000, smoke),
    })),
  },
];
