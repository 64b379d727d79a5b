/** The Go client: its module and what it needs from the module proxy, as go.mod and go.sum say. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { built, run } from "./cache.ts";

export const GO_TOOLS: readonly string[] = ["go"];

const SOURCES = join(import.meta.dirname, "go");

/** The compiled program. */
export async function goDriver(): Promise<string> {
  const files = readdirSync(SOURCES).map((name) => join(SOURCES, name));
  const folder = await built("driver-go", files, async (out) => {
    await run("go", ["build", "-mod=readonly", "-o", join(out, "driver"), "."], { cwd: SOURCES });
  });
  return join(folder, "driver");
}
