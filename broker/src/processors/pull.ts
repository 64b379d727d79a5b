/** Messages to consumers: 11 and 361. What finds nothing is held until something comes. */
import { type GetResult, type Store, StoreError } from "moraine";
import type { Log } from "../log.ts";
import { RequestCode, ResponseCode } from "../protocol/codes.ts";
import type { Command, FieldValues, Response } from "../protocol/command.ts";
import { RequestError } from "../protocol/request-error.ts";
import { ALL, type SubscriptionData } from "../protocol/subscription.ts";
import type { HeldPulls } from "../services/held-pulls.ts";
import type { ReadGate } from "../services/read-gate.ts";
import type { Statistics } from "../services/statistics.ts";
import type { OffsetTable } from "../tables/offset-table.ts";
import type { Connection, Handlers, RequestContext } from "../transport/connection.ts";
import { type CheckedPull, checkPull, ForbiddenPull, type PullCheckParts } from "./messages/pull-checks.ts";
import { PullFlag, type PullRequest, readPullRequest } from "./messages/pull-request.ts";

export interface PullParts extends PullCheckParts {
  readonly store: Store;
  readonly offsets: OffsetTable;
  readonly heldPulls: HeldPulls;
  readonly reads: ReadGate;
  readonly statistics: Statistics;
  readonly log: Log;
}

export function pullHandlers(parts: PullParts): Handlers {
  const pulls = new Pulls(parts);
  const handler = (request: Command, context: RequestContext): Promise<Response | undefined> =>
    // What is held for long has no more of the request than this.
    pulls.answer(readPullRequest(request), request.code, context);
  return [
    [RequestCode.PULL_MESSAGE, handler],
    [RequestCode.LITE_PULL_MESSAGE, handler],
  ];
}

/** No client waits longer for an answer: longest that a pull is held. */
const MAX_SUSPEND_MS = 60_000;
/** Shortest time between two lines in the log about offsets that could not be committed. */
const LOG_PERIOD_MS = 60_000;
/** What a held pull takes beside its texts, in bytes. */
const HELD_BYTES = 1024;

/** What reading from a queue has given, for a response. */
interface Read {
  readonly status: Exclude<GetResult["status"], "NO_MATCHED_LOGIC_QUEUE"> | "OFFSET_RESET";
  readonly nextOffset: number;
  readonly minOffset: number;
  readonly maxOffset: number;
  readonly bytes: Uint8Array | undefined;
  readonly messages: number;
}

class Pulls {
  readonly #parts: PullParts;
  #commitLoggedAt = Number.NEGATIVE_INFINITY;

  constructor(parts: PullParts) {
    this.#parts = parts;
  }

  async answer(pull: PullRequest, code: number, context: RequestContext): Promise<Response | undefined> {
    const { connection } = context;
    try {
      const checked = checkPull(pull, code, connection, this.#parts);
      const reset = this.#takeReset(pull);
      if (reset !== undefined) return answerOf(pull, checked, reset);
      const read = await this.#read(pull, checked.subscription, connection);
      if (read === undefined) return undefined;
      this.#commit(pull);
      this.#parts.offsets.setPulled(pull.group, pull.topic, pull.queueId, read.nextOffset);
      if (!mayBeHeld(pull, read)) return this.#answerTo(pull, checked, read);
      const release = await this.#hold(pull, read, checked.subscription, context);
      if (release === "gone") return undefined;
      if (release !== "arrived" && release !== "timeout") throw notHeld(release);
      return await this.#answerAgain(pull, code, connection);
    } catch (error) {
      if (!(error instanceof ForbiddenPull)) throw error;
      return { code: error.code, remark: error.message, ext: { forbiddenType: error.forbiddenType } };
    }
  }

  /** What was held is looked at from the beginning: meanwhile everything may have changed. */
  async #answerAgain(pull: PullRequest, code: number, connection: Connection): Promise<Response | undefined> {
    const checked = checkPull(pull, code, connection, this.#parts);
    const reset = this.#takeReset(pull);
    if (reset !== undefined) return answerOf(pull, checked, reset);
    const read = await this.#read(pull, checked.subscription, connection);
    if (read === undefined) return undefined;
    this.#parts.offsets.setPulled(pull.group, pull.topic, pull.queueId, read.nextOffset);
    return this.#answerTo(pull, checked, read);
  }

  #answerTo(pull: PullRequest, checked: CheckedPull, read: Read): Response {
    const { statistics } = this.#parts;
    const { messages, bytes } = read;
    if (bytes === undefined || messages === 0) statistics.missed();
    else statistics.got(pull.group, pull.topic, pull.queueId, messages, bytes.length);
    return answerOf(pull, checked, read);
  }

  /** An administrator has set the group to another offset: it is told once. */
  #takeReset({ group, topic, queueId }: PullRequest): Read | undefined {
    const { config, offsets, store } = this.#parts;
    if (!config.useServerSideResetOffset) return undefined;
    const nextOffset = offsets.takeReset(group, topic, queueId);
    if (nextOffset === undefined) return undefined;
    const { min, max } = store.offsets(topic, queueId);
    return { status: "OFFSET_RESET", nextOffset, minOffset: min, maxOffset: max, bytes: undefined, messages: 0 };
  }

  /** A failure is none of the pull: what was read is given, and the offset comes again with the next one. */
  #commit({ group, topic, queueId, sysFlag, commitOffset }: PullRequest): void {
    if ((sysFlag & PullFlag.commitOffset) === 0 || !Number.isSafeInteger(commitOffset) || commitOffset < 0) return;
    const { config, offsets, log } = this.#parts;
    // It came while this one was read.
    if (config.useServerSideResetOffset && offsets.pendingReset(group, topic, queueId) !== undefined) return;
    try {
      offsets.commit(group, topic, queueId, commitOffset);
    } catch (error) {
      if (performance.now() - this.#commitLoggedAt < LOG_PERIOD_MS) return;
      this.#commitLoggedAt = performance.now();
      log.error({ err: error, group, topic, queueId }, "offsets that come with pulls cannot be committed");
    }
  }

  /** Undefined where nobody waits for it any more. */
  #read(pull: PullRequest, subscription: SubscriptionData, connection: Connection): Promise<Read | undefined> {
    return this.#parts.reads.read(
      connection,
      () => this.#readNow(pull, subscription),
      ({ bytes }) => bytes?.length ?? 0,
    );
  }

  async #readNow(pull: PullRequest, subscription: SubscriptionData): Promise<Read> {
    const { topic, queueId } = pull;
    const { config, store } = this.#parts;
    const offset = Math.min(pull.queueOffset, Number.MAX_SAFE_INTEGER);
    if (offset < 0) return this.#beforeAll(topic, queueId);
    const filter = takesAll(subscription) ? undefined : { tags: subscription.subString };
    try {
      const result = await store.fetch(topic, queueId, offset, {
        max: Math.max(Math.min(pull.maxMessages, config.maxTransferCountOnMessageInMemory), 1),
        maxBytes: config.maxTransferBytesOnMessageInMemory,
        filter,
      });
      return readOf(result);
    } catch (error) {
      return this.#failed(error, topic, queueId, offset);
    }
  }

  /** Goes on behind what is damaged. What the client asks wrongly, and a store that is closed, are no failures to be logged. */
  #failed(error: unknown, topic: string, queueId: number, offset: number): Read {
    if (!(error instanceof StoreError)) throw error;
    if (error.code === "STORE_INVALID_ARGUMENT") {
      throw new RequestError(ResponseCode.SUBSCRIPTION_PARSE_FAILED, error.message, { cause: error });
    }
    if (error.code === "STORE_CLOSED") {
      throw new RequestError(ResponseCode.SYSTEM_BUSY, "the broker stops", { cause: error });
    }
    const { nextOffset } = error.details;
    if (error.code !== "STORE_CORRUPT" || nextOffset === undefined || nextOffset <= offset) throw error;
    const { store, log } = this.#parts;
    log.error({ err: error, topic, queueId, queueOffset: offset, nextOffset }, "a damaged message is passed over");
    const { min: minOffset, max: maxOffset } = store.offsets(topic, queueId);
    return { status: "MESSAGE_WAS_REMOVING", nextOffset, minOffset, maxOffset, bytes: undefined, messages: 0 };
  }

  /** An offset below 0, as if it were one that has expired. */
  #beforeAll(topic: string, queueId: number): Read {
    const { min, max } = this.#parts.store.offsets(topic, queueId);
    const status = max === 0 ? "NO_MESSAGE_IN_QUEUE" : "OFFSET_TOO_SMALL";
    return { status, nextOffset: min, minOffset: min, maxOffset: max, bytes: undefined, messages: 0 };
  }

  #hold(
    pull: PullRequest,
    read: Read,
    subscription: SubscriptionData,
    { signal }: RequestContext,
  ): ReturnType<HeldPulls["hold"]> {
    const { config, heldPulls } = this.#parts;
    const asked = config.longPollingEnable ? pull.suspendMs : config.shortPollingTimeMills;
    return heldPulls.hold({
      topic: pull.topic,
      queueId: pull.queueId,
      queueOffset: Math.max(read.nextOffset, pull.queueOffset),
      timeoutMs: Math.max(Math.min(asked, MAX_SUSPEND_MS), 0),
      tagsCodes: takesAll(subscription) ? undefined : subscription.codeSet,
      bytes: HELD_BYTES + 2 * (pull.group.length + pull.topic.length + 2 * subscription.subString.length),
      signal,
    });
  }
}

/** Clients wait a while then; told that there is nothing, they would ask again at once. */
function notHeld(release: "full" | "failed" | "stopped"): RequestError {
  const why = {
    full: "too many pulls wait for messages",
    failed: "the store does not tell of new messages any more",
    stopped: "the broker stops",
  }[release];
  return new RequestError(ResponseCode.SYSTEM_BUSY, `${why}; pull again later`);
}

function readOf(result: GetResult): Read {
  const { nextOffset, minOffset, maxOffset, bytes } = result;
  // The topic is known, and so has the queue, as RocketMQ sees it: there is nothing in it yet.
  const status = result.status === "NO_MATCHED_LOGIC_QUEUE" ? "NO_MESSAGE_IN_QUEUE" : result.status;
  return { status, nextOffset, minOffset, maxOffset, bytes, messages: countRecords(bytes) };
}

/** Records begin with their size. No message is made of them: they go out as they are. */
function countRecords(bytes: Uint8Array): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let count = 0;
  for (let at = 0; at + 4 <= bytes.length; count++) at += Math.max(view.getInt32(at), 4);
  return count;
}

function takesAll({ classFilterMode, subString, tagsSet }: SubscriptionData): boolean {
  return classFilterMode || subString === ALL || tagsSet.size === 0;
}

function mayBeHeld(pull: PullRequest, read: Read): boolean {
  return codeOf(pull, read) === ResponseCode.PULL_NOT_FOUND && (pull.sysFlag & PullFlag.suspend) !== 0;
}

function codeOf({ queueOffset }: PullRequest, { status }: Read): number {
  switch (status) {
    case "FOUND":
      return ResponseCode.SUCCESS;
    case "MESSAGE_WAS_REMOVING":
    case "NO_MATCHED_MESSAGE":
      return ResponseCode.PULL_RETRY_IMMEDIATELY;
    case "NO_MESSAGE_IN_QUEUE":
      return queueOffset === 0 ? ResponseCode.PULL_NOT_FOUND : ResponseCode.PULL_OFFSET_MOVED;
    case "OFFSET_FOUND_NULL":
    case "OFFSET_OVERFLOW_ONE":
      return ResponseCode.PULL_NOT_FOUND;
    default:
      return ResponseCode.PULL_OFFSET_MOVED;
  }
}

/** Clients read all offsets whatever the code. */
function answerOf(pull: PullRequest, { group, topic }: CheckedPull, read: Read): Response {
  const { status, nextOffset, minOffset, maxOffset, bytes } = read;
  const ext: FieldValues = {
    groupSysFlag: group.groupSysFlag,
    maxOffset,
    minOffset,
    nextBeginOffset: nextOffset,
    // There are no replicas from which somebody could read instead.
    suggestWhichBrokerId: 0,
    topicSysFlag: topic.topicSysFlag,
  };
  return { code: codeOf(pull, read), remark: status, ext, body: status === "FOUND" ? bytes : undefined };
}
