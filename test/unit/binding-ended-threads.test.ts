/** What the addon holds for a thread, once the thread has ended: nothing, whatever was under way. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { addonPaths, loadAddon, packageRoot } from "../../src/binding/load.ts";
import { nativeEngine } from "../../src/binding/native.ts";
import { numberIn } from "../../src/binding/token.ts";
import { batchOf } from "./binding-batch.ts";
import { noEvents, smallStore } from "./binding-options.ts";

const addon = loadAddon(packageRoot);
const engine = nativeEngine(addon);
/** More than the runtime hands over before it closes what they wait in. */
const ANSWERS = 20_000;

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "moraine-ended-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

/** In front of every thread: it attaches, and `leave` waits where no event can come until `gate` is opened. */
const preamble = `
  const { path, share, gate } = require("node:worker_threads").workerData;
  const addon = require(path);
  setInterval(() => {}, 1000); // events hold no thread
  const rest = () => Atomics.wait(gate, 0, 0);
  const leave = () => {
    rest();
    process.exit();
  };
  const ask = (handle) => {
    for (let n = 1; n <= ${ANSWERS}; n++) addon.fetch(handle, n, "orders", 0, 0, 1, 1000, new Uint8Array(0));
  };
  const attach = (onOpened) => {
    const handle = addon.attach(share, (kind) => {
      if (kind === addon.EVENT_OPENED) onOpened(handle);
    });
    return handle;
  };`;

/** What is under way when a thread ends, and how many answers the addon holds for it then. */
const threads = {
  "that waits for nothing": { program: "attach(() => setImmediate(leave));", answers: 0 },
  "that was attached just now": { program: "attach(() => {}); leave();", answers: 0 },
  "whose answers are under way": { program: "attach((handle) => { ask(handle); leave(); });", answers: ANSWERS },
  "that has taken some of its answers": {
    program: `attach((handle) => {
      ask(handle);
      rest();
      for (let n = 1; n < ${ANSWERS}; n++) addon.takeFetched(handle, n);
      process.exit();
    });`,
    answers: ANSWERS,
  },
  "that has left its store just now": { program: "attach((handle) => { addon.close(handle); leave(); });", answers: 0 },
};

describe.each(Object.entries(threads))("a thread %s", (_, { program, answers }) => {
  test.each(["exits", "is ended"])("leaves nothing behind in the addon when it %s", async (how) => {
    const store = await engine.open(directory, smallStore, noEvents);
    const batch = batchOf([{ topic: "orders", body: "one" }]);
    expect(store.put(batch, batch.length, 1, new Float64Array(6))).toBe(1);
    const share = numberIn(store.share(""), addon.copyName());
    const before = addon.held();
    for (let round = 0; round < 3; round++) {
      const gate = new Int32Array(new SharedArrayBuffer(4));
      const workerData = { path: addonPaths(packageRoot)[0], share, gate };
      const thread = new Worker(preamble + program, { eval: true, workerData });
      const ended = new Promise((resolve) => thread.once("exit", resolve));
      await expect
        .poll(() => addon.held(), { timeout: 10_000, interval: 5 })
        .toMatchObject({ stores: before.stores + 1, answers: before.answers + answers });
      if (how === "exits") {
        Atomics.store(gate, 0, 1);
        Atomics.notify(gate, 0);
      } else {
        void thread.terminate();
      }
      await ended;
    }
    // A thread of the store may be about to drop its last hold of one that has gone.
    await expect.poll(() => addon.held(), { timeout: 10_000, interval: 5 }).toEqual(before);
    await store.close();
  });
});
