/** What the WebAssembly engine cannot do, and runtimes and file systems that lack what it needs: each is named. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { Store } from "../../src/index.ts";
import { temporaryDirectory } from "./engines.ts";

const CHILD = fileURLToPath(new URL("lacking-child.mjs", import.meta.url));
const SIZES = { segmentBytes: 65_536, queueFileEntries: 100, indexSlots: 16, indexEntries: 100 };

/** A closed store with one message. */
async function closedStore(): Promise<string> {
  const path = temporaryDirectory();
  const store = await Store.open(path, { engine: "native", ...SIZES });
  store.put({ topic: "orders", queueId: 0, body: new Uint8Array(1) });
  await store.close();
  return path;
}

async function answersOf(path: string, lack: string): Promise<Record<string, unknown>> {
  const { stdout } = await promisify(execFile)(process.execPath, [CHILD, path, lack]);
  return JSON.parse(stdout) as Record<string, unknown>;
}

describe("a runtime without", () => {
  test.each(["fdatasync", "fsync"])("%s is named, and reads all the same", async (lack) => {
    const path = await closedStore();
    const answers = await answersOf(path, lack);
    expect(answers).toMatchObject({ "open, readOnly true": "ok", at: "ok", "close, readOnly true": "ok" });
    const refused = { code: "STORE_IO", details: { errno: 38, syscall: lack } };
    const named = Object.values(answers).filter((answer) => typeof answer === "object");
    expect(named[0]).toMatchObject(refused);
    expect((named[0] as { message: string }).message).toContain(lack);
    const store = await Store.open(path, { engine: "native" });
    expect(store.offsets("orders", 0).max).toBeGreaterThanOrEqual(1);
    await store.close();
  });
});

test("on a read-only file system a store is read, and not opened to write", async () => {
  const answers = await answersOf(await closedStore(), "read-only");
  expect(answers).toEqual({
    "open, readOnly true": "ok",
    at: "ok",
    "close, readOnly true": "ok",
    "open, readOnly false": {
      code: "STORE_IO",
      message: expect.stringContaining("Read-only file system"),
      details: { errno: 30, syscall: expect.any(String), path: expect.any(String) },
    },
  });
});

test("a store is neither shared nor attached", async () => {
  const store = await Store.open(temporaryDirectory(), { engine: "wasm", ...SIZES });
  const refused = {
    code: "STORE_UNSUPPORTED",
    message: expect.stringContaining("threads"),
    details: { engine: "wasm" },
  };
  expect(() => store.share()).toThrow(expect.objectContaining(refused));
  await store.close();
});
