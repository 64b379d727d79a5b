/** The same done over each engine, in directories of their own. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

export const ENGINES = ["native", "wasm"] as const;
export type EngineName = (typeof ENGINES)[number];

/** An empty directory, gone when the test has finished. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "moraine-engines-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}
