/** RocketMQ's own classes as judges of tables: programs in oracle/tables, run from source on the oracle's libraries. */
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { temporaryFolder } from "./folders.ts";
import { type Line, ORACLE_TIMEOUT_MS, runOracle } from "./oracle.ts";

const run = promisify(execFile);
const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "moraine-oracle");
/** As the oracle has it: RocketMQ reaches into Java. */
const OPENS = ["java.base/java.nio", "java.base/sun.nio.ch", "java.base/java.lang", "java.base/jdk.internal.ref"];

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
  // Without words it does nothing but see to its libraries.
  await runOracle(line);
  const out = join(temporaryFolder(), "tables");
  const libraries = join(cache, `rocketmq-${line}`, "lib/*");
  const program = join(import.meta.dirname, `oracle/tables/Tables${line}.java`);
  const opens = OPENS.map((name) => `--add-opens=${name}=ALL-UNNAMED`);
  // RocketMQ keeps logs below the home directory.
  const args = [...opens, `-Duser.home=${cache}`, "-cp", libraries, program, dir, out, queues];
  await run("java", args, { timeout: ORACLE_TIMEOUT_MS });
  const lines = readFileSync(out, "utf8").trim().split("\n");
  return Object.fromEntries(
    lines.map((each) => {
      const [name = "", loaded, text = ""] = each.split("\t");
      return [name, { loaded: loaded === "true", text }];
    }),
  );
}
