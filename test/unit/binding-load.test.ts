import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, describe, expect, it, onTestFinished, vi } from "vitest";
import { addonPaths, loadAddon, loadEngine, packageRoot } from "../../src/binding/load.ts";
import { StoreError } from "../../src/errors.ts";

const directory = mkdtempSync(join(tmpdir(), "moraine-load-"));
const root = pathToFileURL(`${directory}/`);

afterAll(() => rmSync(directory, { recursive: true }));

function failureOf(call: () => unknown): StoreError {
  try {
    call();
  } catch (error) {
    expect(error).toBeInstanceOf(StoreError);
    return error as StoreError;
  }
  throw new Error("the call did not throw");
}

describe("loadEngine", () => {
  it("gives the native engine, the same each time", () => {
    expect(loadEngine("auto").name).toBe("native");
    expect(loadEngine("native")).toBe(loadEngine("auto"));
  });

  it("takes what a call asks for before what MORAINE_ENGINE says", () => {
    vi.stubEnv("MORAINE_ENGINE", "wasm");
    onTestFinished(() => void vi.unstubAllEnvs());
    expect(loadEngine(undefined).name).toBe("wasm");
    expect(loadEngine("native").name).toBe("native");
    expect(loadEngine("auto").name).toBe("native");
    vi.stubEnv("MORAINE_ENGINE", "");
    expect(loadEngine(undefined).name).toBe("native");
  });
});

describe("loadAddon", () => {
  it("lists every path and what is wrong with it, and says what to do", () => {
    const paths = addonPaths(root);
    const missing = failureOf(() => loadAddon(root));
    expect(missing.code).toBe("STORE_NO_ENGINE");
    expect(missing.details.attempts).toEqual(paths.map((path) => `${path}: no such file`));
    for (const path of paths) expect(missing.message).toContain(path);
    expect(missing.message).toContain("npm run build");

    const [first = ""] = paths;
    mkdirSync(dirname(first));
    writeFileSync(first, "not an addon");
    const unusable = failureOf(() => loadAddon(root)).details.attempts as string[];
    expect(unusable[0]).toContain(first);
    expect(unusable[0]).not.toContain("no such file");
  });

  it("looks for the addon beside src and dist, under the name that the build gives it", () => {
    expect(packageRoot.href).toBe(new URL("../../", import.meta.url).href);
    for (const path of addonPaths(packageRoot)) {
      expect(path).toContain(join("prebuilds", `moraine.${process.platform}-${process.arch}`));
    }
  });
});
