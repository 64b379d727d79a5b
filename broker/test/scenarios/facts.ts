/** What a scenario saw, without what differs from run to run: the same for two brokers that do the same. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Subject } from "./subject.ts";

export type Facts = unknown;

/** In hexadecimal; Go's client mixes small and large letters. */
const UNIQUE_ID = /^[0-9A-Fa-f]{32}$/;

/** Names whose value is another in each run, and what stands for a value that has the right form. */
const FORMS: Readonly<Record<string, readonly [form: RegExp, shown: string]>> = {
  msgId: [/^[0-9A-Fa-f]{32}(,[0-9A-Fa-f]{32})*$/, "(id)"],
  offsetMsgId: [/^[0-9A-Fa-f]{32}(,[0-9A-Fa-f]{32})*$/, "(offset id)"],
  transactionId: [/^[0-9A-Fa-f]{32}(,[0-9A-Fa-f]{32})*$/, "(id)"],
  UNIQ_KEY: [UNIQUE_ID, "(id)"],
  __transactionId__: [UNIQUE_ID, "(id)"],
  ORIGIN_MESSAGE_ID: [UNIQUE_ID, "(offset id)"],
  DLQ_ORIGIN_MESSAGE_ID: [UNIQUE_ID, "(id)"],
  CONSUME_START_TIME: [/^\d{13}$/, "(time)"],
  RECONSUME_TIME: [/^\d+$/, "(times)"],
  bornTimestamp: [/^\d{13}$/, "(time)"],
  storeTimestamp: [/^\d{13}$/, "(time)"],
  earliestStoreTime: [/^\d{13}$/, "(time)"],
  lastUpdateTimestamp: [/^\d{13}$/, "(time)"],
  lastTimestamp: [/^\d{13}$/, "(time)"],
  commitLogOffset: [/^\d+$/, "(offset)"],
  bornHost: [/^127\.0\.0\.1:\d+$/, "127.0.0.1:(port)"],
  TIMER_OUT_MS: [/^\d{13}$/, "(time)"],
  TIMER_ENQUEUE_MS: [/^\d{13}$/, "(time)"],
  TIMER_DEQUEUE_MS: [/^\d{13}$/, "(time)"],
};

/** Depends on when the message was read. */
const LEFT_OUT: ReadonlySet<string> = new Set(["MAX_OFFSET", "at", "thread", "consumer", "kind", "id"]);

/** `value` as it is compared: names sorted, what differs from run to run replaced by its form. */
export function stable(value: unknown, subject: Subject, name = ""): unknown {
  if (Array.isArray(value)) return value.map((item) => stable(item, subject, name));
  if (typeof value === "object" && value !== null) {
    const entries = Object.entries(value).filter(([key, item]) => !LEFT_OUT.has(key) && item !== undefined);
    // Java's broker writes an empty object of fields where it had a header to fill, none elsewhere: clients see no difference.
    if (name === "fields" && entries.length === 0) return null;
    entries.sort(([a], [b]) => (a < b ? -1 : 1));
    return Object.fromEntries(entries.map(([key, item]) => [key, stable(item, subject, key)]));
  }
  const form = FORMS[name];
  if (form !== undefined && value !== null && form[0].test(String(value))) return form[1];
  if (typeof value === "string") {
    const named = value.replaceAll(subject.brokerAddress, "(broker)").replaceAll(subject.nameServer, "(name server)");
    return named.replaceAll(/127\.0\.0\.1:\d+/g, "(client)");
  }
  return value;
}

/** Writes facts where `MORAINE_FACTS` says, one file a scenario. */
export function keepFacts(facts: unknown, subject: Subject, client: string, scenario: string): void {
  const root = process.env.MORAINE_FACTS;
  if (root === undefined || facts === null) return;
  const folder = join(root, subject.kind, client);
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, `${scenario}.json`), `${JSON.stringify(facts, null, 1)}\n`);
}
