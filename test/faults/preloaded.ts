/** Runs processes with a C library in front of the system's own, which makes of the disk what a test needs. */
import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const run = promisify(execFile);
const beside = (name: string): string => fileURLToPath(new URL(name, import.meta.url));

/**
 * Runs a script of this folder with a directory for a store in front of its arguments, and a library of this folder
 * preloaded, which is told of each file that it looks for by a variable: `files` are their names. Returns what it prints.
 *
 * Needs a C compiler (`cc`), and the package built: the process imports it by its name.
 */
export async function preloaded(
  library: string,
  files: Readonly<Record<string, string>>,
  script: string,
  args: readonly string[],
): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "moraine-preloaded-"));
  try {
    const object = join(directory, "library.so");
    await run("cc", ["-shared", "-fPIC", "-O1", "-Wall", "-o", object, beside(library), "-ldl"]);
    const looked = Object.fromEntries(Object.entries(files).map(([name, file]) => [name, join(directory, file)]));
    // Behind what this process was started with: a sanitizer's runtime must be the first.
    const libraries = [process.env.LD_PRELOAD, object].filter(Boolean).join(":");
    const env = { ...process.env, LD_PRELOAD: libraries, ...looked };
    const child = ["--expose-gc", beside(script), join(directory, "store"), ...args];
    const { stdout } = await run(process.execPath, child, { env, timeout: 50_000 });
    return stdout;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
