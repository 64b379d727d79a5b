/**
 * A process that puts messages until it is killed, or has put enough and closes, and says in a file what it was sure of.
 *
 * node killed-child.mjs LIFE, a life of test/interop/kill-plans.ts as JSON with `dir` and `acks`: the store and that file. Its lines:
 * `opened END`, `put N PHYSICAL QUEUEOFFSET SIZE STORETIME` for each message, `flushed DURABLE`, `idle`, `closed`.
 */
import { openSync, writeSync } from "node:fs";
import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { killedMessage } from "./killed-messages.mjs";

const life = JSON.parse(process.argv[2]);

// Queue checkpoints every few records instead of every 64 MiB: `checkpointBytes` is an option of the engines alone.
const engine =
  life.options.engine === "wasm"
    ? (await import("../../dist/binding/load.js")).loadEngine("wasm")
    : createRequire(import.meta.url)(fileURLToPath(new URL(`../../prebuilds/${life.addon}`, import.meta.url)));
const { open } = engine;
engine.open = (path, options, events) => open(path, { ...options, checkpointBytes: life.checkpointBytes }, events);
const { Store } = await import("moraine");

let state = life.diceSeed >>> 0;
/** An integer from 0 to `high`. */
function dice(high) {
  state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
  return Math.floor((state / 2 ** 32) * (high + 1));
}

let now = life.startTime;
const store = await Store.open(life.dir, { ...life.options, clock: () => now });
const acks = openSync(life.acks, "a");
const say = (text) => writeSync(acks, text);
say(`opened ${store.log.endOffset}\n`);

let n = 0;
/** Puts `count` messages and says so; they count from the moment that the call has returned, or the promise resolved. */
async function put(how, count) {
  const first = n;
  n += count;
  const messages = Array.from({ length: count }, (_, i) => killedMessage(life.seed, life.life, first + i, life.queues));
  const results =
    how === "put"
      ? messages.map((message) => store.put(message))
      : how === "putBatch"
        ? [...store.putBatch(messages)]
        : await Promise.all(messages.map((message) => store.append(message)));
  const lines = results.map(
    (one, i) => `put ${first + i} ${one.physicalOffset} ${one.queueOffset} ${one.size} ${one.storeTimestamp}\n`,
  );
  say(lines.join(""));
}

while (n < life.messages) {
  const turn = dice(9);
  if (turn === 0) {
    await store.flush();
    say(`flushed ${store.log.durableOffset}\n`);
  } else {
    await put(turn < 4 ? "put" : turn < 8 ? "putBatch" : "append", 1 + dice(23));
  }
  now += dice(life.stepMs);
  if (life.paceMs > 0) await sleep(dice(life.paceMs));
}
if (life.end === "close") {
  await store.close();
  say("closed\n");
} else {
  say("idle\n");
  setInterval(() => {}, 1000);
}
