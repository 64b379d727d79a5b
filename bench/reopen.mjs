// `npm run bench -- --only reopen [--gigabytes N] [--rounds N]`: opening a store whose process was killed, and building
// queues and index from the log alone, against RocketMQ on a copy of the same store; from memory, and from the disk.
import { execFileSync, spawnSync } from "node:child_process";
import { copyFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { median } from "./median.mjs";
import { dropCaches } from "./page-cache.mjs";
import { ORACLE } from "./peers/rocketmq.mjs";

/** What opening after a kill has to keep to, and how many times faster than RocketMQ it and a rebuild have to be. */
const LONGEST_OPEN_MILLIS = 500;
const LEAST_OPEN_RATIO = 20;
const LEAST_REBUILD_RATIO = 5;
/** What is built again where it is missing. */
const DERIVED = ["consumequeue", "index", "checkpoint", "moraine"];
/** RocketMQ's own sizes, which are ours: the oracle takes small ones where no file tells. */
const SIZES = { store: { consumeQueueFileSize: 6_000_000, indexSlots: 5_000_000, indexEntries: 20_000_000 } };

const child = fileURLToPath(new URL("./load/reopen.mjs", import.meta.url));

function ours(mode, dir, ...more) {
  // A child that kills itself at its end is no failure.
  const { stdout, signal, status } = spawnSync(process.execPath, [child, mode, dir, ...more.map(String)], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "inherit"],
  });
  if (status !== 0 && signal !== "SIGKILL") throw new Error(`${mode} left with ${signal ?? status}`);
  return stdout === "" ? undefined : JSON.parse(stdout);
}

function theirs(dir) {
  writeFileSync(join(dir, "abort"), "1");
  const sizes = join(dir, "..", "sizes.json");
  writeFileSync(sizes, JSON.stringify(SIZES));
  const out = execFileSync(ORACLE, ["read", dir, "--in-place", "--open-only", "--scenario", sizes], {
    encoding: "utf8",
    maxBuffer: 2 ** 30,
  });
  return JSON.parse(out.trim().split("\n").at(-1));
}

/** The log is in memory as far as that goes: what the other contestant read before has pushed some of it out. */
function warm(dir) {
  const log = join(dir, "commitlog");
  for (const name of readdirSync(log)) spawnSync("cat", [join(log, name)], { stdio: ["ignore", "ignore", "inherit"] });
}

/** What `open` gives on files that are in memory, or not; undefined where that cannot be had. */
function timed(state, dir, open) {
  execFileSync("sync"); // or what was written before slows down what comes
  if (state === "warm") warm(dir);
  else if (!dropCaches()) return undefined;
  return open(dir);
}

/** What both give, with either of them first in turn. */
function inTurn(round, first, second) {
  if (round % 2 === 0) return [first(), second()];
  const b = second();
  return [first(), b];
}

export function run(inDirectory, gigabytes, rounds) {
  return inDirectory((dir) => {
    const [mine, his, checkpoint] = ["moraine", "rocketmq", "checkpoint"].map((name) => join(dir, name));
    ours("write", mine, gigabytes);
    execFileSync("cp", ["-a", "--sparse=always", mine, his]);
    copyFileSync(join(mine, "checkpoint"), checkpoint);
    const figures = { warm: [], cold: [], rebuiltWarm: [], rebuiltCold: [] };
    const open = (dir) => ours("open", dir);
    for (let round = 0; round < rounds; round++) {
      for (const state of ["warm", "cold"]) {
        copyFileSync(checkpoint, join(his, "checkpoint")); // or each open would begin where the one before has come to
        const [a, b] = inTurn(
          round,
          () => timed(state, mine, open),
          () => timed(state, his, theirs),
        );
        if (a && b) figures[state].push([a.openMillis, b.openMillis, a.residentBytes]);
      }
    }
    const rebuild = (dir) => ours("rebuild", dir);
    for (let round = 0; round < rounds; round++) {
      for (const [state, rebuilt] of [
        ["warm", figures.rebuiltWarm],
        ["cold", figures.rebuiltCold],
      ]) {
        for (const name of DERIVED)
          for (const store of [mine, his]) rmSync(join(store, name), { recursive: true, force: true });
        const [a, b] = inTurn(
          round,
          () => timed(state, mine, rebuild),
          () => timed(state, his, theirs),
        );
        if (a && b) rebuilt.push([a.openMillis, b.openMillis, a.residentBytes, a.closedMillis]);
        ours("open", mine);
      }
    }
    report(gigabytes, rounds, figures);
    return { gigabytes, ...figures };
  });
}

function report(gigabytes, rounds, { warm, cold, rebuiltWarm, rebuiltCold }) {
  console.log(`\na store of ${gigabytes} GB, ${rounds} rounds, medians: moraine, RocketMQ`);
  const row = (name, figures, verdicts) => {
    if (figures.length === 0) return console.log(`  ${name.padEnd(44)} not measured`);
    const [a, b, bytes, closed] = [0, 1, 2, 3].map((n) => median(figures.map((one) => one[n])));
    const also = closed === undefined ? "" : `; synced and closed after ${Math.round(closed)} ms`;
    console.log(
      `  ${name.padEnd(44)} ${Math.round(a)} ms, ${Math.round(b)} ms (${Math.round(bytes / 2 ** 20)} MiB resident${also})`,
    );
    for (const [what, met] of verdicts(a, b / a)) console.log(`  → ${what} ${met ? "met" : "MISSED"}`);
  };
  const opened = (millis, ratio) => [
    [`${(ratio).toFixed(1)} × faster; target ${LEAST_OPEN_RATIO} ×`, ratio >= LEAST_OPEN_RATIO],
    [`target ${LONGEST_OPEN_MILLIS} ms`, millis <= LONGEST_OPEN_MILLIS],
  ];
  row("open after a kill, warm", warm, opened);
  row("open after a kill, cold", cold, opened);
  const rebuilt = (_, ratio) => [
    [`${ratio.toFixed(1)} × faster; target ${LEAST_REBUILD_RATIO} ×`, ratio >= LEAST_REBUILD_RATIO],
  ];
  row("queues and index built again, warm", rebuiltWarm, rebuilt);
  row("queues and index built again, cold", rebuiltCold, rebuilt);
}
