/**
 * Pulls that found nothing and are held until there is something: one wait of the store for each queue, however many pulls are
 * held for it, and nothing that looks.
 */
import { type Store, StoreError } from "moraine";

/** A pull that found nothing. */
export interface Pull {
  readonly topic: string;
  readonly queueId: number;
  /** Where it goes on: messages from here on wake it. */
  readonly queueOffset: number;
  readonly timeoutMs: number;
  /** Tags codes of which one is wanted; undefined: whatever comes. */
  readonly tagsCodes?: ReadonlySet<number> | undefined;
  /** What it takes while it is held. */
  readonly bytes?: number | undefined;
  /** Aborted when nobody waits for the answer any more. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Why a pull is held no longer. `"arrived"`, `"timeout"`: it is to be run once more, without being held. `"full"`: it was not
 * held at all. `"gone"`: nobody waits for the answer. `"stopped"`: the broker stops. `"failed"`: the store has failed, or is
 * closed.
 */
export type Release = "arrived" | "timeout" | "full" | "gone" | "stopped" | "failed";

export interface HeldPullsLimits {
  /** Bytes that all of them may take. */
  readonly bytes?: number | undefined;
  /** Those with the same signal, which is that of a connection: how many, their bytes, and how many for one queue. */
  readonly perSignal?: number | undefined;
  readonly bytesPerSignal?: number | undefined;
  readonly perSignalAndQueue?: number | undefined;
}

interface Held {
  readonly bytes: number;
  readonly tagsCodes: ReadonlySet<number> | undefined;
  readonly signal: AbortSignal | undefined;
  readonly timer: NodeJS.Timeout;
  /** Messages in front of here are known not to be wanted. */
  from: number;
  resolve(release: Release): void;
}

interface HeldQueue {
  readonly key: string;
  readonly topic: string;
  readonly queueId: number;
  readonly pulls: Set<Held>;
  /** The wait of the store, and the offset that it waits behind. */
  wait: { readonly from: number; readonly abort: AbortController } | undefined;
}

/** The pulls of one connection. One listener for its signal, however many they are. */
interface Peer {
  readonly pulls: Map<Held, HeldQueue>;
  /** How many it has for a queue. */
  readonly queues: Map<HeldQueue, number>;
  readonly listener: () => void;
  bytes: number;
}

const BYTES = 268_435_456;
/** A client has a pull for each queue that it consumes. */
const PER_SIGNAL = 16_384;
const BYTES_PER_SIGNAL = 33_554_432;
/** And one for each of its groups. */
const PER_SIGNAL_AND_QUEUE = 64;
/** With more codes it is woken by whatever comes: to look for each of them would hold up those who put. */
const CODES = 1024;
/** Messages that are looked at for a wanted one; with more, the pull itself goes through them. */
const LOOKED_AT = 1024;

export class HeldPulls {
  readonly #store: Store;
  readonly #maximum: number;
  readonly #limits: Required<{ readonly [Name in keyof HeldPullsLimits]: number }>;
  readonly #queues: Map<string, HeldQueue> = new Map();
  readonly #peers: Map<AbortSignal, Peer> = new Map();
  #size = 0;
  #bytes = 0;
  #isStopped = false;

  /** `maximum`: pulls that are held at once. */
  constructor(store: Store, maximum: number, limits: HeldPullsLimits = {}) {
    this.#store = store;
    this.#maximum = maximum;
    this.#limits = {
      bytes: limits.bytes ?? BYTES,
      perSignal: limits.perSignal ?? PER_SIGNAL,
      bytesPerSignal: limits.bytesPerSignal ?? BYTES_PER_SIGNAL,
      perSignalAndQueue: limits.perSignalAndQueue ?? PER_SIGNAL_AND_QUEUE,
    };
  }

  /** Pulls that are held now. */
  get size(): number {
    return this.#size;
  }

  /** Pulls that are held now for a queue. */
  sizeOf(topic: string, queueId: number): number {
    return this.#queues.get(keyOf(topic, queueId))?.pulls.size ?? 0;
  }

  /** Holds a pull. Never rejects. */
  hold({ topic, queueId, queueOffset, timeoutMs, tagsCodes, bytes = 0, signal }: Pull): Promise<Release> {
    if (this.#isStopped) return Promise.resolve("stopped");
    if (signal?.aborted === true) return Promise.resolve("gone");
    if (this.#isFull(topic, queueId, bytes, signal)) return Promise.resolve("full");
    return new Promise((resolve) => {
      const queue = this.#queue(topic, queueId);
      const timer = setTimeout(() => this.#release(queue, held, "timeout"), timeoutMs);
      const codes = tagsCodes === undefined || tagsCodes.size > CODES ? undefined : tagsCodes;
      const held: Held = { tagsCodes: codes, bytes, signal, timer, from: queueOffset, resolve };
      queue.pulls.add(held);
      this.#size++;
      this.#bytes += bytes;
      if (signal !== undefined) this.#listen(signal, held, queue);
      this.#wait(queue, queueOffset);
    });
  }

  #isFull(topic: string, queueId: number, bytes: number, signal: AbortSignal | undefined): boolean {
    const limits = this.#limits;
    if (this.#size >= this.#maximum || this.#bytes + bytes > limits.bytes) return true;
    if (signal === undefined) return false;
    const peer = this.#peers.get(signal);
    if ((peer?.bytes ?? 0) + bytes > limits.bytesPerSignal) return true;
    if (peer === undefined) return false;
    if (peer.pulls.size >= limits.perSignal) return true;
    const queue = this.#queues.get(keyOf(topic, queueId));
    return queue !== undefined && (peer.queues.get(queue) ?? 0) >= limits.perSignalAndQueue;
  }

  /** Releases all that are held; what comes now is not held any more. */
  stop(): void {
    this.#isStopped = true;
    for (const queue of [...this.#queues.values()]) this.#releaseAll(queue, "stopped");
  }

  #queue(topic: string, queueId: number): HeldQueue {
    const key = keyOf(topic, queueId);
    const known = this.#queues.get(key);
    if (known !== undefined) return known;
    const queue: HeldQueue = { key, topic, queueId, pulls: new Set(), wait: undefined };
    this.#queues.set(key, queue);
    return queue;
  }

  /** Sees to it that the store tells of messages from an offset on. */
  #wait(queue: HeldQueue, from: number): void {
    if (queue.wait !== undefined) {
      if (queue.wait.from <= from) return;
      queue.wait.abort.abort();
    }
    const wait = { from, abort: new AbortController() };
    queue.wait = wait;
    this.#store.arrival(queue.topic, queue.queueId, from, { signal: wait.abort.signal }).then(
      () => this.#arrived(queue, wait),
      (error: unknown) => {
        if (queue.wait !== wait || (error instanceof StoreError && error.code === "STORE_ABORTED")) return;
        queue.wait = undefined;
        this.#releaseAll(queue, "failed");
      },
    );
  }

  #arrived(queue: HeldQueue, wait: HeldQueue["wait"]): void {
    if (queue.wait !== wait) return;
    queue.wait = undefined;
    try {
      this.#wake(queue);
    } catch {
      this.#releaseAll(queue, "failed");
    }
    if (queue.pulls.size === 0) return;
    let from = Number.POSITIVE_INFINITY;
    for (const held of queue.pulls) from = Math.min(from, held.from);
    this.#wait(queue, from);
  }

  #wake(queue: HeldQueue): void {
    const { topic, queueId, pulls } = queue;
    const { max } = this.#store.offsets(topic, queueId);
    const codes = new ArrivedCodes(this.#store, topic, queueId, max);
    for (const held of [...pulls]) {
      if (held.from >= max) continue;
      if (held.tagsCodes === undefined || codes.hasAny(held.from, held.tagsCodes)) {
        this.#release(queue, held, "arrived");
      } else held.from = max;
    }
  }

  #release(queue: HeldQueue, held: Held, release: Release): void {
    if (!queue.pulls.delete(held)) return;
    this.#size--;
    this.#bytes -= held.bytes;
    clearTimeout(held.timer);
    if (held.signal !== undefined) this.#unlisten(held.signal, held, queue);
    if (queue.pulls.size === 0) {
      queue.wait?.abort.abort();
      queue.wait = undefined;
      this.#queues.delete(queue.key);
    }
    held.resolve(release);
  }

  #releaseAll(queue: HeldQueue, release: Release): void {
    for (const held of [...queue.pulls]) this.#release(queue, held, release);
  }

  #listen(signal: AbortSignal, held: Held, queue: HeldQueue): void {
    const peer = this.#peers.get(signal) ?? this.#meet(signal);
    peer.pulls.set(held, queue);
    peer.queues.set(queue, (peer.queues.get(queue) ?? 0) + 1);
    peer.bytes += held.bytes;
  }

  #meet(signal: AbortSignal): Peer {
    const pulls = new Map<Held, HeldQueue>();
    const listener = () => {
      for (const [gone, itsQueue] of [...pulls]) this.#release(itsQueue, gone, "gone");
    };
    signal.addEventListener("abort", listener, { once: true });
    const peer: Peer = { pulls, queues: new Map(), listener, bytes: 0 };
    this.#peers.set(signal, peer);
    return peer;
  }

  #unlisten(signal: AbortSignal, held: Held, queue: HeldQueue): void {
    const peer = this.#peers.get(signal);
    if (peer === undefined) return;
    peer.pulls.delete(held);
    peer.bytes -= held.bytes;
    const left = (peer.queues.get(queue) ?? 1) - 1;
    if (left > 0) peer.queues.set(queue, left);
    else peer.queues.delete(queue);
    if (peer.pulls.size > 0) return;
    signal.removeEventListener("abort", peer.listener);
    this.#peers.delete(signal);
  }
}

/** Tags codes of messages that have arrived, read once for all pulls that go on at the same place. */
class ArrivedCodes {
  readonly #store: Store;
  readonly #topic: string;
  readonly #queueId: number;
  readonly #max: number;
  #from = -1;
  #codes: ReadonlySet<number> = new Set();

  constructor(store: Store, topic: string, queueId: number, max: number) {
    this.#store = store;
    this.#topic = topic;
    this.#queueId = queueId;
    this.#max = max;
  }

  /** Whether one of the codes may be among those of the messages from `from` on. */
  hasAny(from: number, wanted: ReadonlySet<number>): boolean {
    if (this.#max - from > LOOKED_AT) return true;
    if (from !== this.#from) {
      const entries = this.#store.entries(this.#topic, this.#queueId, { from, max: LOOKED_AT });
      this.#codes = new Set(entries.map(({ tagsCode }) => tagsCode));
      this.#from = from;
    }
    // Mostly a message or two of one tag have come, and many pulls may each want a thousand others.
    const [fewer, more] = wanted.size < this.#codes.size ? [wanted, this.#codes] : [this.#codes, wanted];
    for (const code of fewer) if (more.has(code)) return true;
    return false;
  }
}

function keyOf(topic: string, queueId: number): string {
  return `${topic}/${queueId}`;
}
