/** Numbers that TypeScript and Rust both know are the same on both sides. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { GET_HEAD, GetHead } from "../../src/binding/contract.ts";
import { delays, storeOptions } from "../../src/options.ts";

const root = join(import.meta.dirname, "../..");
const read = (path: string) => readFileSync(join(root, path), "utf8");
const sources = (folder: string, extension: string) =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(extension))
    .map((path) => `${folder}/${path}`);

/** Value of `4 * 1024`, `1 << 30` or `65_536`; undefined for anything else. */
function value(expression: string): number | undefined {
  if (!/^\d[\d_]*( (\*|<<) \d[\d_]*)*$/.test(expression)) return undefined;
  const [first, ...rest] = expression.replaceAll("_", "").split(/ (?=[*<])/);
  return rest.reduce((result, term) => {
    const [operator, operand] = term.split(" ");
    return operator === "*" ? result * Number(operand) : result * 2 ** Number(operand);
  }, Number(first));
}

interface Constant {
  path: string;
  name: string;
  value: number;
}

function constants(paths: string[], pattern: RegExp): Constant[] {
  return paths.flatMap((path) =>
    [...read(path).matchAll(pattern)].flatMap(([, name, expression]) => {
      const known = value(expression ?? "");
      return known === undefined || name === undefined ? [] : [{ path, name, value: known }];
    }),
  );
}

const typescript = constants(sources("src", ".ts"), /^(?:export )?const ([A-Z][A-Z\d_]*)(?:: number)? = ([^;]+);/gm);
const rust = constants(
  ["native/core", "native/host", "native/napi", "wasm"].flatMap((crate) => sources(`${crate}/src`, ".rs")),
  /^ *pub const ([A-Z][A-Z\d_]*): \w+ = ([^;]+);/gm,
);

it("constants of one name have one value", () => {
  const pairs = typescript.flatMap((here) =>
    rust.filter((there) => there.name === here.name).map((there) => ({ here, there })),
  );
  expect(pairs.length).toBeGreaterThan(5);
  expect(pairs.filter(({ here, there }) => here.value !== there.value)).toEqual([]);
});

it.each([
  ["BATCH_HEADER_BYTES", "HEADER_BYTES", "native/core/src/batch.rs"],
  ["PUT_RESULT_HEADER", "RESULT_HEADER", "native/core/src/engine/put.rs"],
  ["PUT_RESULT_STRIDE", "RESULT_STRIDE", "native/core/src/engine/put.rs"],
  ["EXPIRE_BATCH_FILES", "MAX_FILES_PER_RUN", "native/core/src/engine/retention.rs"],
  ["MAX_FILE_BYTES", "MAX_SEGMENT_BYTES", "native/core/src/limits.rs"],
  ["MAX_MESSAGES", "MAX_GET_MESSAGES", "native/core/src/limits.rs"],
])("%s is Rust's %s", (name, rustName, path) => {
  const [here] = typescript.filter((constant) => constant.name === name);
  const [there] = rust.filter((constant) => constant.name === rustName && constant.path === path);
  expect(here?.value).toBeTypeOf("number");
  expect(here?.value).toBe(there?.value);
});

it("events of the addon are those that the API knows, each with a number of its own", () => {
  const events = rust.filter(({ name, path }) => name.startsWith("EVENT_") && path === "native/napi/src/tasks.rs");
  const known = [...read("src/binding/addon.ts").matchAll(/readonly (EVENT_[A-Z_]+): number/g)].map(([, name]) => name);
  const handled = [...read("src/binding/native.ts").matchAll(/addon\.(EVENT_[A-Z_]+)/g)].map(([, name]) => name);
  const names = events.map(({ name }) => name).sort();
  expect(names.length).toBeGreaterThan(7);
  expect([...new Set(known)].sort()).toEqual(names);
  expect([...new Set(handled)].sort()).toEqual(names);
  expect(new Set(events.map((event) => event.value)).size).toBe(names.length);
});

it("numbers in the head of get, and of the answer of put, stand where the addon writes them", () => {
  const head = Object.values(GetHead);
  expect(head).toEqual([...head.keys()]);
  expect(GET_HEAD).toBe(head.length);
  expect(read("native/host/src/shared.rs")).toMatch(/const READY_WATCHES: usize = 2;/);
  expect(read("src/writer.ts").match(/#waits\.stored\(answer\[(\d)\]/g)).toEqual(["#waits.stored(answer[2]"]);
});

it("what the documents say of back-pressure is what the engine does", () => {
  const backlog = read("native/host/src/backlog.rs");
  const [, entries = ""] = /const HOLD_ENTRIES: usize = ([\d_]+);/.exec(backlog) ?? [];
  const [, seconds = ""] = /const LONGEST_HOLD: Duration = Duration::from_secs\((\d+)\);/.exec(backlog) ?? [];
  const errors = read("docs/errors.md");
  expect(errors).toContain(`where ${entries.replaceAll("_", ",")} queue and index entries or more wait`);
  expect([seconds, errors.includes("waits up to a second")]).toEqual(["1", true]);
  expect(read("native/host/src/prefill.rs")).toMatch(/const LONGEST_WAIT: Duration = Duration::from_millis\(100\);/);
});

it("options have the defaults that the engine has by itself", () => {
  const defaults = /fn default\(\) -> Self \{([\s\S]*?)\n {4}\}/.exec(read("native/core/src/options.rs"))?.[1] ?? "";
  const named = (name: string) => rust.find((constant) => constant.name === name)?.value;
  const engine = new Map(
    [...defaults.matchAll(/(\w+): ([^,]+),/g)].map(([, name, text = ""]) => [name, value(text) ?? named(text)]),
  );
  const compared = Object.entries(storeOptions).flatMap(([name, option]) => {
    const there = engine.get(name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`));
    return option.kind === "integer" && there !== undefined ? [{ name, here: option.default, there }] : [];
  });
  expect(compared.length).toBeGreaterThan(4);
  expect(compared.filter(({ here, there }) => here !== there)).toEqual([]);
});

it("delay levels are by default those that the engine has by itself", () => {
  const list =
    /DEFAULT_DELAY_LEVELS_MS: \[i64; 18\] = \[([\d_,\s]+)\];/.exec(read("native/core/src/options.rs"))?.[1] ?? "";
  const there = list.split(",").flatMap((item) => value(item.trim()) ?? []);
  expect(there).toHaveLength(18);
  expect(delays(storeOptions.delayLevels.default)).toEqual(there);
});
