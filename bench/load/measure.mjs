// What a run costs: time, processor, memory.
import { readFileSync } from "node:fs";

/** Does `work`, which covers `messages` messages, and answers with its figures. */
export async function measured(messages, work) {
  const cpuStart = process.cpuUsage();
  const start = process.hrtime.bigint();
  await work();
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  const { user, system } = process.cpuUsage(cpuStart);
  return {
    messages,
    seconds,
    messagesPerSecond: messages / seconds,
    cpuSecondsPerMillion: (user + system) / messages,
    ...memory(),
  };
}

/**
 * Of this process: the most that was resident, pages of files among it, which the system takes back when it needs them; and
 * what is private now.
 */
export function memory() {
  const status = readFileSync("/proc/self/status", "utf8");
  const bytes = (field) => Number(new RegExp(`^${field}:\\s+(\\d+) kB$`, "m").exec(status)?.[1]) * 1024;
  return { residentBytes: bytes("VmHWM"), privateBytes: bytes("RssAnon") };
}
