/** Producers that are connected: their groups, and where a reply to one of them goes. */
import type { Connection } from "../transport/connection.ts";
import { type Client, ClientGroups, type ClientIdentity } from "./clients.ts";

export interface RegistryOptions {
  /** How long a client lives after a heartbeat, in milliseconds. */
  readonly expiryMs: () => number;
  /** Milliseconds since the epoch. */
  readonly now?: (() => number) | undefined;
}

export class ProducerRegistry {
  readonly #clients: ClientGroups;
  readonly #byId: Map<string, Connection> = new Map();

  constructor({ expiryMs, now = Date.now }: RegistryOptions) {
    this.#clients = new ClientGroups({ now, expiryMs, onClosed: (_group, client) => this.#left(client) });
  }

  /** A heartbeat of a producer. */
  register(group: string, client: ClientIdentity): void {
    this.#clients.touch(group, client);
    if (client.connection.isOpen) this.#byId.set(client.clientId, client.connection);
  }

  unregister(group: string, connection: Connection): boolean {
    const client = this.#clients.clients(group).find((one) => one.connection === connection);
    if (client === undefined) return false;
    this.#clients.remove(group, connection);
    this.#left(client);
    return true;
  }

  clients(group: string): readonly Client[] {
    return this.#clients.clients(group);
  }

  groups(): Iterable<string> {
    return this.#clients.groups();
  }

  /** The connection of a client that is one of some group. */
  connectionOf(clientId: string): Connection | undefined {
    return this.#byId.get(clientId);
  }

  stop(): void {
    this.#clients.stop();
    this.#byId.clear();
  }

  #left({ clientId, connection }: Client): void {
    if (this.#byId.get(clientId) === connection) this.#byId.delete(clientId);
  }
}
