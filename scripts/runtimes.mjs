// The packed package under several JavaScript runtimes, over each engine that it has: installed into an empty project without
// running any script, then the example of the README and the contract suite. `npm run runtimes`, or
// `-- --only bun,deno`, `-- --engine wasm`. The last line is `N passed, N failed`.
import { parseArgs } from "node:util";
import { InstalledPackage } from "../test/package/installed.mjs";
import { checkEngine, enginesOf } from "../test/runtimes/engines.mjs";
import { layOutSuite } from "../test/runtimes/project.mjs";
import { example, gaps, suite } from "../test/runtimes/run.mjs";
import { conclude } from "./counted-runs.mjs";
import { chosen, commandOf, environment, RUNTIMES } from "./runtime-binaries.mjs";
import { setUp } from "./set-up.mjs";

function table(rows) {
  const lines = [["runtime", "engine", "example", "contract suite"], ...rows];
  const widths = lines[0].map((_, column) => Math.max(...lines.map((line) => line[column].length)));
  return lines
    .map((line) =>
      line
        .map((cell, column) => cell.padEnd(widths[column]))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}

function shown({ passed, failed, notRun }) {
  const parts = [`${passed} passed`, failed > 0 && `${failed} failed`, notRun > 0 && `${notRun} not run`];
  return parts.filter(Boolean).join(", ");
}

try {
  const { values } = parseArgs({ options: { only: { type: "string" }, engine: { type: "string" } } });
  const names = chosen(values.only);
  checkEngine(values.engine);
  const commands = new Map(names.map((name) => [name, commandOf(name)]));
  setUp();
  const installed = new InstalledPackage();
  const counts = [];
  const rows = [];
  try {
    const tested = enginesOf(installed.packed, values.engine);
    const files = layOutSuite(installed.project);
    for (const [name, command] of commands) {
      counts.push(gaps(name, command, environment));
      for (const engine of tested) {
        const env = { ...environment, MORAINE_ENGINE: engine };
        const started = Date.now();
        const ran = example(installed, command, env);
        const tests = await suite(installed, files, name, command, env);
        const row = [RUNTIMES[name].title, engine, ran.failed === 0 ? "runs" : "FAILED", shown(tests)];
        console.log(`${row.join(", ")} (${((Date.now() - started) / 1000).toFixed(0)} s)`);
        rows.push(row);
        counts.push(ran, tests);
      }
    }
  } finally {
    installed.remove();
  }
  console.log(`\n${table(rows)}`);
  conclude(counts);
} catch (error) {
  console.error(`moraine: ${error.message}`);
  process.exitCode = 1;
}
