/** The stores that RocketMQ wrote (../fixtures/README.md), unpacked for a test. */
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { type Expected, expectedFrom } from "./expected.ts";
import { temporaryFolder } from "./folders.ts";

const FIXTURES = join(import.meta.dirname, "../fixtures");

/** Names of all fixtures. */
export const fixtureNames: string[] = readdirSync(FIXTURES, { withFileTypes: true })
  .filter((entry) => entry.isDirectory())
  .map((entry) => entry.name)
  .sort();

/** Which RocketMQ wrote a fixture, as the oracle's `--rocketmq` names it. */
export function lineOf(name: string): "4" | "5" {
  return name.startsWith("rmq4-") ? "4" : "5";
}

/** Puts a fixture's store into a temporary folder, modification times kept, and returns its path. */
export function unpack(name: string): string {
  const folder = temporaryFolder();
  execFileSync("tar", ["-xzpf", join(FIXTURES, name, "store.tar.gz"), "-C", folder]);
  return join(folder, "store");
}

/** What the RocketMQ that wrote a fixture finds in it. */
export function expectedOf(name: string): Expected {
  const text = gunzipSync(readFileSync(join(FIXTURES, name, "expected.jsonl.gz"))).toString("utf8");
  const lines = text.split("\n").filter((line) => line !== "");
  return expectedFrom(lines.map((line) => JSON.parse(line) as { kind: string }));
}

/** What was spoilt in a fixture after RocketMQ had written it. */
export function damageOf(name: string): { what: string; file?: string; recordAt?: number; recordSize?: number }[] {
  return JSON.parse(readFileSync(join(FIXTURES, name, "fixture.json"), "utf8")).damage;
}
