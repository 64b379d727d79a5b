/** Bytes as the specification draws them. */

export function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value);
  return bytes;
}

export function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeInt16BE(value);
  return bytes;
}

/** A frame of a header and a body; `type` 0 is JSON, 1 binary. */
export function frame(type: number, header: Uint8Array, body: Uint8Array = Buffer.alloc(0)): Buffer {
  const mark = int32((type << 24) | header.length);
  return Buffer.concat([int32(4 + header.length + body.length), mark, header, body]);
}

export function jsonFrame(header: unknown, body?: Uint8Array): Buffer {
  return frame(0, Buffer.from(typeof header === "string" ? header : JSON.stringify(header)), body);
}

export interface BinaryParts {
  readonly code: number;
  readonly language?: number;
  readonly version?: number;
  readonly opaque?: number;
  readonly flag?: number;
  readonly remark?: string;
  readonly ext?: Readonly<Record<string, string>>;
}

export function binaryHeader(parts: BinaryParts): Buffer {
  const { code, language = 0, version = 0, opaque = 0, flag = 0, remark = "", ext = {} } = parts;
  const fields = Buffer.concat(
    Object.entries(ext).flatMap(([name, value]) => [
      int16(Buffer.byteLength(name)),
      Buffer.from(name),
      int32(Buffer.byteLength(value)),
      Buffer.from(value),
    ]),
  );
  return Buffer.concat([
    int16(code),
    Buffer.from([language]),
    int16(version),
    int32(opaque),
    int32(flag),
    int32(Buffer.byteLength(remark)),
    Buffer.from(remark),
    int32(fields.length),
    fields,
  ]);
}
