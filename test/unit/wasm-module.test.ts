/** The committed WebAssembly module belongs to the sources beside it; a change of either without the other is noticed. */
import { appendFileSync, cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it, onTestFinished } from "vitest";
import {
  MANIFEST,
  MODULE,
  ROOT,
  readManifest,
  sourceFiles,
  sourcesHash,
  whatIsWrong,
} from "../../scripts/wasm-sources.mjs";

/** What the module is made of, in a folder that a test can change. */
function copied(): string {
  const folder = mkdtempSync(join(tmpdir(), "moraine-module-"));
  for (const path of ["Cargo.toml", "Cargo.lock", "native/core/Cargo.toml", "native/core/src", "wasm"]) {
    cpSync(join(ROOT, path), join(folder, path), { recursive: true });
  }
  return folder;
}

it("has no tests in its own crate, which cargo is not asked for: it runs nowhere but in the module", () => {
  const own = sourceFiles().filter((path) => path.startsWith("wasm/"));
  expect(own.length).toBeGreaterThan(10);
  expect(own.filter((path) => /#\[(cfg\()?test\b/.test(readFileSync(join(ROOT, path), "utf8")))).toEqual([]);
});

let sources: string;
beforeAll(() => {
  sources = copied();
});
afterAll(() => rmSync(sources, { recursive: true, force: true }));

/** Hash of the sources with one text replaced. */
function changed(path: string, text: string | RegExp, by: string): string {
  const before = readFileSync(join(sources, path), "utf8");
  const after = before.replace(text, by);
  expect(after).not.toBe(before);
  writeFileSync(join(sources, path), after);
  onTestFinished(() => writeFileSync(join(sources, path), before));
  return sourcesHash(sources);
}

it("the committed module was made of these sources, by a compiler that the manifest names", () => {
  expect(whatIsWrong()).toBeUndefined();
  const { toolchain, builds, sha256 } = readManifest();
  expect(builds[toolchain]).toBe(sha256);
});

it("hashes the same in another folder", () => {
  expect(sourcesHash(sources)).toBe(sourcesHash());
  expect(sourceFiles()).toContain("wasm/src/lib.rs");
  expect(sourceFiles()).toContain("native/core/src/engine/put.rs");
});

it.each([
  ["a source of the core", "native/core/src/engine/put.rs", /$/, "// \n"],
  ["a source of the module", "wasm/src/lib.rs", /$/, "// \n"],
  ["a dependency of the core", "native/core/Cargo.toml", "hashbrown = {", "hashbrown = { default-features = true,"],
  ["the profile", "Cargo.toml", 'panic = "abort"', 'panic = "unwind"'],
  ["how a foreign crate is compiled", "Cargo.toml", /(?<=xxhash-rust\]\n)opt-level = 3/, "opt-level = 2"],
  ["the version", "Cargo.toml", /^version = ".*"$/m, 'version = "99.0.0"'],
  ["features of a foreign crate", "Cargo.toml", 'features = ["xxh64"]', 'features = ["xxh64", "std"]'],
  ["a foreign crate", "Cargo.lock", /(?<=name = "crc32fast"\nversion = )".*"/, '"99.0.0"'],
  ["a crate that only a foreign one needs", "Cargo.lock", /(?<=name = "foldhash"\nversion = )".*"/, '"99.0.0"'],
])("notices a change of %s", (_, path, text, by) => {
  expect(changed(path, text, by)).not.toBe(sourcesHash());
});

it.each([
  ["a simulated disk", "native/core/src/sim/mod.rs", /$/, "// \n"],
  ["a dependency of tests", "native/core/Cargo.toml", "proptest = {", "proptest = { optional = true,"],
  ["a crate of tests", "Cargo.lock", /(?<=name = "proptest"\nversion = )".*"/, '"99.0.0"'],
  ["the profile of the addon", "Cargo.toml", /(?<=profile\.release\]\n)opt-level = 3/, "opt-level = 2"],
  ["the profile of tests", "Cargo.toml", /^\[profile\.test\]$/m, "[profile.test]\nlto = true"],
])("does not mind a change of %s", (_, path, text, by) => {
  expect(changed(path, text, by)).toBe(sourcesHash());
});

it("says what does not fit", () => {
  const folder = copied();
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  appendFileSync(join(folder, MODULE), "x");
  expect(whatIsWrong(folder)).toBe("wasm/moraine.wasm is not the one that wasm/manifest.json describes");
  appendFileSync(join(folder, "wasm/src/lib.rs"), "// another line\n");
  expect(whatIsWrong(folder)).toBe("wasm/moraine.wasm was made of other sources than these");
  rmSync(join(folder, MANIFEST));
  expect(whatIsWrong(folder)).toBe("wasm/manifest.json is missing");
});
