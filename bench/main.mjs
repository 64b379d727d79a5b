// `npm run bench -- [OPTIONS]`: our store, others and the floor in one run, in rotation, each run in a process and a
// directory of its own on the same disk. `--help` has the options, docs/benchmarks.md what came out.
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { ROWS } from "./rows/rows.mjs";
import { judge } from "./rules/judgement.mjs";
import { lacking } from "./run/availability.mjs";
import { HELP, parse, UsageError } from "./run/command-line.mjs";
import { commitOf, machineOf } from "./run/machine.mjs";
import { ResultsFiles } from "./run/results-file.mjs";
import { runRow } from "./run/row.mjs";
import { setUp } from "./run/set-up.mjs";
import { targetsOf, told } from "./run/told.mjs";
import { WarmMemory } from "./run/warm-memory.mjs";

const kept = fileURLToPath(new URL("./results/", import.meta.url));

class Ended extends Error {}
/** Ctrl-C ends the run that goes on, too, but not before the directories are removed. */
const ended = new AbortController();
for (const name of ["SIGINT", "SIGTERM"])
  process.once(name, () => ended.abort(new Ended("it was ended; what was measured before is kept")));

async function main() {
  const settings = parse(process.argv.slice(2), ROWS);
  if (settings.help) return console.log(HELP);
  if (settings.list) return console.log(ROWS.map(listed).join("\n"));
  if (settings.report) return (await import("./report/main.mjs")).report(settings.results ?? kept);
  setUp();
  if (settings.micro) return (await import("./micro/main.mjs")).micro();
  await measure(settings);
}

function listed({ number, name, title, main }) {
  return `${String(number || "").padStart(4)}  ${name.padEnd(18)} ${main ? "main" : "    "}  ${title}`;
}

async function measure(settings) {
  const passing = settings.smoke ? mkdtempSync(join(settings.dir, "moraine-bench-results-")) : undefined;
  const folder = passing ?? settings.results ?? kept;
  const results = new ResultsFiles(folder);
  const machine = machineOf(settings.dir);
  results.addMachine(machine);
  const { id, ...described } = machine;
  console.log(
    `${described.processors}, ${Math.round(described.memoryBytes / 2 ** 30)} GiB, ${described.system}, ${described.fileSystem}, Node.js ${described.node}\n`,
  );
  if ((await lacking("floor")) === undefined)
    console.log(`The floor's CRC: ${(await import("./floor/contestant.mjs")).crcWay}\n`);
  const commit = commitOf();
  const { signal } = ended;
  const memory = new WarmMemory();
  let missed = 0;
  try {
    for (const row of settings.rows) {
      const result = await runRow(row, {
        ...settings,
        results,
        commit,
        signal,
        machine: id,
        told: progress,
        warm: (bytes) => memory.hold(bytes),
      });
      progress();
      for (const line of told(result, { judged: !settings.smoke })) console.log(line);
      console.log("");
      for (const contestant of row.contestants)
        if (contestant.kind === "ours" && result.failed[contestant.id] !== undefined) process.exitCode = 1;
      missed += targetsOf(row).filter((target) => judge(target, row.contestants, result.figures).met === false).length;
    }
  } finally {
    await memory.release();
    if (passing !== undefined) rmSync(passing, { recursive: true, force: true });
  }
  if (!settings.smoke)
    console.log(
      `${missed === 0 ? "Every target that was judged is met." : `${missed} targets are missed.`} Figures are in ${folder}.`,
    );
}

/** Says who runs, where somebody looks; without a run the line is emptied. */
function progress(row, contestant, round) {
  if (!process.stderr.isTTY) return;
  process.stderr.write(`\r\x1b[K${row === undefined ? "" : `${row.name}: round ${round + 1}, ${contestant.id} …`}`);
}

try {
  await main();
} catch (error) {
  if (!(error instanceof UsageError || error instanceof Ended)) throw error;
  console.error(`bench: ${error.message}`);
  process.exitCode = 1;
}
