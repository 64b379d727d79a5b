// LevelDB (npm package classic-level). A batch is in the log file when its promise settles; durable: with a sync.
import { ClassicLevel } from "classic-level";
import { checkCount } from "../load/messages.mjs";
import { keyBytesBy, placeBytes, placeIn, Records, touchRecord } from "./record.mjs";

export async function open({ dir, durable = false, bodyBytes = 1024, by }) {
  const database = new ClassicLevel(dir, { keyEncoding: "buffer", valueEncoding: "buffer", compression: false });
  await database.open();
  return new Level(database, new Records(bodyBytes), keyBytesBy(by), durable);
}

class Level {
  constructor(database, records, keyFor, durable) {
    Object.assign(this, { database, records, keyFor });
    this.options = { sync: durable };
    this.reader = undefined;
  }

  putBatch(from, count) {
    const operations = new Array(count);
    for (let i = 0; i < count; i++)
      operations[i] = { type: "put", key: this.keyFor(from + i), value: this.records.write(from + i) };
    return this.database.batch(operations, this.options);
  }

  put(n) {
    return this.database.put(this.keyFor(n), this.records.write(n), this.options);
  }

  async readRaw(queue, offset, max) {
    return (await this.#next(queue, offset, max)).length;
  }

  async readMessages(queue, offset, max) {
    const entries = await this.#next(queue, offset, max);
    for (const [, value] of entries) touchRecord(value);
    return entries.length;
  }

  /** One iterator goes on along a queue, as LevelDB is meant to be read. */
  async #next(queue, offset, max) {
    if (this.reader?.queue !== queue || this.reader.offset !== offset) {
      await this.reader?.iterator.close();
      const range = { gte: placeBytes(placeIn(queue, offset)), lt: placeBytes(placeIn(queue + 1, 0)) };
      this.reader = { queue, offset, iterator: this.database.iterator({ ...range, highWaterMarkBytes: 1 << 18 }) };
    }
    const entries = await this.reader.iterator.nextv(max);
    this.reader.offset += entries.length;
    return entries;
  }

  async readOne(n) {
    this.records.checkThere(n, await this.database.get(this.keyFor(n)));
  }

  lookup(n) {
    return this.readOne(n);
  }

  async verify(count) {
    await this.reader?.iterator.close();
    this.reader = undefined;
    let found = 0;
    const keys = this.database.keys();
    for (let some = await keys.nextv(10_000); some.length > 0; some = await keys.nextv(10_000)) found += some.length;
    await keys.close();
    checkCount(found, count);
    for (const n of this.records.samples(count)) this.records.check(n, await this.database.get(this.keyFor(n)));
  }

  close() {
    return this.database.close();
  }
}
