import { channel } from "node:diagnostics_channel";
import { resolve } from "node:path";
import { expect, test } from "vitest";
import type { Log } from "../../src/log.ts";
import { logStoreEvents } from "../../src/store-events.ts";

test("what befalls the broker's own store is logged, until it is closed", () => {
  const lines: string[] = [];
  const write = (level: string) => (_: object, sentence: string) => void lines.push(`${level}: ${sentence}`);
  const log: Log = { debug: write("debug"), info: write("info"), warn: write("warn"), error: write("error") };
  const end = logStoreEvents("./store", log);
  const tell = (path: string) => {
    if (path === resolve("./store")) channel("moraine:engine").publish({ engine: "wasm", attempts: ["no addon"] });
    channel("moraine:recovery").publish({ path, phase: "log", done: 0, total: 0 });
    channel("moraine:recovery").publish({ path, phase: "opened", done: 0, total: 0, clean: true, findings: [] });
    channel("moraine:recovery").publish({ path, phase: "opened", done: 0, total: 0, clean: false, findings: [] });
    channel("moraine:poison").publish({ path, error: new Error("for a test") });
  };
  tell(resolve("./store"));
  tell(resolve("./other"));
  expect(lines).toEqual([
    "warn: the native engine is not there; a slower one takes its place",
    "warn: the store was not closed, and was recovered",
    "error: the store takes no more messages: start the broker again",
  ]);
  end();
  tell(resolve("./store"));
  expect(lines).toHaveLength(3);
});
