/** Clients of a broker that are nothing but a connection each: hundreds in one process. */
import type { Log } from "../../src/log.ts";
import { RequestCode, ResponseCode } from "../../src/protocol/codes.ts";
import type { Command, FieldValues } from "../../src/protocol/command.ts";
import { RemotingClient } from "../../src/transport/client.ts";

const silent: Log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };
const TIMEOUT_MS = 20_000;
/** Longest that a broker holds a pull. */
const SUSPEND_MS = 60_000;
const HELD_TIMEOUT_MS = 90_000;
/** Commits what was taken, may be held, brings its subscription. */
const PULL_FLAGS = 7;

export interface Place {
  readonly topic: string;
  readonly queueId: number;
}

/** Messages that were answered to a pull. */
export interface Taken extends Place {
  readonly fromOffset: number;
  readonly nextOffset: number;
  readonly bytes: Uint8Array;
}

export class RawClient {
  readonly id: string;
  readonly #address: string;
  readonly #group: string;
  readonly #client: RemotingClient = new RemotingClient({ log: silent });
  #isClosed = false;
  /** Pulls that have no answer. */
  waiting = 0;

  constructor(address: string, group: string, id: string) {
    this.#address = address;
    this.#group = group;
    this.id = id;
  }

  /** As a consumer of these topics, or as a producer. */
  async heartbeat(topics: readonly string[] | undefined): Promise<void> {
    const subscriptionDataSet = topics?.map((topic) => ({
      topic,
      subString: "*",
      subVersion: 1,
      expressionType: "TAG",
    }));
    const consumer = {
      ...{ groupName: this.#group, consumeType: "CONSUME_PASSIVELY", messageModel: "CLUSTERING", unitMode: false },
      ...{ consumeFromWhere: "CONSUME_FROM_FIRST_OFFSET", subscriptionDataSet },
    };
    const data = {
      clientID: this.id,
      consumerDataSet: topics === undefined ? [] : [consumer],
      producerDataSet: topics === undefined ? [{ groupName: this.#group }] : [],
    };
    await this.#ask(RequestCode.HEART_BEAT, {}, Buffer.from(JSON.stringify(data)));
  }

  /** Resolves with the queue offset. */
  async send({ topic, queueId }: Place, body: string): Promise<number> {
    const fields = {
      ...{ a: this.#group, b: topic, c: "TBW102", d: 4, e: queueId, f: 0, g: Date.now(), h: 0 },
      ...{ i: `UNIQ_KEY\u0001${uniqueId()}\u0002`, j: 0, k: false, m: false },
    };
    const { ext } = await this.#ask(RequestCode.SEND_MESSAGE_V2, fields, Buffer.from(body));
    return Number(ext.queueOffset);
  }

  /** Pulls from a queue again and again, until it is closed; a pull that finds nothing is held. Throws what is no answer. */
  async follow({ topic, queueId }: Place, take: (taken: Taken) => void): Promise<void> {
    for (let offset = 0; ; ) {
      const fields = {
        ...{ consumerGroup: this.#group, topic, queueId, queueOffset: offset, commitOffset: offset, maxMsgNums: 32 },
        ...{ sysFlag: PULL_FLAGS, suspendTimeoutMillis: SUSPEND_MS, subVersion: 1, subscription: "*" },
      };
      const answer = await this.#pull(fields);
      if (answer === undefined) return;
      const { code, remark, body, ext } = answer;
      const nextOffset = Number(ext.nextBeginOffset);
      if (code === ResponseCode.SUCCESS) take({ topic, queueId, fromOffset: offset, nextOffset, bytes: body });
      else if (code !== ResponseCode.PULL_NOT_FOUND) throw new Error(`a pull is answered ${code}: ${remark}`);
      offset = nextOffset;
    }
  }

  /** Says that it goes, and goes. */
  async leave(): Promise<void> {
    const group = { producerGroup: this.#group, consumerGroup: this.#group };
    await this.#ask(RequestCode.UNREGISTER_CLIENT, { clientID: this.id, ...group });
    this.end();
  }

  /** Goes without a word. */
  end(): void {
    this.#isClosed = true;
    this.#client.close();
  }

  /** Undefined where it was closed meanwhile. */
  async #pull(fields: FieldValues): Promise<Command | undefined> {
    this.waiting++;
    try {
      return await this.#client.invoke(this.#address, RequestCode.PULL_MESSAGE, fields, undefined, HELD_TIMEOUT_MS);
    } catch (error) {
      if (this.#isClosed) return undefined;
      throw error;
    } finally {
      this.waiting--;
    }
  }

  async #ask(code: number, fields: FieldValues, body?: Uint8Array): Promise<Command> {
    const answer = await this.#client.invoke(this.#address, code, fields, body, TIMEOUT_MS);
    if (answer.code !== ResponseCode.SUCCESS) throw new Error(`${code} is answered ${answer.code}: ${answer.remark}`);
    return answer;
  }
}

let made = 0;

function uniqueId(): string {
  made += 1;
  return `7F0000010001${made.toString(16).toUpperCase().padStart(20, "0")}`;
}
