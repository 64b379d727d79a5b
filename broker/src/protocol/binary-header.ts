/** RocketMQ's binary header (serialization type ROCKETMQ). */
import type { Command, FieldValues } from "./command.ts";
import { MAX_FIELDS } from "./json-header.ts";
import { languageOfCode } from "./languages.ts";
import { ProtocolError } from "./protocol-error.ts";

/** code 2, language 1, version 2, opaque 4, flag 4, length of the remark 4, length of the fields 4. */
const FIXED_BYTES = 21;
const JAVA = 0;
const MAX_NAME_BYTES = 0x7fff;

/** The command whose header is in `bytes` from `from` to `to`. */
export function decodeBinaryHeader(bytes: Buffer, from: number, to: number, body: Uint8Array): Command {
  if (to - from < FIXED_BYTES) throw new ProtocolError(`a binary header of ${to - from} bytes is too short`);
  const remarkLength = bytes.readInt32BE(from + 13);
  const remarkAt = from + 17;
  if (remarkLength < 0 || remarkLength > to - remarkAt - 4) {
    throw new ProtocolError(`a remark of ${remarkLength} bytes does not fit into its header`);
  }
  const fieldsAt = remarkAt + remarkLength + 4;
  const fieldsLength = bytes.readInt32BE(fieldsAt - 4);
  if (fieldsLength < 0 || fieldsLength > to - fieldsAt) {
    throw new ProtocolError(`fields of ${fieldsLength} bytes do not fit into their header`);
  }
  return {
    code: bytes.readInt16BE(from),
    language: languageOfCode(bytes.readUInt8(from + 2)),
    version: bytes.readInt16BE(from + 3),
    opaque: bytes.readInt32BE(from + 5),
    flag: bytes.readInt32BE(from + 9),
    remark: remarkLength === 0 ? undefined : bytes.toString("utf8", remarkAt, remarkAt + remarkLength),
    ext: decodeFields(bytes, fieldsAt, fieldsAt + fieldsLength),
    body,
    serialization: "binary",
  };
}

function decodeFields(bytes: Buffer, from: number, to: number): Record<string, string> {
  const ext: Record<string, string> = Object.create(null);
  let at = from;
  for (let count = 0; at < to; count++) {
    if (count === MAX_FIELDS) throw new ProtocolError(`a header has more than ${MAX_FIELDS} fields`);
    const nameAt = at + 2;
    if (nameAt > to) throw new ProtocolError("a field's name is cut off");
    const nameLength = bytes.readInt16BE(at);
    const valueAt = nameAt + nameLength + 4;
    if (nameLength < 0 || valueAt > to) throw new ProtocolError(`a name of ${nameLength} bytes does not fit`);
    const valueLength = bytes.readInt32BE(valueAt - 4);
    if (valueLength < 0 || valueLength > to - valueAt) {
      throw new ProtocolError(`a value of ${valueLength} bytes does not fit`);
    }
    at = valueAt + valueLength;
    // Empty means absent.
    if (nameLength === 0 || valueLength === 0) continue;
    ext[bytes.toString("utf8", nameAt, nameAt + nameLength)] = bytes.toString("utf8", valueAt, at);
  }
  return ext;
}

export interface BinaryHeader {
  readonly code: number;
  readonly version: number;
  readonly opaque: number;
  readonly flag: number;
  readonly remark: string | undefined;
  readonly ext: FieldValues | undefined;
}

/** Bytes of the header, behind `reserve` bytes that the caller fills. A code beyond 16 bits is truncated, as by everybody. */
export function encodeBinaryHeader(header: BinaryHeader, reserve: number): Buffer {
  const remark = Buffer.from(header.remark ?? "");
  const fields: Buffer[] = [];
  let fieldsLength = 0;
  for (const name in header.ext) {
    const given = header.ext[name];
    if (given === undefined || name === "") continue;
    const value = String(given);
    if (value === "") continue;
    const nameLength = Buffer.byteLength(name);
    if (nameLength > MAX_NAME_BYTES) throw new RangeError(`a field's name has ${nameLength} bytes`);
    const valueLength = Buffer.byteLength(value);
    const field = Buffer.allocUnsafe(6 + nameLength + valueLength);
    field.writeInt16BE(nameLength, 0);
    field.write(name, 2);
    field.writeInt32BE(valueLength, 2 + nameLength);
    field.write(value, 6 + nameLength);
    fields.push(field);
    fieldsLength += field.length;
  }
  const bytes = Buffer.allocUnsafe(reserve + FIXED_BYTES + remark.length + fieldsLength);
  let at = reserve;
  at = bytes.writeInt16BE((header.code << 16) >> 16, at);
  at = bytes.writeUInt8(JAVA, at);
  at = bytes.writeInt16BE(header.version, at);
  at = bytes.writeInt32BE(header.opaque, at);
  at = bytes.writeInt32BE(header.flag, at);
  at = bytes.writeInt32BE(remark.length, at);
  at += remark.copy(bytes, at);
  at = bytes.writeInt32BE(fieldsLength, at);
  for (const field of fields) at += field.copy(bytes, at);
  return bytes;
}
