/**
 * A process or a thread that takes stores and gives them up as it is told: one message a call, answered by one. See contender.ts.
 *
 * With MORAINE_TEST_NO_LINKS in the environment the file system has no hard links.
 */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";
import { isMainThread, parentPort } from "node:worker_threads";

if (process.env.MORAINE_TEST_NO_LINKS) {
  fs.linkSync = () => {
    throw Object.assign(new Error("EPERM: operation not permitted, link"), {
      code: "EPERM",
      errno: -1,
      syscall: "link",
    });
  };
  syncBuiltinESMExports();
}
const { acquireLock } = await import("../../dist/binding/wasm-lock.js");
const { loadEngine } = await import("../../dist/binding/load.js");
const { Store } = await import("moraine");

const small = { segmentBytes: 256 * 1024, queueFileEntries: 1000, indexSlots: 500, indexEntries: 2000 };

/** What has been taken, as one that can be given up. */
const engines = {
  wasm: async (root) => acquireLock(root),
  native: async (root) => {
    const store = await Store.open(root, { ...small, engine: "native" });
    return { release: () => store.close(), undo: () => store.close() };
  },
};

let taken;

/** Takes and gives up until the time is over, and counts how often that was refused and how often another was in there, too. */
async function contend(engine, root, inside, ms) {
  const counts = { taken: 0, refused: 0, together: 0 };
  for (const until = Date.now() + ms; Date.now() < until; ) {
    let lock;
    try {
      lock = await engines[engine](root);
    } catch (error) {
      if (error.code !== "STORE_LOCKED") throw error;
      counts.refused++;
      await sleep(0);
      continue;
    }
    counts.taken++;
    try {
      fs.closeSync(fs.openSync(inside, "wx"));
      fs.unlinkSync(inside);
    } catch {
      counts.together++;
    }
    await (counts.taken % 2 === 0 ? lock.release() : lock.undo());
  }
  return counts;
}

const deeds = {
  ready: () => process.pid,
  /** While the files of this repository can still be read. */
  loadNative: () => void loadEngine("native"),
  take: async (engine, root) => {
    taken = await engines[engine](root);
  },
  release: () => taken.release(),
  undo: () => taken.undo(),
  contend,
  /** The process goes on as a user without rights. */
  becomeNobody: () => {
    if (process.getuid() !== 0) return;
    process.setgroups([]);
    process.setgid(65534);
    process.setuid(65534);
  },
};

const say = isMainThread ? (message) => process.send(message) : (message) => parentPort.postMessage(message);
(isMainThread ? process : parentPort).on("message", async ({ id, deed, given }) => {
  try {
    say({ id, result: await deeds[deed](...given) });
  } catch (error) {
    say({ id, error: { code: error.code ?? String(error), message: error.message, details: error.details } });
  }
});
