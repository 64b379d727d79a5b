/**
 * Whether the process that an owner file names lives and holds that file. The twin of native/host/src/living.rs.
 *
 * Where it cannot be told, it does: a store that is refused once too often costs a look into `moraine/owner`, one that two
 * processes write costs the store.
 */
import { lstatSync, readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { errnoOf } from "./wasm-errno.ts";
import { type Identity, identityOfThisProcess, isZombie, startTimeOf } from "./wasm-identity.ts";

/** A file, wherever its names are. */
export interface FileId {
  readonly device: bigint;
  readonly inode: bigint;
}

const ENOENT = 2;
const ESRCH = 3;
/** In the mode of a link in `/proc/PID/fd`: the file is open for writing. */
const OPEN_FOR_WRITING = 0o200;

export function holdsOwnerFile(identity: Identity, file: FileId): boolean {
  const here = identityOfThisProcess("");
  if (identity.boot !== "" && here.boot !== "" && identity.boot !== here.boot) return false;
  // A process id says nothing in another namespace, or where the namespace has no name.
  if (identity.pidNamespace !== here.pidNamespace) return true;
  if (process.platform === "linux" && here.pidNamespace === 0n) return true;
  if (!exists(identity.pid)) return false;
  if (!isProcOurs()) return true;
  const held = heldByDescriptor(identity.pid, file);
  return held ?? startedWith(identity);
}

/** By a signal that is none, which tells also of a process that `/proc` hides (`hidepid`). */
function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return errnoOf(error) !== ESRCH;
  }
}

/** Whether /proc has the process ids of our namespace: one that began without a mount of its own sees its parent's. */
function isProcOurs(): boolean {
  try {
    return readlinkSync("/proc/self") === String(process.pid);
  } catch {
    // No /proc at all.
    return false;
  }
}

/**
 * Whether the process has the file open for writing, as an owner does: who only looks at it opens it for reading. The end of a
 * worker thread closes what it had open, so that its process lives on and does not hold the file. Undefined where it is not shown.
 */
function heldByDescriptor(pid: number, file: FileId): boolean | undefined {
  const folder = `/proc/${pid}/fd`;
  let names: string[];
  try {
    names = readdirSync(folder);
  } catch {
    // Another user's process, or one that ended at this moment.
    return undefined;
  }
  let isShown = true;
  for (const name of names) {
    try {
      const stats = statSync(`${folder}/${name}`, { bigint: true });
      const isOpen = BigInt.asUintN(64, stats.ino) === file.inode && stats.dev === file.device;
      if (isOpen && (lstatSync(`${folder}/${name}`).mode & OPEN_FOR_WRITING) !== 0) return true;
    } catch (error) {
      // Closed meanwhile, or not to be looked at: then it may be the one.
      if (errnoOf(error) !== ENOENT) isShown = false;
    }
  }
  return isShown ? false : undefined;
}

/** Whether the process of that id is the one that wrote the file, and has not ended. */
function startedWith({ pid, startTime }: Identity): boolean {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return exists(pid);
  }
  if (isZombie(stat)) return false;
  const started = startTimeOf(stat);
  return started === 0n || startTime === 0n || started === startTime;
}
