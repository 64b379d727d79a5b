import type { QueueData } from "../protocol/bodies/route.ts";
import { Permission } from "../protocol/bodies/topic-config.ts";

/** Which brokers have queues of which topic. A topic without any broker is gone. */
export class TopicQueues {
  readonly #topics: Map<string, Map<string, QueueData>> = new Map();
  #queueDatas = 0;
  #version = 0;

  /** Goes on when there are other topics, brokers of one, or system flags: with all that lists of topics are made of. */
  get version(): number {
    return this.#version;
  }

  /** Of all topics and brokers together. */
  get queueDatas(): number {
    return this.#queueDatas;
  }

  names(): string[] {
    return [...this.#topics.keys()].sort();
  }

  has(topic: string): boolean {
    return this.#topics.has(topic);
  }

  get(topic: string, brokerName: string): QueueData | undefined {
    return this.#topics.get(topic)?.get(brokerName);
  }

  /** In the order of the brokers' names. */
  of(topic: string): QueueData[] {
    return [...(this.#topics.get(topic)?.values() ?? [])].sort((left, right) =>
      left.brokerName < right.brokerName ? -1 : 1,
    );
  }

  /** Names of topics that one of these brokers has. */
  ofBrokers(brokerNames: ReadonlySet<string>): string[] {
    return this.names().filter((topic) =>
      [...(this.#topics.get(topic)?.keys() ?? [])].some((name) => brokerNames.has(name)),
    );
  }

  /** Names of topics by the system flag that the first of their brokers told. */
  withFlag(matches: (topicSysFlag: number) => boolean): string[] {
    return this.names().filter((topic) => {
      const [first] = this.of(topic);
      return first !== undefined && matches(first.topicSysFlag);
    });
  }

  put(topic: string, queues: QueueData): void {
    const brokers = this.#topics.get(topic) ?? new Map<string, QueueData>();
    if (brokers.size === 0) this.#topics.set(topic, brokers);
    const before = brokers.get(queues.brokerName);
    if (before === undefined) this.#queueDatas++;
    if (before?.topicSysFlag !== queues.topicSysFlag) this.#version++;
    brokers.set(queues.brokerName, queues);
  }

  delete(topic: string): void {
    this.#queueDatas -= this.#topics.get(topic)?.size ?? 0;
    if (this.#topics.delete(topic)) this.#version++;
  }

  deleteOf(topic: string, brokerName: string): void {
    const brokers = this.#topics.get(topic);
    if (!brokers?.delete(brokerName)) return;
    this.#queueDatas--;
    this.#version++;
    if (brokers.size === 0) this.#topics.delete(topic);
  }

  deleteBroker(brokerName: string): void {
    for (const topic of [...this.#topics.keys()]) this.deleteOf(topic, brokerName);
  }

  /** Gives all queue data of a broker another permission; how many topics it has. */
  changePermission(brokerName: string, change: (perm: number) => number): number {
    let topics = 0;
    for (const brokers of this.#topics.values()) {
      const queues = brokers.get(brokerName);
      if (queues === undefined) continue;
      brokers.set(brokerName, { ...queues, perm: change(queues.perm) });
      topics++;
    }
    return topics;
  }
}

export function withoutWrite(perm: number): number {
  return perm & ~Permission.WRITE;
}
