// What real clients see: the scenarios of test/scenarios against our broker, compared with what Apache's broker showed.
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const broker = fileURLToPath(new URL("..", import.meta.url));
const root = join(broker, "..");

const HELP = `node broker/scripts/scenarios.mjs [OPTIONS]

Without options the core with Java's client. Needs Java 17 and Maven; Go's and Rust's clients need their compilers.

  --all               every scenario with every client, and those with a broker of their own
  --client NAME,…     only these of java-5.4.0, java-5.3.3, java-4.9.8, go-2.1.2, rust-1.0.0
  --scenario NAME,…   only these, say tags,retry
  --kills N           only the broker killed N times under load, with asynchronous and with synchronous flush
  --broker apache     against Apache's own broker, which must show what is recorded of it
  --record            with --broker apache: records that anew
  --facts DIR         also keeps what was seen
  --help              this`;

/** Ends with a sentence. */
function refused(what) {
  console.error(`scenarios: ${what}`);
  process.exit(2);
}

function options() {
  try {
    return parseArgs({
      options: {
        all: { type: "boolean" },
        client: { type: "string" },
        scenario: { type: "string" },
        broker: { type: "string", default: "moraine" },
        record: { type: "boolean" },
        facts: { type: "string" },
        kills: { type: "string" },
        help: { type: "boolean", short: "h" },
      },
    }).values;
  } catch (error) {
    return refused(`${error.message}; --help lists the options`);
  }
}

const values = options();
if (values.help) {
  console.log(HELP);
  process.exit();
}
if (!["apache", "moraine"].includes(values.broker))
  refused(`--broker is ${values.broker}; it must be apache or moraine`);
if (values.record && values.broker !== "apache")
  refused("--record needs --broker apache: what is recorded is what Apache's broker does");

const facts = values.facts ?? mkdtempSync(join(tmpdir(), "moraine-facts-"));
const env = {
  ...process.env,
  MORAINE_SUBJECT: values.broker,
  MORAINE_FACTS: facts,
  ...(values.all ? { MORAINE_SCENARIOS_ALL: "1" } : {}),
  ...(values.client === undefined ? {} : { MORAINE_CLIENTS: values.client }),
  ...(values.scenario === undefined ? {} : { MORAINE_SCENARIOS: values.scenario }),
  ...(values.kills === undefined ? {} : { MORAINE_KILLS: values.kills, MORAINE_SCENARIOS: "kills,kills-sync-flush" }),
  ...(values.record ? { MORAINE_JUDGE: "none" } : {}),
};
const vitest = [
  join(root, "node_modules/vitest/vitest.mjs"),
  "run",
  "--config",
  join(broker, "test/scenarios/vitest.config.ts"),
];
const { status } = spawnSync(process.execPath, vitest, { cwd: root, env, stdio: "inherit" });
if (values.record) {
  const recorded = join(broker, "test/scenarios/recorded");
  cpSync(join(facts, "apache"), recorded, { recursive: true });
  spawnSync(join(root, "node_modules/.bin/biome"), ["format", "--write", recorded], { cwd: root, stdio: "inherit" });
}
if (values.facts === undefined) rmSync(facts, { recursive: true });
process.exitCode = status ?? 1;
