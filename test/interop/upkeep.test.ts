/** Stores that RocketMQ wrote: verified, built again, salvaged. */
import { rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { rebuildStore, Store, salvageStore, verifyStore } from "../../src/index.ts";
import { moraine } from "./command-line.ts";
import { expectedOf, fixtureNames, unpack } from "./fixtures.ts";
import { snapshot, temporaryFolder } from "./folders.ts";

/** What verifying finds in each fixture, by kind; nothing where it is not listed. */
const KNOWN: Record<string, string[]> = {
  "rmq4-torn-header": ["checkpoint", "cut", "queue-entry", "stale", "unclean"],
  "rmq5-flipped-bit": ["damaged"],
  "rmq5-halt-lag": ["queue-behind", "unclean"],
  "rmq5-rebuild": ["queue-missing"],
  "rmq5-torn-zeroed": ["checkpoint", "cut", "queue-entry", "stale", "unclean"],
};

describe.each(fixtureNames)("verifying %s", (name) => {
  test("finds what is known of it, and changes nothing", async () => {
    const dir = unpack(name);
    const before = snapshot(dir);
    const findings = await verifyStore(dir, { deep: true });
    expect([...new Set(findings.map(({ kind }) => kind))].sort(), JSON.stringify(findings, null, 1)).toEqual(
      KNOWN[name] ?? [],
    );
    const shallow = await verifyStore(dir);
    const kinds = shallow.map(({ kind }) => kind);
    expect(kinds.filter((kind) => !(KNOWN[name] ?? []).includes(kind))).toEqual([]);
    expect(snapshot(dir)).toEqual(before);
  });
});

describe.each(fixtureNames)("rebuilding %s", (name) => {
  test("gives the queues that RocketMQ had, in a store without faults", async () => {
    const dir = unpack(name);
    const { queues, messages } = expectedOf(name);
    const isWhole = KNOWN[name] === undefined;
    const before = snapshot(dir);
    const rebuilt = await rebuildStore(dir);
    expect(rebuilt.messages).toBe(messages.length + (name === "rmq5-flipped-bit" ? 2 : 0));
    const faults = (await verifyStore(dir, { deep: true })).map(({ kind }) => kind);
    expect(faults).toEqual(name === "rmq5-flipped-bit" ? ["damaged", "queue-gap"] : []);
    const content = (entry: string | undefined) => entry?.split(" ").slice(2).join(" ");
    const after = snapshot(dir);
    const files = Object.keys(before).filter((path) => /^(batch)?consumequeue\/.+\/\d{20}$/.test(path));
    // Extension files are not packed as RocketMQ does, which leaves other room at their ends.
    for (const path of isWhole && name !== "rmq5-cqext" ? files : []) {
      expect(content(after[path]), path).toBe(content(before[path]));
    }
    const store = await Store.open(dir, { readOnly: true });
    try {
      expect(store.health()).toMatchObject({ clean: true });
      for (const { topic, queueId, minOffset, maxOffset } of isWhole ? queues : []) {
        expect(store.offsets(topic, queueId)).toMatchObject({ min: minOffset, max: maxOffset });
      }
    } finally {
      await store.close();
    }
  });
});

describe.each(fixtureNames)("salvaging %s", (name) => {
  test("saves every whole record, and gives a store without faults", async () => {
    const dir = unpack(name);
    const before = snapshot(dir);
    const out = join(temporaryFolder(), "out");
    const { messages } = expectedOf(name);
    const saved = await salvageStore(dir, out);
    // RocketMQ drops the two whole records behind the flipped bit.
    expect(saved.messages).toBe(messages.length + (name === "rmq5-flipped-bit" ? 2 : 0));
    expect(saved.lostRanges).toBe(["rmq4-torn-header", "rmq5-flipped-bit", "rmq5-torn-zeroed"].includes(name) ? 1 : 0);
    // A blank entry stands for the message that was lost amid others.
    const faults = (await verifyStore(out, { deep: true })).map(({ kind }) => kind);
    expect(faults).toEqual(name === "rmq5-flipped-bit" ? ["queue-gap"] : []);
    expect(snapshot(dir)).toEqual(before);
    const [old, store] = [await Store.open(dir, { readOnly: true }), await Store.open(out, { readOnly: true })];
    try {
      const said = (from: Store) =>
        [...from.scan()].flatMap((item) =>
          item.kind === "message"
            ? [{ ...item.message.toJSON(), physicalOffset: 0, endOffset: 0, offsetMsgId: "" }]
            : [],
        );
      expect(said(store)).toEqual(said(old));
    } finally {
      await old.close();
      await store.close();
    }
  });
});

describe("moraine verify, rebuild and salvage", () => {
  test("end with 0 where there is nothing to be said", async () => {
    const dir = unpack("rmq5-clean");
    const out = join(temporaryFolder(), "out");
    const shallow = await moraine("verify", dir);
    expect(shallow).toMatchObject({ code: 0, err: [] });
    expect(shallow.out).toEqual(["no findings: structure and samples were looked at (--deep: every byte)"]);
    const deep = await moraine("verify", dir, "--deep", "--json");
    expect(deep).toEqual({ code: 0, err: [], out: ['{"verified":{"deep":true,"findings":0}}'] });
    expect(await moraine("rebuild", dir, "--index")).toEqual({
      code: 0,
      err: [],
      out: ["index made again from 310 messages"],
    });
    const rebuilt = await moraine("rebuild", dir, "--json");
    expect(rebuilt.out).toEqual(['{"rebuilt":{"queues":true,"index":true,"messages":310}}']);
    const salvaged = await moraine("salvage", dir, out);
    expect(salvaged).toMatchObject({ code: 0, err: [] });
    expect(salvaged.out[0]).toMatch(/^310 messages \(.* KiB\) saved; nothing was lost$/);
    expect(await moraine("verify", out, "--deep")).toMatchObject({ code: 0, err: [] });
  });

  test("end with 2 and name what was found", async () => {
    const dir = unpack("rmq5-flipped-bit");
    const { code, out, err } = await moraine("verify", dir, "--deep");
    expect(code).toBe(2);
    expect(out).toEqual(["1 finding: every byte was looked at"]);
    expect(err).toEqual([
      expect.stringMatching(
        /^finding: damaged commitlog\/00000000000000032768 at 40,099 \(304 bytes\): .* salvage DIR OUT/,
      ),
    ]);
    const json = await moraine("verify", dir, "--deep", "--json");
    expect(JSON.parse(json.err[0] ?? "")).toMatchObject({ finding: { kind: "damaged", offset: 40099, length: 304 } });
    const salvaged = await moraine("salvage", dir, join(temporaryFolder(), "out"), "--json");
    expect(salvaged.code).toBe(2);
    expect(JSON.parse(salvaged.out[0] ?? "")).toMatchObject({
      salvaged: { messages: 149, lostRanges: 1, lostBytes: 304 },
    });
    expect(salvaged.err.length).toBeGreaterThan(0);
    expect((await moraine("rebuild", dir)).code).toBe(2);
  });

  test("end with 1 for wrong use", async () => {
    const dir = unpack("rmq5-clean");
    rmSync(join(dir, "index"), { recursive: true });
    for (const args of [
      ["verify"],
      ["verify", dir, dir],
      ["verify", `${dir}/nowhere`],
      ["rebuild", dir, "--all"],
      ["rebuild", `${dir}/nowhere`],
      ["salvage", dir],
      ["salvage", dir, dir],
      ["salvage", dir, `${dir}/new`],
      ["salvage", dir, temporaryFolder(), "more"],
    ]) {
      const { code, out, err } = await moraine(...args);
      expect({ code, out }, args.join(" ")).toEqual({ code: 1, out: [] });
      expect(err).toHaveLength(1);
    }
    const { out } = await moraine("--help");
    for (const command of ["verify", "rebuild", "salvage"]) {
      expect(out.join("\n")).toContain(`  ${command}`);
      expect((await moraine(command, "--help")).out[0]).toMatch(new RegExp(`^usage: moraine ${command} DIR`));
    }
  });
});
