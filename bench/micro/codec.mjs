// Messages to bytes, and back.
import { encodeMessages } from "../../dist/index.js";
import { keyOf, TAG, TOPIC } from "../load/messages.mjs";
import { BODY } from "./store.mjs";

const BATCH = 64;

export function codecCases(store) {
  const messages = Array.from({ length: BATCH }, (_, n) => ({ tags: TAG, keys: [keyOf(n)], body: BODY }));
  const wire = encodeMessages(messages);
  const batch = messages.map((message) => ({ ...message, topic: TOPIC, queueId: 0 }));
  const { messages: found } = store.get(TOPIC, 0, 0, { max: BATCH });
  return [
    { name: "encodeMessages, a message of 64", times: BATCH, call: () => encodeMessages(messages) },
    { name: "putBatch of 64 objects, a message", times: BATCH, call: () => store.putBatch(batch) },
    { name: "putGroup of 64 as wire bytes, a message", times: BATCH, call: () => store.putGroup(TOPIC, 0, wire) },
    {
      name: "tags and keys of a stored message",
      times: found.length,
      call: () => found.map(({ tags, keys }) => [tags, keys]),
    },
    {
      name: "all properties of a stored message",
      times: found.length,
      call: () => found.map(({ properties }) => properties),
    },
  ];
}
