/** Files that are on disk and not in memory. */
import { execFileSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";

/**
 * Takes the files of a store out of the system's memory, as far as it can be asked to. What is read of them next comes from
 * the disk; of a store that is open, what it has touched in mapped files stays.
 */
export function coolDown(directory: string): void {
  for (const entry of readdirSync(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const file = join(entry.parentPath, entry.name);
    execFileSync("dd", [`of=${file}`, "oflag=nocache", "conv=notrunc,fdatasync", "count=0"], { stdio: "ignore" });
  }
}
