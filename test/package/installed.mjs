// The package as a user gets it: packed, then installed into an empty project without running any script.
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const MINUTE = 60_000;
const root = fileURLToPath(new URL("../..", import.meta.url));

export class InstalledPackage {
  /** The project that the package is installed in. */
  project = mkdtempSync(join(tmpdir(), "moraine-package-"));

  constructor() {
    const [pack] = JSON.parse(npm(root, "pack", "--json", "--pack-destination", this.project));
    /** Paths in the tarball. */
    this.packed = pack.files.map(({ path }) => path).sort();
    writeFileSync(join(this.project, "package.json"), '{ "private": true, "type": "module" }');
    const tarball = join(this.project, pack.filename);
    npm(this.project, "install", "--ignore-scripts", "--offline", "--no-audit", tarball);
  }

  /** Runs a program in the project and waits for it. */
  run(command, ...args) {
    return spawnSync(command, args, { cwd: this.project, encoding: "utf8" });
  }

  /** Runs plain ESM, on the Node that runs the tests or by another command; `env`: beside the variables of this process. */
  runModule(source, [command, ...args] = [process.execPath], env = {}) {
    writeFileSync(join(this.project, "program.mjs"), source);
    const options = { cwd: this.project, encoding: "utf8", env: { ...process.env, ...env }, timeout: MINUTE };
    return spawnSync(command, [...args, "program.mjs"], options);
  }

  remove() {
    rmSync(this.project, { recursive: true, force: true });
  }
}

/** The example of the README, and what the README says that it prints: the first block of js, and that of text behind it. */
export function readmeExample() {
  const readme = readFileSync(join(root, "README.md"), "utf8");
  const [, source, output] = /```js\n([\s\S]*?)```[\s\S]*?```text\n([\s\S]*?)```/.exec(readme) ?? [];
  if (source === undefined) throw new Error("README.md has no block of js that is followed by one of text.");
  return { source, output };
}

function npm(cwd, ...args) {
  const { status, stdout, stderr } = spawnSync("npm", args, {
    cwd,
    encoding: "utf8",
    shell: process.platform === "win32",
  });
  if (status !== 0) throw new Error(`npm ${args[0]} failed: ${stderr}`);
  return stdout;
}
