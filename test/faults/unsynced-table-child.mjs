/**
 * A process whose disk fails syncs of tables: started by poisoned-store.ts with fail-sync.c preloaded. Prints what it
 * saw as JSON.
 *
 * node unsynced-table-child.mjs DIRECTORY ENGINE
 */
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Store } from "moraine";

const [directory, engine] = process.argv.slice(2);
const trigger = process.env.MORAINE_FAIL_SYNC;
const options = { engine, segmentBytes: 65_536, indexSlots: 64, indexEntries: 256 };

async function outcome(call) {
  try {
    await call();
    return { code: "ok" };
  } catch ({ code, details }) {
    return { code, errno: details.errno, file: details.file };
  }
}

const onDisk = () => readFileSync(join(directory, "config/settings.json"), "utf8");

const store = await Store.open(directory, options);
const table = store.table("settings");
const seen = {};
table.set("n", 1);
await table.flush();

writeFileSync(trigger, "");
table.set("n", 2);
seen.flush = await outcome(() => table.flush());
seen.state = store.state;
seen.onDisk = onDisk();
seen.files = readdirSync(join(directory, "config")).filter((name) => name.startsWith("settings"));
seen.inMemory = table.get("n");
rmSync(trigger);
seen.again = await outcome(() => table.flush());
seen.onDiskAgain = onDisk();

// Closing writes the log first to last, too: with nothing put, tables are all that can fail.
writeFileSync(trigger, "");
table.set("n", 3);
seen.close = await outcome(() => store.close());
seen.stateAfterClose = store.state;
rmSync(trigger);

const reopened = await Store.open(directory, options);
seen.reopened = reopened.table("settings").get("n");
await reopened.close();
console.log(JSON.stringify(seen));
