// Apache RocketMQ's own store, driven by the oracle's `bench` (test/interop/oracle/README.md).
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";

export const ORACLE = fileURLToPath(new URL("../../test/interop/oracle/oracle", import.meta.url));

/** The ways to put that RocketMQ's best figure is taken from. */
const PUT_WAYS = [
  ["--batch", "1", "--threads", "1"],
  ["--batch", "64", "--threads", "1"],
  ["--batch", "1", "--threads", "8"],
  ["--batch", "1", "--threads", "1", "--window", "64"],
];

/** @type {Record<string, { mode: string, ways: string[][] }>} */
export const WAYS = {
  "put-batch": { mode: "async", ways: PUT_WAYS },
  "put-one": { mode: "async", ways: PUT_WAYS },
  "append-durable": {
    mode: "sync",
    ways: [
      ["--threads", "64"],
      ["--threads", "1", "--window", "64"],
    ],
  },
  read: { mode: "read", ways: [["--threads", "1"]] },
};

/** Why it cannot run here, or undefined. */
export function missing() {
  for (const tool of ["java", "mvn"]) {
    try {
      execFileSync(tool, ["--version"], { stdio: "ignore" });
    } catch {
      return `${tool} is not installed`;
    }
  }
  return undefined;
}

/** One run in an empty directory. */
export function run(mode, way, dir, messages) {
  const out = execFileSync(
    ORACLE,
    ["bench", dir, "--mode", mode, "--size", "1024", "--queues", "8", "--messages", String(messages), ...way],
    {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  const line = out.trim().split("\n").at(-1);
  return JSON.parse(line);
}
