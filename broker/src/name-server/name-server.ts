import type { Log } from "../log.ts";
import { maxBodyBytes } from "../protocol/body-limits.ts";
import { Dispatcher } from "../transport/dispatcher.ts";
import type { HeldBytes } from "../transport/held-bytes.ts";
import type { TransportLimits } from "../transport/limits.ts";
import { RemotingServer } from "../transport/server.ts";
import { adminHandlers, administrativeHook } from "./admin-handlers.ts";
import { KVConfig } from "./kv-config.ts";
import { queryHandlers } from "./query-handlers.ts";
import { registrationHandlers } from "./registration-handlers.ts";
import { Registry } from "./registry.ts";
import { Settings } from "./settings.ts";

export interface NameServerParts {
  /** Options by RocketMQ's names, as text or as what they mean; `readNameServerOptions` says which there are. */
  readonly options?: Readonly<Record<string, unknown>>;
  readonly limits?: Partial<TransportLimits>;
  /** Of the process, where it has other servers. */
  readonly held?: HeldBytes;
  readonly log: Log;
  /** Milliseconds of a clock that only goes forward: a leap of the system's shall end no broker. */
  readonly now?: () => number;
}

/** A name server: brokers register, clients ask for routes. */
export class NameServer {
  readonly #server: RemotingServer;
  readonly #registry: Registry;
  readonly #settings: Settings;

  private constructor(server: RemotingServer, registry: Registry, settings: Settings) {
    this.#server = server;
    this.#registry = registry;
    this.#settings = settings;
  }

  /** Rejects if the port cannot be had, with a `RangeError` for wrong options, or if the file of settings is unreadable. */
  static async listen({
    options,
    limits,
    held,
    log,
    now = () => performance.now(),
  }: NameServerParts): Promise<NameServer> {
    const settings = new Settings(options);
    const kv = await KVConfig.load(settings.current.kvConfigPath);
    const registry = new Registry({
      now,
      deleteMissingTopics: () => settings.current.deleteTopicWithBrokerRegistration,
      onLost: ({ brokerName, address }, reason) => log.warn({ brokerName, address, reason }, "a broker is gone"),
    });
    const dispatcher = new Dispatcher({
      handlers: [
        ...registrationHandlers({ registry, kv, settings }),
        ...queryHandlers({ registry, kv, settings, now, startedAt: now() }),
        ...adminHandlers({ registry, kv, settings }),
      ],
      before: [administrativeHook(settings)],
      maxBodyBytes,
      log,
    });
    const { bindAddress, listenPort, serverChannelMaxIdleTimeSeconds } = settings.current;
    const server = await RemotingServer.listen({
      host: bindAddress,
      ports: [listenPort],
      dispatcher,
      limits: { idleMs: serverChannelMaxIdleTimeSeconds * 1000, ...limits },
      held,
      log,
    });
    return new NameServer(server, registry, settings);
  }

  get address(): string {
    return this.#settings.current.bindAddress;
  }

  get port(): number {
    return this.#server.ports[0] ?? 0;
  }

  /** Answers what is under way, for at most so long, and stops. */
  async close(graceMs?: number): Promise<void> {
    await this.#server.close(graceMs);
    this.#registry.stop();
  }
}
