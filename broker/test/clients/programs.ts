/** The client programs by name: what each needs, and how it is started. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Driver } from "./driver.ts";
import { driverClassPath, JAVA_TOOLS, type JavaRelease, javaOptions } from "./java.ts";

export const CLIENTS = ["java-5.4.0", "java-4.9.8"] as const;
export type ClientName = (typeof CLIENTS)[number];

export interface Program {
  /** What must be on PATH. */
  readonly tools: readonly string[];
  start(nameServer: string, folder: string): Promise<Driver>;
}

export const PROGRAMS: Readonly<Record<ClientName, Program>> = {
  "java-5.4.0": java("5.4.0"),
  "java-4.9.8": java("4.9.8"),
};

function java(release: JavaRelease): Program {
  return {
    tools: JAVA_TOOLS,
    async start(nameServer, folder) {
      mkdirSync(folder, { recursive: true });
      const words = ["-Xms64m", "-Xmx384m", ...javaOptions(folder), "-cp", await driverClassPath(release), "Driver", nameServer];
      const driver = new Driver(["java", ...words], join(folder, "output.txt"));
      await driver.ready();
      return driver;
    },
  };
}
