// Starts the broker from a checkout: builds the store and the broker as far as anything is missing or has changed, then runs the
// command with the arguments given, as if it had been typed where npm was called.
import { fileURLToPath } from "node:url";
import { compileBroker, installBrokerPackages, setUp } from "../../scripts/set-up.mjs";

const main = new URL("../dist/main.js", import.meta.url);

try {
  const called = process.env.INIT_CWD ?? process.cwd();
  process.chdir(fileURLToPath(new URL("../..", import.meta.url)));
  setUp();
  installBrokerPackages();
  compileBroker();
  process.chdir(called);
  process.argv[1] = fileURLToPath(main);
  await import(main.href);
} catch (error) {
  console.error(`moraine-broker: ${error.message}`);
  process.exitCode = 1;
}
