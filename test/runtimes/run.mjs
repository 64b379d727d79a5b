// The example and the contract suite under one runtime, over one engine: `{ passed, failed, notRun }`.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { readmeExample } from "../package/installed.mjs";
import { GAPS, leftOut } from "./gaps.mjs";

const FILE_MS = 5 * 60_000;
const PROOF_MS = 60_000;
/** Says which engine has opened the store that the example has left. */
const WHICH = `
  import { Store } from "moraine";
  const store = await Store.open("./store");
  console.log(store.engine);
  await store.close();
`;

/** The README's example runs as it stands, prints what the README says, and the engine was the one asked for. */
export function example(installed, command, env) {
  rmSync(join(installed.project, "store"), { recursive: true, force: true });
  const { source, output } = readmeExample();
  const why = [
    differs(installed.runModule(source, command, env), output),
    differs(installed.runModule(WHICH, command, env), `${env.MORAINE_ENGINE}\n`),
  ].filter((each) => each !== undefined);
  for (const each of why) console.error(`FAILED the example of the README: ${each}`);
  return { passed: why.length === 0 ? 1 : 0, failed: why.length === 0 ? 0 : 1, notRun: 0 };
}

function differs({ status, signal, stdout, stderr }, output) {
  if (status === 0 && stdout === output && stderr === "") return undefined;
  return `it left with ${signal ?? status}, and printed\n${stdout}${stderr}`;
}

/** Each file of the suite in a process of its own, a few at a time. */
export async function suite(installed, files, runtime, command, env) {
  const count = { passed: 0, failed: 0, notRun: 0 };
  const waiting = [...files];
  const worker = async () => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const absent = leftOut(runtime, sourceOf(file));
      const outcome = await runFile(installed.project, file, absent, command, env);
      const failures = [...outcome.failed, ...unasked(outcome, absent, env)];
      for (const { name, why } of failures) console.error(`FAILED ${sourceOf(file)}: ${name}\n  ${why}`);
      count.passed += outcome.passed.length;
      count.failed += failures.length;
      count.notRun += outcome.notRun.length;
    }
  };
  await Promise.all(Array.from({ length: availableParallelism() + 1 }, worker));
  return count;
}

const sourceOf = (file) => basename(file).replace(/\.js$/, ".ts");

/** The native engine has everything (test/contract/engine.ts): what is not run there is one of the gaps. */
function unasked({ notRun }, absent, { MORAINE_ENGINE }) {
  if (MORAINE_ENGINE !== "native") return [];
  return notRun.filter((name) => !absent.includes(name)).map((name) => ({ name, why: "it was not run" }));
}

/** What suite.mjs reports; one failure where it does not. */
export async function runFile(project, file, absent, [binary, ...args], env) {
  const report = join(project, `${basename(file)}.json`);
  rmSync(report, { force: true });
  const child = spawn(binary, [...args, join(project, "suite.mjs"), file, report, JSON.stringify(absent)], {
    cwd: project,
    env: { ...process.env, ...env },
    stdio: ["ignore", "pipe", "pipe"],
    timeout: FILE_MS,
    killSignal: "SIGKILL",
  });
  let said = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (said += chunk));
  const [status, signal] = await once(child, "close");
  if (status === 0 && existsSync(report)) return JSON.parse(readFileSync(report, "utf8"));
  const why = `the process left with ${signal ?? status} and no report:\n${said.slice(-4000)}`;
  return { passed: [], failed: [{ name: "(the file)", why }], notRun: [] };
}

/** Whether the gaps of a runtime are still there; each that is has passed. */
export function gaps(runtime, [binary, ...args], env) {
  const count = { passed: 0, failed: 0, notRun: 0 };
  for (const { why, proof } of GAPS.filter((gap) => gap.runtime === runtime)) {
    const program = fileURLToPath(new URL(proof, import.meta.url));
    const options = { env: { ...process.env, ...env }, stdio: "inherit", timeout: PROOF_MS };
    const { status, signal } = spawnSync(binary, [...args, program], options);
    count[status === 0 ? "passed" : "failed"] += 1;
    if (status !== 0) console.error(`FAILED ${proof} left with ${signal ?? status}; no gap any more: ${why}`);
  }
  return count;
}
