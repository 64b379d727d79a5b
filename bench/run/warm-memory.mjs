// A virtual machine's guest that touches memory which it has not used yet, or has given back to its host, waits for the host, page
// by page; that takes longer than what is measured, and is nobody's work. So as much memory as a run will use is touched before it,
// whoever's it is, and kept from going back to the host between two runs.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { freemem } from "node:os";
import { fileURLToPath } from "node:url";
import { boundedBy } from "../rules/amounts.mjs";

const holder = fileURLToPath(new URL("../load/hold-memory.mjs", import.meta.url));

export class WarmMemory {
  #wanted = 0;
  #touched = 0;
  #child;

  /** Has `bytes` of free memory touched, or what there is of it; answers with how many those are. */
  async hold(bytes) {
    if (bytes <= this.#wanted && this.#isHeld()) return this.#touched;
    await this.release();
    this.#wanted = bytes;
    this.#touched = boundedBy(bytes, memoryNow());
    if (this.#touched === 0) return 0;
    const env = { ...process.env, MALLOC_MMAP_THRESHOLD_: "4096" };
    const stdio = ["pipe", "pipe", "inherit"];
    this.#child = spawn(process.execPath, ["--expose-gc", holder, String(this.#touched)], { env, stdio });
    const ended = once(this.#child, "exit").then(([status, signal]) => {
      throw new Error(`memory could not be touched: the process ended with ${signal ?? status}`);
    });
    await Promise.race([once(this.#child.stdout, "data"), ended]);
    ended.catch(() => {}); // it ends when it is let go
    return this.#touched;
  }

  async release() {
    const child = this.#child;
    const isHeld = this.#isHeld();
    this.#child = undefined;
    this.#wanted = 0;
    this.#touched = 0;
    if (!isHeld) return;
    const ended = once(child, "exit");
    child.stdin.end();
    await ended;
  }

  /** Its process may have been ended by somebody else. */
  #isHeld() {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }
}

/** Only pages that are free can be cold: what holds files is in use. `available` heeds the bounds of a container. */
function memoryNow() {
  return { free: freeBytes(), available: process.availableMemory?.() ?? freemem() };
}

function freeBytes() {
  try {
    return Number(/^MemFree:\s+(\d+) kB$/m.exec(readFileSync("/proc/meminfo", "latin1"))?.[1]) * 1024;
  } catch {
    return freemem();
  }
}
