// What was measured, and on what.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, statfsSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
/** What figures depend on: the engine, and what is run beside it. How figures are judged and shown is not among it. */
const MEASURED = [
  ...["src", "native", "wasm", "package.json", "Cargo.toml", "Cargo.lock", "test/interop/oracle"],
  ...["floor", "load", "peers", "rows", "package-lock.json", "rules/amounts.mjs", "run/warm-memory.mjs"].map(
    (path) => `bench/${path}`,
  ),
  ...[":!bench/rows/targets.mjs", ":!*.md"],
];

/** The machine, and an id that figures of it have in common. */
export function machineOf(dir) {
  const described = {
    processors: `${cpus().length} × ${cpus()[0]?.model ?? "unknown"}`,
    memoryBytes: totalmem(),
    system: `${process.platform} ${release()}`,
    fileSystem: fileSystemOf(dir),
    node: process.version,
  };
  const id = createHash("sha256").update(JSON.stringify(described)).digest("hex").slice(0, 12);
  return { id, ...described };
}

function fileSystemOf(dir) {
  const type = statfsSync(dir).type;
  const names = { 61267: "ext4", 1481003842: "xfs", 2435016766: "btrfs", 16914836: "tmpfs" };
  return names[type] ?? `0x${type.toString(16)}`;
}

/**
 * The last commit that changed what is measured, with a mark of its own where there are changes that are not committed.
 * Undefined outside of a clone.
 */
export function commitOf() {
  const git = (...args) =>
    execFileSync("git", args, { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"], maxBuffer: 2 ** 28 });
  try {
    const commit = git("log", "-1", "--format=%h", "--abbrev=12", "--", ...MEASURED).trim();
    const changes = git("diff", "HEAD", "--", ...MEASURED) + untracked(git);
    if (changes === "") return commit;
    return `${commit}+${createHash("sha256").update(changes).digest("hex").slice(0, 8)}`;
  } catch {
    return undefined;
  }
}

function untracked(git) {
  const names = git("ls-files", "--others", "--exclude-standard", "--", ...MEASURED)
    .split("\n")
    .filter(Boolean);
  return names.map((name) => name + readFileSync(`${root}/${name}`, "latin1")).join("\n");
}
