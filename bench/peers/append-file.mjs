// What a program without a store does: appends records to a file with `node:fs`, one write a call; durable: fdatasync after it.
import { closeSync, fdatasyncSync, fstatSync, openSync, readSync, writeSync } from "node:fs";
import { join } from "node:path";
import { checkCount } from "../load/messages.mjs";
import { Records } from "./record.mjs";

export function open({ dir, durable = false, bodyBytes = 1024 }) {
  return new AppendFile(openSync(join(dir, "messages"), "a+"), new Records(bodyBytes), durable);
}

class AppendFile {
  constructor(file, records, durable) {
    Object.assign(this, { file, records, durable });
    this.buffer = Buffer.alloc(0);
  }

  putBatch(from, count) {
    const bytes = count * this.records.bytes;
    if (this.buffer.length < bytes) this.buffer = Buffer.allocUnsafe(bytes);
    for (let i = 0; i < count; i++)
      this.records.write(from + i, this.buffer.subarray(i * this.records.bytes, (i + 1) * this.records.bytes));
    for (let at = 0; at < bytes; ) at += writeSync(this.file, this.buffer, at, bytes - at);
    if (this.durable) fdatasyncSync(this.file);
  }

  put(n) {
    this.putBatch(n, 1);
  }

  verify(count) {
    const found = fstatSync(this.file).size / this.records.bytes;
    checkCount(found, count);
    const record = Buffer.alloc(this.records.bytes);
    for (const n of this.records.samples(count)) {
      readSync(this.file, record, 0, record.length, n * record.length);
      this.records.check(n, record);
    }
  }

  close() {
    closeSync(this.file);
  }
}
