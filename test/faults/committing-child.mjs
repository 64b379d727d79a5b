// A process that commits and flushes tables for ever, and says on standard output how far it has come for certain.
import { writeSync } from "node:fs";
import { Store } from "moraine";

const [path, engine] = process.argv.slice(2);
const store = await Store.open(path, { engine, segmentBytes: 65_536, indexSlots: 64, indexEntries: 256 });
const table = store.table("settings");
for (let n = 1 + Number(table.get("n") ?? 0); ; n++) {
  for (let queueId = 0; queueId < 4; queueId++) store.groups.commit("readers", "orders", queueId, n);
  table.set("n", n);
  table.set("filler", "x".repeat((n * 997) % 20_000));
  await Promise.all([store.groups.flush(), table.flush()]);
  writeSync(1, `${n}\n`);
}
