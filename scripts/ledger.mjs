// docs/reliability-ledger.md: a table for each kind of long run, a row for each run.
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const LEDGER = `${root}/docs/reliability-ledger.md`;

/** What is being tried, for a row. */
export function commit() {
  const git = (...args) => spawnSync("git", args, { cwd: root, encoding: "utf8" }).stdout?.trim() ?? "";
  return `${git("rev-parse", "--short", "HEAD")}${git("status", "--porcelain") === "" ? "" : " and changes"}`;
}

export function today() {
  return new Date().toISOString().slice(0, 10);
}

/**
 * Adds a row to the table whose first line begins with `head`, and says the sums of all its rows anew: `total` gets a
 * function that adds up a column, by its number from 1 on, and gives the line that follows `Total: `.
 */
export function enter(head, columns, total) {
  const lines = readFileSync(LEDGER, "utf8").split("\n");
  const first = lines.findIndex((line) => line.startsWith(head));
  if (first < 0) throw new Error(`${LEDGER} has no table that begins with ${head}`);
  let end = first;
  while (lines[end]?.startsWith("|")) end += 1;
  lines.splice(end, 0, `| ${columns.join(" | ")} |`);
  const rows = lines.slice(first + 2, end + 1).map((line) => line.split("|").map((cell) => cell.trim()));
  const sum = (column) => rows.reduce((all, row) => all + Number(row[column]), 0).toLocaleString("en");
  const said = lines.findLastIndex((line, at) => at < first && line.startsWith("Total: "));
  if (said < 0) throw new Error(`${LEDGER} says no total above the table that begins with ${head}`);
  lines[said] = `Total: ${total(sum)}`;
  writeFileSync(LEDGER, lines.join("\n"));
}

/** The number that an option gives. */
export function numberOf(name, text, least) {
  const value = Number(text);
  if (text !== "" && Number.isSafeInteger(value) && value >= least) return value;
  throw new Error(`--${name} is ${JSON.stringify(text)}; it must be a whole number from ${least} on.`);
}
