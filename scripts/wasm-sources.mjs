// What wasm/moraine.wasm is made of, as one hash: told without cargo, so that every machine can see whether the committed
// module belongs to the sources beside it.
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const ROOT = fileURLToPath(new URL("..", import.meta.url));
export const MODULE = "wasm/moraine.wasm";
export const MANIFEST = "wasm/manifest.json";

/** How rustc is told to make it, for every toolchain. 2 MiB of linear memory to begin with, 1 MiB of that the stack. */
export const FLAGS = [
  "-Ctarget-feature=+bulk-memory",
  "-Clink-arg=-zstack-size=1048576",
  "-Clink-arg=--import-memory",
  "-Clink-arg=--initial-memory=2097152",
  "-Clink-arg=--max-memory=4294967296",
];

/** Crates of the workspace that it consists of, by folder. */
const CRATES = ["native/core", "wasm"];
/** For tests alone, behind a feature. */
const NOT_BUILT = ["native/core/src/sim/"];
/** Parts of the workspace's Cargo.toml that reach the module: the version of a package is part of every symbol's name. */
const WORKSPACE_TABLES = /^(workspace\.package|profile\.wasm(\..*)?)$/;

/** Paths from the root of the sources that are compiled. */
export function sourceFiles(root = ROOT) {
  return CRATES.flatMap((crate) =>
    readdirSync(join(root, crate, "src"), { recursive: true, encoding: "utf8" })
      .map((path) => `${crate}/src/${path.replaceAll("\\", "/")}`)
      .filter((path) => path.endsWith(".rs") && !NOT_BUILT.some((folder) => path.startsWith(folder))),
  ).sort();
}

/** SHA-256 over sources, manifests of the crates, foreign crates as locked, profile and flags. */
export function sourcesHash(root = ROOT) {
  const text = (path) => readFileSync(join(root, path), "utf8");
  const workspace = tables(text("Cargo.toml"));
  const crates = CRATES.map((crate) => tables(text(`${crate}/Cargo.toml`)));
  const parts = [
    ...sourceFiles(root).map((path) => [path, text(path)]),
    ...CRATES.map((crate, i) => [crate, without(crates[i], "dev-dependencies")]),
    ...[...workspace].filter(([name]) => WORKSPACE_TABLES.test(name)),
    ...foreignCrates(crates, workspace.get("workspace.dependencies"), text("Cargo.lock")),
    ["flags", FLAGS],
  ];
  return sha256(JSON.stringify(parts));
}

/** `sources` and `sha256` of the committed module, which `toolchain` made, and what each compiler makes (`builds`). */
export function readManifest(root = ROOT) {
  return JSON.parse(readFileSync(join(root, MANIFEST), "utf8"));
}

/** Why the committed module is not the one of these sources, as far as that can be seen without building it. */
export function whatIsWrong(root = ROOT) {
  const missing = [MODULE, MANIFEST].find((path) => !existsSync(join(root, path)));
  if (missing !== undefined) return `${missing} is missing`;
  const { sources, sha256: hash, toolchain, builds } = readManifest(root);
  if (sources !== sourcesHash(root)) return `${MODULE} was made of other sources than these`;
  const stands = sha256(readFileSync(join(root, MODULE)));
  if (stands !== hash || hash !== builds[toolchain]) return `${MODULE} is not the one that ${MANIFEST} describes`;
  return undefined;
}

export function sha256(bytes) {
  return createHash("sha256").update(bytes).digest("hex");
}

/** Lines of a TOML file by the table they stand in, without comments. */
function tables(toml) {
  const found = new Map();
  let lines = [];
  for (const line of toml.split(/\r?\n/)) {
    const [, name] = /^\[([\w.-]+)\]$/.exec(line) ?? [];
    if (name !== undefined) {
      lines = [];
      found.set(name, lines);
    } else if (line !== "" && !line.startsWith("#")) lines.push(line);
  }
  return found;
}

function without(tables, name) {
  return [...tables].filter(([table]) => table !== name);
}

/** Name, version, checksum and dependencies of every crate that is not ours, and which of its features we ask for. */
function foreignCrates(crates, asked, lock) {
  const locked = new Map(
    lock
      .split("[[package]]\n")
      .slice(1)
      .map((entry) => [/^name = "(.+)"$/m.exec(entry)?.[1], entry.trim()]),
  );
  const wanted = crates.flatMap((crate) => (crate.get("dependencies") ?? []).map(nameOf));
  const found = new Map();
  const add = (name) => {
    const entry = locked.get(name);
    if (entry === undefined) throw new Error(`Cargo.lock has no ${name}; run cargo check and commit what it changes.`);
    if (found.has(name) || !entry.includes("\nsource = ")) return;
    found.set(name, [entry, asked.filter((line) => nameOf(line) === name)]);
    const [, dependencies = ""] = /dependencies = \[([^\]]*)\]/.exec(entry) ?? [];
    for (const [, dependency] of dependencies.matchAll(/"([^" ]+)[^"]*"/g)) add(dependency);
  };
  for (const name of wanted) add(name);
  return [...found].sort(([one], [other]) => (one < other ? -1 : 1));
}

/** `crc32fast` of `crc32fast = { workspace = true }` and of `crc32fast.workspace = true`. */
function nameOf(line) {
  return /^[\w-]+/.exec(line)?.[0] ?? line;
}
