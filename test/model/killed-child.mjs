/**
 * A process that does in a store what it is told, and kills itself: with the WebAssembly engine in front of a call that changes
 * files, anywhere in opening, putting, flushing and closing; with the native engine, whose calls nobody can count, between them.
 *
 * node killed-child.mjs TOLD ACKS: an errand of killed.ts, and where it writes `opened`, then a line of JSON for each step.
 */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";
import { deserialize } from "node:v8";

/** Calls that change what is in files and directories, or say that it is safe. */
const CHANGING = [
  ...["openSync", "writeSync", "ftruncateSync", "linkSync", "unlinkSync", "renameSync", "mkdirSync", "rmdirSync"],
  ...["fdatasync", "fdatasyncSync", "fsync", "fsyncSync"],
];

const [told, acks] = process.argv.slice(2);
const { path, options, now: start, steps, dies, calls } = deserialize(fs.readFileSync(told));
const write = fs.writeSync;
const file = fs.openSync(acks, "wx");
const say = (text) => write(file, text);

/** Calls that are left; counted in one step alone. */
let left = Number.POSITIVE_INFINITY;
const die = () => process.kill(process.pid, "SIGKILL");
for (const name of CHANGING) {
  const call = fs[name];
  fs[name] = (...args) => {
    if (left-- <= 0) die();
    return call(...args);
  };
}
syncBuiltinESMExports();
const { Store } = await import("moraine");

/** Runs a step; the one in which the process dies it does not survive. */
async function step(number, work) {
  if (number === dies) left = calls;
  const done = await work();
  if (number === dies) die();
  return done;
}

let now = start;
const store = await step(0, () => Store.open(path, { ...options, clock: () => now }));
say("opened\n");
for (const [i, { how, messages, clock }] of steps.entries()) {
  const physicalOffsets = await step(i + 1, async () => {
    if (how === "flush") await store.flush();
    else if (how === "put") return messages.map((message) => store.put(message).physicalOffset);
    else return [...store.putBatch(messages).physicalOffsets];
    return [];
  });
  const { endOffset, durableOffset } = store.log;
  say(`${JSON.stringify({ physicalOffsets, endOffset, durableOffset })}\n`);
  now += clock;
  // The event loop's turn, for what the store writes behind.
  if (clock > 0) await sleep(clock);
}
await step(Math.max(dies, steps.length + 1), () => store.close());
