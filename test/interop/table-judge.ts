/** RocketMQ's own classes as judges of tables (oracle/README.md, "Tables"). */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { temporaryFolder } from "./folders.ts";
import { type Line, runOracle } from "./oracle.ts";

/** What RocketMQ found in one table. */
export interface JudgedTable {
  loaded: boolean;
  /** As RocketMQ writes it, on one line: keys may be without quotes. */
  text: string;
}

/** Lets RocketMQ load the tables in `dir/config`, and write each again. */
export async function judgeTables(
  line: Line,
  dir: string,
  queues: "plain" | "lmq" = "plain",
): Promise<Record<string, JudgedTable>> {
  const out = join(temporaryFolder(), "tables");
  const { code, err } = await runOracle(line, "tables", dir, out, queues);
  if (code !== 0) throw new Error(`RocketMQ's tables ended with ${code}: ${err}`);
  const lines = readFileSync(out, "utf8").trim().split("\n");
  return Object.fromEntries(
    lines.map((each) => {
      const [name = "", loaded, text = ""] = each.split("\t");
      return [name, { loaded: loaded === "true", text }];
    }),
  );
}
