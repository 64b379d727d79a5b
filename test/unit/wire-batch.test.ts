/** RocketMQ's wire form of a batch, written and read. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { StoreError } from "../../src/errors.ts";
import { encodeMessages, readWireBatch } from "../../src/wire-batch.ts";
import { golden } from "./golden.ts";

interface Wire {
  flag: number;
  body: string;
  properties: string;
}

function read(bytes: Uint8Array): Wire[] {
  const found: Wire[] = [];
  const hex = (from: number, to: number) => Buffer.from(bytes.subarray(from, to)).toString("hex");
  const count = readWireBatch("messages", bytes, (flag, bodyAt, bodyEnd, propertiesAt, end) => {
    found.push({ flag, body: hex(bodyAt, bodyEnd), properties: hex(propertiesAt, end) });
  });
  expect(count).toBe(found.length);
  return found;
}

function refusal(bytes: Uint8Array): StoreError {
  try {
    readWireBatch("messages", bytes, () => {});
  } catch (error) {
    expect(error).toBeInstanceOf(StoreError);
    return error as StoreError;
  }
  throw new Error("nothing was refused");
}

const hexOf = (text: string) => Buffer.from(text).toString("hex");
const u = (text: string) => text.replaceAll("|", "\u0001").replaceAll(";", "\u0002");

test("RocketMQ's own is read, and written the same", () => {
  const wire = Uint8Array.from(Buffer.from(golden("putMessages.batch2").inputs.wireBodyHex as string, "hex"));
  const strings = [u("KEYS|KeyA;WAIT|true;TAGS|TagA;"), u("KEYS|KeyB;WAIT|true;TAGS|TagB;")] as const;
  expect(read(wire)).toEqual([
    { flag: 0, body: hexOf("b1"), properties: hexOf(strings[0]) },
    { flag: 0, body: hexOf("body-2"), properties: hexOf(strings[1]) },
  ]);
  const written = encodeMessages([
    { body: Buffer.from("b1"), properties: Buffer.from(strings[0]) },
    { body: Buffer.from("body-2"), properties: Buffer.from(strings[1]) },
  ]);
  expect(written).toEqual(wire);
});

test("what is written is read again", () => {
  const message = fc.record({
    body: fc.uint8Array({ maxLength: 100 }),
    flag: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
    properties: fc.uint8Array({ maxLength: 50 }),
  });
  fc.assert(
    fc.property(fc.array(message, { minLength: 1, maxLength: 8 }), (messages) => {
      const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
      expect(read(encodeMessages(messages))).toEqual(
        messages.map(({ body, flag, properties }) => ({ flag, body: hex(body), properties: hex(properties) })),
      );
    }),
  );
});

describe("a batch that is wrong is refused with the place", () => {
  const one = encodeMessages([{ body: Buffer.from("ab"), properties: Buffer.from("k|v") }]);
  const two = Buffer.concat([one, one]);
  const changed = (at: number, ...bytes: number[]): Uint8Array => {
    const copy = Uint8Array.from(two);
    copy.set(bytes, one.length + at);
    return copy;
  };
  test("cut anywhere", () => {
    for (let length = 1; length < two.length; length++) {
      if (length === one.length) continue;
      const { code, details } = refusal(two.subarray(0, length));
      const inSecond = length > one.length;
      expect({ code, ...details }).toMatchObject({
        code: "STORE_INVALID_ARGUMENT",
        argument: "messages",
        position: inSecond ? one.length : 0,
        message: inSecond ? 1 : 0,
      });
    }
  });

  test.each([
    ["a size too small", changed(0, 0, 0, 0, 26), "says that it has 26 bytes; by its body and properties it has 27"],
    ["a size too large", changed(0, 0, 0, 0, 28), "28 bytes"],
    ["a negative size", changed(0, 0x80, 0, 0, 27), "-2147483621"],
    ["a body too long", changed(16, 0, 0, 0, 6), "body of 6 bytes; it must be from 0 to 5"],
    ["a body far too long", changed(16, 0x7f, 0xff, 0xff, 0xff), "2147483647"],
    ["a negative body", changed(16, 0xff, 0xff, 0xff, 0xff), "body of -1 bytes"],
    ["properties too long", changed(22, 0, 4), "4 bytes of properties; it must be from 0 to 3"],
    ["properties far too long", changed(22, 0x7f, 0xff), "32767"],
    ["negative properties", changed(22, 0xff, 0xff), "-1 bytes of properties"],
    ["properties too short", changed(22, 0, 2), "by its body and properties it has 26"],
  ])("%s", (_, bytes, says) => {
    const error = refusal(bytes);
    expect(error.details).toMatchObject({ argument: "messages", position: one.length, message: 1 });
    expect(error.message).toContain(says);
  });

  test("bytes behind the last message", () => {
    expect(refusal(Buffer.concat([two, Buffer.alloc(5)])).details).toMatchObject({ position: two.length, message: 2 });
  });

  test("any bytes are read whole or refused, and nothing beyond them is looked at", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        let end = 0;
        try {
          readWireBatch("messages", bytes, (_flag, _bodyAt, _bodyEnd, _propertiesAt, messageEnd) => {
            expect(messageEnd).toBeGreaterThanOrEqual(end + 22);
            end = messageEnd;
          });
          expect(end).toBe(bytes.length);
        } catch (error) {
          expect(error).toBeInstanceOf(StoreError);
        }
        expect(end).toBeLessThanOrEqual(bytes.length);
      }),
    );
  });
});
