// One store in many threads, for as long as asked: interleavings of the store's own threads (the model checks of
// native/host/tests/models) for half of the time, then threads of Node.js that do what dice say, some ended in mid-call.
// `npm run threads -- --minutes N [--seed S]`. A row of docs/reliability-ledger.md says what was tried.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { commit, enter, numberOf, today } from "./ledger.mjs";
import { requireTools, setUp } from "./set-up.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const HEAD = "| date | commit | seed | interleavings |";
/** The model checks are so many tests, two at a time. */
const MODELS = 7;
const ROUND_SECONDS = 10;

function modelChecks(seed, minutes) {
  const each = Math.max(1, Math.floor((minutes * 2) / MODELS));
  const args = ["test", "--release", "--locked", "-p", "moraine-host", "--features", "models", "--test", "models"];
  const { status, stdout } = spawnSync("cargo", [...args, "--", "--nocapture", "--test-threads=2"], {
    cwd: root,
    encoding: "utf8",
    maxBuffer: 1 << 28,
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, MORAINE_MODELS_SEED: String(seed), MORAINE_MODELS_MINUTES: String(each) },
  });
  const tried = [...(stdout ?? "").matchAll(/: (\d+) interleavings/g)].reduce(
    (sum, [, count]) => sum + Number(count),
    0,
  );
  if (status !== 0) console.error(stdout);
  return { tried, failed: status !== 0 };
}

function rounds(seed, minutes) {
  const end = Date.now() + minutes * 60_000;
  const tally = { rounds: 0, calls: 0, ended: 0, failures: 0 };
  while (Date.now() < end) {
    const of = seed + tally.rounds;
    const args = ["test/threads/round.mjs", String(of), String(ROUND_SECONDS)];
    const { status, signal, stdout } = spawnSync(process.execPath, args, {
      cwd: root,
      encoding: "utf8",
      stdio: ["ignore", "pipe", "inherit"],
    });
    tally.rounds += 1;
    if (status === 0) {
      const { calls, ended } = JSON.parse(stdout.trim().split("\n").at(-1));
      tally.calls += calls;
      tally.ended += ended;
    } else {
      tally.failures += 1;
      console.error(`the round with seed ${of} left with ${signal ?? status}; again: node ${args.join(" ")}`);
    }
  }
  return tally;
}

try {
  const number = { type: "string" };
  const { values } = parseArgs({ options: { minutes: number, seed: number } });
  const minutes = numberOf("minutes", values.minutes ?? "2", 1);
  const seed = numberOf("seed", values.seed ?? String(Math.floor(Date.now() / 1000)), 0);
  const tried = commit();
  requireTools();
  setUp();
  const models = modelChecks(seed, minutes / 2);
  const { rounds: stores, calls, ended, failures } = rounds(seed, minutes / 2);
  const failed = failures + (models.failed ? 1 : 0);
  console.log(
    `${models.tried} interleavings; ${stores} stores, ${calls} calls, ${ended} threads ended; ${failed} failures`,
  );
  const row = [today(), tried, seed, models.tried, stores, calls, ended, failed];
  enter(
    HEAD,
    row,
    (sum) => `${sum(4)} interleavings; ${sum(6)} calls in ${sum(5)} stores, ${sum(7)} threads ended in them.`,
  );
  process.exitCode = failed === 0 ? 0 : 1;
} catch (error) {
  console.error(`moraine: ${error.message}`);
  process.exitCode = 1;
}
