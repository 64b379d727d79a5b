/**
 * A process with a thousand waits and nothing else to do. Prints, as JSON, what the first stretch of time cost in which it
 * was idle, or the calmest one if it never was; then nothing holds it any more but the waits, which do not.
 *
 * node idle-waits.mjs DIRECTORY ENGINE
 */
import { readdirSync, readFileSync } from "node:fs";
import { Store } from "moraine";

/** The timer that ends a stretch wakes a thread or two; one poll every 100 ms would make five more. */
const IDLE = { wakeUps: 4, cpuMs: 50 };
const STRETCHES = 30;

const [directory, engine] = process.argv.slice(2);
const store = await Store.open(directory, {
  engine,
  segmentBytes: 262_144,
  queueFileEntries: 1000,
  indexSlots: 500,
  indexEntries: 2000,
});
const warnings = [];
process.on("warning", ({ message }) => warnings.push(message));

const { signal } = new AbortController();
for (let i = 0; i < 1000; i++) void store.arrival("orders", i % 100, 0, { signal });
void store.read("orders", 0, { follow: true, signal }).next();
void store.scan({ follow: true, signal }).next();
store.onAppend(() => {});
const holding = process.getActiveResourcesInfo().filter((name) => name === "Timeout" || name === "Immediate");

/** How often a thread of this process went to sleep: an idle one does so never. */
function wakeUps() {
  return readdirSync("/proc/self/task").reduce((sum, thread) => {
    const status = readFileSync(`/proc/self/task/${thread}/status`, "utf8");
    return sum + Number(/^voluntary_ctxt_switches:\s*(\d+)/m.exec(status)[1]);
  }, 0);
}

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
/** What half a second costs. A machine with other work to do may let a stretch begin in the middle of something. */
async function stretch() {
  const before = { wakeUps: wakeUps(), cpu: process.cpuUsage() };
  await sleep(500);
  const { user, system } = process.cpuUsage(before.cpu);
  return { wakeUps: wakeUps() - before.wakeUps, cpuMs: (user + system) / 1000 };
}

// What starting has begun ends in the first ones. Waits that poll, or spin, cost something in every one.
let calmest = await stretch();
for (let i = 1; i < STRETCHES && (calmest.wakeUps > IDLE.wakeUps || calmest.cpuMs > IDLE.cpuMs); i++) {
  const next = await stretch();
  if (next.wakeUps < calmest.wakeUps || (next.wakeUps === calmest.wakeUps && next.cpuMs < calmest.cpuMs))
    calmest = next;
}
console.log(JSON.stringify({ ...calmest, idle: IDLE, holding, warnings }));
// One with a deadline, far away.
void store.arrival("orders", 0, 0, { timeoutMs: 600_000 });
