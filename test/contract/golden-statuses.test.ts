/** What RocketMQ answers when a message cannot be put, and what we do. */
import { readdirSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { Message, Store } from "../../src/index.ts";
import { golden } from "../unit/golden.ts";
import { message, openStore, temporaryDirectory, thrown } from "./temporary-store.ts";

interface Case {
  case: string;
  status: string;
  append?: string;
  maxPhyOffsetAfter?: number;
  wroteOffset?: number;
}

const cases = golden("put.statuses").expected.cases as Case[];

/** The sizes of the vector's configuration. */
const CONFIGURATION = { segmentBytes: 4096, maxMessageBytes: 4096, recordCrc: false };
/** `INNER_BATCH_FLAG` of sysFlag. */
const INNER_BATCH = 0x80;

/** Properties whose string, with name and separators, has so many bytes. */
const propertiesOf = (bytes: number) => ({ p: "x".repeat(bytes - "p\u0001\u0002".length) });

/** Each case of the vector that RocketMQ does not store: its status, what we are given, and our answer. */
const refused: Record<string, { java: string; fields: Partial<Message>; code: string }> = {
  "body 4097 bytes, maxMessageSize 4096": {
    java: "MESSAGE_ILLEGAL",
    fields: { body: new Uint8Array(4097) },
    code: "STORE_MESSAGE_TOO_LARGE",
  },
  "properties string 32768 bytes": {
    java: "PROPERTIES_SIZE_EXCEEDED",
    fields: { properties: propertiesOf(32_768) },
    code: "STORE_MESSAGE_TOO_LARGE",
  },
  // Java fills two files up, stores nothing and still says PUT_OK.
  "body 4096 bytes, commit log file size 4096 (record can never fit)": {
    java: "PUT_OK",
    fields: { body: new Uint8Array(4096) },
    code: "STORE_MESSAGE_TOO_LARGE",
  },
  "INNER_NUM property without INNER_BATCH_FLAG": {
    java: "MESSAGE_ILLEGAL",
    fields: { properties: { INNER_NUM: "2" } },
    code: "STORE_INVALID_ARGUMENT",
  },
  "INNER_BATCH_FLAG on a SimpleCQ topic": {
    java: "MESSAGE_ILLEGAL",
    fields: { sysFlag: INNER_BATCH, properties: { INNER_NUM: "2" } },
    code: "STORE_INVALID_ARGUMENT",
  },
};
const STORED = "small message next";

describe("put.statuses", () => {
  test("has no case that is not looked at here", () => {
    expect(cases.map((each) => each.case).sort()).toEqual([...Object.keys(refused), STORED].sort());
  });

  test.each(Object.entries(refused))("%s: refused, and nothing is written", async (name, { java, fields, code }) => {
    expect(cases.find((each) => each.case === name)?.status).toBe(java);
    const path = await temporaryDirectory();
    const store = await openStore(CONFIGURATION, path);
    expect(thrown(() => store.put(message(fields))).code).toBe(code);
    expect(thrown(() => store.putBatch([message(), message(fields)])).code).toBe(code);
    expectUntouched(store, path);
  });

  test("a message behind one that fits no file goes to the place where that would have gone", async () => {
    const huge = cases.find((each) => each.append === "END_OF_FILE");
    expect(huge?.maxPhyOffsetAfter).toBe(8192);
    expect(cases.find((each) => each.case === STORED)).toMatchObject({ wroteOffset: 8192, logicsOffset: 0 });

    const store = await openStore(CONFIGURATION);
    expect(() => store.put(message({ body: new Uint8Array(4096) }))).toThrow();
    expect(store.put(message())).toMatchObject({ physicalOffset: 0, queueOffset: 0 });
  });
});

function expectUntouched(store: Store, path: string): void {
  expect(store.log).toMatchObject({ minOffset: 0, endOffset: 0 });
  expect(store.topics()).toEqual([]);
  const names = readdirSync(path, { recursive: true, encoding: "utf8" });
  expect(names.filter((name) => /^(commitlog|consumequeue|index)\/./.test(name))).toEqual([]);
  expect(store.get("orders", 0, 0).status).toBe("NO_MATCHED_LOGIC_QUEUE");
}
