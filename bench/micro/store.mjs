// A small store that the cases ask.
import { Store } from "../../dist/index.js";
import { bodyOf, keyOf, QUEUES, TAG, TOPIC } from "../load/messages.mjs";

export const MESSAGES = 10_000;
export const BODY = bodyOf(1024);

export async function openStore(dir, engine) {
  const store = await Store.open(dir, { engine });
  for (let n = 0; n < MESSAGES; n++)
    store.put({ topic: TOPIC, queueId: n % QUEUES, tags: TAG, keys: [keyOf(n)], body: BODY });
  await store.flush();
  return store;
}
