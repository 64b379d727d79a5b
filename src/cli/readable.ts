/** Numbers, times and foreign text as a person at a terminal wants to read them. */
import type { Finding } from "../index.ts";

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;

/** 1024 → "1 KiB", 1500 → "1.46 KiB". */
export function bytesText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  const digits = unit === 0 || Number.isInteger(value) ? 0 : value < 10 ? 2 : value < 100 ? 1 : 0;
  return `${value.toFixed(digits)} ${UNITS[unit]}`;
}

/** 1234567 → "1,234,567". */
export function numberText(value: number): string {
  return value.toLocaleString("en-US");
}

/** "1 queue", "2 queues". */
export function countText(value: number, one: string, many: string = `${one}s`): string {
  return `${numberText(value)} ${value === 1 ? one : many}`;
}

/** Milliseconds since 1970 as UTC: "2026-11-21 07:10:53.283"; a number that is no date stays a number. */
export function timeText(ms: number | undefined): string {
  if (ms === undefined) return "-";
  const date = new Date(ms);
  return Number.isNaN(date.getTime()) ? String(ms) : date.toISOString().replace("T", " ").replace("Z", "");
}

/** Text from a store for a terminal: control characters and those that turn the writing direction become \u escapes. */
export function safeText(text: string): string {
  const control = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu;
  return text.replace(control, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** "finding: damaged commitlog/00000000000000032768 at 7331 (304 bytes): body CRC …" */
export function findingText({ kind, file, offset, length, message, remedy }: Finding & { remedy?: string }): string {
  const where = length > 0 ? ` at ${numberText(offset)} (${countText(length, "byte")})` : "";
  const mended = remedy === undefined ? "" : ` (${remedy})`;
  return `finding: ${kind}${file === "" ? "" : ` ${safeText(file)}`}${where}: ${safeText(message)}${mended}`;
}

/** Rows as aligned columns; `right` says which columns hold numbers. */
export function tableLines(rows: readonly (readonly string[])[], right: readonly boolean[], indent: string): string[] {
  const widths = right.map((_, column) => Math.max(0, ...rows.map((row) => row[column]?.length ?? 0)));
  return rows.map((row) => {
    const cells = row.map((cell, column) => {
      const width = widths[column] ?? 0;
      return right[column] ? cell.padStart(width) : cell.padEnd(width);
    });
    return `${indent}${cells.join("  ")}`.trimEnd();
  });
}
