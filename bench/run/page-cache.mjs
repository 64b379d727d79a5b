// What the system keeps of files in memory, for measurements from the disk.
import { closeSync, openSync, writeFileSync } from "node:fs";

/** Whether the system lets go of what it keeps of files: only for who may. What is not synced stays. */
export function dropCaches() {
  try {
    const file = openSync("/proc/sys/vm/drop_caches", "w");
    writeFileSync(file, "3");
    closeSync(file);
    return true;
  } catch {
    return false;
  }
}
