/** The packed addon is the one that the installed package runs on. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { InstalledPackage } from "./installed.mjs";

let installed: InstalledPackage;
beforeAll(() => {
  installed = new InstalledPackage();
});
afterAll(() => installed.remove());

it("holds one addon for this platform", () => {
  const addon = `prebuilds/moraine.${process.platform}-${process.arch}`;
  expect(installed.packed.filter((path) => path.startsWith(addon))).toHaveLength(1);
});

it("opens a store with it from plain ESM and leaves", () => {
  const { status, stdout, stderr } = installed.runModule(`
    import { Store } from "moraine";
    const store = await Store.open("opened");
    const { queueOffset } = store.put({ topic: "T", queueId: 0, body: new Uint8Array([1, 2, 3]) });
    const [message] = store.get("T", 0, queueOffset).messages;
    console.log(store.engine, queueOffset, message.body.join());
    await store.close();
  `);
  expect(stderr).toBe("");
  expect(stdout).toBe("native 0 1,2,3\n");
  expect(status).toBe(0);
});
