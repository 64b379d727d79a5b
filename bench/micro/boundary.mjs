// What a call into the engine takes, beside one into the floor; and lookups, which begin with the hash of a key.
import { keyOf, randomNumbers, TAG, TOPIC } from "../load/messages.mjs";
import { BODY, MESSAGES } from "./store.mjs";

export function boundaryCases(store, floor) {
  const into = Buffer.alloc(4096);
  const message = { topic: TOPIC, queueId: 0, tags: TAG, keys: [keyOf(0)], body: BODY };
  // Not those that the cases of the codec put again and again.
  const next = randomNumbers(MESSAGES - 64);
  const ours = [
    { name: "offsets: a call that moves no bytes", call: () => store.offsets(TOPIC, 0) },
    { name: "put of one message of 1 KiB", call: () => store.put(message) },
    { name: "get of one message into a buffer", call: () => store.get(TOPIC, 0, 0, { max: 1, into }) },
    { name: "get of 32 messages, raw", call: () => store.get(TOPIC, 0, 0, { max: 32 }).bytes },
    { name: "lookup of a key that is not there: hash and slot", call: () => store.lookup(TOPIC, "nothing") },
    { name: "lookup of a key", call: () => store.lookup(TOPIC, keyOf(64 + next())) },
  ];
  const one = Buffer.alloc(1);
  return floor === undefined
    ? ours
    : [{ name: "the floor: a call with one byte", call: () => floor.crc32(one) }, ...ours];
}
