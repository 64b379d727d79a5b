/** Consumers that are connected: the members of each group, and what the group has subscribed to. */
import type { ConsumeFromWhere, ConsumeType, MessageModel } from "../protocol/bodies/heartbeat.ts";
import type { SubscriptionData } from "../protocol/subscription.ts";
import type { Connection } from "../transport/connection.ts";
import { type Client, ClientGroups, type ClientIdentity } from "./clients.ts";
import { monotonicNow } from "./clock.ts";
import { GroupNotices } from "./group-notices.ts";
import type { RegistryOptions } from "./producers.ts";
import { PulledSubscriptions } from "./pulled-subscriptions.ts";

/** How a group consumes, as its last heartbeat said. */
export interface ConsumerKind {
  readonly consumeType: ConsumeType;
  readonly messageModel: MessageModel;
  /** Where it begins without offsets. */
  readonly consumeFromWhere: ConsumeFromWhere;
}

export interface ConsumerGroup extends ConsumerKind {
  readonly group: string;
  /** By topic. */
  readonly subscriptions: ReadonlyMap<string, SubscriptionData>;
  readonly clients: readonly Client[];
}

export interface ConsumerRegistryOptions extends RegistryOptions {
  /** How long a subscription is remembered that came with a pull, in milliseconds. */
  readonly subscriptionExpiryMs: () => number;
}

interface GroupState {
  kind: ConsumerKind;
  /** Whether members are told of changes. */
  isNotified: boolean;
  subscriptions: Map<string, SubscriptionData>;
  /** Of the last heartbeat of the second kind; undefined before one. */
  fingerprint: number | undefined;
}

/** What a subscription takes beside its texts, and a tag, in bytes. */
const SUBSCRIPTION_BYTES = 512;
const TAG_BYTES = 128;

export class ConsumerRegistry {
  readonly #clients: ClientGroups;
  readonly #groups: Map<string, GroupState> = new Map();
  readonly #pulled: PulledSubscriptions;
  readonly #notices: GroupNotices;

  constructor({ expiryMs, subscriptionExpiryMs, now = monotonicNow }: ConsumerRegistryOptions) {
    this.#pulled = new PulledSubscriptions({ now, expiryMs: subscriptionExpiryMs });
    this.#clients = new ClientGroups({ now, expiryMs, onClosed: (group) => this.#left(group) });
    this.#notices = new GroupNotices((group) => this.#clients.clients(group));
  }

  /**
   * A heartbeat of a consumer. `subscriptions` are all that the group has now; undefined: those it has had before.
   * `isNotified`: whether members are told of changes. Returns whether members or topics of the group have changed; nothing
   * has where the client is not taken (`ClientGroups.touch`).
   */
  register(
    group: string,
    client: ClientIdentity,
    kind: ConsumerKind,
    subscriptions: Iterable<SubscriptionData> | undefined,
    isNotified: boolean,
  ): boolean {
    const kept = subscriptions === undefined ? undefined : [...subscriptions];
    const touch = this.#clients.touch(group, client, bytesOf(kept ?? this.#groups.get(group)?.subscriptions.values()));
    if (touch === "refused") return false;
    let state = this.#groups.get(group);
    if (state === undefined) {
      state = { kind, isNotified, subscriptions: new Map(), fingerprint: undefined };
      this.#groups.set(group, state);
    }
    state.kind = kind;
    state.isNotified = isNotified;
    const hasOthers = kept !== undefined && updateSubscriptions(state.subscriptions, kept);
    const hasChanged = touch === "new" || hasOthers;
    if (hasChanged) this.#notify(group, state);
    return hasChanged;
  }

  /** Returns whether the connection was one of the group. */
  unregister(group: string, connection: Connection): boolean {
    if (!this.#clients.remove(group, connection)) return false;
    this.#left(group);
    return true;
  }

  /** The group with its members; undefined where none is connected. */
  find(group: string): ConsumerGroup | undefined {
    const state = this.#groups.get(group);
    if (state === undefined) return undefined;
    return { group, ...state.kind, subscriptions: state.subscriptions, clients: this.#clients.clients(group) };
  }

  groups(): Iterable<string> {
    return this.#groups.keys();
  }

  /** Groups of which a member is connected that have subscribed to a topic. */
  groupsOf(topic: string): string[] {
    return [...this.#groups].filter(([, { subscriptions }]) => subscriptions.has(topic)).map(([group]) => group);
  }

  messageModel(group: string): MessageModel | undefined {
    return this.#groups.get(group)?.kind.messageModel;
  }

  /** What a group has subscribed to of a topic, by heartbeats, or by pulls of late. */
  subscription(group: string, topic: string): SubscriptionData | undefined {
    return this.#groups.get(group)?.subscriptions.get(topic) ?? this.#pulled.get(group, topic);
  }

  client(group: string, clientId: string): Client | undefined {
    return this.#clients.clients(group).find((client) => client.clientId === clientId);
  }

  /** Remembers for a while what came with a pull. Returns what to go on with: an equal one that is known already. */
  compensate(group: string, data: SubscriptionData): SubscriptionData {
    return this.#pulled.note(group, data);
  }

  /**
   * Remembers the fingerprint of a heartbeat of the second kind, and returns whether the client is to send its
   * subscriptions: it has another one than was seen last, or `withoutSubscriptions` and none was seen.
   */
  isFingerprintNew(group: string, fingerprint: number, withoutSubscriptions: boolean): boolean {
    const state = this.#groups.get(group);
    if (state === undefined) return withoutSubscriptions;
    const before = state.fingerprint;
    if (before === undefined && withoutSubscriptions) return true;
    state.fingerprint = fingerprint;
    return before !== undefined && before !== fingerprint;
  }

  stop(): void {
    this.#clients.stop();
    this.#notices.stop();
    this.#groups.clear();
    this.#pulled.clear();
  }

  #left(group: string): void {
    const state = this.#groups.get(group);
    if (state === undefined) return;
    if (this.#clients.has(group)) this.#notify(group, state);
    else this.#groups.delete(group);
  }

  #notify(group: string, { isNotified, kind }: GroupState): void {
    if (isNotified && kind.messageModel !== "BROADCASTING") this.#notices.due(group);
  }
}

/** A subscription takes the place of an older one of its topic. Returns whether topics have come or gone. */
function updateSubscriptions(known: Map<string, SubscriptionData>, given: Iterable<SubscriptionData>): boolean {
  const named = new Set<string>();
  let hasChanged = false;
  for (const data of given) {
    named.add(data.topic);
    const before = known.get(data.topic);
    if (before === undefined) hasChanged = true;
    if (before === undefined || data.subVersion > before.subVersion) known.set(data.topic, data);
  }
  for (const topic of [...known.keys()]) {
    if (named.has(topic)) continue;
    known.delete(topic);
    hasChanged = true;
  }
  return hasChanged;
}

function bytesOf(subscriptions: Iterable<SubscriptionData> = []): number {
  let bytes = 0;
  for (const { topic, subString, tagsSet } of subscriptions) {
    bytes += SUBSCRIPTION_BYTES + 2 * (topic.length + subString.length);
    for (const tag of tagsSet) bytes += TAG_BYTES + 2 * tag.length;
  }
  return bytes;
}
