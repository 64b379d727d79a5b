/** Tells the members of a group that it has changed, so that they divide the queues among them anew. */
import { RequestCode } from "../protocol/codes.ts";
import type { Client } from "./clients.ts";

/** Members are told at most so often: what changes in between is told in one. */
const PERIOD_MS = 100;

export class GroupNotices {
  readonly #members: (group: string) => readonly Client[];
  readonly #notices: Map<string, { timer: NodeJS.Timeout; isDue: boolean }> = new Map();

  constructor(members: (group: string) => readonly Client[]) {
    this.#members = members;
  }

  /** At the end of this turn, or of the period that an earlier notice has begun. */
  due(group: string): void {
    const notice = this.#notices.get(group);
    if (notice !== undefined) notice.isDue = true;
    else this.#schedule(group, 0, true);
  }

  stop(): void {
    for (const { timer } of this.#notices.values()) clearTimeout(timer);
    this.#notices.clear();
  }

  #schedule(group: string, waitMs: number, isDue: boolean): void {
    const timer = setTimeout(() => this.#send(group), waitMs);
    timer.unref();
    this.#notices.set(group, { timer, isDue });
  }

  #send(group: string): void {
    const isDue = this.#notices.get(group)?.isDue === true;
    this.#notices.delete(group);
    if (!isDue) return;
    for (const { connection } of this.#members(group)) {
      connection.notify(RequestCode.NOTIFY_CONSUMER_IDS_CHANGED, { consumerGroup: group });
    }
    this.#schedule(group, PERIOD_MS, false);
  }
}
