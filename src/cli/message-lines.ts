/** A stored message as one line: for a person, or as JSON. */
import { createHash } from "node:crypto";
import type { StoredMessage } from "../index.ts";
import { numberText, safeText, timeText } from "./readable.ts";

/** What can be shown of a body; nothing when not asked. */
export const BODIES = ["none", "sha256", "hex", "text"] as const;
export type Body = (typeof BODIES)[number];

function bodyOf(message: StoredMessage, body: Body): Record<string, string> {
  const bytes = Buffer.from(message.body.buffer, message.body.byteOffset, message.body.byteLength);
  switch (body) {
    case "none":
      return {};
    case "sha256":
      return { bodySha256: createHash("sha256").update(bytes).digest("hex") };
    case "hex":
      return { bodyHex: bytes.toString("hex") };
    case "text":
      return { bodyText: bytes.toString("utf8") };
  }
}

/** The message as one JSON object. */
export function messageJson(message: StoredMessage, body: Body): string {
  return JSON.stringify({ ...message.toJSON(), ...bodyOf(message, body) });
}

/** One line: place in the log, queue and offset in it, size of the body, store time (UTC), tags, keys, body. */
export function messageText(message: StoredMessage, body: Body): string {
  const { tags, keys } = message;
  const [content] = Object.values(bodyOf(message, body));
  const parts = [
    numberText(message.physicalOffset).padStart(13),
    timeText(message.storeTimestamp),
    `${safeText(message.topic)}/${message.queueId} #${message.queueOffset}`,
    `${numberText(message.body.byteLength)} B`,
  ];
  if (tags !== undefined) parts.push(`tags ${safeText(tags)}`);
  if (keys.length > 0) parts.push(`keys ${safeText(keys.join(" "))}`);
  if (content !== undefined) parts.push(safeText(content));
  return parts.join("  ");
}
