// SQLite (npm package better-sqlite3), with a write-ahead log. A commit writes to it; durable (FULL): with a sync.
import { join } from "node:path";
import Database from "better-sqlite3";
import { checkCount, keyOf } from "../load/messages.mjs";
import { placeIn, placeOf, Records, touchRecord } from "./record.mjs";

export function open({ dir, durable = false, bodyBytes = 1024, by }) {
  const database = new Database(join(dir, "messages.db"));
  database.pragma("page_size = 16384");
  database.pragma("journal_mode = WAL");
  database.pragma(`synchronous = ${durable ? "FULL" : "OFF"}`);
  database.pragma("cache_size = -65536");
  database.pragma("mmap_size = 8589934592");
  database.exec(
    by === "key"
      ? "CREATE TABLE IF NOT EXISTS messages (place TEXT PRIMARY KEY, record BLOB) WITHOUT ROWID"
      : "CREATE TABLE IF NOT EXISTS messages (place INTEGER PRIMARY KEY, record BLOB)",
  );
  return new Sqlite(database, new Records(bodyBytes), by === "key" ? keyOf : placeOf);
}

class Sqlite {
  constructor(database, records, keyFor) {
    Object.assign(this, { database, records, keyFor });
    this.record = Buffer.allocUnsafe(records.bytes);
    this.insert = database.prepare("INSERT INTO messages VALUES (?, ?)");
    this.range = database
      .prepare("SELECT record FROM messages WHERE place >= ? AND place < ? ORDER BY place LIMIT ?")
      .pluck();
    this.one = database.prepare("SELECT record FROM messages WHERE place = ?").pluck();
    this.putAll = database.transaction((from, count) => {
      for (let n = from; n < from + count; n++) this.put(n);
    });
  }

  putBatch(from, count) {
    this.putAll(from, count);
  }

  put(n) {
    this.insert.run(this.keyFor(n), this.records.write(n, this.record));
  }

  #read(queue, offset, max) {
    return this.range.all(placeIn(queue, offset), placeIn(queue + 1, 0), max);
  }

  readRaw(queue, offset, max) {
    return this.#read(queue, offset, max).length;
  }

  readMessages(queue, offset, max) {
    const found = this.#read(queue, offset, max);
    for (const record of found) touchRecord(record);
    return found.length;
  }

  readOne(n) {
    this.records.checkThere(n, this.one.get(this.keyFor(n)));
  }

  lookup(n) {
    this.readOne(n);
  }

  verify(count) {
    const found = this.database.prepare("SELECT count(*) FROM messages").pluck().get();
    checkCount(found, count);
    for (const n of this.records.samples(count)) this.records.check(n, this.one.get(this.keyFor(n)));
  }

  close() {
    this.database.close();
  }
}
