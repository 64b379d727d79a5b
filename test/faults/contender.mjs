/**
 * A process or a thread that takes stores and gives them up as it is told: one message a call, answered by one. See contender.ts.
 *
 * With MORAINE_TEST_NO_LINKS in the environment the file system has no hard links.
 */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";
import { isMainThread, parentPort, threadId } from "node:worker_threads";

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

/** What has been taken, as one that can be given up, also by leaving a dead owner behind. */
const engines = {
  wasm: async (root) => {
    const lock = acquireLock(root);
    const die = () => {
      const owner = `${root}/moraine/owner`;
      const text = fs.readFileSync(owner, "utf8").replace(/^pid \d+$/m, "pid 2147483646");
      const left = `${root}/moraine/left-${process.pid}-${threadId}`;
      fs.writeFileSync(left, text);
      fs.renameSync(left, owner);
      lock.release();
    };
    return { release: () => lock.release(), undo: () => lock.undo(), die };
  },
  native: async (root) => {
    const store = await Store.open(root, { ...small, engine: "native" });
    const close = () => store.close();
    return { release: close, undo: close, die: close };
  },
};

let taken;

/** Whether nobody else that lives is in the store: it would have left its process id. */
function enter(inside) {
  for (;;) {
    try {
      fs.writeFileSync(inside, String(process.pid), { flag: "wx" });
      return true;
    } catch (error) {
      if (error.code !== "EEXIST") throw error;
    }
    const pid = fs.readFileSync(inside, "utf8");
    if (isAlive(pid)) return false;
    fs.rmSync(inside);
  }
}

function isAlive(pid) {
  try {
    return !/\) [ZX] /.test(fs.readFileSync(`/proc/${pid}/stat`, "latin1"));
  } catch {
    return false;
  }
}

/**
 * Takes and gives up until the time is over, three times at least, and counts how often that was refused and how often another was
 * in there, too.
 */
async function contend(engine, root, inside, ms) {
  const counts = { taken: 0, refused: 0, together: 0 };
  for (const until = Date.now() + ms; Date.now() < until || counts.taken < 3; ) {
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
    if (!enter(inside)) counts.together++;
    fs.rmSync(inside, { force: true });
    await lock[["undo", "die", "release", "die"][counts.taken % 4]]();
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
