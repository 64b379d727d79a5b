/** RocketMQ and moraine write one store by turns, and everybody reads everything (turn-plans.ts says who does what). */
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { type Message, type PutResults, Store, type StoreOptions } from "../../src/index.ts";
import { expectSameAnswers } from "./answers.ts";
import { expectSameIndexFiles, expectSameQueueFiles } from "./derived-files.ts";
import { type Expected, expectedFrom, type MessageLine } from "./expected.ts";
import { messagesOf } from "./found-by-us.ts";
import type { PutLine, Scenario } from "./oracle.ts";
import { scenarioBody } from "./oracle.ts";
import type { ServedOracle } from "./served-oracle.ts";
import type { JavaTurn, OurTurn, Piece, Rebuild, TurnPlan } from "./turn-plans.ts";
import {
  type ComparableLine,
  comparable,
  expectEveryEntry,
  isUnqueued,
  lightPlaces,
  lineOf,
  sha256,
  type Written,
} from "./written.ts";

/** Carries a plan out below `folder`; whatever does not hold is thrown. */
export async function playInTurns(plan: TurnPlan, folder: string, oracle: ServedOracle): Promise<void> {
  await new Play(plan, folder, oracle).run();
}

/** Log files that every release of RocketMQ builds queues from. */
const JAVA_RECOVERS_FILES = 9;

/** Puts messages that share what a group shares as one. */
function putGroup(store: Store, messages: readonly Message[]): PutResults {
  const { topic, queueId, bornTimestamp, bornHost, storeHost, reconsumeTimes } = messages[0] as Message;
  const group = { bornTimestamp, bornHost, storeHost, reconsumeTimes };
  const members = messages.map(({ body, tags, keys, properties, flag }) => ({ body, tags, keys, properties, flag }));
  return store.putGroup(topic, queueId, members, group);
}

/** A record that a step of RocketMQ's makes: its messages, and the limits of its body's size where that is known. */
interface JavaRecord {
  messages: number;
  size?: [low: number, high: number];
}

function recordsOf(step: JavaTurn["steps"][number]): JavaRecord[] {
  const { size, body, compress } = step;
  const [count, batch] = [step.count as number, (step.batch as number | undefined) ?? 1];
  if (step.innerBatch === true) {
    return Array.from({ length: Math.ceil(count / batch) }, (_, i) => ({
      messages: Math.min(batch, count - i * batch),
    }));
  }
  const limits = (Array.isArray(size) ? size : [size, size]) as [number, number];
  const isKnown = body === "bytes" && compress === undefined;
  return Array.from({ length: count }, () => ({ messages: 1, ...(isKnown ? { size: limits } : {}) }));
}

class Play {
  readonly #plan: TurnPlan;
  readonly #dir: string;
  /** A copy of the store, for what must not touch it. */
  readonly #copy: string;
  readonly #oracle: ServedOracle;
  readonly #scenarioFile: string;
  /** Whether there is a store yet. */
  #exists = false;
  /** RocketMQ's number of the next message it puts. */
  #javaMessages = 0;
  /** Every message so far, as RocketMQ must read it. */
  #known: ComparableLine[] = [];

  constructor(plan: TurnPlan, folder: string, oracle: ServedOracle) {
    this.#plan = plan;
    this.#dir = join(folder, "store");
    this.#copy = join(folder, "copy");
    this.#scenarioFile = join(folder, "scenario.json");
    this.#oracle = oracle;
    mkdirSync(folder, { recursive: true });
  }

  async run(): Promise<void> {
    for (const [at, { turns, rebuild }] of this.#plan.rounds.entries()) {
      try {
        for (const turn of turns) await (turn.who === "ours" ? this.#ours(turn) : this.#javas(turn));
        await this.#rebuilt(rebuild);
      } catch (error) {
        throw new Error(`seed ${this.#plan.seed}, round ${at}: ${(error as Error).message}`, { cause: error });
      }
    }
    await this.#expectSame(this.#dir, await this.#readByJava(this.#dir));
  }

  /** Options of every opening; sizes bind for the first one, and those of index files for all. */
  #options(): StoreOptions {
    const { segmentBytes, queueFileEntries, indexSlots, indexEntries, indexTags, rocketmq } = this.#plan;
    const compat = rocketmq === "4" ? "4.9" : "5";
    return { segmentBytes, queueFileEntries, indexSlots, indexEntries, indexTags, compat };
  }

  async #ours({ flush, recordCrc, readFirst, pieces }: OurTurn): Promise<void> {
    if (readFirst && this.#exists) await this.#expectKnown();
    for (const some of pieces) {
      const store = await Store.open(this.#dir, { ...this.#options(), flush, recordCrc });
      this.#exists = true;
      expect(store.health(), "what we find in a store that was closed").toMatchObject({ clean: true, findings: [] });
      for (const piece of some) await this.#put(store, piece, recordCrc);
      await store.flush();
      expect(messagesOf(store), "what we find before we close").toEqual(this.#known);
      await store.close();
    }
    await this.#expectKnown();
  }

  async #put(store: Store, { how, messages, flushed }: Piece, recordCrc: boolean): Promise<void> {
    const results =
      how === "putGroup"
        ? [...putGroup(store, messages)]
        : how === "put"
          ? messages.map((message) => store.put(message))
          : how === "putBatch"
            ? [...store.putBatch(messages)]
            : await Promise.all(messages.map((message) => store.append(message)));
    for (const [i, message] of messages.entries()) {
      const line = lineOf({ message, result: results[i] } as Written, recordCrc);
      const base: Record<string, string> =
        "INNER_NUM" in line.properties ? { INNER_BASE: String(line.queueOffset) } : {};
      this.#known.push({ ...line, properties: { ...line.properties, ...this.#lightOffsets(line), ...base } });
    }
    if (flushed) await store.flush();
  }

  /** The property by which a store says where a message stands in the light queues that it goes to. */
  #lightOffsets({ sysFlag, topic, properties }: ComparableLine): Record<string, string> {
    const { INNER_MULTI_DISPATCH: names } = properties;
    if (names === undefined || topic.startsWith("%RETRY%") || isUnqueued(sysFlag)) return {};
    const places = this.#known.flatMap((line) => lightPlaces(line.properties));
    const next = (name: string): number => places.filter((place) => place.topic === name).length;
    return { INNER_MULTI_QUEUE_OFFSET: names.split(",").map(next).join(",") };
  }

  async #javas({ flush, recordCrc, steps }: JavaTurn): Promise<void> {
    if (this.#exists) this.#copyStore();
    const { seed, rocketmq, batchTopic } = this.#plan;
    const scenario: Scenario = {
      seed,
      firstMessage: this.#javaMessages,
      store: { ...this.#javaStore(recordCrc), flush },
      topics: batchTopic === undefined ? [] : [{ name: batchTopic, attributes: { "queue.type": "BatchCQ" } }],
      steps: [{ do: "read" }, ...steps, { do: "read" }],
    };
    writeFileSync(this.#scenarioFile, JSON.stringify(scenario));
    const how = this.#exists ? "append" : "write";
    const lines = await this.#oracle.ask(rocketmq, how, this.#dir, this.#scenarioFile, "--puts");
    const second = lines.findLastIndex(({ kind }) => kind === "open");
    const found = expectedFrom(lines.slice(0, second));
    expect(this.#comparable(found), "what RocketMQ finds").toEqual(this.#known);
    if (this.#exists) await this.#expectSame(this.#copy, found);
    this.#exists = true;

    const after = expectedFrom(lines.slice(second));
    this.#expectPut(steps, lines.filter(({ kind }) => kind === "put") as PutLine[], after);
    await this.#expectSame(this.#dir, after);
  }

  /** RocketMQ reads what was there and what it put, the latter with the bodies that follow from the seed. */
  #expectPut(steps: JavaTurn["steps"], puts: PutLine[], { messages }: Expected): void {
    const all = this.#comparable({ messages });
    expect(all.slice(0, this.#known.length), "what RocketMQ finds behind its puts").toEqual(this.#known);
    expect([...new Set(puts.map(({ status }) => status))]).toEqual(puts.length === 0 ? [] : ["PUT_OK"]);
    const added = messages.slice(this.#known.length);
    const records = steps.flatMap((step) => recordsOf(step));
    expect(added).toHaveLength(records.length);
    for (const [i, record] of records.entries()) {
      if (record.size === undefined) continue;
      const n = this.#javaMessages + records.slice(0, i).reduce((sum, before) => sum + before.messages, 0);
      const body = scenarioBody(this.#plan.seed, n, ...record.size);
      expect(added[i]?.bodySha256, `the body of RocketMQ's message ${n}`).toBe(sha256(body));
    }
    const starts = added.map(({ offset }) => offset);
    expect(starts).toEqual(expect.arrayContaining(puts.map(({ offset }) => offset)));
    this.#javaMessages += records.reduce((sum, record) => sum + record.messages, 0);
    this.#known = all;
  }

  /** We read the store of `dir` as RocketMQ did. */
  async #expectSame(dir: string, found: Expected): Promise<void> {
    expectEveryEntry(found);
    const store = await Store.open(dir, { ...this.#options(), readOnly: true });
    expect(store.health()).toMatchObject({ clean: true, findings: [] });
    expect(messagesOf(store), "what we find").toEqual(this.#comparable(found));
    expectSameAnswers(store, found);
    await store.close();
  }

  /** We read every message that is known. */
  async #expectKnown(): Promise<void> {
    const store = await Store.open(this.#dir, { ...this.#options(), readOnly: true });
    expect(messagesOf(store), "what we find").toEqual(this.#known);
    await store.close();
  }

  /** Queues, and maybe the index, built anew from the log are the files that were there. */
  async #rebuilt({ who, index, checkpoint }: Rebuild): Promise<void> {
    const { rocketmq } = this.#plan;
    // Without its queues nothing tells that a store has extension files.
    if (this.#plan.extensionFileBytes !== undefined) return;
    this.#copyStore();
    for (const name of [
      "consumequeue",
      "batchconsumequeue",
      ...(index ? ["index"] : []),
      ...(checkpoint ? ["checkpoint"] : []),
    ]) {
      rmSync(join(this.#copy, name), { recursive: true, force: true });
    }
    if (who === "java") {
      // RocketMQ builds so fast that two index files would get one name, and 5.4 builds from its last ten log files.
      if (index || readdirSync(join(this.#copy, "commitlog")).length > JAVA_RECOVERS_FILES) return;
      await this.#oracle.ask(rocketmq, "read", this.#copy, "--in-place", "--scenario", this.#scenarioFile);
    } else {
      const store = await Store.open(this.#copy, this.#options());
      expect(messagesOf(store), "what we find without queues").toEqual(this.#known);
      await store.close();
    }
    expectSameQueueFiles(this.#dir, this.#copy);
    const sameKeys = this.#plan.indexTags === (rocketmq === "5");
    if (who === "ours" && sameKeys) expectSameIndexFiles(this.#dir, this.#copy, this.#plan);
  }

  async #readByJava(dir: string): Promise<Expected> {
    writeFileSync(this.#scenarioFile, JSON.stringify({ store: this.#javaStore() }));
    const words = ["read", dir, "--keys", "auto", "--times", "auto", "--scenario", this.#scenarioFile];
    const found = expectedFrom(await this.#oracle.ask(this.#plan.rocketmq, ...words));
    expect(found.open).toMatchObject({ abort: false, loaded: true, dispatchBehindBytes: 0 });
    expect(found.clean).toBe(true);
    expect(this.#comparable(found), "what RocketMQ finds in the end").toEqual(this.#known);
    return found;
  }

  /** The `store` of RocketMQ's scenarios. */
  #javaStore(recordCrc = false): object {
    const { rocketmq, segmentBytes, queueFileEntries, indexSlots, indexEntries, lightQueues } = this.#plan;
    const sizes = {
      commitLogFileSize: segmentBytes,
      consumeQueueFileSize: queueFileEntries * 20,
      batchConsumeQueueFileSize: queueFileEntries * 46,
      ...(this.#plan.extensionFileBytes === undefined
        ? {}
        : { consumeQueueExtFileSize: this.#plan.extensionFileBytes }),
    };
    const light = lightQueues.length > 0 ? { enableLmq: true, enableMultiDispatch: true } : {};
    const config = rocketmq === "4" ? {} : { enabledAppendPropCRC: recordCrc, ...light };
    return { ...sizes, indexSlots, indexEntries, messageStoreConfig: config };
  }

  #comparable({ messages }: { messages: MessageLine[] }): ComparableLine[] {
    return messages.map(comparable);
  }

  #copyStore(): void {
    rmSync(this.#copy, { recursive: true, force: true });
    execFileSync("cp", ["-a", "--sparse=always", this.#dir, this.#copy]);
  }
}
