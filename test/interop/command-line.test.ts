import { cpSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Store } from "../../src/index.ts";
import { moraine, moraineReadOnce } from "./command-line.ts";
import { expectedOf, fixtureNames, unpack } from "./fixtures.ts";
import { snapshot, temporaryFolder } from "./folders.ts";

type JsonLine = Record<string, Record<string, unknown> | undefined>;

describe.each(fixtureNames)("moraine inspect of %s", (name) => {
  test("tells positions, queues and index files as RocketMQ has them, and changes nothing", async () => {
    const dir = unpack(name);
    const before = snapshot(dir);
    const { open, queues, messages } = expectedOf(name);

    const { code, out, err } = await moraine("inspect", dir, "--json");

    const lines = out.map((line) => JSON.parse(line) as JsonLine);
    const of = (kind: string): Record<string, unknown>[] => lines.flatMap((line) => (line[kind] ? [line[kind]] : []));
    expect(of("store")).toHaveLength(1);
    expect(of("store")[0]).toMatchObject({ clean: !open.abort, minOffset: open.minPhyOffset });
    if (name !== "rmq5-flipped-bit") {
      expect(of("store")[0]).toMatchObject({ endOffset: open.maxPhyOffset, records: { looked: messages.length } });
      const wanted = queues
        .filter((queue) => (queue as { type?: string }).type === "simple")
        .map(({ topic, queueId, minOffset, maxOffset }) => ({ topic, queueId, min: minOffset, max: maxOffset }));
      expect(of("queue")).toEqual(expect.arrayContaining(wanted.map((queue) => expect.objectContaining(queue))));
    }
    const files = of("file").map(({ path }) => path);
    const onDisk = Object.entries(before).filter(([, entry]) => !entry.endsWith(" folder"));
    expect(files.sort()).toEqual(onDisk.map(([path]) => path).sort());
    expect(code).toBe(err.length === 0 ? 0 : 2);
    if (open.abort) expect(code).toBe(2);
    expect(snapshot(dir)).toEqual(before);
  });
});

describe("moraine inspect for a person", () => {
  test("shows state, log, topics, index and files", async () => {
    const { code, out, err } = await moraine("inspect", unpack("rmq5-clean"));
    const page = out.join("\n");
    expect(page).toContain("closed cleanly");
    expect(page).toContain("0 to 98,453: 96.1 KiB in 2 files of 64 KiB");
    expect(page).toMatch(/^TopicA: 250 entries in 4 queues$/m);
    expect(page).toMatch(/^Index: .* in \d+ files$/m);
    expect(err).toEqual([]);
    expect(code).toBe(0);
  });

  test("shows a topic of a name that RocketMQ would not take", async () => {
    const dir = unpack("rmq5-clean");
    cpSync(join(dir, "consumequeue/TopicA"), join(dir, "consumequeue/not a topic"), { recursive: true });
    const { code, out, err } = await moraine("inspect", dir);
    expect(out).toContain("TopicB: 60 entries in 2 queues");
    expect(out).toContain("not a topic: 250 entries in 4 queues");
    expect({ code, err }).toEqual({ code: 0, err: [] });
  });

  test("names a crash on standard error and ends with 2", async () => {
    const { code, out, err } = await moraine("inspect", unpack("rmq5-halt-lag"));
    expect(out.join("\n")).toContain("not closed");
    expect(err.length).toBeGreaterThan(0);
    for (const line of err) expect(line).toMatch(/^finding: /);
    expect(code).toBe(2);
  });
});

describe("moraine dump", () => {
  const options = ["--json", "--topic", "TopicA", "--queue", "1"];
  const dumped = async (...args: string[]): Promise<Record<string, unknown>[]> => {
    const { out } = await moraine("dump", ...args);
    return out.map((line) => JSON.parse(line) as Record<string, unknown>);
  };

  test("walks a queue from an offset, so many messages", async () => {
    const wanted = expectedOf("rmq5-clean").entries.filter((line) => line.topic === "TopicA" && line.queueId === 1);
    const dir = unpack("rmq5-clean");
    const all = await dumped(dir, ...options);
    expect(all.map(({ physicalOffset }) => physicalOffset)).toEqual(wanted.map(({ offset }) => offset));
    const some = await dumped(dir, ...options, "--offset", "10", "--count", "7");
    expect(some.map(({ queueOffset }) => queueOffset)).toEqual([10, 11, 12, 13, 14, 15, 16]);
  });

  test("names a damaged record of a queue and serves its neighbours", async () => {
    const { code, out, err } = await moraine("dump", unpack("rmq5-flipped-bit"), ...options, "--offset", "72");
    expect(out.map((line) => JSON.parse(line).queueOffset)).toEqual([72, 74]);
    expect(err.map((line) => JSON.parse(line))).toContainEqual({
      finding: expect.objectContaining({ file: "commitlog/00000000000000032768" }),
    });
    expect(code).toBe(2);
  });

  test("starts at a physical offset", async () => {
    const [, second, third] = expectedOf("rmq5-clean").messages;
    const some = await dumped(unpack("rmq5-clean"), "--json", "--from", String(second?.offset), "--count", "2");
    expect(some.map(({ physicalOffset }) => physicalOffset)).toEqual([second?.offset, third?.offset]);
  });

  test("an offset inside a record is not told as damage alone", async () => {
    const [first, second] = expectedOf("rmq5-clean").messages;
    const from = Number(first?.offset) + 5;
    const { out, err, code } = await moraine(
      "dump",
      unpack("rmq5-clean"),
      "--from",
      String(from),
      "--json",
      "--count",
      "1",
    );
    expect(out.map((line) => JSON.parse(line).physicalOffset)).toEqual([second?.offset]);
    expect(err).toEqual([expect.stringContaining("--from")]);
    expect(code).toBe(2);
  });

  test("shows bodies as hexadecimal digits and as text", async () => {
    const dir = unpack("rmq5-broker");
    const [hex] = await dumped(dir, "--json", "--count", "1", "--body", "hex");
    const [text] = await dumped(dir, "--json", "--count", "1", "--body", "text");
    expect(Buffer.from(String(hex?.bodyHex), "hex").toString("utf8")).toBe(text?.bodyText);
    expect(text).not.toHaveProperty("bodyHex");
  });

  test("prints one line a message for a person", async () => {
    const { code, out } = await moraine("dump", unpack("rmq5-clean"), "--count", "2");
    expect(out).toHaveLength(2);
    expect(out[0]).toContain("TopicA/0 #0");
    expect(code).toBe(0);
  });

  test("ends quietly when nobody reads on", async () => {
    const { code, err } = await moraineReadOnce("dump", unpack("rmq5-blank-rolls"), "--json", "--body", "hex");
    expect(err).toEqual([]);
    expect(code).toBe(0);
  });
});

test("a store that a program has open can be looked at", async () => {
  const dir = join(temporaryFolder(), "store");
  const store = await Store.open(dir, { segmentBytes: 65_536, indexSlots: 64, indexEntries: 256 });
  for (let n = 0; n < 20; n++) store.put({ topic: "orders", queueId: n % 2, body: Buffer.from(`order ${n}`) });

  const { code, out, err } = await moraine(
    "dump",
    dir,
    "--json",
    "--topic",
    "orders",
    "--queue",
    "1",
    "--body",
    "text",
  );

  expect(out.map((line) => JSON.parse(line).bodyText)).toEqual(
    Array.from({ length: 10 }, (_, i) => `order ${2 * i + 1}`),
  );
  expect(err.map((line) => JSON.parse(line).finding.file)).toEqual(["abort"]);
  expect(code).toBe(2);
  await store.close();
});

describe("wrong use", () => {
  test.each([
    { args: [], says: "a command is missing" },
    { args: ["frobnicate"], says: 'no command "frobnicate"' },
    { args: ["inspect"], says: "the directory of the store is missing" },
    { args: ["inspect", "a", "b"], says: '"b" is one word too many' },
    { args: ["inspect", "a", "--loud"], says: "--loud" },
    { args: ["dump", "a", "--count", "many"], says: "--count many: a whole number" },
    { args: ["dump", "a", "--queue", "1"], says: "--queue needs --topic" },
    { args: ["dump", "a", "--topic", "t", "--offset", "1"], says: "--offset needs" },
    { args: ["dump", "a", "--topic", "t", "--queue", "1", "--from", "1"], says: "give one of them" },
    { args: ["dump", "a", "--body", "xml"], says: "one of none, sha256, hex, text" },
  ])("$args ends with 1 and says what would be right", async ({ args, says }) => {
    const { code, out, err } = await moraine(...args);
    expect(code).toBe(1);
    expect(out).toEqual([]);
    expect(err.join("\n")).toContain(says);
  });

  test("a directory that is no store, a file, and a missing one end with 1 and stay as they are", async () => {
    const folder = temporaryFolder();
    const before = snapshot(folder);
    for (const dir of [folder, join(folder, "missing"), import.meta.filename]) {
      const { code, err } = await moraine("inspect", dir);
      expect(code).toBe(1);
      expect(err.join("\n")).toContain("STORE_");
    }
    expect(snapshot(folder)).toEqual(before);
  });

  test("an unknown queue ends with 1 and names the known ones", async () => {
    const { code, err } = await moraine("dump", unpack("rmq5-clean"), "--topic", "TopicB", "--queue", "9");
    expect(err.join("\n")).toContain("it has 0, 1");
    expect(code).toBe(1);
  });

  test("--help and --version end with 0", async () => {
    const manifest = JSON.parse(readFileSync(join(import.meta.dirname, "../../package.json"), "utf8"));
    expect(await moraine("--version")).toMatchObject({ code: 0, out: [manifest.version] });
    for (const args of [["--help"], ["inspect", "--help"], ["dump", "-h"]]) {
      const { code, out } = await moraine(...args);
      expect(out[0]).toMatch(/^usage: moraine /);
      expect(code).toBe(0);
    }
  });
});
