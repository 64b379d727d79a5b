/** The package as a user gets it: packed, then installed into an empty project without running any script. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const root = join(import.meta.dirname, "../..");

export interface Outcome {
  status: number | null;
  stdout: string;
  stderr: string;
}

export class InstalledPackage {
  /** The project that the package is installed in. */
  readonly project: string = mkdtempSync(join(tmpdir(), "moraine-package-"));
  /** Paths in the tarball. */
  readonly packed: readonly string[];

  constructor() {
    const [pack] = JSON.parse(this.#npm(root, "pack", "--json", "--pack-destination", this.project));
    this.packed = pack.files.map((file: { path: string }) => file.path).sort();
    writeFileSync(join(this.project, "package.json"), '{ "private": true, "type": "module" }');
    this.#npm(
      this.project,
      "install",
      "--ignore-scripts",
      "--offline",
      "--no-audit",
      join(this.project, pack.filename),
    );
  }

  /** Runs a program in the project and waits for it. */
  run(command: string, ...args: string[]): Outcome {
    return spawnSync(command, args, { cwd: this.project, encoding: "utf8" });
  }

  /** Runs plain ESM on the Node that runs the tests. */
  runModule(source: string): Outcome {
    writeFileSync(join(this.project, "program.mjs"), source);
    return this.run(process.execPath, "program.mjs");
  }

  remove(): void {
    rmSync(this.project, { recursive: true, force: true });
  }

  #npm(cwd: string, ...args: string[]): string {
    const { status, stdout, stderr } = spawnSync("npm", args, {
      cwd,
      encoding: "utf8",
      shell: process.platform === "win32",
    });
    if (status !== 0) throw new Error(`npm ${args[0]} failed: ${stderr}`);
    return stdout;
  }
}
