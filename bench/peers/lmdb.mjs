// LMDB (npm package lmdb). A commit writes to the system's cache; durable: with a sync.
import { open as openDatabase } from "lmdb";
import { checkCount, keyOf } from "../load/messages.mjs";
import { placeIn, placeOf, Records, touchRecord } from "./record.mjs";

export function open({ dir, durable = false, bodyBytes = 1024, by }) {
  const database = openDatabase({
    path: dir,
    encoding: "binary",
    ...(by === "key" ? {} : { keyEncoding: "uint32" }),
    noSync: !durable,
    noMetaSync: !durable,
    overlappingSync: false,
    compression: false,
    mapSize: 16 * 2 ** 30,
  });
  return new Lmdb(database, new Records(bodyBytes), by === "key" ? keyOf : placeOf);
}

class Lmdb {
  constructor(database, records, keyFor) {
    Object.assign(this, { database, records, keyFor });
    this.record = Buffer.allocUnsafe(records.bytes);
  }

  putBatch(from, count) {
    this.database.transactionSync(() => {
      for (let n = from; n < from + count; n++)
        this.database.putSync(this.keyFor(n), this.records.write(n, this.record));
    });
  }

  put(n) {
    this.database.putSync(this.keyFor(n), this.records.write(n, this.record));
  }

  readRaw(queue, offset, max) {
    let count = 0;
    for (const _ of this.#range(queue, offset, max)) count++;
    return count;
  }

  readMessages(queue, offset, max) {
    let count = 0;
    for (const { value } of this.#range(queue, offset, max)) {
      touchRecord(value);
      count++;
    }
    return count;
  }

  #range(queue, offset, max) {
    return this.database.getRange({ start: placeIn(queue, offset), end: placeIn(queue + 1, 0), limit: max });
  }

  readOne(n) {
    this.records.checkThere(n, this.database.getBinaryFast(this.keyFor(n)));
  }

  lookup(n) {
    this.readOne(n);
  }

  verify(count) {
    const found = this.database.getCount();
    checkCount(found, count);
    for (const n of this.records.samples(count)) this.records.check(n, this.database.getBinary(this.keyFor(n)));
  }

  close() {
    return this.database.close();
  }
}
