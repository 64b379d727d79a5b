// Builds wasm/moraine.wasm and says in wasm/manifest.json what it was made of: `npm run build:wasm`.
// `-- --check` changes nothing: it builds, and demands the bytes that the manifest has for the compiler at hand.
// MORAINE_WASM_TOOLCHAIN=rustup|debian takes that one; otherwise it is the first that is there.
// Leaves with 1 for a failure, and with 3 when a check finds no compiler that the manifest knows.
import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { isAbsolute, join, relative } from "node:path";
import {
  MANIFEST,
  MODULE,
  ROOT,
  readManifest,
  sha256,
  sourceFiles,
  sourcesHash,
  whatIsWrong,
} from "./wasm-sources.mjs";
import { TARGET, TOOLCHAINS } from "./wasm-toolchain.mjs";

const NOT_COMPARED = 3;

/** Builds with the first compiler there is. A module that another one has made of the same sources stays. */
function write() {
  const [toolchain] = toolchains();
  const bytes = build(toolchain);
  const before = whatIsWrong() === undefined ? readManifest() : undefined;
  const builds = { ...before?.builds, [toolchain.name]: sha256(bytes) };
  const maker = before !== undefined && before.toolchain !== toolchain.name ? before.toolchain : toolchain.name;
  if (maker === toolchain.name) writeFileSync(join(ROOT, MODULE), bytes);
  const manifest = { sources: sourcesHash(), sha256: builds[maker], toolchain: maker, builds: sorted(builds) };
  writeFileSync(join(ROOT, MANIFEST), `${JSON.stringify(manifest, undefined, 2)}\n`);
  console.log(`moraine: ${toolchain.name} makes ${bytes.length} bytes, ${builds[toolchain.name]}.`);
  console.log(`moraine: ${MODULE} is what ${maker} makes.`);
  for (const kind of Object.keys(TOOLCHAINS)) {
    if (Object.keys(builds).some((name) => name.startsWith(`${kind}: `))) continue;
    console.log(`moraine: \`MORAINE_WASM_TOOLCHAIN=${kind} npm run build:wasm\` adds what ${kind}'s compiler makes.`);
  }
}

/** 0, or NOT_COMPARED; throws what is wrong. */
function check() {
  const wrong = whatIsWrong();
  if (wrong !== undefined) throw new Error(`${wrong}; run \`npm run build:wasm\` and commit what it writes`);
  const { builds } = readManifest();
  const seen = [];
  for (const toolchain of toolchains()) {
    seen.push(toolchain.name);
    if (builds[toolchain.name] === undefined) continue;
    const hash = sha256(build(toolchain));
    if (hash === builds[toolchain.name]) {
      console.log(`moraine: ${MODULE} is what its sources make (${toolchain.name}).`);
      return 0;
    }
    throw new Error(`${toolchain.name} makes ${hash} of the sources; ${MANIFEST} has ${builds[toolchain.name]}`);
  }
  const known = Object.keys(builds).join("; ");
  console.error(`moraine: ${MODULE} cannot be compared. Compilers here: ${seen.join("; ")}. In ${MANIFEST}: ${known}.`);
  console.error("moraine: `npm run build:wasm` adds what the compiler here makes.");
  return NOT_COMPARED;
}

/** The compilers that can be had here. Each is made ready only when it is asked for: Debian's is a download. */
function* toolchains() {
  const wanted = process.env.MORAINE_WASM_TOOLCHAIN;
  if (wanted !== undefined && !Object.hasOwn(TOOLCHAINS, wanted)) {
    const kinds = Object.keys(TOOLCHAINS).join(" or ");
    throw new Error(`MORAINE_WASM_TOOLCHAIN is ${JSON.stringify(wanted)}; it must be ${kinds}`);
  }
  const lacking = [];
  for (const kind of wanted === undefined ? Object.keys(TOOLCHAINS) : [wanted]) {
    let toolchain;
    try {
      toolchain = TOOLCHAINS[kind]();
    } catch (error) {
      lacking.push(`${kind}: ${error.message}`);
      continue;
    }
    yield toolchain;
  }
  const all = wanted === undefined ? Object.keys(TOOLCHAINS).length : 1;
  if (lacking.length === all) throw new Error(`no compiler for ${TARGET}.\n${lacking.join("\n")}`);
}

/** The module as this compiler makes it. */
function build({ env, target, args }) {
  forgetOwnCrates(join(target, TARGET, "wasm", ".fingerprint"));
  const cargo = ["build", "--locked", "--profile", "wasm", "-p", "moraine-wasm", "--target-dir", target, ...args];
  const { status, error } = spawnSync("cargo", cargo, { cwd: ROOT, env: { ...plain(), ...env }, stdio: "inherit" });
  if (status !== 0) throw new Error(`cargo could not build the module${error ? `: ${error.message}` : ""}`);
  const made = join(target, TARGET, "wasm", "moraine_wasm");
  const unknown = compiled(`${made}.d`).filter((path) => !sourceFiles().includes(path));
  if (unknown.length > 0) {
    throw new Error(`the module is made of ${unknown.join(", ")}, too; scripts/wasm-sources.mjs must know`);
  }
  return readFileSync(`${made}.wasm`);
}

/**
 * Has cargo compile our own crates in any case. It tells by times whether they are as they were, and where checkouts share the
 * folder that it builds in, it takes those of one for those of another.
 */
function forgetOwnCrates(fingerprints) {
  const known = existsSync(fingerprints) ? readdirSync(fingerprints) : [];
  for (const name of known.filter((name) => name.startsWith("moraine-"))) {
    rmSync(join(fingerprints, name), { recursive: true, force: true });
  }
}

/** The environment without what would change the profile. */
function plain() {
  return Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^CARGO_(PROFILE_|INCREMENTAL)/.test(name)),
  );
}

/** Files of the checkout that rustc has read, from the list that cargo makes. */
function compiled(list) {
  const [, paths = ""] = /^[^\n]*?\.wasm: (.*)$/m.exec(readFileSync(list, "utf8")) ?? [];
  return paths
    .split(/(?<!\\) /)
    .map((path) => relative(ROOT, path.replaceAll("\\ ", " ")).replaceAll("\\", "/"))
    .filter((path) => path !== "" && !path.startsWith("../") && !isAbsolute(path));
}

function sorted(builds) {
  return Object.fromEntries(Object.entries(builds).sort());
}

try {
  const [mode, ...rest] = process.argv.slice(2);
  if (rest.length > 0 || (mode !== undefined && mode !== "--check")) {
    throw new Error(`unknown argument ${rest[0] ?? mode}; --check is the only one`);
  }
  if (mode === "--check") process.exitCode = check();
  else write();
} catch (error) {
  console.error(`moraine: ${error.message}`);
  process.exitCode = 1;
}
