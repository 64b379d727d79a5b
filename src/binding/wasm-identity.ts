/**
 * Which process it is: what an owner file says, as text with one fact a line (`name value`). The twin of
 * native/host/src/identity.rs.
 */
import { readFileSync, statSync } from "node:fs";

/** What an owner file calls this engine, which has no system lock. */
export const ENGINE = "wasm";

const MAX_PID = 0x7fff_ffff;
const MAX_U64 = 0xffff_ffff_ffff_ffffn;

/** A process, and the engine in it that has a store open. Where there is no /proc its facts are 0 and "". */
export interface Identity {
  readonly engine: string;
  readonly pid: number;
  /** Inode of the namespace that the process id belongs to. */
  readonly pidNamespace: bigint;
  /** Ticks since the system started, so that a process that got the same id later is another one. */
  readonly startTime: bigint;
  /** Another one after each start of the system. */
  readonly boot: string;
  readonly nonce: string;
}

export function identityOfThisProcess(nonce: string): Identity {
  return {
    engine: ENGINE,
    pid: process.pid,
    pidNamespace: namespaceOfThisProcess(),
    startTime: startTimeOf(textOf("/proc/self/stat")),
    boot: textOf("/proc/sys/kernel/random/boot_id").trim(),
    nonce,
  };
}

export function isThisProcess(identity: Identity): boolean {
  const here = identityOfThisProcess("");
  return (
    identity.pid === here.pid &&
    identity.pidNamespace === here.pidNamespace &&
    identity.startTime === here.startTime &&
    identity.boot === here.boot
  );
}

export function identityText({ engine, pid, pidNamespace, startTime, boot, nonce }: Identity): string {
  return `engine ${engine}\npid ${pid}\npid-namespace ${pidNamespace}\nstart-time ${startTime}\nboot ${boot}\nnonce ${nonce}\n`;
}

/** Undefined for a text that was cut short, or is none of ours. */
export function identityFrom(text: string): Identity | undefined {
  const lines = text.split("\n").map((line) => line.replace(/\r$/, ""));
  const fact = (name: string) => lines.find((line) => line.startsWith(`${name} `))?.slice(name.length + 1);
  const engine = fact("engine");
  const pid = number(fact("pid"));
  const pidNamespace = number(fact("pid-namespace"));
  const startTime = number(fact("start-time"));
  const boot = fact("boot");
  // The last line: a text without it was cut short.
  const nonce = fact("nonce");
  if (engine === undefined || boot === undefined || nonce === undefined) return undefined;
  if (pid === undefined || pid < 1n || pid > MAX_PID || pidNamespace === undefined || startTime === undefined) {
    return undefined;
  }
  return { engine, pid: Number(pid), pidNamespace, startTime, boot, nonce };
}

/** Field 22 of `/proc/PID/stat`; 0 where there is none. */
export function startTimeOf(stat: string): bigint {
  return number(behindName(stat)[19]) ?? 0n;
}

/** Whether a process has ended and only waits for its parent to ask for its exit code: field 3. */
export function isZombie(stat: string): boolean {
  return /^[ZXx]$/.test(behindName(stat)[0] ?? "");
}

/** The fields from the third on. The second one, the name, may hold spaces and brackets of its own. */
function behindName(stat: string): string[] {
  const end = stat.lastIndexOf(")");
  return end < 0
    ? []
    : stat
        .slice(end + 1)
        .trim()
        .split(/\s+/);
}

function number(text: string | undefined): bigint | undefined {
  if (text === undefined || !/^\d{1,20}$/.test(text)) return undefined;
  const value = BigInt(text);
  return value > MAX_U64 ? undefined : value;
}

function namespaceOfThisProcess(): bigint {
  try {
    return statSync("/proc/self/ns/pid", { bigint: true }).ino;
  } catch {
    // No /proc, or none that shows it: the fact is missing, which the text says as 0.
    return 0n;
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    // As above.
    return "";
  }
}
