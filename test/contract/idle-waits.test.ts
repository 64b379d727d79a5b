/** What waits cost while nothing arrives. Needs the package built: the process imports it by its name. */
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { ENGINE } from "./engine.ts";
import { temporaryDirectory } from "./temporary-store.ts";

interface Seen {
  wakeUps: number;
  cpuMs: number;
  idle: { wakeUps: number; cpuMs: number };
  holding: string[];
  warnings: string[];
}

test("a thousand waits cost nothing while they wait, and keep no process alive", async () => {
  const child = [join(import.meta.dirname, "idle-waits.mjs"), await temporaryDirectory(), ENGINE];
  const { stdout } = await promisify(execFile)(process.execPath, child, { timeout: 60_000 });
  const seen = JSON.parse(stdout) as Seen;
  expect(seen).toMatchObject({ holding: [], warnings: [] });
  expect(seen.wakeUps).toBeLessThanOrEqual(seen.idle.wakeUps);
  expect(seen.cpuMs).toBeLessThanOrEqual(seen.idle.cpuMs);
}, 60_000);
