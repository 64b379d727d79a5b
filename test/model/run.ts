/** Operations, carried out on a store on real files and on the model. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  encodeMessages,
  type InnerBatchMessage,
  type Message,
  type PutResults,
  Store,
  StoreError,
  type StoreOptions,
} from "../../src/index.ts";
import { columnsOf } from "../contract/columns.ts";
import { BATCH_QUEUES, writeTopics } from "../contract/inner-batch.ts";
import { engineAt } from "./engines.ts";
import { copyStore, filesBelow } from "./files.ts";
import { isSame, offsetsOfGroups, sorted } from "./group-offsets.ts";
import { expectAnswer, lived, type PreparedStep, preparedStep, survived } from "./killed.ts";
import { type Kind, Model, type Prepared, type Stored } from "./model.ts";
import {
  BATCHES,
  type Change,
  DELAY_LEVELS,
  type Draft,
  GROUPS,
  type Life,
  type Operation,
  QUEUES,
  SIZES,
  WRONG,
  type Wrong,
} from "./operations.ts";
import { ask, askEverything } from "./questions.ts";

/** How often each operation had an effect, and what came of it. */
export type Counts = Map<string, number>;

const START = 1_700_000_000_000;
/** In memory where there is such a file system: the files are real all the same. */
const PLACE = existsSync("/dev/shm") ? "/dev/shm" : tmpdir();

/** Carries out a sequence in a directory of its own; fails where the store differs from the model. */
export async function run(operations: readonly Operation[], first: Partial<Change>, counts: Counts): Promise<void> {
  const directory = mkdtempSync(join(PLACE, "moraine-model-"));
  const sequence = new Run(directory, counts);
  try {
    writeTopics(join(directory, "0"), { [BATCHES]: BATCH_QUEUES });
    await sequence.open(first);
    for (const [number, operation] of operations.entries()) {
      await sequence.apply(operation).catch((error) => {
        throw new Error(`operation ${number}, ${JSON.stringify(operation)}: ${error.message}`, { cause: error });
      });
    }
    await sequence.finish();
  } finally {
    await sequence.end();
    rmSync(directory, { recursive: true, force: true });
  }
}

class Run {
  readonly #directory: string;
  readonly #counts: Counts;
  readonly #model = new Model(SIZES.segmentBytes, {
    sync: false,
    recordCrc: true,
    index: true,
    delayLevels: 0,
  });
  #now = START;
  #generation = 0;
  #options: StoreOptions = {};
  /** Place in DELAY_LEVELS. */
  #delayLevels = 0;
  /** Place in ENGINES. */
  #engine = 0;
  #store: Store | undefined;
  /** What was told of the messages put since the store was opened, and how many there were before. */
  #told: number[][] = [];
  #before = 0;

  constructor(directory: string, counts: Counts) {
    this.#directory = directory;
    this.#counts = counts;
  }

  /** The options of the next opening, by which messages are prepared from now on. */
  #choose(change: Partial<Change>): void {
    const { lose: _lose, engine = 0, otherSizes = false, ext = false, delayLevels = 0, ...options } = change;
    if (ext) this.#keepExtensionFiles();
    this.#delayLevels = delayLevels;
    const sizes = otherSizes && this.#model.log.length > 0 ? { segmentBytes: 8192, queueFileEntries: 7 } : {};
    this.#options = {
      ...options,
      ...SIZES,
      ...sizes,
      engine: engineAt(engine),
      delayLevels: DELAY_LEVELS[delayLevels],
    };
    this.#engine = engine;
    this.#model.kind = this.#kind();
    this.#count(`${engineAt(engine)} opened`);
  }

  async open(change: Partial<Change>): Promise<void> {
    this.#choose(change);
    this.#store = await Store.open(this.#path, { ...this.#options, clock: () => this.#now });
    const told: number[][] = [];
    this.#told = told;
    this.#before = this.#model.log.length;
    this.#store.onAppend(({ physicalOffsets, queueOffsets, sizes, storeTimestamps }) => {
      for (const [i, physicalOffset] of physicalOffsets.entries()) {
        told.push([physicalOffset, ...[queueOffsets, sizes, storeTimestamps].map((column) => column[i] as number)]);
      }
    });
  }

  get #path(): string {
    return join(this.#directory, String(this.#generation));
  }

  get #open(): Store {
    assert.ok(this.#store, "the store is open");
    return this.#store;
  }

  #kind(): Kind {
    const { flush = "async", recordCrc = true, index = true } = this.#options;
    return { sync: flush === "sync", recordCrc, index, delayLevels: this.#delayLevels };
  }

  async apply(operation: Operation): Promise<void> {
    switch (operation.do) {
      case "nothing":
        return;
      case "put":
      case "append to memory":
      case "append to disk":
        await this.#put(operation.do, operation.draft);
        break;
      case "putBatch":
      case "putColumns":
        this.#putBatch(operation.do, operation.drafts);
        break;
      case "putGroup":
        this.#putGroup(operation.queue, operation.drafts, operation.wire);
        break;
      case "put something wrong":
        this.#putWrong(operation.drafts, operation.at, operation.wrong);
        break;
      case "question":
        await ask(this.#open, this.#model, operation.question);
        return this.#count(operation.question.ask);
      case "flush":
        await this.#flush(operation.upTo);
        break;
      case "clock":
        this.#now += operation.step;
        return this.#count(operation.step < 0 ? "clock back" : "clock forward");
      case "commit":
        this.#commit(operation.group, operation.queue, operation.offset);
        break;
      case "forget group":
        this.#forget(operation.group);
        break;
      case "close and open":
        await this.#reopen(operation.change);
        break;
      case "crash and open":
        await this.#crash(operation.change);
        break;
      case "kill and open":
        await this.#kill(operation.life, operation.change);
        break;
      case "read-only open":
        await this.#readOnly();
        break;
    }
    this.#count(operation.do);
  }

  /** Everything is asked of the store as it is, and again when it was opened again. */
  async finish(): Promise<void> {
    await askEverything(this.#open, this.#model);
    const { flush = "async", recordCrc = true, index = true } = this.#options;
    await this.#reopen({
      engine: this.#engine + 1,
      lose: 0,
      flush,
      recordCrc,
      index,
      flushIntervalMs: 500,
      indexTags: false,
      compat: "5",
      delayLevels: this.#delayLevels,
      otherSizes: false,
      ext: false,
    });
  }

  async end(): Promise<void> {
    await this.#store?.close();
  }

  #count(name: string, times = 1): void {
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + times);
  }

  /** Whether the option compat refuses a message. */
  #isTooLong({ message }: Prepared): boolean {
    return this.#options.compat === "4.9" && message.topic.length > 127;
  }

  async #put(how: "put" | "append to memory" | "append to disk", draft: Draft): Promise<void> {
    const prepared = this.#model.prepare(draft);
    const store = this.#open;
    const durability = how === "append to disk" ? "disk" : "memory";
    if (this.#isTooLong(prepared)) {
      assert.throws(() => store.put(prepared.message), { code: "STORE_INVALID_ARGUMENT" });
      await assert.rejects(store.append(prepared.message), { code: "STORE_INVALID_ARGUMENT" });
      return this.#count("too long for 4.9");
    }
    const time = this.#model.tick(this.#now);
    const result = how === "put" ? store.put(prepared.message) : await store.append(prepared.message, { durability });
    const stored = this.#model.append(prepared, time);
    if (stored.body !== stored.message.body) this.#count("inner batch");
    const { physicalOffset, queueOffset, size, storeTimestamp, endOffset } = result;
    assert.deepEqual(
      { physicalOffset, queueOffset, size, storeTimestamp, endOffset },
      {
        physicalOffset: stored.physicalOffset,
        queueOffset: stored.queueOffset ?? 0,
        size: stored.size,
        storeTimestamp: time,
        endOffset: this.#model.end,
      },
    );
    if (durability === "disk") this.#model.durable = this.#model.end;
  }

  #putBatch(how: "putBatch" | "putColumns", drafts: readonly Draft[]): void {
    const batch = drafts.map((draft) => this.#model.prepare(draft));
    const messages = batch.map(({ message }) => message);
    const put = () => (how === "putBatch" ? this.#open.putBatch(messages) : this.#open.putColumns(columnsOf(messages)));
    if (batch.some((prepared) => this.#isTooLong(prepared))) {
      assert.throws(put, { code: "STORE_INVALID_ARGUMENT" });
      this.#count("too long for 4.9");
      return;
    }
    const time = this.#model.tick(this.#now);
    // Where a message lands in its light queues depends on those before it.
    this.#compareResults(
      put(),
      drafts.map((draft, i) => this.#model.append(this.#again(draft, batch[i] as Prepared), time)),
      time,
    );
  }

  /** A message of a batch as it comes behind those that are stored by now. */
  #again(draft: Draft, prepared: Prepared): Prepared {
    const { properties, light } = this.#model.prepare(draft);
    const offsets = (of: ReadonlyMap<string, string>) =>
      `${of.get("INNER_MULTI_QUEUE_OFFSET") ?? ""}${of.get("INNER_BASE") ?? ""}`.length;
    const size = prepared.size + offsets(properties) - offsets(prepared.properties);
    return { ...prepared, properties, light, size };
  }

  /** A plain batch: consecutive offsets of one queue, never over the end of a file. */
  #putGroup(queue: number, drafts: readonly Draft[], wire: boolean): void {
    const store = this.#open;
    const [topic, queueId] = QUEUES[queue] as (typeof QUEUES)[number];
    const fields = { queue, filling: undefined, transaction: 0, delay: undefined, further: 0, v6: false, light: [] };
    const batch = drafts.map((draft) => this.#model.prepare({ ...draft, ...fields, body: draft.body % 400 }, true));
    const messages = batch.map(({ body, message: { flag, tags, keys, properties } }) => ({
      body,
      flag,
      tags,
      keys,
      properties,
    }));
    const { bornTimestamp, reconsumeTimes } = (batch[0] as Prepared).message;
    const put = () =>
      store.putGroup(topic, queueId, wire ? encodeMessages(messages) : messages, { bornTimestamp, reconsumeTimes });
    const size = batch.reduce((sum, each) => sum + each.size, 0);
    if (batch.some((prepared) => this.#isTooLong(prepared))) {
      assert.throws(put, { code: "STORE_INVALID_ARGUMENT" });
      this.#count("too long for 4.9");
      return;
    }
    if (size > SIZES.segmentBytes - 8) {
      assert.throws(put, { code: "STORE_MESSAGE_TOO_LARGE" });
      this.#count("group too large for a file");
      return;
    }
    const time = this.#model.tick(this.#now);
    const results = put();
    this.#model.makeRoom(size);
    const asStored = { bornTimestamp, reconsumeTimes, preparedTransactionOffset: 0 };
    const stored = batch.map((prepared) =>
      this.#model.append({ ...prepared, message: { ...prepared.message, ...asStored } }, time),
    );
    this.#compareResults(results, stored, time);
  }

  #compareResults(results: PutResults, stored: readonly Stored[], time: number): void {
    assert.equal(results.storeTimestamp, time);
    assert.equal(results.endOffset, this.#model.end);
    const columns = [results.physicalOffsets, results.queueOffsets, results.sizes].map((column) => [...column]);
    assert.deepEqual(columns, [
      stored.map(({ physicalOffset }) => physicalOffset),
      stored.map(({ queueOffset }) => queueOffset ?? 0),
      stored.map(({ size }) => size),
    ]);
  }

  #putWrong(drafts: readonly Draft[], place: number, wrong: Wrong): void {
    const batch = drafts.map((draft) => this.#model.prepare({ ...draft, inner: 0 }).message);
    const at = place % batch.length;
    const tooLarge = wrong === "body" || wrong === "properties";
    batch[at] = { ...(batch[at] as Message | InnerBatchMessage), ...WRONG[wrong] } as Message;
    // What no file can hold is found after what no message may be, wherever that stands.
    const hasOther = batch.some(({ topic }) => this.#options.compat === "4.9" && topic.length > 127);
    const codes = ["STORE_INVALID_ARGUMENT", ...(tooLarge ? ["STORE_MESSAGE_TOO_LARGE"] : [])];
    const expected = hasOther ? codes : codes.slice(-1);
    assert.throws(
      () => this.#open.putBatch(batch),
      (error) => error instanceof StoreError && error.details.stored === 0 && expected.includes(error.code),
    );
  }

  async #flush(upTo: number | undefined): Promise<void> {
    const borders = this.#model.borders();
    const offset = upTo === undefined ? undefined : (borders[upTo % borders.length] as number);
    const durable = await this.#open.flush(offset);
    assert.ok(durable >= (offset ?? this.#model.end), `durable up to ${durable}`);
    this.#model.durable = Math.max(this.#model.durable, offset ?? this.#model.end);
    const behind = this.#open.flush(this.#model.end + 1);
    await assert.rejects(behind, { code: "STORE_OFFSET_OUT_OF_RANGE" });
  }

  #commit(group: number, queue: number, offset: number): void {
    const [topic, queueId] = QUEUES[queue] as (typeof QUEUES)[number];
    const name = GROUPS[group] as string;
    this.#open.groups.commit(name, topic, queueId, offset);
    this.#model.groups.set(`${name} ${topic} ${queueId}`, offset);
    this.#model.groupsOnDisk.push(new Map(this.#model.groups));
    assert.equal(this.#open.groups.offset(name, topic, queueId), offset);
  }

  #forget(group: number): void {
    const name = GROUPS[group] as string;
    const known = [...this.#model.groups.keys()].filter((key) => key.startsWith(`${name} `));
    assert.equal(this.#open.groups.delete(name), known.length > 0);
    for (const key of known) this.#model.groups.delete(key);
    this.#model.groupsOnDisk.push(new Map(this.#model.groups));
  }

  #lose(mask: number): void {
    for (const [bit, path] of ["consumequeue", "index", "checkpoint", "batchconsumequeue"].entries()) {
      if ((mask & (1 << bit)) === 0) continue;
      rmSync(join(this.#path, path), { recursive: true, force: true });
      this.#count(`${path} lost`);
    }
  }

  /** A store in which such a file is gives every entry a unit in one. */
  #keepExtensionFiles(): void {
    const folder = join(this.#path, "consumequeue_ext/T/0");
    if (existsSync(folder)) return;
    mkdirSync(folder, { recursive: true });
    writeFileSync(join(folder, "0".repeat(20)), new Uint8Array(200));
    this.#count("extension files");
  }

  /** Closes the store, by which everything that was visible was told, in order. What the close itself syncs may be. */
  async #close(store: Store): Promise<void> {
    const { visibleOffset } = store.log;
    await store.close();
    const put = this.#model.log.slice(this.#before);
    const expected = put.map((stored) => [
      stored.physicalOffset,
      stored.queueOffset ?? -1,
      stored.size,
      stored.storeTimestamp,
    ]);
    assert.deepEqual(this.#told, expected.slice(0, this.#told.length));
    const visible = put.filter(({ physicalOffset }) => physicalOffset < visibleOffset);
    assert.ok(this.#told.length >= visible.length, `${this.#told.length} of ${visible.length} messages were told`);
    this.#count("told by onAppend", this.#told.length);
  }

  async #reopen(change: Change): Promise<void> {
    this.#countRolls();
    await this.#close(this.#open);
    this.#lose(change.lose);
    await this.open(change);
    this.#model.reopen(this.#kind(), true);
    assert.deepEqual(sorted(offsetsOfGroups(this.#open)), sorted(this.#model.groups));
    this.#model.groupsOnDisk = [new Map(this.#model.groups)];
    await askEverything(this.#open, this.#model);
  }

  /** What is in files now is what the death of the process would leave. */
  async #crash(change: Change): Promise<void> {
    this.#countRolls();
    const dying = this.#open;
    const from = this.#path;
    this.#generation++;
    copyStore(from, this.#path);
    this.#store = undefined;
    await this.#close(dying);
    rmSync(from, { recursive: true });
    this.#lose(change.lose);
    await this.open(change);
    this.#model.reopen(this.#kind(), false);
    const found = offsetsOfGroups(this.#open);
    const isOne = this.#model.groupsOnDisk.some((state) => isSame(sorted(state), sorted(found)));
    assert.ok(isOne, `groups after a crash: ${JSON.stringify(sorted(found))}`);
    this.#model.groups = found;
    this.#model.groupsOnDisk = [new Map(found)];
    await askEverything(this.#open, this.#model);
  }

  /** A process has the store until it is killed. What it was sure of is there, and of what it was doing a beginning. */
  async #kill({ change: first, steps: drawn, dies, calls }: Life, change: Change): Promise<void> {
    this.#countRolls();
    await this.#close(this.#open);
    this.#store = undefined;
    this.#choose(first);
    this.#model.reopen(this.#kind(), true);
    const steps = drawn.map((step) => preparedStep(this.#model, step, (prepared) => this.#isTooLong(prepared)));
    const errand = { path: this.#path, options: this.#options, now: this.#now, steps, dies, calls };
    const acknowledged = await lived(errand, join(this.#directory, "killed"));
    this.#count("steps of a killed process", acknowledged.length);
    for (const [i, answer] of acknowledged.entries()) {
      const step = steps[i] as PreparedStep;
      expectAnswer(this.#model, step, answer, this.#now);
      this.#now += step.clock;
    }
    this.#lose(change.lose);
    const kind = this.#kind();
    await this.open(change);
    const pending = steps[acknowledged.length];
    this.#model.kind = kind;
    if (pending !== undefined) {
      const there = survived(this.#model, pending.drafts, this.#model.tick(this.#now), this.#open.log.endOffset);
      this.#count("messages of a step that was cut off", there);
    }
    this.#before = this.#model.log.length;
    // Killed while it opened or closed, it may not have begun, or have been done.
    const mayBeClean = dies === 0 || dies > steps.length;
    this.#model.reopen(this.#kind(), mayBeClean && this.#open.health().clean);
    assert.deepEqual(sorted(offsetsOfGroups(this.#open)), sorted(this.#model.groups));
    this.#model.groupsOnDisk = [new Map(this.#model.groups)];
    await askEverything(this.#open, this.#model);
  }

  #countRolls(): void {
    const { segmentsRolled = 0, indexFiles = 0 } = this.#open.stats();
    this.#count("rolls of the log", segmentsRolled);
    this.#count("full index files", Math.max(0, indexFiles - 1));
    const lengths = QUEUES.map((queue) => this.#model.queue(...queue).length);
    this.#count(
      "full queue files",
      lengths.reduce((sum, length) => sum + Math.floor(length / SIZES.queueFileEntries), 0),
    );
  }

  /** Somebody looks into the store while it is open; in a copy, so that nobody else changes it meanwhile. */
  async #readOnly(): Promise<void> {
    const path = `${this.#path}-read`;
    copyStore(this.#path, path);
    const before = filesBelow(path);
    const engine = engineAt(this.#engine + 1);
    const clock = () => this.#now;
    const reader = await Store.open(path, {
      ...this.#options,
      engine,
      clock,
      index: true,
      flush: "async",
      readOnly: true,
    });
    try {
      const kind = this.#model.kind;
      const { clean, durable, put, lastTime } = this.#model;
      this.#model.reopen({ ...kind, sync: false, index: true }, false);
      await askEverything(reader, this.#model);
      this.#model.kind = kind;
      Object.assign(this.#model, { clean, durable, put, lastTime });
      assert.throws(() => reader.put({ topic: "T", queueId: 0, body: new Uint8Array() }), { code: "STORE_READ_ONLY" });
    } finally {
      await reader.close();
    }
    assert.deepEqual(filesBelow(path), before);
    rmSync(path, { recursive: true });
  }
}
