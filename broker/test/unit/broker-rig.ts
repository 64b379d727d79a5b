/** A whole broker in this process, over sockets, whose store has small files. */
import { join } from "node:path";
import { Broker } from "../../src/broker.ts";
import { Configuration } from "../../src/config/configuration.ts";
import type { Log } from "../../src/log.ts";

/** Where it is. */
export interface Place {
  /** Of its store. */
  readonly folder: string;
  readonly port: number;
}

export async function startBroker(
  { folder, port }: Place,
  log: Log,
  given: Readonly<Record<string, string>> = {},
): Promise<Broker> {
  const options = {
    brokerName: "broker-a",
    storePathRootDir: join(folder, "store"),
    listenPort: String(port),
    nameServerListenPort: "0",
    mappedFileSizeCommitLog: "16777216",
    mappedFileSizeConsumeQueue: "6000",
    maxHashSlotNum: "1000",
    maxIndexNum: "4000",
    ...given,
  };
  return await Broker.start(Configuration.load({ given: options }, log), log);
}
