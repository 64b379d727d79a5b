import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { InstalledPackage } from "./installed.mjs";

const root = join(import.meta.dirname, "../..");

describe("the packed tarball", () => {
  let installed: InstalledPackage;
  beforeAll(() => {
    installed = new InstalledPackage();
  });
  afterAll(() => installed.remove());

  it("holds the compiled library, its types, the command line, the WebAssembly module, the documents and both licences", () => {
    const wanted = [
      "package.json",
      "README.md",
      "LICENSE-APACHE",
      "LICENSE-MIT",
      "dist/index.js",
      "dist/index.d.ts",
      "dist/cli/main.js",
      "wasm/moraine.wasm",
    ];
    expect(wanted.filter((path) => !installed.packed.includes(path))).toEqual([]);
  });

  it("holds nothing else", () => {
    const kinds = [
      /^[A-Z-]+(\.md)?$/,
      /^package\.json$/,
      /^docs\/[\w/-]+\.md$/,
      /^docs\/benchmarks\/[\w-]+\.svg$/,
      /^prebuilds\/[\w.-]+\.node$/,
      /^wasm\/(moraine\.wasm|manifest\.json)$/,
      /^dist\/[\w/-]+\.(js|d\.ts)$/,
    ];
    expect(installed.packed.filter((path) => !kinds.some((kind) => kind.test(path)))).toEqual([]);
  });

  it("compiles nothing and asks for nothing when it is installed", () => {
    const { gypfile, scripts, ...manifest } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
    expect(gypfile).toBe(false);
    for (const hook of ["preinstall", "install", "postinstall", "prepare"]) expect(scripts).not.toHaveProperty(hook);
    for (const kind of ["dependencies", "optionalDependencies", "peerDependencies"])
      expect(manifest).not.toHaveProperty(kind);
  });

  it("opens a store from plain ESM and leaves, also where no addon loads", () => {
    rmSync(join(installed.project, "node_modules/moraine/prebuilds"), { recursive: true, force: true });
    const { status, stdout, stderr } = installed.runModule(`
      import { Store } from "moraine";
      const store = await Store.open("opened");
      const { queueOffset } = store.put({ topic: "T", queueId: 0, body: new Uint8Array([1, 2, 3]) });
      const [message] = store.get("T", 0, queueOffset).messages;
      console.log(store.engine, queueOffset, message.body.join());
      await store.close();
    `);
    expect(stderr).toBe("");
    expect(stdout).toBe("wasm 0 1,2,3\n");
    expect(status).toBe(0);
  });

  it("brings the command line", () => {
    installed.runModule('import { Store } from "moraine"; await (await Store.open("inspected")).close();');
    const { status, stderr } = installed.run(
      join(installed.project, "node_modules/.bin/moraine"),
      "inspect",
      "inspected",
    );
    expect(stderr).toBe("");
    expect(status).toBe(0);
  });

  it("has types that a strict consumer can use", () => {
    writeFileSync(
      join(installed.project, "consumer.ts"),
      `import { Store, type StoreOptions } from "moraine";
       const options: StoreOptions = { flush: "sync" };
       export const end = async (path: string): Promise<number> => {
         const store = await Store.open(path, options);
         const { endOffset } = store.put({ topic: "T", queueId: 0, body: new Uint8Array() });
         await store.close();
         return endOffset;
       };`,
    );
    const options = [
      "--strict",
      "--noEmit",
      "--skipLibCheck",
      "false",
      "--target",
      "es2022",
      "--module",
      "nodenext",
      "--types",
      "node",
    ];
    const types = ["--typeRoots", join(root, "node_modules/@types")];
    const tsc = join(root, "node_modules/typescript/bin/tsc");
    const { stdout, status } = installed.run(process.execPath, tsc, ...options, ...types, "consumer.ts");
    expect(stdout).toBe("");
    expect(status).toBe(0);
  });
});
