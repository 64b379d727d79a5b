import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Store } from "moraine";
import { expect, test } from "vitest";
import { Configuration } from "../../src/config/configuration.ts";
import { storeOptions } from "../../src/store-options.ts";

const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

test("the store takes what waits, also when messages of clients may be smaller now", async () => {
  const directory = await mkdtemp(join(tmpdir(), "moraine-store-options-"));
  const given = { brokerName: "broker-a", storePathRootDir: directory, maxMessageSize: "100" };
  const { values } = Configuration.load({ given }, silent);
  const store = await Store.open(directory, storeOptions(values));
  const { size } = await store.append({ topic: "orders", queueId: 0, body: Buffer.alloc(4_194_304) });
  expect(size).toBeGreaterThan(4_194_304);
  await store.close();
  await rm(directory, { recursive: true });
});
