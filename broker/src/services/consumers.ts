/** Consumers that are connected: the members of each group, and what the group has subscribed to. */
import type { ConsumeFromWhere, ConsumeType, MessageModel } from "../protocol/bodies/heartbeat.ts";
import { RequestCode } from "../protocol/codes.ts";
import type { SubscriptionData } from "../protocol/subscription.ts";
import type { Connection } from "../transport/connection.ts";
import { type Client, ClientGroups, type ClientIdentity } from "./clients.ts";
import type { RegistryOptions } from "./producers.ts";

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

/** Members of a group are told of changes at most so often: what changes in between is told in one. */
const NOTICE_PERIOD_MS = 100;

export class ConsumerRegistry {
  readonly #clients: ClientGroups;
  readonly #now: () => number;
  readonly #subscriptionExpiryMs: () => number;
  readonly #groups: Map<string, GroupState> = new Map();
  /** Subscriptions that came with pulls, with the time of the last one, by group and topic. */
  readonly #compensated: Map<string, Map<string, { data: SubscriptionData; at: number }>> = new Map();
  readonly #notices: Map<string, { timer: NodeJS.Timeout; isDue: boolean }> = new Map();

  constructor({ expiryMs, subscriptionExpiryMs, now = Date.now }: ConsumerRegistryOptions) {
    this.#now = now;
    this.#subscriptionExpiryMs = subscriptionExpiryMs;
    this.#clients = new ClientGroups({ now, expiryMs, onClosed: (group) => this.#left(group) });
  }

  /**
   * A heartbeat of a consumer. `subscriptions` are all that the group has now; undefined: those it has had before.
   * `isNotified`: whether members are told of changes. Returns whether members or topics of the group have changed.
   */
  register(
    group: string,
    client: ClientIdentity,
    kind: ConsumerKind,
    subscriptions: Iterable<SubscriptionData> | undefined,
    isNotified: boolean,
  ): boolean {
    const isNew = this.#clients.touch(group, client);
    if (!this.#clients.has(group)) return false;
    let state = this.#groups.get(group);
    if (state === undefined) {
      state = { kind, isNotified, subscriptions: new Map(), fingerprint: undefined };
      this.#groups.set(group, state);
    }
    state.kind = kind;
    state.isNotified = isNotified;
    const hasOthers = subscriptions !== undefined && updateSubscriptions(state.subscriptions, subscriptions);
    const hasChanged = isNew || hasOthers;
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
    return this.#groups.get(group)?.subscriptions.get(topic) ?? this.#fromPulls(group, topic);
  }

  client(group: string, clientId: string): Client | undefined {
    return this.#clients.clients(group).find((client) => client.clientId === clientId);
  }

  /** Remembers for a while what came with a pull. */
  compensate(group: string, data: SubscriptionData): void {
    const topics = this.#compensated.get(group);
    const entry = { data, at: this.#now() };
    if (topics === undefined) this.#compensated.set(group, new Map([[data.topic, entry]]));
    else topics.set(data.topic, entry);
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
    for (const { timer } of this.#notices.values()) clearTimeout(timer);
    this.#notices.clear();
    this.#groups.clear();
    this.#compensated.clear();
  }

  #fromPulls(group: string, topic: string): SubscriptionData | undefined {
    const topics = this.#compensated.get(group);
    const found = topics?.get(topic);
    if (topics === undefined || found === undefined) return undefined;
    if (this.#now() - found.at <= this.#subscriptionExpiryMs()) return found.data;
    topics.delete(topic);
    if (topics.size === 0) this.#compensated.delete(group);
    return undefined;
  }

  #left(group: string): void {
    const state = this.#groups.get(group);
    if (state === undefined) return;
    if (this.#clients.has(group)) this.#notify(group, state);
    else this.#groups.delete(group);
  }

  /** At the end of this turn, or of the period that an earlier notice has begun. */
  #notify(group: string, { isNotified, kind }: GroupState): void {
    if (!isNotified || kind.messageModel === "BROADCASTING") return;
    const notice = this.#notices.get(group);
    if (notice !== undefined) notice.isDue = true;
    else this.#schedule(group, 0, true);
  }

  #schedule(group: string, waitMs: number, isDue: boolean): void {
    const timer = setTimeout(() => this.#sendNotice(group), waitMs);
    timer.unref();
    this.#notices.set(group, { timer, isDue });
  }

  #sendNotice(group: string): void {
    const isDue = this.#notices.get(group)?.isDue === true;
    this.#notices.delete(group);
    if (!isDue) return;
    for (const { connection } of this.#clients.clients(group)) {
      connection.notify(RequestCode.NOTIFY_CONSUMER_IDS_CHANGED, { consumerGroup: group });
    }
    this.#schedule(group, NOTICE_PERIOD_MS, false);
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
