/** What a killed process of the WebAssembly engine leaves of a file that it was making. */
import { existsSync, linkSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { Store } from "../../src/index.ts";
import { message, SMALL, temporaryDirectory } from "../contract/temporary-store.ts";

test.each(["native", "wasm"] as const)(
  "a second name of a file of the log goes when the %s engine opens",
  async (engine) => {
    const directory = await temporaryDirectory();
    const store = await Store.open(directory, { ...SMALL, engine: "wasm" });
    store.put(message());
    await store.close();
    const making = join(directory, "moraine/making");
    linkSync(join(directory, "commitlog/00000000000000000000"), making);
    const again = await Store.open(directory, { ...SMALL, engine });
    expect(existsSync(making)).toBe(false);
    expect(again.get("orders", 0, 0).messages).toHaveLength(1);
    await again.close();
  },
);
