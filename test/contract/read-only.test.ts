import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { Store } from "../../src/index.ts";
import { message, messages, openStore, rejected, SMALL, temporaryDirectory, text } from "./temporary-store.ts";

/** Names, lengths, times and contents of all files below a directory. */
async function snapshot(directory: string): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const { mtimeMs } = await stat(path);
    files[path] = entry.isFile() ? `${mtimeMs} ${(await readFile(path)).toString("latin1")}` : "directory";
  }
  return files;
}

describe("a store opened with readOnly", () => {
  test("reads everything and leaves the directory as it was", async () => {
    const path = await temporaryDirectory();
    const writer = await openStore({}, path);
    writer.putBatch(messages(100, { keys: ["k"] }));
    await writer.close();
    const before = await snapshot(path);

    const reader = await openStore({ readOnly: true }, path);
    expect(reader).toMatchObject({ readOnly: true, state: "open" });
    expect(reader.get("orders", 0, 0).messages).toHaveLength(32);
    expect(reader.lookup("orders", "k", { max: 1000 })).toHaveLength(100);
    expect([...reader.scan()]).toHaveLength(100);
    expect(reader.offsets("orders", 0)).toEqual({ min: 0, max: 100, next: 100 });
    await reader.close();
    expect(await snapshot(path)).toEqual(before);
  });

  test("sees what a live store had in its log when it was opened", async () => {
    const path = await temporaryDirectory();
    const writer = await openStore({}, path);
    writer.putBatch(messages(10, { keys: ["k"] }));
    await writer.flush();
    const reader = await openStore({ readOnly: true }, path);
    expect(reader.get("orders", 0, 0).messages.map(({ body }) => text(body))).toEqual(
      messages(10).map(({ body }) => text(body)),
    );
    expect(reader.lookup("orders", "k", { max: 100 })).toHaveLength(10);
    await reader.close();
    expect(writer.put(message()).queueOffset).toBe(10);
  });

  test("may be opened any number of times, beside one that writes", async () => {
    const path = await temporaryDirectory();
    const writer = await openStore({}, path);
    writer.put(message());
    await writer.flush();
    const readers = await Promise.all([1, 2, 3].map(() => openStore({ readOnly: true }, path)));
    for (const reader of readers) expect(reader.get("orders", 0, 0).messages).toHaveLength(1);
  });

  test("is not made where there is none, whatever create says", async () => {
    const path = await temporaryDirectory();
    const error = await rejected(Store.open(join(path, "none"), { ...SMALL, readOnly: true, create: true }));
    expect(error).toMatchObject({ code: "STORE_INVALID_ARGUMENT", details: { argument: "path" } });
    expect(await readdir(path)).toEqual([]);
  });
});
