/** JSON text of values: objects with sorted keys, arrays, sets, maps, bigints; members that are undefined or null are left out. */

export type JsonStyle = "strict" | "fastjson";

export function printJson(value: unknown, style: JsonStyle): string {
  switch (typeof value) {
    case "string":
      return printText(value, style);
    case "number":
      return Number.isFinite(value) ? String(value) : "null";
    case "boolean":
    case "bigint":
      return String(value);
    case "object":
      if (value === null) return "null";
      if (value instanceof Map) return printMap(value, style);
      if (Array.isArray(value) || value instanceof Set) return printList(value, style);
      return printObject(value, style);
    default:
      return "null";
  }
}

const NOT_ASCII = /[\u007f-\uffff]/g;

function printText(text: string, style: JsonStyle): string {
  const quoted = JSON.stringify(text);
  if (style === "fastjson") return quoted;
  return quoted.replace(NOT_ASCII, (unit) => `\\u${unit.charCodeAt(0).toString(16).toUpperCase().padStart(4, "0")}`);
}

function printList(items: Iterable<unknown>, style: JsonStyle): string {
  const texts: string[] = [];
  for (const item of items) texts.push(printJson(item, style));
  return `[${texts.join(",")}]`;
}

function printObject(value: object, style: JsonStyle): string {
  const members: string[] = [];
  for (const name of Object.keys(value).sort()) {
    const member = (value as Record<string, unknown>)[name];
    if (member === undefined || member === null) continue;
    members.push(`${printText(name, style)}:${printJson(member, style)}`);
  }
  return `{${members.join(",")}}`;
}

/** Sorted by key where all are numbers or all text; otherwise as they come. */
function printMap(map: Map<unknown, unknown>, style: JsonStyle): string {
  const entries = [...map];
  if (entries.every(([key]) => typeof key === "number")) {
    entries.sort(([left], [right]) => (left as number) - (right as number));
  } else if (entries.every(([key]) => typeof key === "string")) {
    entries.sort(([left], [right]) => ((left as string) < (right as string) ? -1 : 1));
  }
  const members: string[] = [];
  for (const [key, member] of entries) {
    if (member === undefined || member === null) continue;
    members.push(`${printKey(key, style)}:${printJson(member, style)}`);
  }
  return `{${members.join(",")}}`;
}

function printKey(key: unknown, style: JsonStyle): string {
  if (typeof key === "number" || typeof key === "bigint") return style === "strict" ? `"${key}"` : String(key);
  return printJson(key, style);
}
