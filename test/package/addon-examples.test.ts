/** The worked examples run as they stand, over the package as it was built. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { Store } from "../../src/index.ts";

const root = join(import.meta.dirname, "../..");

it("examples/worker-pool: each message is consumed once, and every place is committed", async () => {
  const directory = mkdtempSync(join(tmpdir(), "moraine-example-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  const script = join(root, "examples/worker-pool/main.mjs");
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, directory], { encoding: "utf8" });
  expect(stderr).toBe("");
  const committed = Array(8).fill("2500").join(", ");
  expect(stdout).toBe(`4 workers consumed 20000 messages of 8 queues; committed: ${committed}\n`);
  expect(status).toBe(0);
  // All four and the main thread have left it: the last one out has closed it.
  const store = await Store.open(directory, { create: false });
  expect(store.health()).toMatchObject({ clean: true, findings: [] });
  const places = store
    .queues("orders")
    .map((queue) => [store.offsets("orders", queue).max, store.groups.offset("workers", "orders", queue)]);
  expect(places).toEqual(Array(8).fill([2500, 2500]));
  await store.close();
});
