// rocketmq-rust's store, driven by a program of its own Cargo workspace, which is built when it is first needed.
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";

const workspace = fileURLToPath(new URL("./rocketmq-rust/", import.meta.url));
const program = resolve(workspace, process.env.CARGO_TARGET_DIR ?? "target", "release", "rocketmq-rust-bench");

const lastLine = (text) => text.trim().split("\n").at(-1) ?? "";

/** Why it cannot run here, or undefined. Builds it: some minutes the first time. */
export function missing() {
  if (spawnSync("cargo", ["--version"], { stdio: "ignore" }).status !== 0) return "cargo is not installed";
  if (!existsSync(program)) console.log("bench: building rocketmq-rust's store, which takes some minutes …");
  const build = ["cargo", "build", "--release", "--locked", "--quiet"];
  const [command, ...args] = process.platform === "win32" ? build : ["nice", "-n", "19", ...build];
  const { status, stderr } = spawnSync(command, args, {
    cwd: workspace,
    encoding: "utf8",
    stdio: ["ignore", "ignore", "pipe"],
  });
  return status === 0
    ? undefined
    : `it cannot be built: ${stderr.split("\n").find((line) => line.startsWith("error")) ?? lastLine(stderr)}`;
}

/** One run in a directory; figures as ours have them. `stored`: all messages, those of the warm-up among them. */
export function run(mode, way, dir, messages, bodyBytes) {
  const args = [dir, "--mode", mode, "--size", bodyBytes, "--messages", messages, ...way].map(String);
  const { status, stdout, stderr } = spawnSync(program, args, { encoding: "utf8", maxBuffer: 2 ** 28 });
  if (status !== 0) throw new Error(`rocketmq-rust ended with ${status}: ${lastLine(stderr)}`);
  return JSON.parse(lastLine(stdout));
}
