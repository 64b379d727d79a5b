/** The property string of a record: `name U+0001 value U+0002`, repeated (store-format chapter 2.4). */

export const NAME_END = 0x01;
export const PAIR_END = 0x02;

/**
 * The pairs of a property string by RocketMQ's rules: a pair counts if name and value are not empty, a value may have
 * U+0001, a later pair of the same name wins, the last U+0002 may be missing.
 */
export function decodeProperties(text: string): Map<string, string> {
  const properties = new Map<string, string>();
  let from = 0;
  while (from < text.length) {
    let end = text.indexOf("\u0002", from);
    if (end < 0) end = text.length;
    const nameEnd = text.indexOf("\u0001", from);
    if (nameEnd > from && nameEnd + 1 < end) {
      properties.set(text.slice(from, nameEnd), text.slice(nameEnd + 1, end));
    }
    from = end + 1;
  }
  return properties;
}

/** Whether the property string in `bytes` from `from` to `to` has a pair of this name (ASCII). */
export function namesProperty(bytes: Uint8Array, from: number, to: number, name: string): boolean {
  let at = from;
  while (at < to) {
    let end = bytes.indexOf(PAIR_END, at);
    if (end < 0 || end > to) end = to;
    if (end - at > name.length + 1 && bytes[at + name.length] === NAME_END && startsWith(bytes, at, name)) return true;
    at = end + 1;
  }
  return false;
}

function startsWith(bytes: Uint8Array, at: number, name: string): boolean {
  for (let i = 0; i < name.length; i++) {
    if (bytes[at + i] !== name.charCodeAt(i)) return false;
  }
  return true;
}

/** Keys of a KEYS property: divided by spaces, empty ones dropped. */
export function splitKeys(keys: string): string[] {
  return keys.split(" ").filter((key) => key !== "");
}
