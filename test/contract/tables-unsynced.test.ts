/** A sync of a table that fails: whoever asked is told, nothing is lost, and the store goes on. */
import { expect, test } from "vitest";
import { onBreakingDisk } from "../faults/poisoned-store.ts";
import { ENGINE } from "./temporary-store.ts";

const EIO = 5;

test("a failed sync of a table rejects flush and close, and leaves the version before", async () => {
  const seen = JSON.parse(await onBreakingDisk("unsynced-table-child.mjs", ENGINE));
  const failed = { errno: EIO, file: "config/settings.json" };
  expect(seen).toMatchObject({
    flush: { code: "STORE_IO", ...failed },
    state: "open",
    onDisk: '{\n\t"n":1\n}',
    files: ["settings.json"],
    inMemory: 2,
    again: { code: "ok" },
    onDiskAgain: '{\n\t"n":2\n}',
    stateAfterClose: "closed",
    reopened: 2,
  });
  expect(seen.close.code).not.toBe("ok");
}, 60_000);
