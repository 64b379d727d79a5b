/** One right call of every member of a store: what states.test.ts and the process with the broken disk try. */

const topic = "orders";
const message = { topic, queueId: 0, body: new Uint8Array(1), keys: ["k"] };
const columns = { topics: [topic], queueIds: new Int32Array(1), bytes: message.body, bodies: Uint32Array.of(0, 1) };

/** @type {Record<string, (store: import("moraine").Store) => unknown>} */
export const CALLS = {
  path: (store) => store.path,
  engine: (store) => store.engine,
  state: (store) => store.state,
  readOnly: (store) => store.readOnly,
  put: (store) => store.put(message),
  append: (store) => store.append(message),
  putBatch: (store) => store.putBatch([message]),
  putGroup: (store) => store.putGroup(topic, 0, [message]),
  putColumns: (store) => store.putColumns(columns),
  flush: (store) => store.flush(),
  get: (store) => store.get(topic, 0, 0),
  fetch: (store) => store.fetch(topic, 0, 0),
  fetchAt: (store) => store.fetchAt(0),
  read: (store) => store.read(topic, 0),
  at: (store) => store.at(0),
  scan: (store) => store.scan(),
  lookup: (store) => store.lookup(topic, "k"),
  lookupAll: (store) => store.lookupAll(topic, ["k", "l"]),
  arrival: (store) => store.arrival(topic, 0, 0, { timeoutMs: 0 }),
  onAppend: (store) => store.onAppend(() => {})(),
  offsets: (store) => store.offsets(topic, 0),
  offsetByTime: (store) => store.offsetByTime(topic, 0, 0),
  timeOf: (store) => store.timeOf(topic, 0, 0),
  log: (store) => store.log,
  topics: (store) => store.topics(),
  queues: (store) => store.queues(topic),
  entries: (store) => store.entries(topic, 0),
  table: (store) => store.table("settings").get("key"),
  groups: (store) => store.groups.offset("readers", topic, 0),
  expire: (store) => store.expire({ maxBytes: 1_000_000 }),
  deleteTopic: (store) => store.deleteTopic("other"),
  retain: (store) => store.retain(0)(),
  share: (store) => store.share(),
  pressure: (store) => store.pressure,
  stats: (store) => store.stats(),
  health: (store) => store.health(),
  verify: (store) => store.verify(),
  close: (store) => store.close(),
};

/** The code that a call answers, `"ok"` for none. Awaits what it returns. */
export async function answer(call) {
  try {
    await call();
    return "ok";
  } catch (error) {
    return error.code ?? String(error);
  }
}
