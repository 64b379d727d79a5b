/** The property string of a message: `name U+0001 value U+0002`, repeated. */

const NAME_END = "\u0001";
const PAIR_END = "\u0002";

/** Names that RocketMQ gives a meaning (`MessageConst`); not all of them, those that brokers read or write. */
export const PropertyName = {
  KEYS: "KEYS",
  TAGS: "TAGS",
  WAIT: "WAIT",
  DELAY: "DELAY",
  RETRY_TOPIC: "RETRY_TOPIC",
  REAL_TOPIC: "REAL_TOPIC",
  REAL_QUEUE_ID: "REAL_QID",
  TRANSACTION_PREPARED: "TRAN_MSG",
  PRODUCER_GROUP: "PGROUP",
  ORIGIN_MESSAGE_ID: "ORIGIN_MESSAGE_ID",
  RECONSUME_TIME: "RECONSUME_TIME",
  MAX_RECONSUME_TIMES: "MAX_RECONSUME_TIMES",
  MSG_REGION: "MSG_REGION",
  TRACE_ON: "TRACE_ON",
  UNIQUE_KEY: "UNIQ_KEY",
  CLUSTER: "CLUSTER",
  POP_CK: "POP_CK",
  INNER_NUM: "INNER_NUM",
  INNER_MULTI_DISPATCH: "INNER_MULTI_DISPATCH",
  TIMER_DELAY_SEC: "TIMER_DELAY_SEC",
  TIMER_DELAY_MS: "TIMER_DELAY_MS",
  TIMER_DELIVER_MS: "TIMER_DELIVER_MS",
  TIMER_OUT_MS: "TIMER_OUT_MS",
  TIMER_DEL_UNIQKEY: "TIMER_DEL_UNIQKEY",
} as const;

/**
 * The pairs of a property string by RocketMQ's rules: a pair counts if name and value are not empty, a value may have
 * U+0001, a later pair of the same name wins, the last U+0002 may be missing.
 */
export function parseProperties(text: string): Map<string, string> {
  const properties = new Map<string, string>();
  let from = 0;
  while (from < text.length) {
    let end = text.indexOf(PAIR_END, from);
    if (end < 0) end = text.length;
    const nameEnd = text.indexOf(NAME_END, from);
    if (nameEnd > from && nameEnd + 1 < end) properties.set(text.slice(from, nameEnd), text.slice(nameEnd + 1, end));
    from = end + 1;
  }
  return properties;
}

/** Each pair with its end, the last one too; undefined values are left out. */
export function printProperties(properties: Iterable<readonly [name: string, value: string | undefined]>): string {
  let text = "";
  for (const [name, value] of properties) {
    if (value !== undefined) text += name + NAME_END + value + PAIR_END;
  }
  return text;
}

/** The value that a property string gives a name, without taking the rest apart. */
export function findProperty(text: string, name: string): string | undefined {
  const start = name + NAME_END;
  // From the end: a later pair wins over an earlier one, unless it counts for nothing.
  let at = text.lastIndexOf(start);
  while (at >= 0) {
    if (at === 0 || text[at - 1] === PAIR_END) {
      const valueAt = at + start.length;
      const end = text.indexOf(PAIR_END, valueAt);
      const value = text.slice(valueAt, end < 0 ? text.length : end);
      if (value !== "") return value;
    }
    if (at === 0) return undefined;
    at = text.lastIndexOf(start, at - 1);
  }
  return undefined;
}
