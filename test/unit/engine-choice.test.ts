/** Which engine is taken where something is missing: programs over copies of the built package that lack it. */
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { addonPaths } from "../../src/binding/load.ts";

const root = join(import.meta.dirname, "../..");

/** Folder of a package of which only this is there, beside the compiled library. */
function packageWith(...parts: ("wasm" | "broken addon")[]): string {
  const folder = mkdtempSync(join(tmpdir(), "moraine-engines-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  for (const path of ["package.json", "dist"]) cpSync(join(root, path), join(folder, path), { recursive: true });
  if (parts.includes("wasm")) cpSync(join(root, "wasm/moraine.wasm"), join(folder, "wasm/moraine.wasm"));
  if (parts.includes("broken addon")) {
    mkdirSync(join(folder, "prebuilds"));
    for (const path of addonsOf(folder)) writeFileSync(path, "no addon");
  }
  return folder;
}

function addonsOf(folder: string): string[] {
  return addonPaths(new URL(`file://${folder}/`));
}

/** What a program prints that has `loadEngine`, `channel` and `codeOf`; with this in MORAINE_ENGINE. */
function printed(folder: string, program: string, environment = ""): unknown {
  const preamble = `
    import { channel as named } from "node:diagnostics_channel";
    import { loadEngine } from "./dist/binding/load.js";
    const channel = named("moraine:engine");
    const codeOf = (call) => { try { return call(); } catch ({ code, message, details }) { return { code, message, details }; } };
    const print = (value) => console.log(JSON.stringify(value));`;
  const env = { ...process.env, MORAINE_ENGINE: environment };
  const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", preamble + program], {
    cwd: folder,
    env,
    encoding: "utf8",
  });
  expect(stderr).toBe("");
  return JSON.parse(stdout);
}

it("without an addon the WebAssembly engine is taken, and told of once", () => {
  const folder = packageWith("wasm");
  const outcome = printed(
    folder,
    `const told = [];
     const names = [loadEngine().name];
     channel.subscribe((payload) => told.push(payload));
     names.push(loadEngine("auto").name, loadEngine().name, loadEngine("wasm").name);
     print({ names, told, same: loadEngine() === loadEngine("wasm") });`,
  );
  expect(outcome).toEqual({
    names: ["wasm", "wasm", "wasm", "wasm"],
    told: [{ engine: "wasm", attempts: addonsOf(folder).map((path) => `${path}: no such file`) }],
    same: true,
  });
});

it("a WebAssembly engine that was asked for is nothing to be told of", () => {
  const program = `
    const told = [];
    channel.subscribe((payload) => told.push(payload));
    print({ names: [loadEngine().name, loadEngine("wasm").name], told });`;
  expect(printed(packageWith("wasm"), program, "wasm")).toEqual({ names: ["wasm", "wasm"], told: [] });
});

it("an addon that does not load says why", () => {
  const folder = packageWith("wasm", "broken addon");
  const outcome = printed(
    folder,
    `let told;
     channel.subscribe((payload) => { told = payload; });
     print([loadEngine().name, told.attempts]);`,
  );
  const [name, attempts] = outcome as [string, string[]];
  expect(name).toBe("wasm");
  expect(attempts).toHaveLength(addonsOf(folder).length);
  expect(attempts[0]?.startsWith(`${addonsOf(folder)[0]}: `)).toBe(true);
  expect(attempts[0]).not.toContain("no such file");
});

it("an engine that was asked for is not replaced by another one", () => {
  const folder = packageWith("wasm");
  const attempts = addonsOf(folder).map((path) => `${path}: no such file`);
  const wanted = { code: "STORE_NO_ENGINE", details: { engine: "native", attempts } };
  const program = "print(codeOf(() => loadEngine()));";
  expect(printed(folder, program, "native")).toMatchObject(wanted);
  expect(printed(folder, 'print(codeOf(() => loadEngine("native")));', "wasm")).toMatchObject(wanted);
});

it("where nothing loads, every attempt is listed with its reason", () => {
  const folder = packageWith();
  const attempts = [...addonsOf(folder), join(folder, "wasm/moraine.wasm")].map((path) => `${path}: no such file`);
  const outcome = printed(folder, "print(codeOf(() => loadEngine()));");
  expect(outcome).toMatchObject({ code: "STORE_NO_ENGINE", details: { engine: "auto", attempts } });
  const { message } = outcome as { message: string };
  expect(message).toContain("npm run build");
  for (const attempt of attempts) expect(message).toContain(attempt);
  const again = printed(folder, 'codeOf(() => loadEngine("wasm")); print(codeOf(() => loadEngine("wasm")));');
  expect(again).toMatchObject({ code: "STORE_NO_ENGINE", details: { engine: "wasm", attempts: attempts.slice(-1) } });
});

it("an engine that nobody knows is a wrong argument", () => {
  const outcome = printed(packageWith("wasm"), "print(codeOf(() => loadEngine()));", "fast");
  expect(outcome).toMatchObject({ code: "STORE_INVALID_ARGUMENT", details: { argument: "MORAINE_ENGINE" } });
  const { message } = outcome as { message: string };
  for (const word of ['"fast"', '"auto"', '"native"', '"wasm"']) expect(message).toContain(word);
});
