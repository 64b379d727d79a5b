/** Our broker, with its own name server, as a process. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createConnection } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort } from "../clients/ports.ts";
import { Process } from "../clients/process.ts";
import type { Subject } from "./subject.ts";

const READY_MS = 30_000;
const MAIN = join(import.meta.dirname, "../../dist/main.js");

/** The compiled broker over a store of its own. */
export async function startMoraine(
  settings: Readonly<Record<string, string | number | boolean>> = {},
): Promise<Subject> {
  if (!existsSync(MAIN)) throw new Error(`${MAIN} is missing: npm run build`);
  const folder = mkdtempSync(join(tmpdir(), "moraine-broker-"));
  const [port, nameServerPort] = [await freePort([-2, 1]), await freePort()];
  const all = {
    brokerClusterName: "DefaultCluster",
    brokerName: "broker-a",
    brokerIP1: "127.0.0.1",
    listenPort: port,
    haListenPort: port + 1,
    nameServerEnable: true,
    nameServerListenPort: nameServerPort,
    mappedFileSizeCommitLog: 16_777_216,
    mappedFileSizeConsumeQueue: 6000,
    maxHashSlotNum: 5000,
    maxIndexNum: 20_000,
    diskMaxUsedSpaceRatio: 95,
    diskSpaceCleanForciblyRatio: 95,
    ...settings,
  };
  const config = join(folder, "broker.conf");
  writeFileSync(
    config,
    Object.entries(all)
      .map(([name, value]) => `${name}=${value}\n`)
      .join(""),
  );
  let broker: Process | undefined;
  let starts = 0;
  const start = async (): Promise<void> => {
    starts += 1;
    const command = [process.execPath, MAIN, "--store", join(folder, "store"), "--config", config];
    broker = Process.start("the broker", command, join(folder, `output-${starts}.txt`));
    await listening(broker, nameServerPort);
    await listening(broker, port);
  };
  await start();
  const end = (signal: "SIGTERM" | "SIGKILL"): Promise<void> => broker?.end(signal) ?? Promise.resolve();
  return {
    kind: "moraine",
    nameServer: `127.0.0.1:${nameServerPort}`,
    brokerAddress: `127.0.0.1:${port}`,
    brokerName: "broker-a",
    cluster: "DefaultCluster",
    folder,
    start,
    stop: () => end("SIGTERM"),
    kill: () => end("SIGKILL"),
    async close() {
      await end("SIGTERM");
      if (process.env.MORAINE_KEEP_FOLDERS === undefined) rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function listening(broker: Process, port: number): Promise<void> {
  const until = Date.now() + READY_MS;
  while (!(await accepts(port))) {
    if (broker.child.exitCode !== null || Date.now() > until) await broker.printed(/$^/, 0);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ port, host: "127.0.0.1" }, () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
