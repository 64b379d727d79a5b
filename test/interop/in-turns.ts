/** RocketMQ and moraine write one store by turns, and everybody reads everything (turn-plans.ts says who does what). */
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { Store, type StoreOptions } from "../../src/index.ts";
import { expectSameAnswers } from "./answers.ts";
import { expectSameIndexFiles, expectSameQueueFiles } from "./derived-files.ts";
import { type Expected, expectedFrom, type MessageLine } from "./expected.ts";
import { messagesOf } from "./found-by-us.ts";
import type { PutLine, Scenario } from "./oracle.ts";
import { scenarioBody } from "./oracle.ts";
import type { ServedOracle } from "./served-oracle.ts";
import type { JavaTurn, OurTurn, Piece, Rebuild, TurnPlan } from "./turn-plans.ts";
import { comparable, expectEveryEntry, lineOf, sha256, type Written } from "./written.ts";

/** Carries a plan out below `folder`; whatever does not hold is thrown. */
export async function playInTurns(plan: TurnPlan, folder: string, oracle: ServedOracle): Promise<void> {
  await new Play(plan, folder, oracle).run();
}

/** Log files that every release of RocketMQ builds queues from. */
const JAVA_RECOVERS_FILES = 9;

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
  #known: object[] = [];

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
      how === "put"
        ? messages.map((message) => store.put(message))
        : how === "putBatch"
          ? [...store.putBatch(messages)]
          : await Promise.all(messages.map((message) => store.append(message)));
    for (const [i, message] of messages.entries()) {
      this.#known.push(lineOf({ message, result: results[i] } as Written, recordCrc));
    }
    if (flushed) await store.flush();
  }

  async #javas({ flush, recordCrc, steps }: JavaTurn): Promise<void> {
    if (this.#exists) this.#copyStore();
    const { seed, rocketmq } = this.#plan;
    const scenario: Scenario = {
      seed,
      firstMessage: this.#javaMessages,
      store: {
        ...this.#javaSizes(),
        flush,
        messageStoreConfig: rocketmq === "4" ? {} : { enabledAppendPropCRC: recordCrc },
      },
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
    const sizes = steps.flatMap(({ count, size, body, compress }) => {
      const [low, high] = Array.isArray(size) ? size : [size, size];
      return Array.from({ length: count as number }, () => ({
        low,
        high,
        known: body === "bytes" && compress === undefined,
      }));
    });
    expect(added).toHaveLength(sizes.length);
    for (const [i, { low, high, known }] of sizes.entries()) {
      if (!known) continue;
      const body = scenarioBody(this.#plan.seed, this.#javaMessages + i, low, high);
      expect(added[i]?.bodySha256, `the body of RocketMQ's message ${this.#javaMessages + i}`).toBe(sha256(body));
    }
    const starts = added.map(({ offset }) => offset);
    expect(starts).toEqual(expect.arrayContaining(puts.map(({ offset }) => offset)));
    this.#javaMessages += sizes.length;
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
    this.#copyStore();
    for (const name of ["consumequeue", ...(index ? ["index"] : []), ...(checkpoint ? ["checkpoint"] : [])]) {
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
    writeFileSync(this.#scenarioFile, JSON.stringify({ store: this.#javaSizes() }));
    const words = ["read", dir, "--keys", "auto", "--times", "auto", "--scenario", this.#scenarioFile];
    const found = expectedFrom(await this.#oracle.ask(this.#plan.rocketmq, ...words));
    expect(found.open).toMatchObject({ abort: false, loaded: true, dispatchBehindBytes: 0 });
    expect(found.clean).toBe(true);
    expect(this.#comparable(found), "what RocketMQ finds in the end").toEqual(this.#known);
    return found;
  }

  #javaSizes(): object {
    const { segmentBytes, queueFileEntries, indexSlots, indexEntries } = this.#plan;
    return { commitLogFileSize: segmentBytes, consumeQueueFileSize: queueFileEntries * 20, indexSlots, indexEntries };
  }

  #comparable({ messages }: { messages: MessageLine[] }): object[] {
    return messages.map(comparable);
  }

  #copyStore(): void {
    rmSync(this.#copy, { recursive: true, force: true });
    execFileSync("cp", ["-a", "--sparse=always", this.#dir, this.#copy]);
  }
}
