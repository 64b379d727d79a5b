/** What Linux knows of a process: processor time and wake-ups of its threads, memory, descriptors. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";

/** Since the process began. */
export interface Activity {
  /** Of all threads, in milliseconds. */
  readonly cpuMs: number;
  /** How often threads of a name went to sleep, as often as they were woken; the first one is `main`. */
  readonly wakeUps: ReadonlyMap<string, number>;
}

export interface Holdings {
  readonly sockets: number;
  /** Descriptors of files and folders of the disk. */
  readonly files: number;
  /** Pipes, event queues and the like. */
  readonly others: number;
  /** Memory of its own, and that of files of which the system has pages anyway, in MiB. */
  readonly ownMiB: number;
  readonly filesMiB: number;
}

export function activityOf(pid: number): Activity {
  const wakeUps = new Map<string, number>();
  let nanoseconds = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    const read = (file: string): string => readFileSync(`/proc/${pid}/task/${thread}/${file}`, "utf8");
    try {
      const name = thread === String(pid) ? "main" : read("comm").trim();
      const [, count = "0"] = /^voluntary_ctxt_switches:\s+(\d+)$/m.exec(read("status")) ?? [];
      nanoseconds += Number(read("schedstat").split(" ")[0]);
      wakeUps.set(name, (wakeUps.get(name) ?? 0) + Number(count));
    } catch {
      // It has ended meanwhile.
    }
  }
  return { cpuMs: nanoseconds / 1e6, wakeUps };
}

/** What was done between two looks; threads that did nothing are left out. */
export function activityBetween(before: Activity, after: Activity): Activity {
  const grown = [...after.wakeUps].map(([name, count]): [string, number] => [
    name,
    count - (before.wakeUps.get(name) ?? 0),
  ]);
  return { cpuMs: after.cpuMs - before.cpuMs, wakeUps: new Map(grown.filter(([, count]) => count > 0)) };
}

/** Of the main thread and those of the store; without those of V8, to which memory is given to be tidied up now and then. */
export function ownWakeUps({ wakeUps }: Activity): number {
  const own = [...wakeUps].filter(([name]) => name === "main" || name.startsWith("moraine"));
  return own.reduce((sum, [, count]) => sum + count, 0);
}

export function holdingsOf(pid: number): Holdings {
  const kinds = { sockets: 0, files: 0, others: 0 };
  for (const descriptor of readdirSync(`/proc/${pid}/fd`)) {
    kinds[kindOf(`/proc/${pid}/fd/${descriptor}`)]++;
  }
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const mebibytes = (name: string): number =>
    Math.round(Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(status)?.[1] ?? 0) / 1024);
  return { ...kinds, ownMiB: mebibytes("RssAnon"), filesMiB: mebibytes("RssFile") + mebibytes("RssShmem") };
}

function kindOf(descriptor: string): "sockets" | "files" | "others" {
  try {
    const target = readlinkSync(descriptor);
    if (target.startsWith("socket:")) return "sockets";
    return target.startsWith("/") ? "files" : "others";
  } catch {
    return "others";
  }
}
