// Leaves with 0 where a thread still runs when its terminate() has resolved, with 1 where it has ended.
import { Worker } from "node:worker_threads";

const ROUNDS = 5;
const count = new Int32Array(new SharedArrayBuffer(4));
const source = `
  const { parentPort, workerData } = require("node:worker_threads");
  parentPort.postMessage("begun");
  for (;;) Atomics.add(workerData, 0, 1);
`;

let wentOn = false;
for (let round = 0; round < ROUNDS && !wentOn; round++) {
  const worker = new Worker(source, { eval: true, workerData: count });
  await new Promise((resolve) => worker.once("message", resolve));
  await worker.terminate();
  const seen = Atomics.load(count, 0);
  await new Promise((resolve) => setTimeout(resolve, 20));
  wentOn = Atomics.load(count, 0) !== seen;
}
process.exit(wentOn ? 0 : 1);
