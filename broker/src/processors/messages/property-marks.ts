/** What a property string says that the broker acts on, found in one walk over it. */

const NAME_END = "\u0001";
const PAIR_END = "\u0002";

export interface PropertyMarks {
  /** UNIQ_KEY; empty where there is none. */
  uniqKey: string;
  /** KEYS; empty where there are none. */
  keys: string;
  /** DELAY as it stands there; undefined where there is none. */
  delay: string | undefined;
  /** TRAN_MSG is true. */
  isTransaction: boolean;
  /** TIMER_DELIVER_MS, TIMER_DELAY_SEC or TIMER_DELAY_MS is there. */
  isTimer: boolean;
  /** TIMER_OUT_MS is there: a timer that has run out. */
  isTimerOut: boolean;
  /** WAIT is not false: the answer waits for the disk, where the broker does so at all. */
  isWaiting: boolean;
  /** INNER_NUM is there. */
  hasInnerNumber: boolean;
  /** INNER_MULTI_DISPATCH is there: the message is to go to light queues, too. */
  hasLightQueues: boolean;
  /** It has a property that the broker sets itself, or takes out: the string has to be made anew. */
  hasBrokerProperty: boolean;
}

/** RocketMQ's rules: a pair counts if name and value are not empty, a later one of the same name wins. */
export function markProperties(text: string): PropertyMarks {
  const marks: PropertyMarks = {
    uniqKey: "",
    keys: "",
    delay: undefined,
    isTransaction: false,
    isTimer: false,
    isTimerOut: false,
    isWaiting: true,
    hasInnerNumber: false,
    hasLightQueues: false,
    hasBrokerProperty: false,
  };
  for (let from = 0; from < text.length; ) {
    const nameEnd = text.indexOf(NAME_END, from);
    if (nameEnd < 0) break;
    const found = text.indexOf(PAIR_END, from);
    const end = found < 0 ? text.length : found;
    if (nameEnd > from && nameEnd + 1 < end) mark(marks, text, from, nameEnd, end);
    from = end + 1;
  }
  return marks;
}

/** By the length of the name first: no text is made of one that means nothing here. */
function mark(marks: PropertyMarks, text: string, from: number, nameEnd: number, end: number): void {
  switch (nameEnd - from) {
    case 4:
      if (text.startsWith("WAIT", from)) marks.isWaiting = isTrue(text.slice(nameEnd + 1, end));
      else if (text.startsWith("KEYS", from)) marks.keys = text.slice(nameEnd + 1, end);
      break;
    case 5:
      if (text.startsWith("DELAY", from)) marks.delay = text.slice(nameEnd + 1, end);
      break;
    case 6:
      if (text.startsWith("POP_CK", from)) marks.hasBrokerProperty = true;
      break;
    case 7:
      if (text.startsWith("CLUSTER", from)) marks.hasBrokerProperty = true;
      break;
    case 8:
      if (text.startsWith("UNIQ_KEY", from)) marks.uniqKey = text.slice(nameEnd + 1, end);
      else if (text.startsWith("TRAN_MSG", from)) marks.isTransaction = isTrue(text.slice(nameEnd + 1, end));
      else if (text.startsWith("TRACE_ON", from)) marks.hasBrokerProperty = true;
      break;
    case 9:
      if (text.startsWith("INNER_NUM", from)) marks.hasInnerNumber = true;
      break;
    case 10:
      if (text.startsWith("MSG_REGION", from)) marks.hasBrokerProperty = true;
      break;
    case 12:
      if (text.startsWith("TIMER_OUT_MS", from)) marks.isTimerOut = true;
      break;
    case 14:
      if (text.startsWith("TIMER_DELAY_MS", from)) marks.isTimer = true;
      break;
    case 15:
      if (text.startsWith("TIMER_DELAY_SEC", from)) marks.isTimer = true;
      break;
    case 16:
      if (text.startsWith("TIMER_DELIVER_MS", from)) marks.isTimer = true;
      break;
    case 20:
      if (text.startsWith("INNER_MULTI_DISPATCH", from)) marks.hasLightQueues = true;
      break;
    default:
  }
}

/** Java's `Boolean.parseBoolean`. */
function isTrue(value: string): boolean {
  return value === "true" || value.toLowerCase() === "true";
}
