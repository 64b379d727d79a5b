/** Stores in directories of their own, empty or as RocketMQ has left them. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Store } from "moraine";
import { afterEach } from "vitest";
import type { BrokerConfig } from "../../../src/config/broker-config.ts";
import { readOptions } from "../../../src/config/schema.ts";
import { parseBody } from "../../../src/protocol/json.ts";

const FIXTURES = join(import.meta.dirname, "../../../../test/fixtures");
/** Small files, as the fixtures have them. */
const SIZES = { segmentBytes: 16_777_216, queueFileEntries: 300, indexSlots: 1000, indexEntries: 4000 };

const folders: string[] = [];
const stores: Store[] = [];

afterEach(async () => {
  await Promise.all(stores.splice(0).map((store) => store.close()));
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true });
});

export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "broker-tables-"));
  folders.push(folder);
  return join(folder, "store");
}

/** A store that a RocketMQ broker has written. */
export function fixture(name: string): string {
  const folder = newFolder();
  execFileSync("tar", ["xzf", join(FIXTURES, name, "store.tar.gz"), "-C", join(folder, "..")]);
  return folder;
}

export async function open(folder: string): Promise<Store> {
  const store = await Store.open(folder, { ...SIZES, indexTags: true });
  stores.push(store);
  return store;
}

/** Closes a store before the test ends. */
export async function close(store: Store): Promise<void> {
  stores.splice(stores.indexOf(store), 1);
  await store.close();
}

export function configOf(given: Readonly<Record<string, string>> = {}): BrokerConfig {
  return readOptions({ brokerName: "broker-a", ...given });
}

export function textOf(folder: string, table: string): string {
  return readFileSync(join(folder, "config", `${table}.json`), "utf8");
}

/** What stands in the file of a table. */
export function fileOf(folder: string, table: string): Record<string, Record<string, unknown>> {
  return parseBody(Buffer.from(textOf(folder, table))) as Record<string, Record<string, unknown>>;
}
