/**
 * A process whose disk breaks: started by poisoned-store.ts with fail-sync.c preloaded. Prints what it saw as JSON.
 *
 * node poisoned-child.mjs DIRECTORY ENGINE told|untold
 *
 * told: a flush and an append wait for the sync that fails. untold: nobody waits, the background finds out.
 */
import { subscribe } from "node:diagnostics_channel";
import { rmSync, writeFileSync } from "node:fs";
import { Store } from "moraine";
import { answer, CALLS } from "./calls.mjs";

const [directory, engine, scenario] = process.argv.slice(2);
const trigger = process.env.MORAINE_FAIL_SYNC;
const options = {
  engine,
  flushIntervalMs: 20,
  segmentBytes: 262_144,
  queueFileEntries: 1000,
  indexSlots: 500,
  indexEntries: 2000,
};
const message = (text) => ({ topic: "orders", queueId: 0, body: Buffer.from(text), keys: ["k"] });

const published = [];
const poisoned = new Promise((resolve) => {
  subscribe("moraine:poison", ({ path, error }) => {
    published.push({ path, code: error.code });
    resolve();
  });
});

/** What a program can see of an error. */
function facts(error) {
  const { code, message: text, retriable, details, cause } = error;
  return { code, message: text, retriable, details, cause: cause?.code };
}

const store = await Store.open(directory, options);
store.put(message("durable"));
await store.flush();
const seen = { waiters: [], answers: {} };

// Those who wait for what comes, and what becomes of them.
const waits = [
  store.arrival("orders", 0, 1000),
  store.arrival("orders", 1, 0, { timeoutMs: 600_000 }),
  store.read("orders", 0, { from: 1000, follow: true }).next(),
  store.scan({ from: 1_000_000, follow: true }).next(),
];
const ended = Promise.allSettled(waits);

// What the store still has to say on disk of the first message is said before the disk breaks.
await new Promise((resolve) => setTimeout(resolve, 500));
writeFileSync(trigger, "");
store.put(message("lost or not"));
if (scenario === "told") {
  const waiters = [store.flush(), store.append(message("lost or not, too"), { durability: "disk" })];
  for (const { reason } of await Promise.allSettled(waiters)) seen.waiters.push(reason && facts(reason));
  seen.state = store.state;
  for (const [name, call] of Object.entries(CALLS)) {
    if (name !== "close") seen.answers[name] = await answer(() => call(store));
  }
  const table = store.table("settings");
  seen.tables = {
    get: await answer(() => table.get("key")),
    set: await answer(() => table.set("key", 1)),
    delete: await answer(() => table.delete("key")),
    flush: await answer(() => table.flush()),
    commit: await answer(() => store.groups.commit("readers", "orders", 0, 1)),
    offset: await answer(() => store.groups.offset("readers", "orders", 0)),
  };
  try {
    store.put(message("refused"));
  } catch (error) {
    seen.refusal = facts(error);
  }
  seen.bodies = store.get("orders", 0, 0, { max: 1 }).messages.map(({ body }) => Buffer.from(body).toString());
} else {
  // The wait for the background keeps no process alive.
  const alive = setInterval(() => {}, 1000);
  await poisoned;
  clearInterval(alive);
  seen.state = store.state;
}
await poisoned;
seen.offsets = store.offsets("orders", 0);
const { nextOffset, messages: readable } = store.get("orders", 0, 0, { max: 1000 });
seen.readable = { nextOffset, messages: readable.length, entries: store.entries("orders", 0).length };
seen.waits = (await ended).map(({ reason }) => reason && facts(reason));
const late = [store.arrival("orders", 0, 1000), store.read("orders", 0, { from: 1, follow: true }).next()];
seen.lateWaits = (await Promise.allSettled(late)).map(({ reason }) => reason && facts(reason));
seen.answers.close = await answer(() => store.close());
seen.stateAfterClose = store.state;
seen.published = published;

rmSync(trigger);
const again = await Store.open(directory, options);
seen.reopened = {
  state: again.state,
  bodies: again.get("orders", 0, 0, { max: 1 }).messages.map(({ body }) => Buffer.from(body).toString()),
  put: await answer(() => again.put(message("again"))),
  flush: await answer(() => again.flush()),
};
await again.close();
console.log(JSON.stringify(seen));
