/** Whatever bytes come, the decoder gives commands or says that they are none. */
import * as fc from "fast-check";
import { expect, it } from "vitest";
import { FrameReader } from "../../../src/protocol/frame.ts";
import { ProtocolError } from "../../../src/protocol/protocol-error.ts";
import { binaryHeader, frame, jsonFrame } from "../protocol/bytes.ts";

const RUNS = 2000;
const LIMIT = 65_536;

/** What the reader makes of the chunks: commands as text, and the message of the error that ended it. */
function outcome(chunks: readonly Uint8Array[]): string[] {
  const reader = new FrameReader(LIMIT);
  const seen: string[] = [];
  try {
    for (const chunk of chunks) {
      reader.push(Buffer.from(chunk));
      for (let command = reader.next(); command !== undefined; command = reader.next()) {
        seen.push(
          JSON.stringify({ ...command, ext: { ...command.ext }, body: Buffer.from(command.body).toString("hex") }),
        );
      }
    }
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    seen.push("refused");
  }
  return seen;
}

function cut(bytes: Uint8Array, sizes: readonly number[]): Uint8Array[] {
  const chunks: Uint8Array[] = [];
  let at = 0;
  for (let index = 0; at < bytes.length; index++) {
    const size = sizes[index % sizes.length] ?? 1;
    chunks.push(bytes.subarray(at, at + size));
    at += size;
  }
  return chunks;
}

const ext = fc.dictionary(fc.string({ minLength: 1, maxLength: 8 }), fc.string({ maxLength: 20 }), { maxKeys: 6 });
const int = fc.integer({ min: -0x8000_0000, max: 0x7fff_ffff });
const body = fc.uint8Array({ maxLength: 300 });
const jsonCommand = fc
  .record({
    code: int,
    opaque: int,
    flag: int,
    version: int,
    remark: fc.option(fc.string()),
    extFields: fc.option(ext),
  })
  .chain((header) => body.map((bytes) => jsonFrame(header, bytes)));
const binaryCommand = fc
  .record({ code: fc.integer({ min: 0, max: 32_767 }), opaque: int, flag: int, remark: fc.string(), ext })
  .chain((header) => body.map((bytes) => frame(1, binaryHeader(header), bytes)));
const frames = fc.array(fc.oneof(jsonCommand, binaryCommand), { maxLength: 6 }).map((all) => Buffer.concat(all));
const sizes = fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 5 });

/** Some bytes are others, some are missing, some are there twice. */
const mutated = fc
  .tuple(
    frames,
    fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 }), fc.nat(2)), { minLength: 1, maxLength: 8 }),
  )
  .map(([bytes, changes]) => {
    let result: Uint8Array = Uint8Array.from(bytes);
    for (const [where, byte, kind] of changes) {
      const at = result.length === 0 ? 0 : where % result.length;
      if (kind === 0) result[at] = byte;
      else if (kind === 1) result = Buffer.concat([result.subarray(0, at), result.subarray(at + 1 + (byte % 16))]);
      else result = Buffer.concat([result.subarray(0, at), result.subarray(Math.max(0, at - (byte % 16)))]);
    }
    return result;
  });

it("frames arrive the same, however they are cut", () => {
  fc.assert(
    fc.property(frames, sizes, (bytes, cuts) => {
      const whole = outcome([bytes]);
      expect(whole).not.toContain("refused");
      expect(outcome(cut(bytes, cuts))).toEqual(whole);
    }),
    { numRuns: 150_000 },
  );
});

it("arbitrary bytes are refused or wait for more", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), sizes, (bytes, cuts) => {
      expect(outcome(cut(bytes, cuts))).toEqual(outcome([bytes]));
    }),
    { numRuns: 150_000 },
  );
});

it("frames with arbitrary headers of either kind are commands or refused", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 120 }), fc.integer({ min: 0, max: 2 }), (header, type) => {
      outcome([frame(type, header)]);
    }),
    { numRuns: 150_000 },
  );
});

it("damaged frames throw nothing but a ProtocolError, however they are cut", () => {
  fc.assert(
    fc.property(mutated, sizes, (bytes, cuts) => {
      expect(outcome(cut(bytes, cuts))).toEqual(outcome([bytes]));
    }),
    { numRuns: 150_000 },
  );
});
