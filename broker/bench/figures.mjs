// `npm --prefix broker run figures -- [OPTIONS]`: our broker and Apache's in rotation, under the load of the Java client.
// `--help` has the options; what came out stands in docs/benchmarks.md.
import { fileURLToPath } from "node:url";
import { machineOf } from "../../bench/run/machine.mjs";
import { compileBroker, installBrokerPackages, setUp } from "../../scripts/set-up.mjs";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** What starts clients and brokers is the tests', and so is its language, which Node 20 does not know by itself. */
async function typescript(path) {
  const env = { ...process.env };
  const { createViteServer } = await import("vitest/node");
  const server = await createViteServer({
    root,
    configFile: false,
    logLevel: "error",
    optimizeDeps: { noDiscovery: true, include: [] },
    server: { middlewareMode: true, hmr: false, ws: false, watch: null },
  });
  try {
    return await server.ssrLoadModule(path);
  } finally {
    await server.close();
    // The brokers that are started get the environment that this was started in.
    for (const name of Object.keys(process.env)) if (!(name in env)) delete process.env[name];
  }
}

async function main() {
  const called = process.env.INIT_CWD ?? process.cwd();
  process.chdir(root);
  setUp();
  installBrokerPackages();
  compileBroker();
  const { HELP, measure, parse } = await typescript("/broker/bench/figures/main.ts");
  const settings = parse(process.argv.slice(2), called);
  if (settings.help) return console.log(HELP);
  const isWell = await measure(settings, machineOf(settings.dir));
  if (!isWell) process.exitCode = 1;
}

// What was started ends with this process, in its listeners for `exit`.
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(130));
try {
  await main();
} catch (error) {
  if (error?.name !== "UsageError") throw error;
  console.error(`figures: ${error.message}`);
  process.exitCode = 2;
}
