// One run of one workload in a process of its own: `node child.mjs WORKLOAD DIR MESSAGES` prints one line of JSON.
import { run } from "./workloads.mjs";

const [name, dir, messages] = process.argv.slice(2);
console.log(JSON.stringify(await run(name, dir, Number(messages))));
