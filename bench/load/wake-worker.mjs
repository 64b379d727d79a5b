// The thread of wake.mjs that waits.
import { parentPort, workerData } from "node:worker_threads";
import { Store } from "../../dist/index.js";
import { TOPIC } from "./messages.mjs";

const { token, told } = workerData;
const store = await Store.attach(token);
parentPort.on("message", () => {}); // a wait for messages keeps no thread alive
parentPort.postMessage("ready");
for (let n = 0; n < told.length; n++) {
  await store.arrival(TOPIC, 0, n);
  told[n] = process.hrtime.bigint();
}
await store.close();
parentPort.close();
