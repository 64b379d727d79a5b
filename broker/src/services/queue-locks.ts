/** Queues that one consumer of a group has for itself, for messages in order. */
import { monotonicNow } from "./clock.ts";

export interface QueueName {
  readonly brokerName: string;
  readonly topic: string;
  readonly queueId: number;
}

export interface QueueLocksOptions {
  /** Milliseconds of a clock that nobody sets. */
  readonly now?: (() => number) | undefined;
  /** How long a lock lives without being renewed. */
  readonly leaseMs?: number | undefined;
  /** Locks that are kept at most, and those that one connection may have taken. */
  readonly maximum?: number | undefined;
  readonly perConnection?: number | undefined;
}

interface Lock {
  readonly name: QueueName;
  owner: string;
  /** Id of the connection that has taken or renewed it last. */
  connection: number;
  renewedAt: number;
}

const LEASE_MS = 60_000;
const MAXIMUM = 200_000;
const PER_CONNECTION = 16_384;
/** Fewer locks than these are not looked through for those that nobody renews. */
const FEW = 1024;

export class QueueLocks {
  readonly #now: () => number;
  readonly #leaseMs: number;
  readonly #maximum: number;
  readonly #groups: Map<string, Map<string, Lock>> = new Map();
  readonly #perConnection: number;
  readonly #taken: Map<number, number> = new Map();
  #count = 0;
  #prunedAbove: number = FEW;
  #prunedAt = 0;

  constructor(options: QueueLocksOptions = {}) {
    const { now = monotonicNow, leaseMs = LEASE_MS, maximum = MAXIMUM, perConnection = PER_CONNECTION } = options;
    this.#perConnection = perConnection;
    this.#now = now;
    this.#leaseMs = leaseMs;
    this.#maximum = maximum;
  }

  /** Takes queues that are free and renews those that the client has. Returns those that it has now. */
  lock<T extends QueueName>(group: string, clientId: string, queues: Iterable<T>, connection = 0): T[] {
    this.#prune();
    return [...queues].filter((queue) => this.#lockOne(group, clientId, queue, connection));
  }

  /** Gives queues back, as far as the client has them. */
  unlock(group: string, clientId: string, queues: Iterable<QueueName>): void {
    const locks = this.#groups.get(group);
    if (locks === undefined) return;
    for (const queue of queues) {
      const key = keyOf(queue);
      if (locks.get(key)?.owner === clientId) this.#delete(group, locks, key);
    }
  }

  /** Takes a queue from whoever has it. */
  clear(group: string, topic: string, queueId: number): void {
    const locks = this.#groups.get(group);
    if (locks === undefined) return;
    for (const [key, { name }] of [...locks]) {
      if (name.topic === topic && name.queueId === queueId) this.#delete(group, locks, key);
    }
  }

  /** Whether no consumer of the group has a queue for itself: it does not consume in order. */
  isLockAllExpired(group: string): boolean {
    for (const lock of this.#groups.get(group)?.values() ?? []) if (!this.#isExpired(lock)) return false;
    return true;
  }

  #lockOne(group: string, clientId: string, { brokerName, topic, queueId }: QueueName, connection: number): boolean {
    const name = { brokerName, topic, queueId };
    const key = keyOf(name);
    const locks = this.#groups.get(group) ?? new Map<string, Lock>();
    const lock = locks.get(key);
    if (lock !== undefined) {
      if (lock.owner !== clientId && !this.#isExpired(lock)) return false;
      lock.owner = clientId;
      this.#countOf(lock.connection, -1);
      this.#countOf(connection, 1);
      lock.connection = connection;
      lock.renewedAt = this.#now();
      return true;
    }
    if (this.#count >= this.#maximum || (this.#taken.get(connection) ?? 0) >= this.#perConnection) return false;
    locks.set(key, { name, owner: clientId, connection, renewedAt: this.#now() });
    this.#countOf(connection, 1);
    this.#groups.set(group, locks);
    this.#count++;
    return true;
  }

  #isExpired({ renewedAt }: Lock): boolean {
    return this.#now() - renewedAt > this.#leaseMs;
  }

  /** Once there are twice as many as were left the last time; where no more are taken, once a lease. */
  #prune(): void {
    const isFull = this.#count >= this.#maximum && this.#now() - this.#prunedAt > this.#leaseMs;
    if (this.#count < this.#prunedAbove && !isFull) return;
    this.#prunedAt = this.#now();
    for (const [group, locks] of [...this.#groups]) {
      for (const [key, lock] of [...locks]) if (this.#isExpired(lock)) this.#delete(group, locks, key);
    }
    this.#prunedAbove = Math.max(FEW, 2 * this.#count);
  }

  #countOf(connection: number, change: number): void {
    const count = (this.#taken.get(connection) ?? 0) + change;
    if (count > 0) this.#taken.set(connection, count);
    else this.#taken.delete(connection);
  }

  #delete(group: string, locks: Map<string, Lock>, key: string): void {
    this.#countOf(locks.get(key)?.connection ?? 0, -1);
    locks.delete(key);
    this.#count--;
    if (locks.size === 0) this.#groups.delete(group);
  }
}

function keyOf({ brokerName, topic, queueId }: QueueName): string {
  return `${topic}/${queueId}/${brokerName}`;
}
