// Messages to bytes, and back.
import { encodeMessages } from "../../dist/index.js";
import { keyOf, TAG, TOPIC } from "../load/messages.mjs";
import { BODY } from "./store.mjs";

const BATCH = 64;

export function codecCases(store) {
  const messages = Array.from({ length: BATCH }, (_, n) => ({ tags: TAG, keys: [keyOf(n)], body: BODY }));
  const wire = encodeMessages(messages);
  const batch = messages.map((message) => ({ ...message, topic: TOPIC, queueId: 0 }));
  // Read anew each time: a message keeps what was decoded of it.
  const read = () => store.get(TOPIC, 0, 0, { max: BATCH }).messages;
  return [
    { name: "encodeMessages, a message of 64", times: BATCH, call: () => encodeMessages(messages) },
    { name: "putBatch of 64 objects, a message", times: BATCH, call: () => store.putBatch(batch) },
    { name: "putGroup of 64 as wire bytes, a message", times: BATCH, call: () => store.putGroup(TOPIC, 0, wire) },
    { name: "get of 64 messages, a message", times: BATCH, call: () => read().length },
    { name: "… with tags and keys of each", times: BATCH, call: () => read().map(({ tags, keys }) => [tags, keys]) },
    { name: "… with all properties of each", times: BATCH, call: () => read().map(({ properties }) => properties) },
  ];
}
