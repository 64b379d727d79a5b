/** The client programs by name: what each needs, and how it is started. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Driver } from "./driver.ts";
import { GO_TOOLS, goDriver } from "./go.ts";
import { driverClassPath, JAVA_TOOLS, type JavaRelease, javaOptions } from "./java.ts";
import { RUST_TOOLS, rustDriver } from "./rust.ts";

export const CLIENTS = ["java-5.4.0", "java-5.3.3", "java-4.9.8", "go-2.1.2", "rust-1.0.0"] as const;
export type ClientName = (typeof CLIENTS)[number];

export interface Program {
  /** What must be on PATH. */
  readonly tools: readonly string[];
  start(nameServer: string, folder: string): Promise<Driver>;
}

export const PROGRAMS: Readonly<Record<ClientName, Program>> = {
  "java-5.4.0": java("5.4.0"),
  "java-5.3.3": java("5.3.3"),
  "java-4.9.8": java("4.9.8"),
  "go-2.1.2": {
    tools: GO_TOOLS,
    async start(nameServer, folder) {
      mkdirSync(folder, { recursive: true });
      return started([await goDriver(), nameServer, join(folder, "rocketmq.log")], folder, {
        ...process.env,
        HOME: folder,
      });
    },
  },
  "rust-1.0.0": {
    tools: RUST_TOOLS,
    async start(nameServer, folder) {
      mkdirSync(folder, { recursive: true });
      return started([await rustDriver(), nameServer], folder, { ...process.env, HOME: folder, RUST_LOG: "error" });
    },
  },
};

async function started(
  command: readonly string[],
  folder: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<Driver> {
  const driver = new Driver(command, join(folder, "output.txt"), env);
  await driver.ready();
  return driver;
}

/** Consumers look for queues that are theirs every two seconds, not twenty: the same code, with less waiting. */
const REBALANCE = "-Drocketmq.client.rebalance.waitInterval=2000";

function java(release: JavaRelease): Program {
  return {
    tools: JAVA_TOOLS,
    async start(nameServer, folder) {
      mkdirSync(folder, { recursive: true });
      const words = [
        "-Xms64m",
        "-Xmx384m",
        REBALANCE,
        ...javaOptions(folder),
        "-cp",
        await driverClassPath(release),
        "Driver",
        nameServer,
      ];
      return started(["java", ...words], folder);
    },
  };
}
