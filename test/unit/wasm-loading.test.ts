/** A module is taken only if it is one, and is of the version that this side knows. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { expect, it, onTestFinished } from "vitest";
import { FLAGS } from "../../scripts/wasm-sources.mjs";
import { INITIAL_PAGES, loadModule, MODULE_PATH, WASM_ABI } from "../../src/binding/wasm-module.ts";
import { StoreError } from "../../src/errors.ts";

const HEADER = [0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00];

/** A module that holds one section of this name, and nothing else. */
function moduleWith(name: string, content: number[]): number[] {
  const text = [...Buffer.from(name)];
  return [...HEADER, 0, 1 + text.length + content.length, text.length, ...text, ...content];
}

/** Path of a file with these bytes. */
function written(bytes: number[]): URL {
  const folder = mkdtempSync(join(tmpdir(), "moraine-module-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, "moraine.wasm"), Uint8Array.from(bytes));
  return pathToFileURL(join(folder, "moraine.wasm"));
}

/** Why a module is not taken. */
function refused(path: URL): string {
  try {
    loadModule(path);
  } catch (error) {
    expect(error).toBeInstanceOf(StoreError);
    const { code, details, message } = error as StoreError;
    expect([code, details.engine]).toEqual(["STORE_NO_ENGINE", "wasm"]);
    const [attempt = ""] = details.attempts as string[];
    expect(message).toContain(attempt);
    expect(attempt.startsWith(`${fileURLToPath(path)}: `)).toBe(true);
    return attempt.slice(fileURLToPath(path).length + 2);
  }
  throw new Error("the module was taken");
}

it("takes the module of the package, and compiles it once", () => {
  const module = loadModule();
  expect(module).toBeInstanceOf(WebAssembly.Module);
  expect(loadModule()).toBe(module);
  expect(loadModule(new URL(MODULE_PATH))).toBe(module);
});

it("takes any module of its version, and each path is another one", () => {
  const module = loadModule(written(moduleWith("moraine", [WASM_ABI, 0, 0, 0])));
  expect(module).not.toBe(loadModule());
});

it.each([
  ["of another version", moduleWith("moraine", [7, 1, 0, 0]), "the module is of version 263"],
  ["without a version", moduleWith("other", [WASM_ABI, 0, 0, 0]), "the module has no version"],
  ["with half a version", moduleWith("moraine", [WASM_ABI, 0]), "the module has no version"],
])("refuses a module %s, and names what it needs", (_, bytes, says) => {
  expect(refused(written(bytes))).toBe(`${says}, and this copy of moraine needs version ${WASM_ABI}`);
});

it("refuses what is no module, with the reason of the compiler", () => {
  expect(refused(written([1, 2, 3]))).toContain("WebAssembly");
  const whole = readFileSync(MODULE_PATH);
  expect(refused(written([...whole.subarray(0, whole.length - 3)]))).not.toBe("no such file");
});

it("says that there is no file, or why it cannot be read", () => {
  const path = written([]);
  expect(refused(new URL("absent.wasm", path))).toBe("no such file");
  expect(refused(new URL("./", path))).toContain("EISDIR");
});

it("begins with as much memory as the module is linked for", () => {
  expect(FLAGS).toContain(`-Clink-arg=--initial-memory=${INITIAL_PAGES * 65_536}`);
});
