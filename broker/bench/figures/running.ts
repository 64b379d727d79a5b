/** A broker with its name server as it is measured: processes of their own, and a store that there was not before. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { ApacheBroker, ApacheNameServer, type Way } from "../../test/apache/apache.ts";
import { rocketmqOptions } from "../../test/clients/java.ts";
import { freePort } from "../../test/clients/ports.ts";
import { Process } from "../../test/clients/process.ts";

export interface Running {
  /** `host:port`. */
  readonly nameServer: string;
  /** Of the broker. */
  readonly pid: number;
  end(): Promise<void>;
}

export type Start = (folder: string, flushDiskType: string) => Promise<Running>;

const READY_MS = 30_000;
const MAIN = join(import.meta.dirname, "../../dist/main.js");

/** The command, with its defaults but for `flushDiskType` and the ports. */
export async function startMoraine(folder: string, flushDiskType: string): Promise<Running> {
  if (!existsSync(MAIN)) throw new Error(`${MAIN} is missing: npm --prefix broker run build`);
  const [port, nameServerPort] = [await freePort([-2]), await freePort()];
  const words = ["--port", String(port), "--name-server-port", String(nameServerPort)];
  const command = [process.execPath, MAIN, "--store", join(folder, "store"), ...words];
  const output = join(folder, "broker.txt");
  const broker = Process.start("moraine-broker", [...command, "-o", `flushDiskType=${flushDiskType}`], output);
  await broker.printed(/ listens at /, READY_MS);
  return {
    nameServer: `127.0.0.1:${nameServerPort}`,
    pid: broker.child.pid as number,
    async end() {
      await broker.end("SIGTERM");
      const { exitCode, signalCode } = broker.child;
      if (exitCode !== 0) throw new Error(`moraine-broker ended with ${exitCode ?? signalCode}`);
    },
  };
}

/** RocketMQ's defaults, in a JVM with a heap that does not grow. */
const AS_ITS_USERS: Way = {
  settings: {},
  nameServer: (folder) => ["-Xms128m", "-Xmx256m", ...rocketmqOptions(folder)],
  broker: (folder) => ["-Xms1g", "-Xmx1g", "-XX:MaxDirectMemorySize=1g", ...rocketmqOptions(folder)],
};

export async function startApache(folder: string, flushDiskType: string): Promise<Running> {
  const nameServer = await ApacheNameServer.start(join(folder, "namesrv"), AS_ITS_USERS);
  const store = join(folder, "store");
  const options = { settings: { flushDiskType }, store, way: AS_ITS_USERS };
  const broker = await ApacheBroker.make(join(folder, "broker"), nameServer.address, options);
  // A clean end takes this broker fourteen seconds, and nobody looks at the store any more.
  const end = async (): Promise<void> => {
    await Promise.all([broker.end("SIGKILL"), nameServer.end("SIGKILL")]);
  };
  try {
    await broker.start();
  } catch (error) {
    await end();
    throw error;
  }
  return { nameServer: nameServer.address, pid: broker.pid as number, end };
}
