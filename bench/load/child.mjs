// One run of one workload in a process of its own: `node child.mjs JOB` (JSON) prints one line of JSON.
import { WORKLOADS } from "./workloads.mjs";

const job = JSON.parse(process.argv[2]);
const figures = await WORKLOADS[job.workload](job);
// A contestant whose threads or handles outlive their store does not hold up the next one.
process.stdout.write(`${JSON.stringify(figures)}\n`, () => process.exit(0));
