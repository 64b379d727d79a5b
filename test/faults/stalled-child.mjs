/**
 * A process whose disk stops answering for a while: started by stalled-disk.ts with stall-disk.c preloaded. Prints what it
 * saw as JSON.
 *
 * node --expose-gc stalled-child.mjs DIRECTORY ENGINE syncs|prefill|closing
 */
import { rmSync, writeFileSync } from "node:fs";
import { setImmediate as turn } from "node:timers/promises";
import { Store } from "moraine";

const [directory, engine, scenario] = process.argv.slice(2);
const gate = scenario === "syncs" ? process.env.MORAINE_STALL_SYNC : process.env.MORAINE_STALL_PREFILL;
const maxPendingBytes = 100_000;
const options = {
  engine,
  flush: scenario === "syncs" ? "sync" : "async",
  flushIntervalMs: 60_000,
  segmentBytes: 8_388_608,
  queueFileEntries: 1000,
  indexSlots: 500,
  indexEntries: 2000,
  maxPendingBytes,
};
const BODY_BYTES = 1000;
const message = (number) => ({
  topic: "orders",
  queueId: 0,
  body: Buffer.from(String(number).padEnd(BODY_BYTES, ".")),
});
const facts = ({ code, message: text, retriable, details }) => ({ code, message: text, retriable, details });

const seen = { maxPendingBytes, settled: [], refused: 0, put: [], pressure: { growing: [] } };
const store = await Store.open(directory, options);
seen.pressure.idle = store.pressure;
let last = 0;

const pending = [];
function append() {
  const number = last++;
  pending.push(
    store.append(message(number)).then(
      () => void seen.settled.push(number),
      (error) => {
        seen.refused++;
        seen.refusal ??= facts(error);
        return error.code;
      },
    ),
  );
}

/** Puts until there is no room, and at most so many. */
function putUntilBusy(most) {
  for (let n = 0; n < most; n++) {
    const number = last;
    try {
      seen.recordBytes = store.put(message(number)).size;
    } catch (error) {
      seen.putRefusal = facts(error);
      return;
    }
    seen.put.push(number);
    last++;
  }
}

if (scenario === "syncs") {
  // Making the first file of the log takes syncs that `append` itself waits for.
  append();
  await pending.pop();
}
writeFileSync(gate, "");
if (scenario === "syncs") {
  const { endOffset } = store.log;
  for (let n = 0; n < 20; n++) {
    append();
    seen.pressure.growing.push(store.pressure);
    await turn();
  }
  const heap = [];
  for (let round = 0; round < 200; round++) {
    // A caller that does not heed refusals.
    for (let n = 0; n < 100; n++) append();
    await Promise.race([turn(), ...pending.slice(-100)]);
    if (seen.refused > 0) pending.splice(0, pending.length, ...pending.filter((_, n) => n < 200));
    if (round === 20 || round === 199) {
      globalThis.gc();
      heap.push(process.memoryUsage().heapUsed);
    }
  }
  seen.grownHeapBytes = heap[1] - heap[0];
  seen.undurableBytes = store.log.endOffset - endOffset;
  seen.recordBytes = seen.undurableBytes / (store.stats().messagesPut - 1);
} else {
  // The first one gets room by itself, and asks for more of it.
  putUntilBusy(1);
  await new Promise((resolve) => setTimeout(resolve, 50));
  putUntilBusy(7000);
  for (let n = 0; n < 20; n++) append();
  seen.pressure.growing.push(store.pressure);
  if (scenario === "prefill") {
    await store.append({ ...message(0), queueId: -1 }).catch((error) => {
      seen.wrong = facts(error);
    });
  }
  for (let n = 0; n < 20; n++) append();
  seen.pressure.growing.push(store.pressure);
  for (let n = 0; n < 1000; n++) append();
  // The line tries again and again meanwhile.
  for (let n = 0; n < 5; n++) await new Promise((resolve) => setTimeout(resolve, 20));
}
seen.pressure.stalled = store.pressure;
seen.settledWhileStalled = seen.settled.length;

if (scenario === "closing") {
  const closing = store.close();
  seen.closed = (await Promise.all(pending)).slice(0, 40);
  rmSync(gate);
  await closing;
} else {
  rmSync(gate);
  await Promise.all(pending);
  seen.pressure.after = store.pressure;
  append();
  await pending.at(-1);
  await store.close();
}

const again = await Store.open(directory, options);
seen.found = [];
for await (const { body } of again.read("orders", 0))
  seen.found.push(Number.parseInt(Buffer.from(body).toString(), 10));
await again.close();
console.log(JSON.stringify(seen));
