/** Who is connected on behalf of which group: as long as heartbeats come, and the connection stands. */
import type { Connection } from "../transport/connection.ts";

export interface ClientIdentity {
  readonly connection: Connection;
  readonly clientId: string;
  /** Name of the client's language. */
  readonly language: string;
  /** Ordinal of the client's version. */
  readonly version: number;
}

export interface Client extends ClientIdentity {
  /** Time of the last heartbeat, in milliseconds since the epoch. */
  readonly lastUpdateAt: number;
}

export interface ClientGroupsOptions {
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** How long a client lives after a heartbeat, in milliseconds. */
  readonly expiryMs: () => number;
  /** A client has left a group because its connection was closed. */
  readonly onClosed: (group: string, client: Client) => void;
}

/** Groups that a connection may be registered for: what a heartbeat names takes memory. */
const MAX_GROUPS = 10_000;
/** Shortest wait between two looks for clients that send no heartbeats any more. */
const LEAST_WAIT_MS = 1000;

export class ClientGroups {
  readonly #options: ClientGroupsOptions;
  readonly #groups: Map<string, Map<Connection, Client>> = new Map();
  /** What each connection is registered for, and what ends listening to its end. */
  readonly #connections: Map<Connection, { readonly groups: Set<string>; readonly unlisten: () => void }> = new Map();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ClientGroupsOptions) {
    this.#options = options;
  }

  /**
   * A heartbeat. Returns whether the client is new in the group. A connection that is closed already is not taken, and none
   * that is in 10,000 groups.
   */
  touch(group: string, { connection, clientId, language, version }: ClientIdentity): boolean {
    if (!connection.isOpen) return false;
    const known = this.#connections.get(connection)?.groups;
    if (known !== undefined && known.size >= MAX_GROUPS && !known.has(group)) return false;
    let clients = this.#groups.get(group);
    if (clients === undefined) {
      clients = new Map();
      this.#groups.set(group, clients);
    }
    const before = clients.get(connection);
    clients.set(connection, { connection, clientId, language, version, lastUpdateAt: this.#options.now() });
    if (before === undefined) this.#listen(connection).add(group);
    this.#watch(this.#options.expiryMs());
    return before?.clientId !== clientId;
  }

  /** Returns whether the connection was registered for the group. */
  remove(group: string, connection: Connection): boolean {
    const isGone = this.#take(group, connection) !== undefined;
    const known = this.#connections.get(connection);
    known?.groups.delete(group);
    if (known?.groups.size === 0) {
      known.unlisten();
      this.#connections.delete(connection);
    }
    return isGone;
  }

  has(group: string): boolean {
    return this.#groups.has(group);
  }

  clients(group: string): readonly Client[] {
    return [...(this.#groups.get(group)?.values() ?? [])];
  }

  groups(): Iterable<string> {
    return this.#groups.keys();
  }

  /** Forgets all. */
  stop(): void {
    this.#unwatch();
    for (const { unlisten } of this.#connections.values()) unlisten();
    this.#connections.clear();
    this.#groups.clear();
  }

  #listen(connection: Connection): Set<string> {
    const known = this.#connections.get(connection);
    if (known !== undefined) return known.groups;
    const groups = new Set<string>();
    const unlisten = connection.onClose(() => this.#closed(connection));
    this.#connections.set(connection, { groups, unlisten });
    return groups;
  }

  #closed(connection: Connection): void {
    const known = this.#connections.get(connection);
    if (known === undefined) return;
    this.#connections.delete(connection);
    for (const group of known.groups) {
      const client = this.#take(group, connection);
      if (client !== undefined) this.#options.onClosed(group, client);
    }
  }

  #take(group: string, connection: Connection): Client | undefined {
    const clients = this.#groups.get(group);
    const client = clients?.get(connection);
    clients?.delete(connection);
    if (clients?.size === 0) this.#groups.delete(group);
    if (this.#groups.size === 0) this.#unwatch();
    return client;
  }

  #watch(waitMs: number): void {
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => this.#expire(), Math.max(waitMs, LEAST_WAIT_MS));
    this.#timer.unref();
  }

  #unwatch(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  /** Closes connections without heartbeats, and looks again when the next one may be without. */
  #expire(): void {
    this.#timer = undefined;
    const now = this.#options.now();
    const expiryMs = this.#options.expiryMs();
    let oldest = Number.POSITIVE_INFINITY;
    const expired = new Set<Connection>();
    for (const clients of this.#groups.values()) {
      for (const { connection, lastUpdateAt } of clients.values()) {
        if (now - lastUpdateAt > expiryMs) expired.add(connection);
        else oldest = Math.min(oldest, lastUpdateAt);
      }
    }
    for (const connection of expired) {
      connection.close(`no heartbeat for ${expiryMs} ms`);
      // Where closing tells nobody at once, it is out all the same.
      this.#closed(connection);
    }
    if (oldest !== Number.POSITIVE_INFINITY) this.#watch(oldest + expiryMs + 1 - now);
  }
}
