import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";

/** What these figures depend on: the engine, the broker, and what loads it. How they are judged and shown is not among it. */
const MEASURED = [
  ...["src", "native", "wasm", "package.json", "Cargo.toml", "Cargo.lock"],
  ...["src", "package-lock.json", "bench/figures", "test/apache/pom.xml"].map((path) => `broker/${path}`),
  ":!*.md",
];

/** The last commit that changed any of it, with a mark where there are changes that are not committed. Undefined outside of a clone. */
export function commitOf(root: string): string | undefined {
  const git = (...args: string[]): string =>
    execFileSync("git", args, { cwd: root, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"], maxBuffer: 2 ** 28 });
  try {
    const commit = git("log", "-1", "--format=%h", "--abbrev=12", "--", ...MEASURED).trim();
    const changes =
      git("diff", "HEAD", "--", ...MEASURED) + git("ls-files", "-o", "--exclude-standard", "--", ...MEASURED);
    if (changes === "") return commit;
    return `${commit}+${createHash("sha256").update(changes).digest("hex").slice(0, 8)}`;
  } catch {
    return undefined;
  }
}
