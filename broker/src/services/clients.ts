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

/** As it is kept here. */
interface Member extends Client {
  /** The same, by the clock that nobody sets. */
  readonly seenAt: number;
  /** What is kept for it, in bytes. */
  readonly bytes: number;
}

/** What became of a heartbeat: the client is new in the group, known already, or not taken. */
export type Touch = "new" | "known" | "refused";

export interface ClientGroupsOptions {
  /** Milliseconds of a clock that nobody sets. */
  readonly now: () => number;
  /** How long a client lives after a heartbeat, in milliseconds. */
  readonly expiryMs: () => number;
  /** A client has left a group because its connection was closed. */
  readonly onClosed: (group: string, client: Client) => void;
}

/** Groups that a connection may be registered for, and what all of them may take: what a heartbeat names takes memory. */
const MAX_GROUPS = 10_000;
const MAX_BYTES = 16_777_216;
/** What a client in a group takes beside its names. */
const CLIENT_BYTES = 512;
/** Longest wait of a timer that is sure to be waited. */
const MOST_WAIT_MS = 3_600_000;
/** Shortest wait between two looks for clients that send no heartbeats any more. */
const LEAST_WAIT_MS = 1000;

interface Memberships {
  readonly groups: Set<string>;
  readonly unlisten: () => void;
  bytes: number;
}

export class ClientGroups {
  readonly #options: ClientGroupsOptions;
  readonly #groups: Map<string, Map<Connection, Member>> = new Map();
  /** What each connection is registered for, and what ends listening to its end. */
  readonly #connections: Map<Connection, Memberships> = new Map();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: ClientGroupsOptions) {
    this.#options = options;
  }

  /**
   * A heartbeat. `bytes`: what is kept for it beside its names. A connection that is closed already is not taken, and none that
   * is in 10,000 groups, or would have too much kept for it.
   */
  touch(group: string, { connection, clientId, language, version }: ClientIdentity, bytes = 0): Touch {
    if (!connection.isOpen) return "refused";
    const known = this.#connections.get(connection);
    const before = this.#groups.get(group)?.get(connection);
    const taken = CLIENT_BYTES + 2 * (group.length + clientId.length) + bytes;
    if (before === undefined && known !== undefined && known.groups.size >= MAX_GROUPS) return "refused";
    if ((known?.bytes ?? 0) - (before?.bytes ?? 0) + taken > MAX_BYTES) return "refused";
    const memberships = known ?? this.#listen(connection);
    memberships.bytes += taken - (before?.bytes ?? 0);
    memberships.groups.add(group);
    let clients = this.#groups.get(group);
    if (clients === undefined) {
      clients = new Map();
      this.#groups.set(group, clients);
    }
    const times = { lastUpdateAt: Date.now(), seenAt: this.#options.now() };
    clients.set(connection, { connection, clientId, language, version, ...times, bytes: taken });
    this.#watch(this.#options.expiryMs());
    return before?.clientId === clientId ? "known" : "new";
  }

  /** Returns whether the connection was registered for the group. */
  remove(group: string, connection: Connection): boolean {
    const gone = this.#take(group, connection);
    const known = this.#connections.get(connection);
    known?.groups.delete(group);
    if (known !== undefined) known.bytes -= gone?.bytes ?? 0;
    if (known?.groups.size === 0) {
      known.unlisten();
      this.#connections.delete(connection);
    }
    return gone !== undefined;
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

  #listen(connection: Connection): Memberships {
    const unlisten = connection.onClose(() => this.#closed(connection));
    const memberships: Memberships = { groups: new Set(), unlisten, bytes: 0 };
    this.#connections.set(connection, memberships);
    return memberships;
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

  #take(group: string, connection: Connection): Member | undefined {
    const clients = this.#groups.get(group);
    const client = clients?.get(connection);
    clients?.delete(connection);
    if (clients?.size === 0) this.#groups.delete(group);
    if (this.#groups.size === 0) this.#unwatch();
    return client;
  }

  #watch(waitMs: number): void {
    if (this.#timer !== undefined) return;
    this.#timer = setTimeout(() => this.#expire(), Math.min(Math.max(waitMs, LEAST_WAIT_MS), MOST_WAIT_MS));
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
      for (const { connection, seenAt } of clients.values()) {
        if (now - seenAt > expiryMs) expired.add(connection);
        else oldest = Math.min(oldest, seenAt);
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
