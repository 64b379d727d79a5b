/** Puts messages: encodes them, hands them to the engine in as few calls as there can be, and tells of them. */
import { answerFor, type PutResult, type PutResults, PutResultsBuilder, resultAt } from "./batch.ts";
import { type EngineStore, PUT_RESULT_HEADER } from "./binding/contract.ts";
import type { MessageColumns } from "./columns.ts";
import { type PutDiagnostics, publishSegments, putChannel, segmentChannel } from "./diagnostics.ts";
import { Encoder } from "./encode.ts";
import { ColumnsEncoder } from "./encode-columns.ts";
import { GroupEncoder } from "./encode-group.ts";
import { argumentError, StoreError, shown, withDetails } from "./errors.ts";
import type { Gathered } from "./gathered.ts";
import type { EncodedHost } from "./hosts.ts";
import type { Lifecycle } from "./lifecycle.ts";
import type { GroupMessage, GroupOptions, InnerBatchMessage, Message } from "./message.ts";
import type { MessageLimits } from "./message-encoder.ts";
import type { Waits } from "./waits.ts";

/** Numbers of an answer that are kept room for; one for a larger batch is made for it alone. */
const KEPT_ANSWER = 16_384;

/** Memory of one call, used again by the next. */
class Workspace {
  readonly encoder: Encoder;
  readonly #limits: MessageLimits;
  #groupEncoder: GroupEncoder | undefined;
  #columnsEncoder: ColumnsEncoder | undefined;
  #answer: Float64Array = answerFor(64);

  constructor(limits: MessageLimits) {
    this.encoder = new Encoder(limits);
    this.#limits = limits;
  }

  get groupEncoder(): GroupEncoder {
    this.#groupEncoder ??= new GroupEncoder(this.#limits);
    return this.#groupEncoder;
  }

  get columnsEncoder(): ColumnsEncoder {
    this.#columnsEncoder ??= new ColumnsEncoder(this.#limits);
    return this.#columnsEncoder;
  }

  release(): void {
    this.encoder.release();
    this.#groupEncoder?.release();
  }

  /** Room for the answer about so many messages. */
  answer(count: number): Float64Array {
    const answer = this.#answer;
    if (answer.length >= PUT_RESULT_HEADER + 3 * count) return answer;
    const larger = answerFor(count);
    if (larger.length <= KEPT_ANSWER) this.#answer = larger;
    return larger;
  }
}

/** A message, copied: what its caller does with it does not matter any more. */
export interface EncodedMessage {
  readonly bytes: Uint8Array;
  readonly storeHost: EncodedHost;
}

/** Those of the messages at the front that were stored. */
export interface GatheredResults {
  readonly results: readonly PutResult[];
  readonly error: StoreError | undefined;
  readonly answer: Float64Array;
}

export class Writer {
  readonly #engine: EngineStore;
  readonly #lifecycle: Lifecycle;
  readonly #limits: MessageLimits;
  readonly #waits: Waits;
  /** Absent while a call uses it: a getter of a message may put another one. */
  #spare: Workspace | undefined;
  #segmentBytes: number | undefined;

  constructor(engine: EngineStore, lifecycle: Lifecycle, limits: MessageLimits, waits: Waits) {
    this.#engine = engine;
    this.#lifecycle = lifecycle;
    this.#limits = limits;
    this.#waits = waits;
  }

  put(message: Message | InnerBatchMessage): PutResult {
    this.#lifecycle.checkWritable();
    const workspace = this.#take();
    const { encoder } = workspace;
    try {
      encoder.begin();
      encoder.add(message, -1);
      // Reading the message may have run code of the caller, which may have closed the store.
      this.#lifecycle.checkWritable();
      const answer = workspace.answer(1);
      if (this.#engine.put(encoder.bytes, encoder.used, 1, answer) !== 1) throw this.#engine.takeError();
      return this.#putOne(answer, encoder.storeHosts as EncodedHost);
    } catch (error) {
      throw this.#noted(error);
    } finally {
      this.#giveBack(workspace);
    }
  }

  /** A message as `putEncoded` takes it, any number of times. */
  encode(message: Message | InnerBatchMessage): EncodedMessage {
    return this.#encoded(message, ({ bytes, used, storeHosts }) => ({
      bytes: bytes.slice(0, used),
      storeHost: storeHosts as EncodedHost,
    }));
  }

  /** Hands over an encoded message, whose bytes hold for the call of `add` alone: nothing runs meanwhile that could put. */
  gather(message: Message | InnerBatchMessage, add: Gathered["add"]): void {
    this.#encoded(message, ({ bytes, used, storeHosts }) => add(bytes, used, storeHosts as EncodedHost));
  }

  #encoded<T>(message: Message | InnerBatchMessage, take: (encoder: Encoder) => T): T {
    this.#lifecycle.checkAppending();
    const workspace = this.#take();
    const { encoder } = workspace;
    try {
      encoder.begin();
      encoder.add(message, -1);
      this.#lifecycle.checkAppending();
      return take(encoder);
    } finally {
      this.#giveBack(workspace);
    }
  }

  /**
   * Puts what was gathered in one call of the engine; `error` says why there are fewer results than messages. Nobody hears of
   * them before `tellGathered`.
   */
  putGathered({ bytes, used, count, storeHosts }: Gathered): GatheredResults {
    this.#lifecycle.checkAppending();
    const answer = answerFor(count);
    const stored = this.#engine.put(bytes, used, count, answer);
    const error = stored < count ? this.#engine.takeError() : undefined;
    const results = new Array<PutResult>(stored);
    for (let i = 0; i < stored; i++) results[i] = resultAt(answer, i, storeHosts[i] as EncodedHost);
    return { results, error, answer };
  }

  tellGathered({ results, answer }: GatheredResults): void {
    if (results.length > 0) this.#tell(answer, results.length);
  }

  /** Of an append: those that were gathered later are not put before it. */
  putEncoded({ bytes, storeHost }: EncodedMessage): PutResult {
    this.#lifecycle.checkAppending();
    const answer = answerFor(1);
    try {
      if (this.#engine.put(bytes, bytes.length, 1, answer) !== 1) throw this.#engine.takeError();
      return this.#putOne(answer, storeHost);
    } catch (error) {
      throw this.#noted(error);
    }
  }

  #putOne(answer: Float64Array, storeHost: EncodedHost): PutResult {
    const result = resultAt(answer, 0, storeHost);
    this.#tell(answer, 1);
    return result;
  }

  /** An error has `details.stored`; what was stored then is the front of the batch. */
  putBatch(messages: Iterable<Message | InnerBatchMessage>): PutResults {
    const workspace = this.#take();
    let results: PutResultsBuilder | undefined;
    try {
      this.#lifecycle.checkWritable();
      const count = encodeAll(workspace.encoder, messages);
      this.#lifecycle.checkWritable();
      results = new PutResultsBuilder(count);
      if (count > 0) this.#send(workspace, results);
      return results.build(workspace.encoder.storeHosts);
    } catch (error) {
      throw withDetails(this.#noted(error), { stored: results?.stored ?? 0 });
    } finally {
      this.#giveBack(workspace);
    }
  }

  /** All messages in one call of the engine: they are stored together, or none is. */
  putGroup(
    topic: string,
    queueId: number,
    messages: Iterable<GroupMessage> | Uint8Array,
    options: GroupOptions | undefined,
  ): PutResults {
    const workspace = this.#take();
    try {
      this.#lifecycle.checkWritable();
      const encoder = workspace.groupEncoder;
      const count = encoder.encode(topic, queueId, messages, options);
      this.#lifecycle.checkWritable();
      const answer = workspace.answer(count);
      if (this.#engine.putGroup(encoder.bytes, encoder.used, count, answer) !== count) {
        throw inBatch(this.#engine.takeError(), 0);
      }
      const results = new PutResultsBuilder(count);
      results.add(answer, count);
      this.#tell(answer, count);
      return results.build(encoder.storeHost);
    } catch (error) {
      throw this.#noted(error);
    } finally {
      this.#giveBack(workspace);
    }
  }

  /** As `putBatch`, from columns. */
  putColumns(given: MessageColumns): PutResults {
    const workspace = this.#take();
    let results: PutResultsBuilder | undefined;
    try {
      this.#lifecycle.checkWritable();
      const { columns, ends } = workspace.columnsEncoder.check(given);
      this.#lifecycle.checkWritable();
      const count = columns.queueIds.length;
      results = new PutResultsBuilder(count);
      let from = 0;
      if (count > 0) {
        for (const to of ends) {
          const answer = workspace.answer(to - from);
          this.#noteStored(this.#engine.putColumns(columns, from, to, answer), to - from, answer, results);
          from = to;
        }
      }
      return results.build(columns.storeHost);
    } catch (error) {
      throw withDetails(this.#noted(error), { stored: results?.stored ?? 0 });
    } finally {
      this.#giveBack(workspace);
    }
  }

  #send(workspace: Workspace, results: PutResultsBuilder): void {
    for (const { bytes, used, count } of workspace.encoder.chunks()) {
      const answer = workspace.answer(count);
      this.#noteStored(this.#engine.put(bytes, used, count, answer), count, answer, results);
    }
  }

  /** What one call of the engine has stored of `count` messages; throws where that is not all. */
  #noteStored(stored: number, count: number, answer: Float64Array, results: PutResultsBuilder): void {
    if (stored > 0) {
      results.add(answer, stored);
      this.#tell(answer, stored);
    }
    if (stored < count) throw inBatch(this.#engine.takeError(), results.stored - stored);
  }

  #take(): Workspace {
    const workspace = this.#spare ?? new Workspace(this.#limits);
    this.#spare = undefined;
    return workspace;
  }

  #giveBack(workspace: Workspace): void {
    workspace.release();
    this.#spare = workspace;
  }

  /** The engine may know of a failed sync before its message about it has arrived here. */
  #noted(error: unknown): StoreError {
    if (!(error instanceof StoreError)) throw error;
    return error.code === "STORE_POISONED" ? this.#lifecycle.poison(error, true) : error;
  }

  /** Tells those who wait, and those who listen, of `count` messages that one call of the engine has stored. */
  #tell(answer: Float64Array, count: number): void {
    this.#waits.stored(answer[2] as number);
    if (!putChannel.hasSubscribers && !segmentChannel.hasSubscribers) return;
    const [storeTimestamp = 0, endOffset = 0] = answer;
    const physicalOffset = answer[PUT_RESULT_HEADER] as number;
    const { path } = this.#lifecycle;
    if (putChannel.hasSubscribers) {
      putChannel.publish({ path, count, physicalOffset, endOffset, storeTimestamp } satisfies PutDiagnostics);
    }
    if (segmentChannel.hasSubscribers) {
      this.#segmentBytes ??= this.#engine.health().segmentBytes;
      publishSegments(path, physicalOffset, endOffset, this.#segmentBytes);
    }
  }
}

/** The engine's error for a message, with the place of it in the batch; `before`: messages of the calls before. */
function inBatch(error: StoreError, before: number): StoreError {
  const { argument, message } = error.details;
  if (argument === undefined || typeof message !== "number") return error;
  const path = `messages[${before + message}]`;
  return new StoreError(error.code, `${path}: ${error.message}`, {
    details: { ...error.details, argument: `${path}.${argument}`, message: before + message },
  });
}

/** Encodes all messages before the first is stored, so that a wrong one keeps all out. Returns how many they are. */
function encodeAll(encoder: Encoder, messages: unknown): number {
  encoder.begin();
  let count = 0;
  try {
    if (Array.isArray(messages)) {
      for (; count < messages.length; count++) encoder.add(messages[count], count);
      return count;
    }
    if (messages === null || typeof messages !== "object" || !(Symbol.iterator in messages)) {
      throw argumentError("messages", `messages is ${shown(messages)}; it must be an array or another iterable`);
    }
    for (const message of messages as Iterable<Message | InnerBatchMessage>) encoder.add(message, count++);
    return count;
  } catch (error) {
    if (error instanceof StoreError) throw error;
    throw argumentError("messages", "messages could not be read: iterating threw", error);
  }
}
