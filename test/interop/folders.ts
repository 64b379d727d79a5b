/** Temporary folders and what is in them. */
import { createHash } from "node:crypto";
import { lstatSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll } from "vitest";

const folders: string[] = [];

afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

/** A folder that goes when all tests of the file have ended: they run at the same time, so none of them is the current one. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "moraine-interop-"));
  folders.push(folder);
  return folder;
}

/** Every path below a folder with type, mode, modification time in nanoseconds, and the SHA-256 of a file's content. */
export function snapshot(folder: string): Record<string, string> {
  const found: Record<string, string> = {};
  for (const name of ["", ...readdirSync(folder, { recursive: true, encoding: "utf8" })].sort()) {
    const path = join(folder, name);
    const { mode, mtimeNs, size } = lstatSync(path, { bigint: true });
    const content = lstatSync(path).isFile() ? createHash("sha256").update(readFileSync(path)).digest("hex") : "folder";
    found[name] = `${mode.toString(8)} ${mtimeNs} ${size} ${content}`;
  }
  return found;
}
