// `npm run bench -- --report`: docs/benchmarks.md and its plots from the figures that are kept.
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { PEERS } from "../rows/peers.mjs";
import { ROWS } from "../rows/rows.mjs";
import { ResultsFiles } from "../run/results-file.mjs";
import { targetsOf } from "../run/told.mjs";
import { brokerPart } from "./broker.mjs";
import { filled, machinesTable, peersTable, rowPart, summaryTable } from "./document.mjs";

const docs = fileURLToPath(new URL("../../docs/", import.meta.url));
const ofBroker = fileURLToPath(new URL("../../broker/bench/results", import.meta.url));

export function report(folder) {
  const results = new ResultsFiles(folder);
  const { dependencies, optionalDependencies } = JSON.parse(
    readFileSync(new URL("../package.json", import.meta.url), "utf8"),
  );
  const plots = join(docs, "benchmarks");
  mkdirSync(plots, { recursive: true });
  for (const name of readdirSync(plots)) if (name.endsWith(".svg")) rmSync(join(plots, name));
  const parts = ROWS.map((row) => {
    const { text, plot } = rowPart(row, targetsOf(row), results.runsOf(row.name));
    if (plot !== undefined) writeFileSync(join(plots, `${row.name}.svg`), plot);
    return text;
  });
  const text = filled(readFileSync(new URL("./template.md", import.meta.url), "utf8"), {
    summary: summaryTable(ROWS, targetsOf, (row) => results.runsOf(row.name)),
    machines: machinesTable(results.machines()),
    peers: peersTable(PEERS),
    versions: Object.entries({ ...dependencies, ...optionalDependencies })
      .map(([name, version]) => `${name} ${version}`)
      .join(", "),
    rows: parts.join("\n\n"),
    broker: brokerPart(brokerResults()),
  });
  writeFileSync(join(docs, "benchmarks.md"), text);
  console.log(`docs/benchmarks.md is written, with ${readdirSync(plots).length} plots, from ${folder}.`);
}

function brokerResults() {
  if (!existsSync(ofBroker)) return { runsOf: () => [], machines: {} };
  const results = new ResultsFiles(ofBroker);
  return { runsOf: (row) => results.runsOf(row), machines: results.machines() };
}
