// Counts instructions: `npm run counts` holds them against those expected, `-- --write` makes them the expected ones, `-- --build`
// compiles what is counted, and nothing else, so that it is there when the tests come to it.
import { parseArgs } from "node:util";
import { attempt, conclude } from "./counted-runs.mjs";
import { build, instructionCounts, missing, write } from "./instruction-counts.mjs";

try {
  const flag = { type: "boolean", default: false };
  const { values } = parseArgs({ options: { write: flag, build: flag } });
  if (values.write) write();
  else if (values.build) missing() ?? build();
  else conclude([await attempt(instructionCounts)]);
} catch (error) {
  console.error(`moraine: ${error.message}`);
  process.exitCode = 1;
}
