import type { DataVersion } from "../protocol/bodies/data-version.ts";
import type { Connection } from "../transport/connection.ts";

/** A broker process that keeps its registration up. */
export interface LiveBroker {
  readonly cluster: string;
  readonly brokerName: string;
  readonly brokerId: number;
  readonly address: string;
  /** Where its slaves replicate from. */
  readonly haServerAddr: string;
  readonly dataVersion: DataVersion;
  readonly timeoutMs: number;
  /** The last one that it was heard of over: its end is the broker's. */
  connection: Connection;
  /** On the registry's clock. */
  lastUpdateAt: number;
}

const MAX_DELAY_MS = 2_147_483_647;

/**
 * Brokers by cluster and address. One that is silent for longer than its timeout, or whose connection closes, is handed to
 * `gone`, and is not here any more by then. There is one timer, for the nearest end.
 */
export class LiveBrokers {
  readonly #now: () => number;
  readonly #gone: (broker: LiveBroker, reason: string) => void;
  readonly #brokers: Map<string, LiveBroker> = new Map();
  readonly #connections: Set<Connection> = new Set();
  #timer: NodeJS.Timeout | undefined;
  #timerAt = Number.POSITIVE_INFINITY;

  constructor(now: () => number, gone: (broker: LiveBroker, reason: string) => void) {
    this.#now = now;
    this.#gone = gone;
  }

  get size(): number {
    return this.#brokers.size;
  }

  get(cluster: string, address: string): LiveBroker | undefined {
    return this.#brokers.get(keyOf(cluster, address));
  }

  put(broker: LiveBroker): void {
    this.#brokers.set(keyOf(broker.cluster, broker.address), broker);
    this.#watch(broker.connection);
    this.#arm(broker.lastUpdateAt + broker.timeoutMs);
  }

  /** The broker was heard of, over this connection where it is known to be the broker's; false if the broker is not known. */
  touch(cluster: string, address: string, connection?: Connection): boolean {
    const broker = this.get(cluster, address);
    if (broker === undefined) return false;
    broker.lastUpdateAt = this.#now();
    if (connection !== undefined && connection !== broker.connection) {
      // The one before may end long after the broker has left it.
      broker.connection = connection;
      this.#watch(connection);
    }
    return true;
  }

  delete(cluster: string, address: string): void {
    this.#brokers.delete(keyOf(cluster, address));
    if (this.#brokers.size === 0) this.#disarm();
  }

  stop(): void {
    this.#disarm();
    this.#brokers.clear();
  }

  /** A broker's last connection counts: one that it has left may close. */
  #watch(connection: Connection): void {
    if (this.#connections.has(connection)) return;
    this.#connections.add(connection);
    connection.onClose(() => {
      this.#connections.delete(connection);
      this.#removeWhere((broker) => broker.connection === connection, "its connection closed");
    });
  }

  #removeWhere(isGone: (broker: LiveBroker) => boolean, reason: string): void {
    const gone = [...this.#brokers.values()].filter(isGone);
    for (const broker of gone) {
      this.delete(broker.cluster, broker.address);
      this.#gone(broker, reason);
    }
  }

  #arm(at: number): void {
    if (at >= this.#timerAt) return;
    clearTimeout(this.#timer);
    this.#timerAt = at;
    this.#timer = setTimeout(this.#expire, Math.min(Math.max(1, at - this.#now()), MAX_DELAY_MS)).unref();
  }

  #disarm(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#timerAt = Number.POSITIVE_INFINITY;
  }

  /** Registrations that were renewed since the timer was set give it another time. */
  readonly #expire = (): void => {
    this.#disarm();
    const now = this.#now();
    this.#removeWhere(({ lastUpdateAt, timeoutMs }) => lastUpdateAt + timeoutMs <= now, "its registration expired");
    for (const { lastUpdateAt, timeoutMs } of this.#brokers.values()) this.#arm(lastUpdateAt + timeoutMs);
  };
}

function keyOf(cluster: string, address: string): string {
  return `${cluster}\n${address}`;
}
