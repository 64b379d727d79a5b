/** The files of a store as the model tests copy and compare them. */
import { cpSync, existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";

/**
 * The files as the death of the process would leave them. The store goes on meanwhile, so what vouches for other files is
 * copied before them: `checkpoint`, then the watermark, then all else, the log last. A copy in another order has a watermark
 * that speaks of entries which came too late.
 */
export function copyStore(from: string, to: string): void {
  const others = readdirSync(from).filter((name) => name !== "commitlog");
  for (const name of ["checkpoint", "moraine/watermark", "moraine", ...others, "commitlog"]) {
    // What is there stays as it was.
    if (existsSync(join(from, name))) cpSync(join(from, name), join(to, name), { recursive: true, force: false });
  }
}

/** Contents of all files below a directory. */
export function filesBelow(directory: string): Map<string, string> {
  const paths = readdirSync(directory, { recursive: true, encoding: "utf8" }).map((path) => join(directory, path));
  const files = paths.filter((path) => statSync(path).isFile());
  return new Map(files.map((path) => [path, readFileSync(path, "latin1")]));
}
