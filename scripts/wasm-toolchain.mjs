// The compilers that can make the WebAssembly module: the active one where it has the target, Debian's otherwise.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, realpathSync, renameSync, rmSync } from "node:fs";
import { homedir } from "node:os";
import { join, resolve } from "node:path";
import { FLAGS, ROOT } from "./wasm-sources.mjs";

export const TARGET = "wasm32-unknown-unknown";
/** Where Debian's packages lie: outside the checkout, since paths below it would end up in the module. */
const CACHE = process.env.MORAINE_TOOLCHAIN_DIR ?? join(cacheFolder(), "moraine", "wasm-toolchain");

/**
 * A way to make the module. `name` says everything that its bytes depend on beside the sources; `target` is where cargo builds.
 * @typedef {{ name: string, env: Record<string, string>, target: string, args: string[] }} Toolchain
 */

/** By the names that MORAINE_WASM_TOOLCHAIN takes; each gives a `Toolchain`, or throws what it lacks. */
export const TOOLCHAINS = { rustup: activeToolchain, debian: debianToolchain };

/** The active rustc. Where rustup is, it fetches the target that is missing, if it can. */
function activeToolchain() {
  requireCargo();
  if (said("rustc", ["--version"]) === undefined) throw new Error("rustc is not on PATH");
  const sysroot = said("rustc", ["--print", "sysroot"]);
  const target = join(sysroot, "lib", "rustlib", TARGET, "lib");
  if (!existsSync(target))
    spawnSync("rustup", ["target", "add", TARGET], { stdio: "ignore", cwd: ROOT, timeout: 120_000 });
  if (!existsSync(target)) throw new Error(`${said("rustc", ["--version"])} has no target ${TARGET}`);
  return toolchain("rustup", "rustc", { sysroot });
}

/**
 * Debian's compiler for browsers, fetched and unpacked but not installed. Its standard library is built from source, and kept
 * beside it, as that takes longer than the module.
 */
function debianToolchain() {
  requireCargo();
  const usr = join(CACHE, "root", "usr");
  if (!existsSync(join(usr, "bin", "rustc"))) unpackDebian();
  const llvm = readdirSync(join(usr, "lib")).find((name) => /^llvm-\d+$/.test(name)) ?? "";
  const linker = readdirSync(join(usr, "bin")).find((name) => /^wasm-ld-\d+$/.test(name)) ?? "";
  const libraries = readdirSync(join(usr, "lib")).filter((name) => name.endsWith("-linux-gnu"));
  const env = {
    LD_LIBRARY_PATH: [...libraries, join(llvm, "lib")].map((name) => join(usr, "lib", name)).join(":"),
    RUSTC: join(usr, "bin", "rustc"),
    RUSTC_BOOTSTRAP: "1",
    CARGO_TARGET_WASM32_UNKNOWN_UNKNOWN_LINKER: join(usr, "bin", linker),
  };
  const sysroot = said(env.RUSTC, ["--print", "sysroot"], env);
  if (sysroot === undefined) throw new Error(`${env.RUSTC} does not start; remove ${CACHE} to fetch it again`);
  return toolchain("debian", env.RUSTC, {
    sysroot,
    env,
    target: join(CACHE, "target"),
    args: ["-Zbuild-std=std,panic_abort", "-Zbuild-std-features="],
  });
}

function toolchain(kind, rustc, { sysroot, target, env = {}, args = [] }) {
  const version = said(rustc, ["-vV"], env);
  const field = (name) => new RegExp(`^${name}: (.*)$`, "m").exec(version)?.[1];
  const cargo = said("cargo", ["--version"]);
  const source = join(sysroot, "lib", "rustlib", "src", "rust");
  // The last one that fits is taken. Sources of the standard library get the name that its compiled form has; those of the
  // checkout are told to rustc as relative paths.
  const paths = [
    [cargoHome(), "/cargo"],
    [sysroot, "/rust"],
    ...(existsSync(source) ? [[source, `/rustc/${field("commit-hash")}`]] : []),
    ...(existsSync(source) ? [[realpathSync(source), `/rustc/${field("commit-hash")}`]] : []),
  ];
  const flags = [...FLAGS, ...paths.map(([from, to]) => `--remap-path-prefix=${from}=${to}`)];
  return {
    name: `${kind}: ${version.split("\n")[0]}, ${cargo}, ${field("host")}`,
    env: { ...env, CARGO_ENCODED_RUSTFLAGS: flags.join("\x1f") },
    target: target ?? resolve(ROOT, process.env.CARGO_TARGET_DIR ?? "target", "wasm"),
    args: ["--target", TARGET, ...args],
  };
}

function unpackDebian() {
  if (said("apt-get", ["--version"]) === undefined || said("dpkg", ["--version"]) === undefined) {
    throw new Error("there is no apt-get to fetch Debian's with");
  }
  mkdirSync(CACHE, { recursive: true });
  const folder = mkdtempSync(join(CACHE, "fetching-"));
  try {
    const packages = debianPackages();
    // _apt cannot write below a private home; as the caller it downloads, and warns about it only.
    run("apt-get", ["-qq", "download", ...packages], folder);
    const files = readdirSync(folder).filter((name) => name.endsWith(".deb"));
    for (const file of files) run("dpkg", ["-x", file, join(folder, "root")], folder);
    dropUnused(join(folder, "root", "usr", "src"));
    // In one step: a run that breaks off leaves nothing that looks like a toolchain.
    if (!existsSync(join(CACHE, "root"))) renameSync(join(folder, "root"), join(CACHE, "root"));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Of the compiler's sources only those of the standard library are needed: half a gigabyte less. */
function dropUnused(sources) {
  for (const version of readdirSync(sources)) {
    for (const part of ["compiler", "src"]) rmSync(join(sources, version, part), { recursive: true, force: true });
  }
}

/** The compiler, its libraries, and the linker of the same LLVM. */
function debianPackages() {
  const dependsOn = (name, wanted) => {
    const answer = said("apt-cache", ["depends", name]) ?? "";
    const found = [...answer.matchAll(/Depends: (\S+)/g)].map(([, dependency]) => dependency);
    const dependency = found.find((dependency) => wanted.test(dependency));
    if (dependency === undefined) throw new Error(`Debian's package ${name} is not there; run apt-get update`);
    return dependency;
  };
  const std = dependsOn("libstd-rust-web-dev", /^libstd-rust-web-[\d.]+$/);
  const llvm = dependsOn(std, /^libllvm\d+$/);
  const number = llvm.slice("libllvm".length);
  const linker = [`lld-${number}`, `liblld-${number}`, `llvm-${number}-linker-tools`];
  return ["rustc-web", "rust-web-src", "libstd-rust-web-dev", std, llvm, ...linker];
}

function run(command, args, cwd) {
  const { status, error, stderr } = spawnSync(command, args, { cwd, encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} failed: ${error?.message ?? stderr.trim()}`);
}

/** What a command prints; undefined if it fails. */
function said(command, args, env = {}) {
  const options = { encoding: "utf8", cwd: ROOT, env: { ...process.env, ...env } };
  const { status, stdout } = spawnSync(command, args, options);
  return status === 0 ? stdout.trim() : undefined;
}

function requireCargo() {
  if (said("cargo", ["--version"]) === undefined) throw new Error("cargo is not on PATH");
}

function cargoHome() {
  return process.env.CARGO_HOME ?? join(homedir(), ".cargo");
}

function cacheFolder() {
  return process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache");
}
