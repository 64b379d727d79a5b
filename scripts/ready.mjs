// What CI does: formats, lints and types checked, then every test. Ends as `npm test` does.
import { installPackages, npm } from "./set-up.mjs";

function check() {
  installPackages();
  if (!npm("lint")) throw new Error("npm run lint found problems; npm run format mends what a tool can mend.");
  if (!npm("check")) throw new Error("npm run check found type errors.");
}

try {
  check();
  await import("./test.mjs");
} catch (error) {
  console.error(`moraine: ${error.message}`);
  console.log("\n0 passed, 1 failed");
  process.exitCode = 1;
}
