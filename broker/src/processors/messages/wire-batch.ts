/** The messages of a batch as clients send it: size, 0, 0, flag, body length, body, property length, properties. */
import { markProperties, type PropertyMarks } from "./property-marks.ts";

const SIZE_BYTES = 4;
const BODY_LENGTH_AT = 16;
const BODY_AT = 20;
const PROPERTY_LENGTH_BYTES = 2;

/**
 * What the properties of each message say. Ends where lengths do not add up: the store refuses such a batch, and says why.
 * Names are ASCII, and so is what is looked for in values.
 */
export function* markWireBatch(body: Uint8Array): Generator<PropertyMarks, void, undefined> {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.byteLength);
  for (let at = 0; at + BODY_AT <= bytes.length; ) {
    const end = at + bytes.readInt32BE(at);
    const lengthAt = at + BODY_AT + bytes.readInt32BE(at + BODY_LENGTH_AT);
    if (end <= at + SIZE_BYTES || end > bytes.length || lengthAt < at || lengthAt + PROPERTY_LENGTH_BYTES > end) return;
    const propertiesAt = lengthAt + PROPERTY_LENGTH_BYTES;
    const propertiesEnd = propertiesAt + bytes.readInt16BE(lengthAt);
    if (propertiesEnd < propertiesAt || propertiesEnd > end) return;
    yield markProperties(bytes.toString("latin1", propertiesAt, propertiesEnd));
    at = end;
  }
}
