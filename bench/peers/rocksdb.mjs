// RocksDB (npm package rocksdb-native). A batch is in the log file when its promise settles; it has no write with a sync.
import RocksDB from "rocksdb-native";
import { checkCount } from "../load/messages.mjs";
import { keyBytesBy, placeBytes, placeIn, Records, touchRecord } from "./record.mjs";

/** Keys that are asked for at once where all are counted. */
const COUNTED = 4096;

export async function open({ dir, durable = false, bodyBytes = 1024, by }) {
  if (durable) throw new Error("rocksdb-native has no write that is synced");
  const database = new RocksDB(dir);
  await database.ready();
  return new Rocks(database, new Records(bodyBytes), keyBytesBy(by));
}

class Rocks {
  constructor(database, records, keyFor) {
    Object.assign(this, { database, records, keyFor });
  }

  async putBatch(from, count) {
    const write = this.database.write();
    for (let n = from; n < from + count; n++) write.tryPut(this.keyFor(n), this.records.write(n));
    await write.flush();
    write.destroy();
  }

  put(n) {
    return this.putBatch(n, 1);
  }

  async #read(queue, offset, max, each) {
    let count = 0;
    const range = { gte: placeBytes(placeIn(queue, offset)), lt: placeBytes(placeIn(queue + 1, 0)) };
    for await (const { value } of this.database.iterator(range, { limit: max, capacity: max })) {
      each(value);
      count++;
    }
    return count;
  }

  readRaw(queue, offset, max) {
    return this.#read(queue, offset, max, () => {});
  }

  readMessages(queue, offset, max) {
    return this.#read(queue, offset, max, touchRecord);
  }

  async #get(n) {
    const read = this.database.read();
    const found = read.get(this.keyFor(n));
    read.tryFlush();
    const record = await found;
    read.destroy();
    return record;
  }

  async readOne(n) {
    this.records.checkThere(n, await this.#get(n));
  }

  lookup(n) {
    return this.readOne(n);
  }

  async verify(count) {
    let found = 0;
    for await (const _ of this.database.keys({}, { capacity: COUNTED })) found++;
    checkCount(found, count);
    for (const n of this.records.samples(count)) this.records.check(n, await this.#get(n));
  }

  close() {
    return this.database.close();
  }
}
