/** The rules of ARCHITECTURE.md that a reader of imports can hold, so that nobody needs to remember them. */
import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join, normalize } from "node:path";
import { describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "../..");

/** Files below a folder, as paths from the root with `/`; [] where there is no such folder. */
function files(folder: string, extension: RegExp): string[] {
  const skipped = ["node_modules", "target", "build", "test/fixtures", "test/interop/oracle"];
  let entries: import("node:fs").Dirent[];
  try {
    entries = readdirSync(join(root, folder), { withFileTypes: true });
  } catch {
    return [];
  }
  return entries.flatMap((entry) => {
    const path = `${folder}/${entry.name}`;
    if (skipped.includes(entry.name) || skipped.includes(path)) return [];
    if (entry.isDirectory()) return files(path, extension);
    return extension.test(entry.name) ? [path] : [];
  });
}

const read = (path: string) => readFileSync(join(root, path), "utf8");
const withoutComments = (text: string) => text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|\s)\/\/.*$/gm, "$1");

const codeFiles = ["src", "native", "wasm", "test", "bench", "examples", "scripts"].flatMap((folder) =>
  files(folder, /\.(ts|mjs|rs|cc|java)$/),
);

describe("TypeScript", () => {
  /** From the outside in: a file imports from its own ring or from inner ones. The empty ring takes all other files. */
  const rings = [
    ["src/index.ts"],
    ["src/store.ts"],
    [],
    files("src/binding", /\.ts$/).filter((path) => path !== "src/binding/contract.ts"),
    ["src/diagnostics.ts"],
    ["src/binding/contract.ts"],
    ["src/encode-header.ts", "src/arena.ts", "src/hosts.ts"],
    ["src/message.ts", "src/options.ts"],
    ["src/retention-options.ts", "src/arguments.ts", "src/errors.ts", "src/errno.ts"],
  ];
  const named = (path: string) => rings.findIndex((ring) => ring.includes(path));
  const ringOf = (path: string) => (named(path) < 0 ? rings.findIndex((ring) => ring.length === 0) : named(path));
  const library = files("src", /\.ts$/).filter((path) => !path.startsWith("src/cli/"));

  interface Import {
    from: string;
    to: string;
    typeOnly: boolean;
  }

  /** What a module imports: relative paths resolved against the root, others as they stand. */
  function imports(from: string): Import[] {
    const text = withoutComments(read(from));
    const statements = /\b(?:import|export)\s+(?:(type\s)?[\w\s{},*$]*?from\s+)?"([^"]+)"|\bimport\(\s*"([^"]+)"/g;
    return [...text.matchAll(statements)].map(([, type, target, dynamic]) => {
      const name = target ?? dynamic ?? "";
      return {
        from,
        to: name.startsWith(".") ? normalize(join(dirname(from), name)) : name,
        typeOnly: type !== undefined,
      };
    });
  }

  const within = library.flatMap(imports).filter(({ to }) => to.startsWith("src/"));
  const say = ({ from, to }: Import) => `${from} imports ${to}`;

  it("imports point inwards", () => {
    expect(within.length).toBeGreaterThan(0);
    expect(within.filter(({ from, to }) => ringOf(to) < ringOf(from)).map(say)).toEqual([]);
  });

  it("messages and options know each other by type only", () => {
    const leaves = rings.at(-2) ?? [];
    const between = within.filter(({ from, to }) => leaves.includes(from) && leaves.includes(to));
    expect(between.filter(({ typeOnly }) => !typeOnly).map(say)).toEqual([]);
  });

  it("only binding/load.ts knows which engines there are", () => {
    const engines = /^src\/binding\/(?!contract|load)/;
    const knowing = within.filter(({ from, to }) => engines.test(to) && !engines.test(from));
    expect(knowing.filter(({ from }) => from !== "src/binding/load.ts").map(say)).toEqual([]);
  });

  it("beside the engines only table-file.ts touches a disk", () => {
    const touching = library.flatMap(imports).filter(({ to }) => /^node:fs\b/.test(to));
    const files = [...new Set(touching.map(({ from }) => from))];
    expect(files.filter((path) => !path.startsWith("src/binding/wasm-"))).toEqual(["src/table-file.ts"]);
  });

  it("modules do not import each other in a circle", () => {
    const reaches = (from: string, target: string, seen = new Set<string>()): boolean =>
      within.some((found) => {
        if (found.from !== from || found.typeOnly || seen.has(found.to)) return false;
        seen.add(found.to);
        return found.to === target || reaches(found.to, target, seen);
      });
    expect(library.filter((path) => reaches(path, path))).toEqual([]);
  });

  it("the command line, benchmarks and examples use the public surface only", () => {
    const programs = ["src/cli", "bench", "examples"].flatMap((folder) => files(folder, /\.(ts|mjs)$/));
    // The benchmarks are a package of their own, with what they compare us with.
    const { dependencies, optionalDependencies } = JSON.parse(read("bench/package.json"));
    const beside = Object.keys({ ...dependencies, ...optionalDependencies });
    const outside = programs.flatMap(imports).filter(({ from, to }) => {
      const own = to.startsWith(`${from.startsWith("src/cli/") ? "src/cli" : from.split("/")[0]}/`);
      const surface = to === "moraine" || to === "src/index.ts" || to === "dist/index.js";
      const peer = from.startsWith("bench/") && beside.includes(to);
      return !own && !surface && !peer && !to.startsWith("node:");
    });
    expect(outside.map(say)).toEqual([]);
  });
});

describe("Rust", () => {
  /** Rooms of the core from the inside out. Those without a ring are below all but the format. */
  const rings = [
    ["format"],
    ["log", "queue", "index"],
    ["dispatch", "batch_dispatch"],
    ["recovery", "kinds"],
    ["engine"],
    ["verify"],
    ["crossing"],
  ];
  const ringOf = (room: string) => rings.findIndex((ring) => ring.includes(room));
  const core = files("native/core/src", /\.rs$/);
  const outside = ["native/host/src", "native/napi/src", "wasm/src"].flatMap((folder) => files(folder, /\.rs$/));
  const room = (path: string) => basename(path.split("/")[3] ?? "", ".rs");

  /** First names of all `crate::` paths, those in braces included. */
  function rooms(path: string): string[] {
    const text = withoutComments(read(path));
    const single = [...text.matchAll(/\bcrate::(\w+)/g)].map(([, name]) => name ?? "");
    const grouped = [...text.matchAll(/\bcrate::\{([\s\S]*?)\};/g)].flatMap(([, list]) =>
      (list ?? "")
        .replace(/\{[^{}]*\}/g, "")
        .split(",")
        .map((item) => item.trim().split("::")[0] ?? ""),
    );
    return [...single, ...grouped];
  }

  it("a room of the core knows no room outside of it", () => {
    const uses = core.filter((path) => room(path) !== "lib").flatMap((path) => rooms(path).map((to) => ({ path, to })));
    expect(uses.length).toBeGreaterThan(0);
    const outwards = uses.filter(({ path, to }) => ringOf(to) > Math.max(0, ringOf(room(path))));
    expect(outwards.map(({ path, to }) => `${path} uses crate::${to}`)).toEqual([]);
  });

  it("crates depend inwards: napi → host → core, wasm → core", () => {
    /** As `name = …`, `name.workspace = …` or a table of its own, for every target. */
    const dependencies = (crate: string) =>
      [...read(`${crate}/Cargo.toml`).matchAll(/^([\w-]+)(?:\.\w+)* = |dependencies\.([\w-]+)\]$/gm)].map(
        ([, line, table]) => line ?? table ?? "",
      );
    const world = ["libc", "rustix", "memmap2", "napi", "napi-derive", "napi-sys"];
    expect(
      dependencies("native/core").filter((name) => [...world, "moraine-host", "moraine-napi"].includes(name)),
    ).toEqual([]);
    expect(dependencies("native/host").filter((name) => /napi/.test(name))).toEqual([]);
    expect(dependencies("wasm").filter((name) => /^moraine-/.test(name))).toEqual(["moraine-core"]);
    expect(dependencies("wasm").filter((name) => world.includes(name))).toEqual([]);
  });

  it("unsafe code stands in the files that are known for it", () => {
    const known = [
      "host/src/mapped.rs",
      "host/src/fault.rs",
      "host/src/lock.rs",
      "host/src/clock.rs",
      "napi/src/hot.rs",
      "wasm/src/imports.rs",
    ];
    // Attributes such as #[unsafe(no_mangle)] give a function its name, and contain nothing.
    const unsafe = outside.filter((path) => /(?<!#\[)\bunsafe\b/.test(withoutComments(read(path))));
    expect(unsafe.filter((path) => !known.includes(path.replace("native/", "")))).toEqual([]);
    expect(read("native/core/src/lib.rs")).toContain("#![forbid(unsafe_code)]");
  });
});

describe("everywhere", () => {
  it("no file has more than 500 lines", () => {
    expect(codeFiles.length).toBeGreaterThan(0);
    expect(codeFiles.filter((path) => read(path).split("\n").length > 501)).toEqual([]);
  });

  it("files are named by their subject", () => {
    const vague = /^(utils?|helpers?|common|misc|shared-?utils)$/;
    const names = (path: string) => path.split("/").flatMap((part) => part.split(/[-_.]/));
    expect(codeFiles.filter((path) => names(path).some((name) => vague.test(name)))).toEqual([]);
  });
});
