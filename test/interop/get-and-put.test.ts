import { spawn } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { Store } from "../../src/index.ts";
import { moraine, moraineFed, type Run } from "./command-line.ts";
import { expectedOf, unpack } from "./fixtures.ts";
import { snapshot, temporaryFolder } from "./folders.ts";

type Line = Record<string, unknown>;
const json = ({ out }: Run): Line[] => out.map((line) => JSON.parse(line) as Line);

/** A store with small files and one message of another topic, closed again. */
async function smallStore(): Promise<string> {
  const dir = join(temporaryFolder(), "store");
  const store = await Store.open(dir, { segmentBytes: 65_536, indexSlots: 64, indexEntries: 256 });
  store.put({ topic: "first", queueId: 0, body: new Uint8Array(1) });
  await store.close();
  return dir;
}

async function bodies(dir: string, topic: string): Promise<Buffer[]> {
  const store = await Store.open(dir, { readOnly: true });
  try {
    const { max } = store.offsets(topic, 0);
    return max === 0 ? [] : store.get(topic, 0, 0, { max }).messages.map(({ body }) => Buffer.from(body));
  } finally {
    await store.close();
  }
}

describe("moraine get", () => {
  const expected = expectedOf("rmq5-clean");
  const ofTopicA = expected.messages.filter(({ topic }) => topic === "TopicA");

  test("walks a queue from an offset, and changes nothing", async () => {
    const dir = unpack("rmq5-clean");
    const before = snapshot(dir);
    const run = await moraine(
      "get",
      dir,
      "--topic",
      "TopicA",
      "--queue",
      "1",
      "--offset",
      "10",
      "--count",
      "7",
      "--json",
    );
    expect(json(run).map(({ queueOffset }) => queueOffset)).toEqual([10, 11, 12, 13, 14, 15, 16]);
    expect(run).toMatchObject({ code: 0, err: [] });
    expect(snapshot(dir)).toEqual(before);
  });

  test("gives 32 messages of all queues, in the order of the log, where nothing else is said", async () => {
    const run = await moraine("get", unpack("rmq5-clean"), "--topic", "TopicA", "--json");
    expect(json(run).map(({ physicalOffset }) => physicalOffset)).toEqual(
      ofTopicA.slice(0, 32).map(({ offset }) => offset),
    );
  });

  test("finds by key, newest first", async () => {
    const dir = unpack("rmq5-clean");
    for (const { topic, key, physicalOffsets } of expected.keys.slice(0, 3)) {
      const run = await moraine("get", dir, "--topic", topic, "--key", key, "--json");
      expect(json(run).map(({ physicalOffset }) => physicalOffset)).toEqual(physicalOffsets);
    }
    const small = await smallStore();
    for (const queue of ["0", "1", "2"]) await moraine("put", small, "--topic", "t", "--queue", queue, "--keys", "k,l");
    const run = await moraine("get", small, "--topic", "t", "--key", "k", "--count", "2", "--json");
    expect(json(run).map(({ queueId }) => queueId)).toEqual([2, 1]);
    const nothing = await moraine("get", small, "--topic", "t", "--key", "no-such-key");
    expect(nothing).toEqual({ code: 0, out: [], err: [] });
  });

  test("finds by time, in one queue and in all", async () => {
    const dir = unpack("rmq5-clean");
    const time = Number(ofTopicA[100]?.storeTimestamp);
    const wanted = ofTopicA.filter(({ storeTimestamp }) => Number(storeTimestamp) >= time);
    const all = await moraine("get", dir, "--topic", "TopicA", "--time", String(time), "--count", "9999", "--json");
    expect(json(all).map(({ physicalOffset }) => physicalOffset)).toEqual(wanted.map(({ offset }) => offset));
    const one = await moraine("get", dir, "--topic", "TopicA", "--queue", "2", "--time", String(time), "--json");
    expect(json(one).map(({ physicalOffset }) => physicalOffset)).toEqual(
      wanted
        .filter(({ queueId }) => queueId === 2)
        .slice(0, 32)
        .map(({ offset }) => offset),
    );
    const late = await moraine("get", dir, "--topic", "TopicA", "--time", String(2 ** 50));
    expect(late).toEqual({ code: 0, out: [], err: [] });
  });

  test("names a damaged record and serves its neighbours", async () => {
    const run = await moraine(
      "get",
      unpack("rmq5-flipped-bit"),
      "--topic",
      "TopicA",
      "--queue",
      "1",
      "--offset",
      "72",
      "--json",
    );
    expect(json(run).map(({ queueOffset }) => queueOffset)).toEqual([72, 74]);
    expect(run.err.join("\n")).toContain("commitlog/00000000000000032768");
    expect(run.code).toBe(2);
  });

  test("shows bodies, and one line a message for a person", async () => {
    const dir = await smallStore();
    await moraine("put", dir, "--topic", "orders", "--tags", "paid", "--body", "a b\u0007");
    const { out, code } = await moraine("get", dir, "--topic", "orders", "--body", "text");
    expect(out).toEqual([expect.stringMatching(/orders\/0 #0 {2}4 B {2}tags paid {2}a b\\u0007$/)]);
    expect(code).toBe(0);
  });

  test.each([
    { args: [], says: "--topic is missing" },
    { args: ["--topic", "T", "--offset", "1"], says: "--offset needs --queue" },
    { args: ["--topic", "T", "--key", "k", "--queue", "1"], says: "--key looks through the whole topic" },
    { args: ["--topic", "T", "--key", "k", "--time", "1"], says: "--key looks through the whole topic" },
    { args: ["--topic", "T", "--queue", "1", "--offset", "1", "--time", "1"], says: "give one of them" },
    { args: ["--topic", "T"], says: 'there is no topic "T"' },
    { args: ["--topic", "../T"], says: "STORE_INVALID_ARGUMENT" },
    { args: ["--topic", "TopicA", "--queue", "77"], says: "it has 0, 1, 2, 3" },
    { args: ["--topic", "TopicA", "--key", "k", "--count", "70000"], says: "from 0 to 65536" },
  ])("$args ends with 1 and says what would be right", async ({ args, says }) => {
    const { code, out, err } = await moraine("get", unpack("rmq5-clean"), ...args);
    expect({ code, out }).toEqual({ code: 1, out: [] });
    expect(err.join("\n")).toContain(says);
  });
});

describe("moraine put", () => {
  test("appends a message with all that it may have, durable, and prints where it is", async () => {
    const dir = await smallStore();
    const header = ["--topic", "orders", "--queue", "3", "--tags", "paid", "--keys", "o-1,o-2"];
    const properties = ["--property", "color=blue=green", "--property", "size=1"];
    const run = await moraine("put", dir, ...header, ...properties, "--body", "grüße", "--json");
    expect(run).toMatchObject({ code: 0, err: [] });
    const [line] = json(run);

    const store = await Store.open(dir, { readOnly: true });
    onTestFinished(() => store.close());
    const [message] = store.get("orders", 3, 0).messages;
    expect(store.health().clean).toBe(true);
    expect(message).toMatchObject({ tags: "paid", keys: ["o-1", "o-2"], queueId: 3 });
    expect(Buffer.from(message?.body ?? []).toString("utf8")).toBe("grüße");
    expect([...(message?.properties ?? [])]).toEqual(
      expect.arrayContaining([
        ["color", "blue=green"],
        ["size", "1"],
      ]),
    );
    expect(line).toEqual({
      topic: "orders",
      queueId: 3,
      queueOffset: 0,
      physicalOffset: message?.physicalOffset,
      endOffset: store.log.endOffset,
      size: store.log.endOffset - Number(message?.physicalOffset),
      storeTimestamp: message?.storeTimestamp,
      offsetMsgId: message?.offsetMsgId,
    });
    const page = await moraine("put", dir, "--topic", "orders");
    expect(page).toMatchObject({ code: 0, err: [] });
    expect(page.out).toEqual([expect.stringMatching(/^orders\/0 #0 {2}at \d+, \d+ B$/)]);
    expect(await bodies(dir, "orders")).toEqual([Buffer.alloc(0)]);
  });

  test("makes a store where there is none, and leaves another folder alone", async () => {
    const folder = temporaryFolder();
    const run = await moraine("put", join(folder, "store"), "--topic", "orders", "--body", "x");
    expect(run.code).toBe(0);
    mkdirSync(join(folder, "other/things"), { recursive: true });
    const refused = await moraine("put", join(folder, "other"), "--topic", "orders", "--body", "x", "--json");
    expect(refused.code).toBe(1);
    expect(JSON.parse(refused.err[0] ?? "").error.code).toBe("STORE_INVALID_ARGUMENT");
  });

  test("of lines takes bytes as they are, empty lines and a last one without an end", async () => {
    const dir = await smallStore();
    const parts = [
      Buffer.from("one\ntwo\r\n\n"),
      Uint8Array.of(0xff, 0x00),
      Buffer.from("x\n \nfo"),
      Buffer.from("ur"),
    ];
    const run = await moraineFed(parts, "put", dir, "--topic", "orders", "--lines", "--json");
    expect(run).toMatchObject({ code: 0, err: [] });
    expect(json(run).map(({ queueOffset }) => queueOffset)).toEqual([0, 1, 2, 3, 4, 5]);
    expect(await bodies(dir, "orders")).toEqual([
      Buffer.from("one"),
      Buffer.from("two"),
      Buffer.alloc(0),
      Buffer.from([0xff, 0x00, 0x78]),
      Buffer.from(" "),
      Buffer.from("four"),
    ]);
    const none = await moraineFed([], "put", dir, "--topic", "orders", "--lines");
    expect(none).toEqual({ code: 0, out: [], err: [] });
  });

  test("of very many lines takes bounded memory and loses none", async () => {
    const dir = await smallStore();
    const count = 200_000;
    function* input(): Generator<Uint8Array> {
      for (let n = 0; n < count; n += 1000) {
        yield Buffer.from(Array.from({ length: 1000 }, (_, i) => `line ${n + i} ${"x".repeat(100)}\n`).join(""));
      }
    }
    const run = await moraineFed(input(), "put", dir, "--topic", "orders", "--lines");
    expect(run).toMatchObject({ code: 0, err: [] });
    expect(run.out).toHaveLength(count);
    const store = await Store.open(dir, { readOnly: true });
    onTestFinished(() => store.close());
    expect(store.offsets("orders", 0)).toMatchObject({ min: 0, max: count });
    for (const n of [0, 1, 99_999, count - 1]) {
      const [message] = store.get("orders", 0, n, { max: 1 }).messages;
      expect(Buffer.from(message?.body ?? []).toString()).toMatch(new RegExp(`^line ${n} x`));
    }
  });

  test("prints a line as soon as its message is stored, and ends like its input on Ctrl-C", async () => {
    const dir = await smallStore();
    const main = join(import.meta.dirname, "../../dist/cli/main.js");
    const child = spawn(process.execPath, [main, "put", dir, "--topic", "orders", "--lines"], { stdio: "pipe" });
    onTestFinished(() => void child.kill("SIGKILL"));
    child.stdin.write("first\n");
    const printed = await new Promise<string>((resolve) => child.stdout.once("data", (data) => resolve(String(data))));
    expect(printed).toContain("orders/0 #0");
    const closed = new Promise((resolve) => child.once("close", resolve));
    child.kill("SIGINT");
    expect(await closed).toBe(0);
    const store = await Store.open(dir, { readOnly: true });
    onTestFinished(() => store.close());
    expect(store.health().clean).toBe(true);
    expect(store.offsets("orders", 0).max).toBe(1);
  });

  test("stores every line when nobody reads what it prints", async () => {
    const dir = await smallStore();
    const main = join(import.meta.dirname, "../../dist/cli/main.js");
    const child = spawn(process.execPath, [main, "put", dir, "--topic", "orders", "--lines"], { stdio: "pipe" });
    onTestFinished(() => void child.kill("SIGKILL"));
    child.stdout.once("data", () => {
      child.stdout.destroy();
      child.stdin.write("more\n".repeat(50_000));
      child.stdin.end("last\n");
    });
    child.stdin.write("first\n");
    expect(await new Promise((resolve) => child.once("close", resolve))).toBe(0);
    const store = await Store.open(dir, { readOnly: true });
    onTestFinished(() => store.close());
    expect(store.offsets("orders", 0).max).toBe(50_002);
  });

  test("says which line is too long, and keeps those before it", async () => {
    const dir = await smallStore();
    const long = Buffer.alloc(1 << 20, 0x78);
    const parts = [Buffer.from("one\ntwo\n"), ...Array.from({ length: 6 }, () => long)];
    const { code, err } = await moraineFed(parts, "put", dir, "--topic", "orders", "--lines", "--json");
    expect(code).toBe(1);
    const { error } = JSON.parse(err[0] ?? "");
    expect(error.code).toBe("STORE_MESSAGE_TOO_LARGE");
    expect(error.message).toBe("line 3 is longer than 4194304 bytes, the longest body; the first 2 lines were stored");
    expect(await bodies(dir, "orders")).toHaveLength(2);
  });

  test("says how many lines were stored when one does not fit the store", async () => {
    const dir = await smallStore();
    const parts = [Buffer.from("one\ntwo\n"), Buffer.alloc(70_000, 0x78), Buffer.from("\n")];
    const { code, err } = await moraineFed(parts, "put", dir, "--topic", "orders", "--lines");
    expect(code).toBe(1);
    expect(err.join("\n")).toMatch(/STORE_MESSAGE_TOO_LARGE.*the first 2 lines were stored/);
  });

  test("into a store that a program has open is refused readably", async () => {
    const dir = await smallStore();
    const store = await Store.open(dir);
    onTestFinished(() => store.close());
    const { code, out, err } = await moraine("put", dir, "--topic", "orders", "--body", "x");
    expect({ code, out }).toEqual({ code: 1, out: [] });
    expect(err).toEqual([expect.stringMatching(/^moraine: STORE_LOCKED: /)]);
  });

  test("into a store that was not closed names that, puts, and ends with 2", async () => {
    const dir = unpack("rmq5-halt-lag");
    const { code, out, err } = await moraine("put", dir, "--topic", "TopicA", "--body", "x", "--json");
    expect(out).toHaveLength(1);
    expect(JSON.parse(err[0] ?? "")).toMatchObject({ finding: expect.anything() });
    expect(code).toBe(2);
  });

  test.each([
    { args: [], says: "--topic is missing" },
    { args: ["--topic", "t", "--body", "x", "--lines"], says: "give one" },
    { args: ["--topic", "t", "--property", "novalue"], says: "NAME=VALUE is expected" },
    { args: ["--topic", "t", "--property", "=x"], says: "NAME=VALUE is expected" },
    { args: ["--topic", "t", "--property", "a=1", "--property", "a=2"], says: "a is given twice" },
    { args: ["--topic", "t", "--property", "a="], says: "STORE_INVALID_ARGUMENT" },
    { args: ["--topic", "t", "--tags", "x", "--property", "TAGS=y"], says: "given twice" },
    { args: ["--topic", "t", "--keys", "a,,b"], says: "keys[1]" },
    { args: ["--topic", "no topic"], says: "STORE_INVALID_ARGUMENT" },
    { args: ["--topic", "t", "--queue", "-1"], says: "--queue" },
    { args: ["--topic", "t", "--queue", "x"], says: "--queue x: a whole number" },
    { args: ["--topic", "t", "--topic", "u"], says: "--topic is given twice" },
    { args: ["--topic", "t", "--json", "--json"], says: "--json is given twice" },
  ])("$args ends with 1, says what would be right, and stores nothing", async ({ args, says }) => {
    const none = join(temporaryFolder(), "none");
    expect(await moraine("put", none, ...args)).toMatchObject({ code: 1, out: [] });
    expect(existsSync(none)).toBe(false);
    const dir = await smallStore();
    const { code, out, err } = await moraine("put", dir, ...args);
    expect({ code, out }).toEqual({ code: 1, out: [] });
    expect(err.join("\n")).toContain(says);
    const store = await Store.open(dir, { readOnly: true });
    onTestFinished(() => store.close());
    expect(store.topics()).toEqual(["first"]);
  });
});
