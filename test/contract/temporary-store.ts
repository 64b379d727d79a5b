/** Stores in directories of their own, opened with the engine under test and gone when the test has finished. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished } from "vitest";
import { type Message, Store, StoreError, type StoreErrorCode, type StoreOptions } from "../../src/index.ts";
import { ENGINE } from "./engine.ts";

export { ENGINE };

/** Files small enough that making a store takes no time. */
export const SMALL: StoreOptions = {
  engine: ENGINE,
  segmentBytes: 256 * 1024,
  queueFileEntries: 1000,
  indexSlots: 500,
  indexEntries: 2000,
};

/** An empty directory. */
export async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "moraine-"));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** A new store, or the one in `directory`, with small files; closed when the test has finished. */
export async function openStore(options: StoreOptions = {}, directory?: string): Promise<Store> {
  const store = await Store.open(directory ?? (await temporaryDirectory()), { ...SMALL, ...options });
  onTestFinished(() => store.close().catch(() => {}));
  return store;
}

export function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

export function text(body: Uint8Array): string {
  return new TextDecoder().decode(body);
}

/** A message that is right; `fields` replace its own. */
export function message(fields: Partial<Message> = {}): Message {
  return { topic: "orders", queueId: 0, body: bytes("hello"), ...fields };
}

/** `count` messages with the bodies `first`, `first + 1`, … */
export function messages(count: number, fields: Partial<Message> = {}, first = 0): Message[] {
  return Array.from({ length: count }, (_, i) => message({ body: bytes(String(first + i)), ...fields }));
}

/** The error that a call throws. */
export function thrown(call: () => unknown): StoreError {
  try {
    call();
  } catch (error) {
    expect(error).toBeInstanceOf(StoreError);
    return error as StoreError;
  }
  throw new Error("nothing was thrown");
}

/** The error that a promise rejects with. */
export async function rejected(promise: Promise<unknown>): Promise<StoreError> {
  try {
    await promise;
  } catch (error) {
    expect(error).toBeInstanceOf(StoreError);
    return error as StoreError;
  }
  throw new Error("nothing was rejected");
}

/** The code of the error that a call throws or its promise rejects with; `"ok"` for none. */
export async function answer(call: () => unknown): Promise<StoreErrorCode | "ok"> {
  try {
    await call();
    return "ok";
  } catch (error) {
    expect(error).toBeInstanceOf(StoreError);
    return (error as StoreError).code;
  }
}
