/** What a scenario acts with: the broker, the client under test, and a second client that looks at what the first one did. */
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ClientFailure, type Consumed, type Driver, type Received, type Sent } from "../clients/driver.ts";
import { type ClientName, PROGRAMS } from "../clients/programs.ts";
import type { Subject } from "./subject.ts";

/** What a message to send is made of. */
export interface Outgoing {
  topic?: string;
  tags?: string;
  keys?: string;
  body: string;
  /** The body so many times. */
  bodyTimes?: number;
  flag?: number;
  delayLevel?: number;
  properties?: Record<string, string>;
}

export interface Queue {
  topic: string;
  brokerName: string;
  queueId: number;
}

/** Answer to a request by code. */
export interface RawAnswer {
  code: number;
  remark: string | null;
  fields: Record<string, string> | null;
  bodyLength: number;
  body?: string;
}

export interface Pulled {
  status: string;
  nextBeginOffset: number;
  minOffset: number;
  maxOffset: number;
  messages: Received[];
}

type Options = Readonly<Record<string, unknown>>;

export class Scene {
  readonly subject: Subject;
  readonly clientName: ClientName;
  /** The client under test. */
  readonly client: Driver;
  /** Java's client of 5.4.0: makes topics, reads what is stored, asks by code. */
  readonly hand: Driver;
  readonly #prefix: string;
  readonly #parts: { driver: Driver; name: string }[] = [];
  readonly #others: Driver[] = [];
  #names = 0;
  #reader: string | undefined;

  constructor(scenario: string, clientName: ClientName, subject: Subject, client: Driver, hand: Driver) {
    this.#prefix = `${scenario}-${clientName.replaceAll(".", "_")}`;
    this.subject = subject;
    this.clientName = clientName;
    this.client = client;
    this.hand = hand;
  }

  /** A name for a topic or group that no other scenario has. */
  name(of: string): string {
    return `${this.#prefix}-${of}`;
  }

  queue(topic: string, queueId: number): Queue {
    return { topic, brokerName: this.subject.brokerName, queueId };
  }

  /** Makes a topic and waits until the name server knows it. */
  async topic(of = "topic", queues = 4, fields: Options = {}): Promise<string> {
    const topic = this.name(of);
    const header = {
      topic,
      defaultTopic: "TBW102",
      readQueueNums: queues,
      writeQueueNums: queues,
      perm: 6,
      topicFilterType: "SINGLE_TAG",
      topicSysFlag: 0,
      order: false,
    };
    const answer = await this.raw(17, { ...header, ...fields });
    if (answer.code !== 0) throw new Error(`topic ${topic} was not made: ${answer.code} ${answer.remark}`);
    await this.routed(topic);
    return topic;
  }

  async routed(topic: string): Promise<void> {
    for (let i = 0; i < 200; i++) {
      const { code } = await this.ask<RawAnswer>(this.hand, {
        do: "raw",
        code: 105,
        fields: { topic, acceptStandardJsonOnly: true },
      });
      if (code === 0) return;
      await sleep(50);
    }
    throw new Error(`the name server does not know ${topic}`);
  }

  ask<Answer>(driver: Driver, command: object): Promise<Answer> {
    return driver.ask<Answer>(command);
  }

  /** Asks the broker by code, over Java's remoting client. */
  raw(code: number, fields: Options = {}, more: Options = {}): Promise<RawAnswer> {
    return this.hand.ask<RawAnswer>({ do: "raw", address: this.subject.brokerAddress, code, fields, ...more });
  }

  /** Another process of the client under test. What it keeps in the user's home is in `home` for the next one with that home. */
  async another(home: string): Promise<Driver> {
    const folder = join(this.subject.folder, `client-${this.clientName}`, this.name(home));
    const driver = await PROGRAMS[this.clientName].start(this.subject.nameServer, folder);
    this.#others.push(driver);
    return driver;
  }

  /** kill -9 of another process, with all that was started in it. */
  async kill(driver: Driver): Promise<void> {
    await driver.kill();
    const left = this.#parts.filter((part) => part.driver !== driver);
    this.#parts.splice(0, this.#parts.length, ...left);
  }

  /** Starts a producer, consumer, … of the client under test, or of `driver`. Returns its name. */
  async start(
    what: "producer" | "consumer" | "lite" | "puller",
    options: Options,
    driver: Driver = this.client,
  ): Promise<string> {
    this.#names += 1;
    const name = typeof options.name === "string" ? options.name : this.name(`${what}-${this.#names}`);
    await driver.ask({ do: what, group: this.name("group"), ...options, name });
    this.#parts.push({ driver, name });
    return name;
  }

  async stop(name: string): Promise<void> {
    const at = this.#parts.findIndex((part) => part.name === name);
    const [part] = this.#parts.splice(at, 1);
    await part?.driver.ask({ do: "stop", name });
  }

  producer(options: Options = {}, driver?: Driver): Promise<string> {
    return this.start("producer", { group: this.name("producers"), ...options }, driver);
  }

  /** `topic` with its expression, or `subscriptions` in the options. */
  consumer(topic: string, options: Options = {}, driver?: Driver): Promise<string> {
    const { expression = "*", ...rest } = options;
    return this.start("consumer", { subscriptions: [{ topic, expression }], ...rest }, driver);
  }

  /** Sends one after the other; `how`: mode and queue. */
  async send(
    producer: string,
    topic: string,
    messages: readonly Outgoing[],
    how: Options = {},
    driver: Driver = this.client,
  ): Promise<Sent[]> {
    const all = messages.map((message) => ({ topic, ...message }));
    const { results } = await driver.ask<{ results: Sent[] }>({
      do: "send",
      by: producer,
      mode: "sync",
      messages: all,
      ...how,
    });
    return results;
  }

  /** Everything in these queues, as Java's client of 5.4.0 pulls it. */
  async stored(topic: string, queues: number): Promise<Received[]> {
    const puller = this.#reader ?? (await this.start("puller", { group: this.name("reader") }, this.hand));
    this.#reader = puller;
    const all: Received[] = [];
    for (let queueId = 0; queueId < queues; queueId++) {
      for (let offset = 0; ; ) {
        const pulled = await this.pull(puller, this.queue(topic, queueId), offset, {}, this.hand);
        all.push(...pulled.messages);
        if (pulled.nextBeginOffset >= pulled.maxOffset) break;
        offset = pulled.nextBeginOffset;
      }
    }
    return all;
  }

  pull(
    puller: string,
    queue: Queue,
    offset: number,
    options: Options = {},
    driver: Driver = this.client,
  ): Promise<Pulled> {
    return driver.ask<Pulled>({ do: "pull", by: puller, ...queue, offset, ...options });
  }

  until(
    consumers: readonly string[],
    enough: (consumed: Consumed[]) => boolean,
    withinMs = 30_000,
    driver: Driver = this.client,
  ): Promise<Consumed[]> {
    return driver.until(consumers, enough, withinMs);
  }

  /** Shuts down what still runs. Nobody waits for it: a client of 5.x takes three seconds to end its own threads. */
  async end(): Promise<void> {
    for (const driver of this.#others) await this.kill(driver);
    for (const { name } of [...this.#parts]) {
      this.stop(name).catch(() => {
        // What cannot be shut down goes with the process.
      });
    }
  }
}

/** Waits until the name server knows the broker. */
export async function registered(subject: Subject, hand: Driver): Promise<void> {
  const cluster = (): Promise<RawAnswer> => hand.ask<RawAnswer>({ do: "raw", code: 106 });
  const isKnown = ({ body }: RawAnswer): boolean => body?.includes(subject.brokerAddress) === true;
  if (isKnown(await cluster())) return;
  // Apache's broker sometimes leaves its first registration out, and comes again after ten seconds: this makes it come now.
  if (subject.kind === "apache")
    await hand.ask({ do: "raw", address: subject.brokerAddress, code: 25, body: "brokerPermission=6\n" });
  await eventually(cluster, isKnown);
}

/** What a client shows of a send that failed: Java's codes; Go's and Rust's have the broker's in their words, if at all. */
export function refusal(scene: Scene, sent: Sent | undefined): unknown {
  const hasCodes = scene.clientName.startsWith("java-");
  return sent?.error?.map(({ type, code, message }) => [type, hasCodes ? code : message]);
}

/** RocketMQ's codes of a failure, outermost first, or `undefined` if the action succeeds. */
export async function failure(action: Promise<unknown>): Promise<{ type: string; code?: number }[] | undefined> {
  try {
    await action;
    return undefined;
  } catch (error) {
    if (!(error instanceof ClientFailure)) throw error;
    return error.failures.map(({ type, code }) => (code === undefined ? { type } : { type, code }));
  }
}

/** Asks again until the answer is right: what the broker or a client does a little later. */
export async function eventually<T>(
  ask: () => Promise<T>,
  right: (answer: T) => boolean,
  withinMs = 20_000,
): Promise<T> {
  const until = Date.now() + withinMs;
  for (;;) {
    const answer = await ask();
    if (right(answer)) return answer;
    if (Date.now() > until) throw new Error(`still ${JSON.stringify(answer).slice(0, 2000)} after ${withinMs} ms`);
    await sleep(100);
  }
}
