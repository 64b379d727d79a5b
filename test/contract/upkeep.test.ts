/** Verifying, rebuilding, salvaging: what is damaged is named, what is derived is made again, what is whole is saved. */
import { existsSync } from "node:fs";
import { mkdir, open, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { rebuildStore, type Store, salvageStore, verifyStore } from "../../src/index.ts";
import { ENGINE, message, messages, openStore, temporaryDirectory, text } from "./temporary-store.ts";

const LOG = "commitlog/00000000000000000000";
const QUEUE = "consumequeue/orders/0/00000000000000000000";
const engine = ENGINE;

/** A closed store with 300 messages in two topics. */
async function closedStore(): Promise<string> {
  const path = await temporaryDirectory();
  const store = await openStore({}, path);
  for (let n = 0; n < 3; n += 1) {
    store.putBatch(messages(50, { keys: ["k"], tags: "t" }, 100 * n));
    store.putBatch(messages(50, { topic: "other", queueId: n, keys: ["o"] }, 100 * n));
  }
  store.groups.commit("readers", "orders", 0, 7);
  await store.close();
  return path;
}

async function flip(path: string, file: string, at: number): Promise<void> {
  const handle = await open(join(path, file), "r+");
  const byte = new Uint8Array(1);
  await handle.read(byte, 0, 1, at);
  await handle.write(Uint8Array.of((byte[0] ?? 0) ^ 1), 0, 1, at);
  await handle.close();
}

function bodies(store: Store, topic: string, queueId: number): string[] {
  const { min } = store.offsets(topic, queueId);
  return store.get(topic, queueId, min, { max: 1000, maxBytes: 1 << 20 }).messages.map(({ body }) => text(body));
}

/** Contents of all files below a folder. */
async function contents(path: string): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const name of (await readdir(path, { recursive: true })).sort()) {
    if ((await stat(join(path, name))).isFile()) found[name] = (await readFile(join(path, name))).toString("base64");
  }
  return found;
}

describe("verify", () => {
  test("finds nothing in a store that is open, whatever is put meanwhile", async () => {
    const store = await openStore();
    for (let n = 0; n < 20; n += 1) {
      store.putBatch(messages(200, { keys: ["k"], queueId: n % 3 }));
      if (n % 5 === 0) await store.flush();
      const verifying = store.verify({ deep: true });
      store.putBatch(messages(200, { keys: ["j"], queueId: n % 3 }));
      expect(await verifying).toEqual([]);
    }
    expect(await store.verify()).toEqual([]);
  });

  test("finds nothing in one that was closed, and changes nothing", async () => {
    const path = await closedStore();
    const before = await contents(path);
    expect(await verifyStore(path, { deep: true, engine })).toEqual([]);
    expect(await verifyStore(path, { engine })).toEqual([]);
    expect(await contents(path)).toEqual(before);
  });

  test("names the file, the place and the remedy", async () => {
    const path = await closedStore();
    await flip(path, LOG, 90);
    await flip(path, QUEUE, 27);
    const findings = await verifyStore(path, { deep: true, engine });
    expect(findings).toContainEqual({
      kind: "damaged",
      file: LOG,
      offset: 0,
      length: expect.any(Number),
      message: expect.stringContaining("CRC"),
      remedy: expect.stringContaining("moraine salvage"),
    });
    expect(findings).toContainEqual(
      expect.objectContaining({
        kind: "queue-entry",
        file: QUEUE,
        offset: 20,
        remedy: expect.stringContaining("rebuild"),
      }),
    );
    const store = await openStore({ readOnly: true }, path);
    expect((await store.verify({ deep: true })).map(({ kind }) => kind)).toContain("damaged");
  });

  test("looks into what cannot be opened", async () => {
    const path = await closedStore();
    await writeFile(join(path, "consumequeue/orders/0/00000000000000000100"), "x");
    const findings = await verifyStore(path, { deep: true, engine });
    expect(findings.map(({ kind }) => kind)).toContain("queue-file");
    await expect(verifyStore(join(path, "nowhere"), { engine })).rejects.toMatchObject({
      code: "STORE_INVALID_ARGUMENT",
    });
    await expect(verifyStore(join(path, "consumequeue"), { engine })).rejects.toMatchObject({
      code: "STORE_INVALID_ARGUMENT",
    });
  });

  test("tells how far it has come, and can be ended", async () => {
    const path = await closedStore();
    const phases: string[] = [];
    await verifyStore(path, { deep: true, engine, onProgress: ({ phase }) => void phases.push(phase) });
    expect([...new Set(phases)]).toEqual(["log", "queues", "index", "files"]);
    const ended = AbortSignal.abort("enough");
    await expect(verifyStore(path, { signal: ended, engine })).rejects.toMatchObject({ code: "STORE_ABORTED" });
    const controller = new AbortController();
    const verifying = verifyStore(path, { deep: true, signal: controller.signal, engine });
    controller.abort("enough");
    await expect(verifying).rejects.toMatchObject({ code: "STORE_ABORTED", cause: "enough" });
    const store = await openStore({}, path);
    const own = store.verify({ deep: true, signal: ended });
    await expect(own).rejects.toMatchObject({ code: "STORE_ABORTED" });
    const cause = new Error("no more");
    const throwing = store.verify({
      onProgress: () => {
        throw cause;
      },
    });
    await expect(throwing).rejects.toMatchObject({ code: "STORE_INVALID_ARGUMENT", cause });
  });

  test("ends when its store is closed", async () => {
    const store = await openStore();
    store.putBatch(messages(500));
    const verifying = store.verify({ deep: true });
    const closing = store.close();
    await expect(verifying).rejects.toMatchObject({ code: "STORE_CLOSED" });
    await closing;
    await expect(store.verify()).rejects.toMatchObject({ code: "STORE_CLOSED" });
  });

  test("refuses wrong options", async () => {
    const store = await openStore();
    for (const options of [{ deep: 1 }, { signal: {} }, { onProgress: 1 }, { depth: true }]) {
      const argument = `options.${Object.keys(options)[0]}`;
      const refusal = { code: "STORE_INVALID_ARGUMENT", details: { argument } };
      await expect(store.verify(options as object)).rejects.toMatchObject(refusal);
      await expect(verifyStore(store.path, options as object)).rejects.toMatchObject(refusal);
    }
    await expect(verifyStore("")).rejects.toMatchObject({ code: "STORE_INVALID_ARGUMENT" });
  });
});

describe("rebuildStore", () => {
  test("makes the queue files again as they were, and the answers", async () => {
    const path = await closedStore();
    const before = await contents(path);
    for (const gone of [["consumequeue"], ["index"], ["consumequeue", "index"], ["moraine"], []]) {
      for (const name of gone) await rm(join(path, name), { recursive: true });
      const phases = new Set<string>();
      const rebuilt = await rebuildStore(path, { engine, onProgress: ({ phase }) => void phases.add(phase) });
      expect(rebuilt).toEqual({ messages: 300, findings: [] });
      expect(phases).toEqual(new Set(["log"]));
      const after = await contents(path);
      for (const name of Object.keys(before).filter((file) => /^(commitlog|consumequeue)\//.test(file))) {
        expect(after[name] === before[name], name).toBe(true);
      }
      expect(await verifyStore(path, { deep: true, engine })).toEqual([]);
    }
    const store = await openStore({}, path);
    expect(store.health()).toMatchObject({ clean: true, findings: [] });
    expect(store.lookup("orders", "k", { max: 1000 })).toHaveLength(150);
    expect(bodies(store, "other", 2)).toHaveLength(50);
  });

  test("mends what verifying found", async () => {
    const path = await closedStore();
    const index = (await readdir(join(path, "index")))[0] ?? "";
    await flip(path, QUEUE, 27);
    await flip(path, `index/${index}`, 40 + 4 * 500 + 25);
    const kinds = async () => (await verifyStore(path, { deep: true, engine })).map(({ kind }) => kind);
    expect(await kinds()).toEqual(expect.arrayContaining(["queue-entry", "index-entry"]));
    await rebuildStore(path, { queues: true, engine });
    expect((await kinds()).filter((kind) => !kind.startsWith("index"))).toEqual([]);
    await rebuildStore(path, { index: true, engine });
    expect(await kinds()).toEqual([]);
  });

  test("needs the lock, a store, and something to do", async () => {
    const path = await closedStore();
    const store = await openStore({}, path);
    await expect(rebuildStore(path, { engine })).rejects.toMatchObject({ code: "STORE_LOCKED" });
    await store.close();
    const invalid = { code: "STORE_INVALID_ARGUMENT" };
    await expect(rebuildStore(join(path, "nowhere"), { engine })).rejects.toMatchObject(invalid);
    expect(existsSync(join(path, "nowhere"))).toBe(false);
    await expect(rebuildStore(path, { queues: false, index: false, engine })).rejects.toMatchObject(invalid);
    await expect(rebuildStore(path, { queues: 1 } as object)).rejects.toMatchObject(invalid);
    await expect(rebuildStore(path, { all: true } as object)).rejects.toMatchObject(invalid);
  });
});

describe("salvageStore", () => {
  test("saves everything of a store that is whole", async () => {
    const [path, out] = [await closedStore(), join(await temporaryDirectory(), "new")];
    const before = await contents(path);
    const { bytes, ...saved } = await salvageStore(path, out, { engine });
    expect(saved).toEqual({ messages: 300, lostRanges: 0, lostBytes: 0, findings: [] });
    expect(bytes).toBeGreaterThan(300 * 91);
    expect(await contents(path)).toEqual(before);
    const [old, store] = [await openStore({ readOnly: true }, path), await openStore({}, out)];
    expect(store.health()).toMatchObject({ clean: true, findings: [] });
    for (const topic of old.topics()) {
      for (const queueId of old.queues(topic)) {
        expect(store.offsets(topic, queueId)).toEqual(old.offsets(topic, queueId));
        expect(bodies(store, topic, queueId)).toEqual(bodies(old, topic, queueId));
      }
    }
    expect(store.lookup("orders", "k", { max: 1000 })).toHaveLength(150);
    expect(store.groups.offset("readers", "orders", 0)).toBe(7);
  });

  test("saves every whole message of one that is damaged, at its queue offset", async () => {
    const [path, out] = [await closedStore(), await temporaryDirectory()];
    const old = await openStore({ readOnly: true }, path);
    const third = old.entries("orders", 0, { from: 2, max: 1 })[0];
    await old.close();
    await flip(path, LOG, (third?.physicalOffset ?? 0) + 90);
    await rm(join(path, "consumequeue"), { recursive: true });
    const { findings, ...saved } = await salvageStore(path, out, { engine });
    expect(saved).toMatchObject({ messages: 299, lostRanges: 1, lostBytes: third?.size });
    expect(findings.map(({ kind, offset }) => [kind, offset])).toContainEqual(["lost", third?.physicalOffset]);
    const store = await openStore({}, out);
    expect(store.get("orders", 0, 3, { max: 1 }).messages[0]?.queueOffset).toBe(3);
    expect(store.offsets("orders", 0).next).toBe(150);
    expect(store.put(message()).queueOffset).toBe(150);
  });

  test("leaves deleted topics deleted, and their offsets taken", async () => {
    const [path, out] = [await closedStore(), await temporaryDirectory()];
    const old = await openStore({}, path);
    expect(await old.deleteTopic("other")).toBe(true);
    old.putBatch(messages(5));
    await old.close();
    expect(await salvageStore(path, out, { engine })).toMatchObject({ messages: 305, lostRanges: 0, findings: [] });
    const store = await openStore({}, out);
    expect(store.topics()).toEqual(["orders"]);
    expect(store.get("other", 0, 0).messages).toEqual([]);
    expect(store.lookup("other", "o")).toEqual([]);
    expect(store.offsets("other", 2)).toEqual({ min: 50, max: 50, next: 50 });
    expect(store.put(message({ topic: "other", queueId: 2 })).queueOffset).toBe(50);
  });

  test("leaves nothing that looks like a store where it was cut off", async () => {
    const [path, out] = [await closedStore(), await temporaryDirectory()];
    await salvageStore(path, out, { engine });
    const note = join(out, "moraine/salvage");
    expect(existsSync(note)).toBe(false);
    await writeFile(note, "");
    const refusal = { code: "STORE_CORRUPT", details: { file: "moraine/salvage" } };
    await expect(openStore({}, out)).rejects.toMatchObject(refusal);
    await expect(openStore({ readOnly: true }, out)).rejects.toMatchObject(refusal);
    await expect(rebuildStore(out, { engine })).rejects.toMatchObject(refusal);
    await expect(salvageStore(path, out, { engine })).rejects.toMatchObject({
      code: "STORE_INVALID_ARGUMENT",
      message: expect.stringContaining("cut off"),
    });
    await rm(note);
    expect((await openStore({}, out)).offsets("orders", 0).next).toBe(150);
  });

  test("needs an empty place, and leaves others alone", async () => {
    const [path, out] = [await closedStore(), await temporaryDirectory()];
    await mkdir(join(out, "there"));
    const refusal = { code: "STORE_INVALID_ARGUMENT", details: { argument: "out" } };
    await expect(salvageStore(path, out, { engine })).rejects.toMatchObject(refusal);
    await expect(salvageStore(path, path, { engine })).rejects.toMatchObject(refusal);
    await expect(salvageStore(path, join(path, "new"), { engine })).rejects.toMatchObject(refusal);
    expect(await readdir(out)).toEqual(["there"]);
    await expect(salvageStore(out, join(out, "new"), { engine })).rejects.toMatchObject({
      code: "STORE_INVALID_ARGUMENT",
    });
  });
});
