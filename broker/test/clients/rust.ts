/** The Rust client: its crate and what it needs from crates.io, as Cargo.lock says. Needs Rust 1.95, as the crate does. */
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { built, kept, run } from "./cache.ts";

export const RUST_TOOLS: readonly string[] = ["cargo"];

const SOURCES = join(import.meta.dirname, "rust");

/** The compiled program. Its 370 crates take minutes the first time, and are kept for the next. */
export async function rustDriver(): Promise<string> {
  const sources = ["Cargo.toml", "Cargo.lock", "src"].map((name) => join(SOURCES, name));
  const folder = await built("driver-rust", sources, async (out) => {
    const target = kept("cargo");
    await run("cargo", ["build", "--locked", "--quiet"], {
      cwd: SOURCES,
      env: { ...process.env, CARGO_TARGET_DIR: target },
    });
    copyFileSync(join(target, "debug/driver"), join(out, "driver"));
  });
  return join(folder, "driver");
}
