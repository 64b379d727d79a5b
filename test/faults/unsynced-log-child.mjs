/**
 * A process whose disk fails a sync of the log while offsets of a group wait for it: started by poisoned-store.ts with
 * fail-sync.c preloaded. Prints what it saw as JSON.
 *
 * node unsynced-log-child.mjs DIRECTORY ENGINE
 */
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Store } from "moraine";
import { answer } from "./calls.mjs";

const [directory, engine] = process.argv.slice(2);
const trigger = process.env.MORAINE_FAIL_SYNC;
const options = { engine, flushIntervalMs: 60_000, segmentBytes: 65_536, indexSlots: 64, indexEntries: 256 };
const message = { topic: "orders", queueId: 0, body: Buffer.from("hello") };

const store = await Store.open(directory, options);
const { groups } = store;
store.put(message);
groups.commit("readers", "orders", 0, 1);
await groups.flush();

writeFileSync(trigger, "");
const seen = {};
store.put(message);
groups.commit("readers", "orders", 0, 2);
seen.flush = await answer(() => groups.flush());
seen.state = store.state;
rmSync(trigger);
seen.findings = store
  .health()
  .findings.filter(({ kind }) => kind === "table-unwritten")
  .map(({ message: text }) => text);
seen.close = await answer(() => store.close());
seen.stateAfterClose = store.state;
seen.onDisk = readFileSync(join(directory, "config/consumerOffset.json"), "utf8");

const reopened = await Store.open(directory, options);
seen.reopened = reopened.groups.offset("readers", "orders", 0);
await reopened.close();
console.log(JSON.stringify(seen));
