/** What RocketMQ finds in a store: the lines that `oracle read` prints (oracle/README.md). */

export interface MessageLine {
  kind: "message";
  offset: number;
  physicalOffset: number;
  size: number;
  /** Hexadecimal. */
  magic: string;
  topic: string;
  queueId: number;
  queueOffset: number;
  flag: number;
  sysFlag: number;
  bodyCRC: number;
  bornTimestamp: number;
  bornHost: string;
  storeTimestamp: number;
  storeHost: string;
  reconsumeTimes: number;
  preparedTransactionOffset: number;
  messageId: string;
  tagsCode: number;
  properties: Record<string, string>;
  /** As it is stored. */
  propertiesString: string;
  bodySize: number;
  bodySha256: string;
}

export interface QueueLine {
  kind: "queue";
  topic: string;
  queueId: number;
  minOffset: number;
  maxOffset: number;
}

export interface EntryLine {
  kind: "cq";
  topic: string;
  queueId: number;
  index: number;
  offset: number;
  size: number;
  tagsCode: number;
  /** Queue offset of the first message of the entry, in batch queues; `index` counts entries there. */
  baseOffset?: number;
  /** Messages of the entry, in batch queues. */
  batchSize?: number;
  /** What the tags code leads to, with extension files. */
  ext?: { tagsCode: number; storeTimestamp: number; bitMap: string };
}

export interface GetLine {
  kind: "get";
  topic: string;
  queueId: number;
  offset: number;
  status: string;
  nextBeginOffset: number;
  minOffset: number;
  maxOffset: number;
  physicalOffsets: number[];
}

export interface IndexLine {
  kind: "index";
  file: string;
  /** Entries in use and one: the first place of a file is never used. */
  indexCount: number;
}

export interface KeyLine {
  kind: "key";
  topic: string;
  key: string;
  physicalOffsets: number[];
}

export interface TimeLine {
  kind: "time";
  topic: string;
  queueId: number;
  timestamp: number;
  offset: number;
  upper: number | null;
}

export interface OpenLine {
  kind: "open";
  rocketmq: string;
  abort: boolean;
  loaded: boolean;
  recoveredMaxPhyOffset: number;
  minPhyOffset: number;
  maxPhyOffset: number;
  dispatchBehindBytes: number;
}

/** The lines of one reading, by kind. */
export interface Expected {
  open: OpenLine;
  messages: MessageLine[];
  queues: QueueLine[];
  entries: EntryLine[];
  gets: GetLine[];
  indexFiles: IndexLine[];
  keys: KeyLine[];
  times: TimeLine[];
  /** Whether RocketMQ could close the store cleanly. */
  clean: boolean;
}

/** Sorts the lines of one reading by kind. */
export function expectedFrom(lines: readonly { kind: string }[]): Expected {
  const of = <T extends { kind: string }>(kind: T["kind"]): T[] => lines.filter((line) => line.kind === kind) as T[];
  const [open] = of<OpenLine>("open");
  const [close] = of<{ kind: "close"; clean: boolean }>("close");
  if (open === undefined) throw new Error("the reading has no line of kind open");
  const [failed] = of("time-failed");
  if (failed !== undefined) throw new Error(`RocketMQ failed to answer: ${JSON.stringify(failed)}`);
  return {
    open,
    messages: of<MessageLine>("message"),
    queues: of<QueueLine>("queue"),
    entries: of<EntryLine>("cq"),
    gets: of<GetLine>("get"),
    indexFiles: of<IndexLine>("index"),
    keys: of<KeyLine>("key"),
    times: of<TimeLine>("time"),
    clean: close?.clean ?? false,
  };
}

/**
 * A host in its canonical text: two texts are the same exactly if address and port have the same bytes.
 * Java prints IPv6 addresses in full, RFC 5952 (and the URL parser used here) shortens them.
 */
export function canonicalHost(text: string): string {
  const colon = text.lastIndexOf(":");
  return `${new URL(`http://${text.slice(0, colon)}/`).hostname}:${text.slice(colon + 1)}`;
}

/** Whether a message can be found by a key in its topic: one of its KEYS, or its UNIQ_KEY. */
export function hasKey({ topic, properties }: MessageLine, line: { topic: string; key: string }): boolean {
  const keys = [...(properties.KEYS ?? "").split(" "), properties.UNIQ_KEY];
  return topic === line.topic && keys.includes(line.key);
}
