/**
 * A thread that attaches to the store whose token it was given, and does what it is told: one message a call, answered by one.
 *
 * workerData: the token, if there is one.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { parentPort, workerData } from "node:worker_threads";
import { Store } from "moraine";

let store;

const message = (n, fields) => ({ topic: "orders", queueId: 0, body: new TextEncoder().encode(String(n)), ...fields });
const text = (body) => new TextDecoder().decode(body);

const deeds = {
  attach: async (token = workerData) => {
    store = await Store.attach(token);
    return { path: store.path, engine: store.engine, state: store.state, readOnly: store.readOnly };
  },
  /** A store of its own. */
  open: async (path, options) => {
    store = await Store.open(path, options);
  },
  /** Queue offsets of so many messages, put one by one. */
  put: (count, fields) => Array.from({ length: count }, (_, n) => store.put(message(n, fields)).queueOffset),
  putBatch: (count, fields) => store.putBatch(Array.from({ length: count }, (_, n) => message(n, fields))).length,
  append: async (fields) => (await store.append(message(0, fields), { durability: "disk" })).endOffset,
  bodies: (topic, queueId, from) => store.get(topic, queueId, from).messages.map(({ body }) => text(body)),
  fetched: async (topic, queueId, from, options) => {
    const { messages, cold } = await store.fetch(topic, queueId, from, options);
    return { bodies: messages.map(({ body }) => text(body).replace(/\.+$/, "")), cold };
  },
  log: () => ({ ...store.log }),
  flush: () => store.flush(),
  arrival: (topic, queueId, from) => store.arrival(topic, queueId, from),
  /** Physical offsets of everything that becomes visible until there are so many. */
  listen: (count) =>
    new Promise((resolve) => {
      const heard = [];
      const end = store.onAppend(({ physicalOffsets }) => {
        heard.push(...physicalOffsets);
        if (heard.length < count) return;
        end();
        resolve(heard);
      });
      parentPort.postMessage({ listening: true });
    }),
  retain: (from) => void store.retain(from),
  table: () => store.table("settings").get("key"),
  share: () => store.share(),
  state: () => store.state,
  /** Puts without ever giving the thread a rest. */
  putForever: (fields) => {
    parentPort.postMessage({ listening: true });
    for (let n = 0; ; n++) store.put(message(n, fields));
  },
  fetchForever: async (topic) => {
    parentPort.postMessage({ listening: true });
    for (let n = 0; ; n = (n + 37) % 2000) await store.fetch(topic, 0, n, { max: 1 });
  },
  /** Begins everything that takes its time, and waits for nothing. */
  leaveInFlight: () => {
    const left = (n) => store.append(message(n, { topic: "left" }), { durability: "disk" });
    const all = [...Array.from({ length: 100 }, (_, n) => left(n)), store.flush(), store.verify({ deep: true })];
    for (let n = 0; n < 40; n++) all.push(store.fetch("orders", 0, n * 15, { max: 5 }), store.fetchAt(n * 7000));
    all.push(store.arrival("left", 1, 0), store.read("left", 1, { follow: true }).next());
    all.push(store.scan({ follow: true, from: store.log.visibleOffset }).next());
    all.push(store.expire({ maxBytes: 1_000_000 }), store.deleteTopic("other"));
    for (const each of all) each.catch(() => {});
    store.onAppend(() => {});
    parentPort.postMessage({ listening: true });
  },
  close: () => store.close(),
  exit: () => process.exit(0),
  sleep,
};

parentPort.on("message", async ({ id, deed, given }) => {
  try {
    parentPort.postMessage({ id, result: await deeds[deed](...given) });
  } catch (error) {
    parentPort.postMessage({
      id,
      error: { code: error.code ?? String(error), message: error.message, details: error.details },
    });
  }
});
