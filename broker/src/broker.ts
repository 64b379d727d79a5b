/** A broker: its parts put together, started and stopped in order. */
import { isIPv6 } from "node:net";
import { join } from "node:path";
import { Store } from "moraine";
import type { Configuration } from "./config/configuration.ts";
import { addressList } from "./config/schema.ts";
import { brokerHandlers } from "./handlers.ts";
import type { Log } from "./log.ts";
import { NameServer } from "./name-server/name-server.ts";
import { administrativeHook, changesHook } from "./processors/administrative.ts";
import { brokerAddress } from "./processors/queues.ts";
import { maxBodyBytes } from "./protocol/body-limits.ts";
import { RequestCode } from "./protocol/codes.ts";
import { isAnyAddress, printAddress } from "./protocol/hosts.ts";
import { ConsumerRegistry } from "./services/consumers.ts";
import { delaysOf } from "./services/delay-levels.ts";
import { DelayService } from "./services/delay-service.ts";
import { HeldPulls } from "./services/held-pulls.ts";
import { LogExpiry } from "./services/log-expiry.ts";
import { MinuteLooks } from "./services/minute-looks.ts";
import { ProducerRegistry } from "./services/producers.ts";
import { QueueLocks } from "./services/queue-locks.ts";
import { Registration } from "./services/registration.ts";
import { Statistics } from "./services/statistics.ts";
import { StoreHealth } from "./services/store-health.ts";
import { Stops } from "./stops.ts";
import { logStoreEvents } from "./store-events.ts";
import { storeOptions } from "./store-options.ts";
import { DelayOffsets } from "./tables/delay-offsets.ts";
import { GroupTable } from "./tables/group-table.ts";
import { OffsetTable } from "./tables/offset-table.ts";
import { TopicTable } from "./tables/topic-table.ts";
import { RemotingClient } from "./transport/client.ts";
import type { Handlers } from "./transport/connection.ts";
import { Dispatcher } from "./transport/dispatcher.ts";
import { HeldBytes } from "./transport/held-bytes.ts";
import { RemotingServer } from "./transport/server.ts";

/** The second port is so far below the first. It takes no pulls, so that sends there never stand behind one. */
const SECOND_PORT_BELOW = 2;
const NOT_ON_SECOND_PORT: ReadonlySet<number> = new Set([RequestCode.PULL_MESSAGE, RequestCode.LITE_PULL_MESSAGE]);

export class Broker {
  readonly #stops: Stops;
  /** `host:port` of the name server of its own; undefined where it has none. */
  readonly nameServer: string | undefined;

  private constructor(stops: Stops, nameServer: string | undefined) {
    this.#stops = stops;
    this.nameServer = nameServer;
  }

  /**
   * Resolves when clients can find it and send. Rejects with the first thing that failed; what was started before is stopped
   * again then.
   */
  static async start(configuration: Configuration, log: Log): Promise<Broker> {
    const stops = new Stops(log);
    try {
      const held = new HeldBytes();
      const nameServer = await startNameServer(configuration.values, held, log, stops);
      const topics = await startServing(configuration, held, log, stops);
      await register(configuration, { nameServer, topics, log, stops });
      return new Broker(stops, nameServer?.advertised);
    } catch (error) {
      await stops.run();
      throw error;
    }
  }

  /** Answers what is under way, and closes the store. Rejects with the first failure, when all else is stopped. */
  async stop(): Promise<void> {
    const [failure] = await this.#stops.run();
    if (failure !== undefined) throw failure;
  }
}

type Config = Configuration["values"];

/** Addresses, `host:port`, of the name server of the process. */
interface OwnNameServer {
  /** For clients. */
  readonly advertised: string;
  /** For this process, which may be the only one that cannot reach the other one. */
  readonly own: string;
}

async function startNameServer(
  config: Config,
  held: HeldBytes,
  log: Log,
  stops: Stops,
): Promise<OwnNameServer | undefined> {
  if (!config.nameServerEnable) return undefined;
  const options = {
    bindAddress: config.bindAddress,
    listenPort: config.nameServerListenPort,
    adminAccess: config.adminAccess,
    brokerAccess: config.brokerAccess,
    kvConfigPath: join(config.storePathRootDir, "config", "nameServerKv.json"),
  };
  const server = await NameServer.listen({ options, held, log });
  stops.add("name server", () => server.close());
  const { port } = server;
  return {
    advertised: printAddress({ address: config.brokerIP1, port }),
    own: printAddress({ address: ownAddress(config.bindAddress), port }),
  };
}

/** Where a process reaches what listens at this address. */
function ownAddress(bindAddress: string): string {
  if (!isAnyAddress(bindAddress)) return bindAddress;
  return isIPv6(bindAddress) ? "::1" : "127.0.0.1";
}

/** Opens the store, and listens for requests. Resolves with the topics that there are. */
async function startServing(
  configuration: Configuration,
  held: HeldBytes,
  log: Log,
  stops: Stops,
): Promise<TopicTable> {
  const config = configuration.values;
  stops.add("events of the store", logStoreEvents(config.storePathRootDir, log));
  const store = await Store.open(config.storePathRootDir, storeOptions(config));
  stops.add("store", () => store.close());
  const health = new StoreHealth({ store, log });

  const groups = new GroupTable(store, { config, log });
  const topics = new TopicTable(store, { config, groups, log });
  const offsets = new OffsetTable(store);
  const setBack = offsets.setBackToEnds();
  if (setBack > 0)
    log.warn({ queues: setBack }, "offsets of groups lay behind the end of their queues, and were set to it");
  stops.add("tables", () => Promise.all([topics.flush(), groups.flush(), offsets.flush()]));
  await Promise.all([topics.ready, groups.ready]);

  const expiryMs = (): number => config.channelExpiredTimeout;
  const producers = new ProducerRegistry({ expiryMs });
  stops.add("registry of producers", () => producers.stop());
  const consumers = new ConsumerRegistry({ expiryMs, subscriptionExpiryMs: () => config.subscriptionExpiredTimeout });
  stops.add("registry of consumers", () => consumers.stop());

  const statistics = new Statistics({ clusterName: config.brokerClusterName, systemTopics: topics.system });
  const delayOffsets = new DelayOffsets(store);
  // What is wrong with the tables' files.
  health.look();
  const delays = new DelayService({
    store,
    topics,
    offsets: delayOffsets,
    delays: delaysOf(config.messageDelayLevel),
    log,
    onDelivered: ({ topic, queueId, result }) => statistics.put(topic, 1, result.size, queueId),
  });
  stops.add("delivery of delayed messages", () => delays.stop());
  delays.start();

  const expiry = new LogExpiry({ store, config, log });
  const looks = new MinuteLooks({ looks: [() => health.look(), () => expiry.look()], log });
  stops.add("looks", () => looks.stop());
  looks.start();

  const heldPulls = new HeldPulls(store, config.maxHeldPulls);
  const handlers = brokerHandlers({
    store,
    health,
    configuration,
    topics,
    groups,
    offsets,
    delayOffsets,
    producers,
    consumers,
    locks: new QueueLocks(),
    heldPulls,
    delays,
    expiry,
    statistics,
    startedAt: Date.now(),
    log,
  });
  const servers = await listen(config, { handlers, held, log, stops });
  // All at once: what is held is answered, and whoever asks again for it finds no port.
  stops.add("requests", () => {
    const closed = servers.map((server) => server.close());
    heldPulls.stop();
    return Promise.all(closed);
  });
  return topics;
}

interface ServingParts {
  readonly handlers: Handlers;
  readonly held: HeldBytes;
  readonly log: Log;
  readonly stops: Stops;
}

async function listen(config: Config, { handlers, held, log, stops }: ServingParts): Promise<RemotingServer[]> {
  const { bindAddress: host, listenPort } = config;
  const limits = { idleMs: config.serverChannelMaxIdleTimeSeconds * 1000 };
  const before = [administrativeHook(config), changesHook(log)];
  const forAll = new Dispatcher({ handlers, before, maxBodyBytes, log });
  const withoutPulls = [...handlers].filter(([code]) => !NOT_ON_SECOND_PORT.has(code));
  const forSecond = new Dispatcher({ handlers: withoutPulls, before, maxBodyBytes, log });
  const servers: RemotingServer[] = [];
  for (const [port, dispatcher] of [
    [listenPort, forAll],
    [listenPort - SECOND_PORT_BELOW, forSecond],
  ] as const) {
    const server = await RemotingServer.listen({ host, ports: [port], dispatcher, limits, held, log });
    servers.push(server);
    stops.add(`port ${port}`, () => server.close());
  }
  return servers;
}

interface RegisterParts {
  readonly nameServer: OwnNameServer | undefined;
  readonly topics: TopicTable;
  readonly log: Log;
  readonly stops: Stops;
}

/**
 * Tells name servers of the broker, now and whenever something changes that they tell clients. Rejects if its own one does not
 * take it; others may come later.
 */
async function register(
  configuration: Configuration,
  { nameServer, topics, log, stops }: RegisterParts,
): Promise<void> {
  const config = configuration.values;
  const client = new RemotingClient({ log });
  stops.add("connections to name servers", () => client.close());
  const registration = new Registration({
    client,
    nameServers: () => [
      ...(nameServer === undefined ? [] : [nameServer.own]),
      ...(addressList(config.namesrvAddr) ?? []),
    ],
    address: brokerAddress(config),
    config,
    topics,
    log,
  });
  const unlisten = configuration.onChange((changed) => {
    if (changed.includes("brokerPermission")) void registration.changed();
  });
  stops.add("registration", async () => {
    unlisten();
    await registration.stop();
  });
  await registration.start();
  const failure = nameServer && registration.failure(nameServer.own);
  if (failure !== undefined) throw new Error(`the broker's own name server does not take it: ${failure}`);
}
