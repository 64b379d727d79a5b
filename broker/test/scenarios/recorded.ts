/** Facts of Apache's broker as they were recorded, and what may differ from them. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import allowed from "./allowed-differences.json" with { type: "json" };
import type { Subject } from "./subject.ts";

const RECORDED = join(import.meta.dirname, "recorded");

/** A difference: where in the facts, what Apache's broker showed, what this one. */
export interface Difference {
  readonly path: string;
  readonly recorded: unknown;
  readonly seen: unknown;
}

/** Every place at which two facts differ; `path` as `stored/0/properties/CLUSTER`. */
export function differences(recorded: unknown, seen: unknown, path = ""): Difference[] {
  if (isTree(recorded) && isTree(seen) && Array.isArray(recorded) === Array.isArray(seen)) {
    const names = new Set([...Object.keys(recorded), ...Object.keys(seen)]);
    return [...names].flatMap((name) =>
      differences(recorded[name], seen[name], path === "" ? name : `${path}/${name}`),
    );
  }
  return Object.is(recorded, seen) ? [] : [{ path, recorded, seen }];
}

function isTree(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null;
}

/** Throws where facts differ from the recorded ones without a reason in allowed-differences.json. */
export function judge(facts: unknown, subject: Subject, client: string, scenario: string): void {
  const file = join(RECORDED, client, `${scenario}.json`);
  if (!existsSync(file)) throw new Error(`nothing is recorded of Apache's broker: ${file}`);
  // Through JSON: as the recorded ones were.
  const found = differences(JSON.parse(readFileSync(file, "utf8")), JSON.parse(JSON.stringify(facts)));
  const reasons = subject.kind === "apache" ? [] : allowed.filter((one) => isWhole(one.scenario, scenario));
  const unexplained = found.filter(({ path }) => !reasons.some((one) => isWhole(one.path, path)));
  // What is allowed must be seen with the client that shows most: else the reason has outlived its difference.
  const outlived = reasons.filter((one) => !found.some(({ path }) => isWhole(one.path, path)));
  if (client === "java-5.4.0" && outlived.length > 0) {
    throw new Error(
      `${scenario} no longer differs in ${outlived.map(({ path }) => path).join(", ")}: allowed-differences.json`,
    );
  }
  if (unexplained.length === 0) return;
  const shown = unexplained.map(
    (one) => `${one.path}\n  Apache: ${JSON.stringify(one.recorded)}\n  here:   ${JSON.stringify(one.seen)}`,
  );
  throw new Error(`${client} ${scenario} differs from what Apache's broker does:\n${shown.join("\n")}`);
}

function isWhole(pattern: string, text: string): boolean {
  return new RegExp(`^(?:${pattern})$`).test(text);
}
