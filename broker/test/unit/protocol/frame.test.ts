import { describe, expect, it } from "vitest";
import type { Command } from "../../../src/protocol/command.ts";
import { encodeRequest, encodeResponse, FrameReader } from "../../../src/protocol/frame.ts";
import { ProtocolError } from "../../../src/protocol/protocol-error.ts";
import { binaryHeader, frame, int16, int32, jsonFrame } from "./bytes.ts";

function read(...chunks: Uint8Array[]): Command[] {
  const reader = new FrameReader();
  const commands: Command[] = [];
  for (const chunk of chunks) {
    reader.push(Buffer.from(chunk));
    for (let command = reader.next(); command !== undefined; command = reader.next()) commands.push(command);
  }
  return commands;
}

const one = (bytes: Uint8Array): Command => {
  const [command, ...rest] = read(bytes);
  if (command === undefined || rest.length > 0) throw new Error(`${rest.length + 1} commands`);
  return command;
};

describe("JSON headers", () => {
  it("a request as Java writes it", () => {
    const header =
      '{"code":310,"extFields":{"a":"pg","b":"topic","e":"3"},"flag":0,"language":"JAVA","opaque":17,"serializeTypeCurrentRPC":"JSON","version":479}';
    const command = one(jsonFrame(header, Buffer.from("body")));
    expect(command).toMatchObject({
      code: 310,
      language: "JAVA",
      version: 479,
      opaque: 17,
      flag: 0,
      remark: undefined,
    });
    expect(command.ext).toEqual({ a: "pg", b: "topic", e: "3" });
    expect(Buffer.from(command.body).toString()).toBe("body");
    expect(command.serialization).toBe("json");
  });

  it("what other clients make of it", () => {
    const command = one(
      jsonFrame({ code: "34", language: "COBOL", opaque: "7", flag: null, version: "401", extFields: null, more: [1] }),
    );
    expect(command).toMatchObject({ code: 34, language: "OTHER", opaque: 7, flag: 0, version: 401 });
    expect(Object.keys(command.ext)).toEqual([]);
    expect(one(jsonFrame({ code: 34 })).body).toHaveLength(0);
    expect(one(jsonFrame({ code: 1, extFields: [1] })).ext).toEqual({});
    expect(one(jsonFrame({ code: 1, remark: "größer 日本", opaque: -5 }))).toMatchObject({
      remark: "größer 日本",
      opaque: -5,
    });
  });

  it("fields are text, numbers or flags; what else stands there is dropped before anybody keeps it", () => {
    const lists = `[${"[],".repeat(50_000)}[]]`;
    const { ext } = one(
      jsonFrame(`{"code":11,"extFields":{"a":"x","b":7,"c":true,"d":null,"e":${lists},"f":{"g":1}}}`),
    );
    expect(ext).toEqual({ a: "x", b: 7, c: true, d: null });
  });

  it("a header has so many bytes and so many fields", () => {
    const withText = (bytes: number) => jsonFrame({ code: 11, extFields: { i: "x".repeat(bytes) } });
    const around = withText(0).length - 8;
    expect(one(withText(262_144 - around)).code).toBe(11);
    expect(() => read(withText(262_145 - around))).toThrow("a header of 262145 bytes is too long");
    const withFields = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, at) => [`f${at}`, "1"]));
    for (const make of [
      (ext: Record<string, string>) => jsonFrame({ code: 11, extFields: ext }),
      (ext: Record<string, string>) => frame(1, binaryHeader({ code: 11, ext })),
    ]) {
      expect(Object.keys(one(make(withFields(1000))).ext)).toHaveLength(1000);
      expect(() => read(make(withFields(1001)))).toThrow("more than 1000 fields");
    }
  });

  it.each(["", "{", "[]", "null", "7", '{"code":"x"}', '{"code":1.5}', '{"code":9e20}', '{"code":1,"opaque":{}}'])(
    "%s is none",
    (header) => {
      expect(() => read(jsonFrame(header))).toThrow(ProtocolError);
    },
  );
});

describe("binary headers", () => {
  it("a request", () => {
    const header = binaryHeader({
      code: 310,
      language: 9,
      version: 431,
      opaque: 99,
      flag: 2,
      remark: "hm",
      ext: { a: "pg", i: "TAGS\u0001A\u0002", empty: "", ü: "ö" },
    });
    const command = one(frame(1, header, Buffer.from([1, 2, 3])));
    expect(command).toMatchObject({ code: 310, language: "GO", version: 431, opaque: 99, flag: 2, remark: "hm" });
    expect({ ...command.ext }).toEqual({ a: "pg", i: "TAGS\u0001A\u0002", ü: "ö" });
    expect([...command.body]).toEqual([1, 2, 3]);
    expect(command.serialization).toBe("binary");
  });

  it("an unknown language, no remark, no fields", () => {
    expect(one(frame(1, binaryHeader({ code: 34, language: 77 })))).toMatchObject({
      language: "OTHER",
      remark: undefined,
    });
  });

  const good = binaryHeader({ code: 1, ext: { name: "value" } });
  const patched = (at: number, bytes: Buffer) =>
    Buffer.concat([good.subarray(0, at), bytes, good.subarray(at + bytes.length)]);
  it.each([
    ["too short", good.subarray(0, 20)],
    ["a remark that is longer than all", patched(13, int32(1000))],
    ["a remark of negative length", patched(13, int32(-1))],
    ["a remark that takes the length of the fields", patched(13, int32(good.length - 17))],
    ["fields that are longer than all", patched(17, int32(1000))],
    ["fields of negative length", patched(17, int32(-7))],
    ["fields that end within a length", patched(17, int32(1))],
    ["a name that is longer than its fields", patched(21, int16(500))],
    ["a name of negative length", patched(21, int16(-2))],
    ["a value that is longer than its fields", patched(27, int32(0x7fff_ffff))],
    ["a value of negative length", patched(27, int32(-1))],
  ])("%s", (_, header) => {
    expect(() => read(frame(1, header))).toThrow(ProtocolError);
  });
});

describe("frames", () => {
  const request = jsonFrame({ code: 34, opaque: 1 }, Buffer.alloc(100_000, 7));

  it("in one chunk, the body is a view of it", () => {
    const chunk = Buffer.from(request);
    const reader = new FrameReader();
    reader.push(chunk);
    const command = reader.next();
    expect(command?.body.buffer).toBe(chunk.buffer);
    expect(reader.next()).toBeUndefined();
  });

  it("byte by byte, and many in one chunk", () => {
    const small = jsonFrame({ code: 34, opaque: 2 }, Buffer.from("xyz"));
    expect(read(...[...small].map((byte) => Buffer.from([byte])))).toHaveLength(1);
    const many = Buffer.concat(Array.from({ length: 50 }, (_, opaque) => jsonFrame({ code: 34, opaque })));
    expect(read(many).map(({ opaque }) => opaque)).toEqual(Array.from({ length: 50 }, (_, opaque) => opaque));
    for (const size of [1, 3, 7, 64, 1000]) {
      const chunks: Buffer[] = [];
      for (let at = 0; at < many.length; at += size) chunks.push(many.subarray(at, at + size));
      expect(read(...chunks)).toHaveLength(50);
    }
  });

  it("a large one in pieces", () => {
    const chunks: Buffer[] = [];
    for (let at = 0; at < request.length; at += 1500) chunks.push(request.subarray(at, at + 1500));
    const [command] = read(...chunks);
    expect(Buffer.from(command?.body ?? []).equals(Buffer.alloc(100_000, 7))).toBe(true);
  });

  it.each([0, 3, -1, 16_777_217, 0x7fff_ffff])("length %i is refused at once", (length) => {
    expect(() => read(int32(length))).toThrow(ProtocolError);
    expect(() => read(Buffer.concat([int32(length), Buffer.alloc(60)]))).toThrow(ProtocolError);
  });

  it("a header that is longer than its frame, or than any", () => {
    expect(() => read(Buffer.concat([int32(10), int32(7), Buffer.alloc(6)]))).toThrow(/longer than its frame/);
    const long = Buffer.alloc(1_048_577, 0x20);
    expect(() => read(frame(0, long))).toThrow(/too long/);
  });

  it("an unknown serialization", () => {
    expect(() => read(frame(2, Buffer.from("{}")))).toThrow(/serialization type 2/);
    expect(() => read(frame(255, Buffer.from("{}")))).toThrow(/serialization type 255/);
  });

  it("a length that lies takes no memory before the bytes are there", () => {
    const before = process.memoryUsage().arrayBuffers;
    const readers = Array.from({ length: 200 }, () => {
      const reader = new FrameReader();
      reader.push(Buffer.concat([int32(16_777_216), int32(10)]));
      expect(reader.next()).toBeUndefined();
      return reader;
    });
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(32 * 1024 * 1024);
    expect(readers).toHaveLength(200);
  });
});

describe("answers", () => {
  it("a JSON one is what fastjson would write", () => {
    const pieces = encodeResponse(
      { opaque: 5, serialization: "json" },
      { code: 0, ext: { queueId: 3, queueOffset: 12n, on: true, none: undefined } },
    );
    const header =
      '{"code":0,"extFields":{"queueId":"3","queueOffset":"12","on":"true"},"flag":1,"language":"JAVA","opaque":5,"serializeTypeCurrentRPC":"JSON","version":479}';
    expect(pieces).toHaveLength(1);
    expect(pieces[0]?.toString("latin1", 8)).toBe(header);
    expect(pieces[0]?.readInt32BE(0)).toBe(4 + header.length);
    expect(pieces[0]?.readInt32BE(4)).toBe(header.length);
  });

  it("remarks and fields with anything in them", () => {
    const text = 'a "quote", \\ \n \u0001\u0002 ü 日本 \ud83d\ude00 \ud800';
    for (const serialization of ["json", "binary"] as const) {
      const response = { code: 1, remark: text, ext: { i: text, [text]: "x", long: text.repeat(50) } };
      const command = one(Buffer.concat(encodeResponse({ opaque: 1, serialization }, response)));
      // A lone surrogate has no UTF-8.
      const kept = serialization === "json" ? text : text.replace("\ud800", "\ufffd");
      expect(command.remark).toBe(kept);
      expect({ ...command.ext }).toEqual({ i: kept, [kept]: "x", long: kept.repeat(50) });
      expect(command).toMatchObject({ code: 1, flag: 1, opaque: 1, version: 479, language: "JAVA", serialization });
    }
  });

  it("no fields, empty fields, no body, pieces of a body", () => {
    expect(encodeResponse({ opaque: 1, serialization: "json" }, { code: 0 })[0]?.toString("latin1", 8)).not.toContain(
      "extFields",
    );
    const none = encodeResponse({ opaque: 1, serialization: "json" }, { code: 0, ext: { a: undefined } });
    expect(none[0]?.toString("latin1", 8)).not.toContain("extFields");
    const body = [Buffer.from("ab"), new Uint8Array([99]), Buffer.alloc(0), Buffer.from("d")];
    const command = one(Buffer.concat(encodeResponse({ opaque: 1, serialization: "binary" }, { code: 0, body })));
    expect(Buffer.from(command.body).toString()).toBe("abcd");
    expect(encodeResponse({ opaque: 1, serialization: "json" }, { code: 0, body: [] })).toHaveLength(1);
  });

  it("requests", () => {
    const command = one(Buffer.concat(encodeRequest({ code: 40, opaque: 8, flag: 2, ext: { consumerGroup: "g" } })));
    expect(command).toMatchObject({ code: 40, opaque: 8, flag: 2, ext: { consumerGroup: "g" } });
  });
});
