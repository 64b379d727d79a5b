/** Runs in rotation, their figures kept after each of them, and what they say in the end. */
import { mkdtempSync, rmSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import {
  BROKER_ROWS,
  BROKERS,
  type BrokerContestant,
  type BrokerRow,
  HEADINGS,
  shown,
  verdicts,
  verdictText,
} from "../../../bench/report/broker.mjs";
import { figuresOf, type RunKey } from "../../../bench/rules/resumption.mjs";
import { ResultsFiles } from "../../../bench/run/results-file.mjs";
import { WarmMemory } from "../../../bench/run/warm-memory.mjs";
import { commitOf } from "./commit.ts";
import { javaVersion, loadClassPath, problemOf, runLoad } from "./load.ts";
import { MemoryWatch } from "./memory-watch.ts";
import type { Settings } from "./options.ts";
import { inTurn } from "./rotation.ts";
import { type Running, type Start, startApache, startMoraine } from "./running.ts";

export { HELP, parse } from "./options.ts";

const KEPT = join(import.meta.dirname, "../results");
const ROOT = join(import.meta.dirname, "../../..");
const START: Readonly<Record<BrokerContestant["id"], Start>> = {
  "moraine-broker": startMoraine,
  rocketmq: startApache,
};
/** More than any of them takes in a second of a run, and what the processes have beside it. */
const BYTES_A_SECOND = 90e6;
const BYTES_BESIDE = 2.5e9;
/** The system lets go of the store that was removed. */
const SETTLE_MS = 500;

interface Machine {
  readonly id: string;
  readonly [fact: string]: unknown;
}

/** Resolves with whether our broker did in every run what it has to. */
export async function measure(settings: Settings, machine: Machine): Promise<boolean> {
  await loadClassPath();
  const java = await javaVersion();
  const scratch = mkdtempSync(join(settings.dir, "moraine-figures-"));
  const remove = (): void => rmSync(scratch, { recursive: true, force: true });
  process.once("exit", remove);
  const results = new ResultsFiles(settings.smoke ? join(scratch, "results") : (settings.results ?? KEPT));
  results.addMachine(machine);
  const amount = `${settings.seconds} s after a warm-up of ${settings.warmupSeconds} s`;
  const commit = commitOf(ROOT);
  const memory = new WarmMemory();
  console.log(
    `${machine.processors}, ${machine.system}, Node.js ${machine.node}, ${java}; commit ${commit ?? "unknown"}; ${amount}\n`,
  );
  console.log(`round, row, broker: ${HEADINGS.join(", ")}`);
  let isWell = true;
  try {
    for (let round = 0; round < settings.rounds; round++) {
      for (const [n, row] of settings.rows.entries()) {
        for (const broker of inTurn(settings.brokers, round, n)) {
          const warmBytes = await memory.hold(settings.smoke ? 0 : bytesOf(settings));
          const key: RunKey = { commit, machine: machine.id, amount, contestant: broker.id, round };
          const one = {
            ...key,
            at: new Date().toISOString(),
            java,
            warmBytes,
            ...(await outcome(settings, row, broker, scratch)),
          };
          results.add(row.name, one);
          if (broker.kind === "ours" && one.failed !== undefined) isWell = false;
          console.log(`${round + 1}  ${row.name.padEnd(34)} ${broker.id.padEnd(14)} ${told(row, one)}`);
        }
      }
    }
  } finally {
    await memory.release();
    remove();
    process.off("exit", remove);
  }
  if (!settings.smoke)
    for (const line of summary(settings, results, { commit, machine: machine.id, amount })) console.log(line);
  return isWell;
}

const bytesOf = ({ warmupSeconds, seconds }: Settings): number =>
  (warmupSeconds + seconds) * BYTES_A_SECOND + BYTES_BESIDE;

interface Outcome {
  readonly figures?: Readonly<Record<string, number>>;
  readonly failed?: string;
  /** Why sends failed, where some did. */
  readonly failures?: string;
  readonly wholeSeconds: number;
}

/** A run, or why it failed. */
async function outcome(
  settings: Settings,
  row: BrokerRow,
  broker: BrokerContestant,
  scratch: string,
): Promise<Outcome> {
  checkRoom(settings);
  const folder = mkdtempSync(join(scratch, "run-"));
  const begun = performance.now();
  const wholeSeconds = (): number => Number(((performance.now() - begun) / 1000).toFixed(2));
  try {
    const done = await run(settings, row, broker, folder);
    return { ...done, wholeSeconds: wholeSeconds() };
  } catch (error) {
    return { failed: (error as Error).message, wholeSeconds: wholeSeconds() };
  } finally {
    if (process.env.MORAINE_KEEP_FOLDERS === undefined) rmSync(folder, { recursive: true, force: true });
    await sleep(SETTLE_MS);
  }
}

function checkRoom(settings: Settings): void {
  const { bavail, bsize } = statfsSync(settings.dir);
  const needed = bytesOf(settings) + BYTES_BESIDE;
  if (bavail * bsize >= needed) return;
  const [there, wanted] = [bavail * bsize, needed].map((bytes) => `${(bytes / 1e9).toFixed(1)} GB`);
  throw new Error(`${settings.dir} has ${there} free; a run needs ${wanted}: name another place by --dir`);
}

async function run(
  { warmupSeconds, seconds }: Settings,
  row: BrokerRow,
  broker: BrokerContestant,
  folder: string,
): Promise<Omit<Outcome, "wholeSeconds">> {
  const running: Running = await START[broker.id](folder, row.flush);
  const watch = new MemoryWatch(running.pid);
  let memory: Record<string, number> = {};
  try {
    const { figures, check } = await runLoad({
      ...{ nameServer: running.nameServer, brokerPid: running.pid, row, warmupSeconds, seconds },
      folder: join(folder, "load"),
      onMeasured() {
        memory = { ...watch.stop(), privateDirtyBytes: watch.dirtyBytes() };
      },
    });
    const problem = problemOf(check);
    if (problem !== undefined) throw new Error(problem);
    if (check.failed > 0 && broker.kind === "ours") throw new Error(`${check.failed} sends failed: ${check.failures}`);
    const counts = { failedInAll: check.failed, repeated: check.repeated ?? 0 };
    return { figures: { ...figures, ...memory, ...counts }, ...(check.failed > 0 && { failures: check.failures }) };
  } finally {
    watch.stop();
    await running.end();
  }
}

function told(row: BrokerRow, { figures, failed, failures }: Outcome): string {
  if (figures === undefined) return `FAILED: ${failed}`;
  return shown(row, [figures]).join("  ") + (failures === undefined ? "" : `  sends failed: ${failures}`);
}

function* summary(
  settings: Settings,
  results: ResultsFiles,
  of: Pick<RunKey, "commit" | "machine" | "amount">,
): Generator<string> {
  yield `\nMedians (least–most): ${HEADINGS.join(", ")}`;
  let missed = 0;
  for (const row of BROKER_ROWS.filter((one) => settings.rows.includes(one))) {
    const figures = figuresOf(results.runsOf(row.name), of, settings.rounds);
    yield `\n${row.title}`;
    for (const { id } of BROKERS) {
      const runs = (figures[id] ?? []) as Readonly<Record<string, unknown>>[];
      if (runs.length > 0) yield `   ${id.padEnd(14)} ${shown(row, runs).join("  ")}`;
    }
    const all = verdicts(row, figures);
    missed += all.filter(({ met }) => met === false).length;
    yield `   → ${all.map(verdictText).join("; ")}`;
  }
  yield `\n${missed === 0 ? "Every target that was judged is met." : `${missed} targets are missed.`}`;
}
