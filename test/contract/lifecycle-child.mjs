/**
 * A process that comes to its end, or a store to many of them: started by lifecycle.test.ts. Prints what it saw as JSON.
 *
 * node --expose-gc lifecycle-child.mjs SCENARIO DIRECTORY ENGINE [...]
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { Store } from "moraine";

const [scenario, directory, engine, ...more] = process.argv.slice(2);
const options = { engine, segmentBytes: 262_144, queueFileEntries: 1000, indexSlots: 500, indexEntries: 2000 };
const message = (text, fields) => ({
  topic: "orders",
  queueId: 0,
  keys: [`k${text}`],
  body: Buffer.from(String(text)),
  ...fields,
});
const text = (body) => Buffer.from(body).toString();
const say = (seen) => process.stdout.write(`${JSON.stringify(seen)}\n`);

/** Everything at once, and nobody waits for it. */
function begin(store, count) {
  const all = Array.from({ length: count }, (_, n) =>
    store.append(message(n, { topic: "left" }), { durability: "disk" }),
  );
  all.push(store.flush(), store.arrival("left", 1, 0), store.read("left", 1, { follow: true }).next());
  all.push(store.scan({ follow: true, from: store.log.visibleOffset }).next(), store.verify({ deep: true }));
  for (let n = 0; n < 40; n++) all.push(store.fetch("orders", 0, n * 15, { max: 5 }), store.fetchAt(n * 7000));
  all.push(store.expire({ maxBytes: 1_000_000 }), store.deleteTopic("other"));
  store.onAppend(() => {});
  store.table("settings").set("key", 1);
  for (const each of all) each.catch?.(() => {});
  return all;
}

const scenarios = {
  /** Leaves by `process.exit` with everything in flight: at once, in the next turn, or once half of it is done. */
  async exit(when) {
    const store = await Store.open(directory, { ...options, flush: "sync" });
    const acknowledged = [];
    for (let n = 0; n < 20; n++) {
      acknowledged.push((await store.append(message(n, { topic: "kept" }))).queueOffset);
    }
    say({ acknowledged: acknowledged.length });
    const all = begin(store, 200);
    if (when === "next turn") await turn();
    if (when === "half way") await Promise.race(all.slice(100, 101));
    if (when === "closing") void store.close();
    process.exit(7);
  },

  /** Opens and closes again and again; how much memory, files and threads there are, early and late. */
  async cycles(count) {
    const looks = [];
    const look = async () => {
      for (let n = 0; n < 3; n++) {
        globalThis.gc();
        await turn();
      }
      const { rss, heapUsed, external, arrayBuffers } = process.memoryUsage();
      const files = readdirSync("/proc/self/fd").length;
      const threads = readdirSync("/proc/self/task").length;
      looks.push({ rss, heapUsed, external, arrayBuffers, files, threads });
    };
    const cycles = Number(count);
    for (let n = 1; n <= cycles; n++) {
      const store = await Store.open(directory, options);
      store.put(message(n, { queueId: n % 4 }));
      const waits = Promise.allSettled([
        store.arrival("orders", 9, 0),
        store.read("orders", 9, { follow: true }).next(),
      ]);
      if (engine === "native") store.share();
      store.onAppend(() => {});
      await store.fetch("orders", 0, 0);
      await store.close();
      await waits;
      // What waits to be collected would count as memory, and leave holes behind.
      if (n % 25 === 0) globalThis.gc();
      // Not before the half: what is compiled takes its memory by then, in Node 24 ten megabytes of it at once.
      if (n === Math.floor(cycles / 2) || n === cycles) await look();
    }
    say({ looks });
  },

  /** Collects garbage between all steps; results outlive their store, and what is in flight outlives every reference. */
  async collected() {
    const gc = () => globalThis.gc();
    const kept = [];
    let store = await Store.open(directory, options);
    gc();
    let body = Buffer.alloc(50_000, "x");
    const large = store.append(message("", { body }), { durability: "disk" });
    body = undefined;
    gc();
    kept.push(await large);
    gc();
    for (let n = 0; n < 50; n++) {
      kept.push(store.put(message(n)));
      gc();
      const result = store.get("orders", 0, n);
      gc();
      kept.push(result.messages[0], await store.fetch("orders", 0, n));
      gc();
      kept.push(...store.lookup("orders", `k${n}`), store.at(kept[0].physicalOffset), await store.fetchAt(0));
    }
    gc();
    const described = () =>
      JSON.stringify(
        kept.map((one) => one.body?.toString() ?? one.bytes?.toString() ?? [one.physicalOffset, one.offsetMsgId]),
      );
    const before = described();
    const heard = new Promise((resolve) => store.onAppend(({ count }) => resolve(count)));
    const arrival = store.arrival("orders", 0, 51);
    const cursor = store.read("orders", 0, { from: 51, follow: true });
    const inFlight = [
      store.append(message("last"), { durability: "disk" }),
      store.verify({ deep: true }),
      cursor.next(),
    ];
    const path = store.path;
    // Nobody has the store any more; what was asked of it comes all the same.
    store = undefined;
    for (let n = 0; n < 5; n++) {
      gc();
      await turn();
    }
    const [appended, findings, next] = await Promise.all(inFlight);
    const seen = {
      appended: appended.queueOffset,
      findings: findings.length,
      next: text(next.value.body),
      arrival: await arrival,
      heard: await heard,
    };
    gc();
    // It is open still: a store that is dropped is not closed.
    seen.again = await Store.open(path, options).catch(({ code }) => code);
    const other = await Store.open(join(directory, "other"), options);
    other.put(message("other"));
    const found = other.get("orders", 0, 0);
    await other.close();
    gc();
    seen.outlives = text(found.messages[0].body);
    seen.same = described() === before;
    say(seen);
  },
};

await scenarios[scenario](...more);
