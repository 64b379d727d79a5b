// The consumer of headline.mjs in a thread of its own.
import { parentPort, workerData } from "node:worker_threads";
import { Store } from "../../dist/index.js";
import { consume } from "./headline.mjs";

const store = await Store.attach(workerData.token);
parentPort.on("message", () => {}); // a wait for messages keeps no thread alive
parentPort.postMessage("ready");
await consume(store, workerData.messages);
parentPort.postMessage("consumed");
await store.close();
parentPort.close();
