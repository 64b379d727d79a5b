/** A process killed while it writes its tables: what it was promised is there, and a file or its .bak is whole. */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { Store } from "../../src/index.ts";
import { ENGINE, temporaryDirectory } from "./temporary-store.ts";

const CHILD = fileURLToPath(new URL("../faults/committing-child.mjs", import.meta.url));
const ROUNDS = 10;

/** Runs the process, kills it `afterMs` after its first word, and returns the last number it was sure of. */
async function killed(path: string, afterMs: number): Promise<number> {
  const child = spawn(process.execPath, [CHILD, path, ENGINE], { stdio: ["ignore", "pipe", "pipe"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  let out = "";
  let err = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    err += text;
  });
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    if (out === "") setTimeout(() => child.kill("SIGKILL"), afterMs);
    out += text;
  });
  await new Promise((resolve) => child.once("close", resolve));
  expect(err).toBe("");
  return Number(out.slice(0, out.lastIndexOf("\n")).split("\n").at(-1));
}

function isWhole(path: string): boolean {
  try {
    // Keys without quotes are RocketMQ's way.
    JSON.parse(readFileSync(path, "utf8").replace(/([{,]\s*)(\d+):/g, '$1"$2":'));
    return true;
  } catch {
    return false;
  }
}

test("what flush resolved for outlives kill -9 at any time", async () => {
  const path = await temporaryDirectory();
  for (let round = 0; round < ROUNDS; round++) {
    const afterMs = Math.random() * 60;
    const sure = await killed(path, afterMs);
    expect(sure).toBeGreaterThan(0);
    for (const name of ["settings", "consumerOffset"]) {
      const file = join(path, `config/${name}.json`);
      expect(isWhole(file) || isWhole(`${file}.bak`), `${name}, killed after ${afterMs} ms`).toBe(true);
    }
    const store = await Store.open(path, { engine: ENGINE, readOnly: true });
    try {
      expect([sure, sure + 1]).toContain(store.table("settings").get("n"));
      for (let queueId = 0; queueId < 4; queueId++) {
        expect([sure, sure + 1]).toContain(store.groups.offset("readers", "orders", queueId));
      }
    } finally {
      await store.close();
    }
  }
}, 120_000);
