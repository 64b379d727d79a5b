/** What a sequence is made of, and how it is drawn: small sizes, few names, and much that collides. */
import fc from "fast-check";

export const SCHEDULE = "SCHEDULE_TOPIC_XXXX";

/** Topic and queue id of each queue. The last topic needs a V2 record; `Aa` and `BB` have one hash. */
export const QUEUES: readonly (readonly [topic: string, queueId: number])[] = [
  ["T", 0],
  ["T", 1],
  ["T", 2 ** 31 - 1],
  ["U", 0],
  [SCHEDULE, 2],
  ["Aa", 7],
  ["BB", 7],
  [`%RETRY%${"g".repeat(130)}`, 0],
  ["%LMQ%a", 0],
  ["%LMQ%b", 0],
  ["B", 1],
];
/** Queues that messages are put to. Behind them light ones, reached by multiDispatch, and the batch queue. */
const OWN_QUEUES = 8;
const BATCH_QUEUE = 10;
/** The topic that has batch queues, by RocketMQ's topic table. */
export const BATCHES = "B";
export const LIGHT_QUEUES = ["%LMQ%a", "%LMQ%b"] as const;
export const DELAY_LEVELS = [undefined, "2s 1m 3h"] as const;
export const KEYS = ["k", "Aa", "BB", "AaBB", "BBAa", "T#t", "键", "0123456789ABCDEF0123456789ABCDEF"] as const;
export const TAGS = ["t", "Aa", "BB", "order-created", "🚀"] as const;
/** Files so small that every kind of them rolls. */
export const SIZES = { segmentBytes: 4096, queueFileEntries: 10, indexSlots: 16, indexEntries: 32 } as const;
export const GROUPS = ["g", "%RETRY%g", "h-1"] as const;

/** A message to be put; numbers are places in the lists above. */
export interface Draft {
  readonly queue: number;
  /** Length of the body. */
  readonly body: number;
  /** The body is so long that the record leaves this many bytes of its file behind the room for a blank's header. */
  readonly filling: number | undefined;
  readonly tags: number | undefined;
  readonly keys: readonly number[];
  readonly uniqKey: number | undefined;
  readonly delay: number | undefined;
  /** Light queues. */
  readonly light: readonly number[];
  /** Messages of an inner batch, where the topic takes them; 0 for a plain message. */
  readonly inner: number;
  /** Properties of the application. */
  readonly further: number;
  /** The properties come as the bytes of a property string, tags and keys among them. */
  readonly wire: boolean;
  /** 0 none, 1 prepared, 2 commit, 3 rollback. */
  readonly transaction: number;
  readonly v6: boolean;
}

/** A place in something, wherever that ends: the remainder by its length counts, or how far it lies behind the end. */
export type Place = { readonly in: number } | { readonly behind: number };

/** What is different when a store is opened again. */
export interface Change {
  /** Place in ENGINES, where several take turns. */
  readonly engine: number;
  /** Of `consumequeue`, `index`, `checkpoint` and `batchconsumequeue`, by bit: removed before. */
  readonly lose: number;
  readonly flush: "sync" | "async";
  readonly flushIntervalMs: number;
  readonly recordCrc: boolean;
  readonly index: boolean;
  readonly indexTags: boolean;
  readonly compat: "5" | "4.9";
  /** Place in DELAY_LEVELS. */
  readonly delayLevels: number;
  /** Other sizes are asked for; those on disk win. */
  readonly otherSizes: boolean;
  /** Extension files are there from now on. */
  readonly ext: boolean;
}

export type Question =
  | {
      readonly ask: "get";
      queue: number;
      at: Place;
      max: number;
      maxBytes: number;
      tags: readonly number[];
      into: boolean;
    }
  | { readonly ask: "read" | "follow" | "batches"; queue: number; from: Place; tags: readonly number[] }
  | { readonly ask: "entries"; queue: number; from: Place; max: number }
  | { readonly ask: "offsets" | "names" | "log" | "stats" | "health"; queue: number }
  | { readonly ask: "offsetByTime"; queue: number; at: number; later: number; boundary: "lower" | "upper" }
  | { readonly ask: "timeOf"; queue: number; at: Place }
  | { readonly ask: "lookup"; queue: number; key: number; range: [number, number] | undefined; max: number }
  | { readonly ask: "scan"; queue: number; from: number; to: Place }
  | { readonly ask: "at"; queue: number; record: number; further: number }
  | { readonly ask: "arrival"; queue: number; at: Place };

/** What a process does in a store before it is killed. */
export interface Step {
  readonly how: "put" | "putBatch" | "flush";
  readonly drafts: Draft[];
  /** How far its clock goes on then, in ms. */
  readonly clock: number;
}

/** A process with the store, until it kills itself: in opening (0), a step or closing, at so many calls of the system. */
export interface Life {
  readonly change: Change;
  readonly steps: Step[];
  readonly dies: number;
  readonly calls: number;
}

export type Wrong = "body" | "properties" | "queueId" | "topic" | "tags" | "key" | "sysFlag";

/** What of a message is wrong then. */
export const WRONG: Record<Wrong, object> = {
  body: { body: new Uint8Array(SIZES.segmentBytes) },
  properties: { properties: { p: "v".repeat(32_768) } },
  queueId: { queueId: -1 },
  topic: { topic: "../T" },
  tags: { tags: "" },
  key: { keys: ["a b"] },
  sysFlag: { sysFlag: 2 ** 31 },
};

export type Operation =
  | { readonly do: "put" | "append to memory" | "append to disk"; draft: Draft }
  | { readonly do: "putBatch" | "putColumns"; drafts: Draft[] }
  | { readonly do: "putGroup"; queue: number; drafts: Draft[]; wire: boolean }
  | { readonly do: "put something wrong"; drafts: Draft[]; at: number; wrong: Wrong }
  | { readonly do: "question"; question: Question }
  | { readonly do: "flush"; upTo: number | undefined }
  | { readonly do: "clock"; step: number }
  | { readonly do: "commit"; group: number; queue: number; offset: number }
  | { readonly do: "forget group"; group: number }
  | { readonly do: "close and open"; change: Change }
  | { readonly do: "crash and open"; change: Change }
  | { readonly do: "kill and open"; life: Life; change: Change }
  | { readonly do: "read-only open" }
  /** What an operation shrinks to. */
  | { readonly do: "nothing" };

const pick = (list: readonly unknown[]) => fc.nat(list.length - 1);
const sometimes = <T>(arbitrary: fc.Arbitrary<T>, freq = 3) => fc.option(arbitrary, { nil: undefined, freq });
const nearly = (weight: number) =>
  fc.oneof({ arbitrary: fc.constant(true), weight }, { arbitrary: fc.constant(false), weight: 1 });

const place: fc.Arbitrary<Place> = fc.oneof(
  { arbitrary: fc.nat(65_535).map((at) => ({ in: at })), weight: 6 },
  { arbitrary: fc.nat(2).map((behind) => ({ behind })), weight: 2 },
  { arbitrary: fc.constant({ behind: 2 ** 52 }), weight: 1 },
);

const draft: fc.Arbitrary<Draft> = fc.record({
  queue: fc.oneof(
    { arbitrary: fc.nat(3), weight: 6 },
    { arbitrary: fc.nat(OWN_QUEUES - 1), weight: 1 },
    { arbitrary: fc.constant(BATCH_QUEUE), weight: 1 },
  ),
  body: fc.oneof({ arbitrary: fc.nat(300), weight: 8 }, { arbitrary: fc.nat(3000), weight: 1 }),
  filling: fc.oneof(
    { arbitrary: fc.constant(undefined), weight: 6 },
    { arbitrary: fc.constantFrom(0, 1, 7, 8, 9, 11, 90), weight: 1 },
  ),
  tags: sometimes(pick(TAGS)),
  keys: fc.array(pick(KEYS), { maxLength: 3 }),
  uniqKey: sometimes(pick(KEYS), 1),
  delay: sometimes(fc.nat(20), 1),
  light: fc.oneof(
    { arbitrary: fc.constant<number[]>([]), weight: 6 },
    { arbitrary: fc.uniqueArray(pick(LIGHT_QUEUES), { minLength: 1, maxLength: 2 }), weight: 1 },
  ),
  inner: fc.nat(5),
  further: fc.nat(2),
  wire: nearly(4).map((not) => !not),
  transaction: fc.oneof(
    { arbitrary: fc.constant(0), weight: 8 },
    { arbitrary: fc.integer({ min: 1, max: 3 }), weight: 1 },
  ),
  v6: fc.boolean(),
});

const drafts = fc.oneof(
  { arbitrary: fc.array(draft, { minLength: 1, maxLength: 4, size: "max" }), weight: 4 },
  { arbitrary: fc.array(draft, { minLength: 1, maxLength: 60, size: "max" }), weight: 1 },
);

/** Columns have one store host. */
const withOneStoreHost = (some: readonly Draft[]) => some.map((each) => ({ ...each, v6: some[0]?.v6 === true }));

const max = fc.oneof(
  { arbitrary: fc.integer({ min: 1, max: 6 }), weight: 4 },
  { arbitrary: fc.constant(60_000), weight: 1 },
);
const maxBytes = fc.oneof(
  { arbitrary: fc.integer({ min: 1, max: 3000 }), weight: 3 },
  { arbitrary: fc.constant(1 << 20), weight: 2 },
);
const filter: fc.Arbitrary<readonly number[]> = fc.oneof(
  { arbitrary: fc.constant([]), weight: 2 },
  { arbitrary: fc.array(pick(TAGS), { minLength: 1, maxLength: 2 }), weight: 1 },
);
const queue = pick(QUEUES);
const place16 = fc.nat(65_535);

const question: fc.Arbitrary<Question> = fc.oneof(
  {
    arbitrary: fc.record({
      ask: fc.constant("get" as const),
      queue,
      at: place,
      max,
      maxBytes,
      tags: filter,
      into: fc.boolean(),
    }),
    weight: 6,
  },
  {
    arbitrary: fc.record({ ask: fc.constantFrom("read", "follow", "batches"), queue, from: place, tags: filter }),
    weight: 3,
  },
  { arbitrary: fc.record({ ask: fc.constant("entries" as const), queue, from: place, max }), weight: 2 },
  { arbitrary: fc.record({ ask: fc.constantFrom("offsets", "names", "log", "stats", "health"), queue }), weight: 4 },
  {
    arbitrary: fc.record({
      ask: fc.constant("offsetByTime" as const),
      queue,
      at: place16,
      later: fc.integer({ min: -1, max: 1 }),
      boundary: fc.constantFrom("lower" as const, "upper" as const),
    }),
    weight: 3,
  },
  { arbitrary: fc.record({ ask: fc.constant("timeOf" as const), queue, at: place }), weight: 1 },
  {
    arbitrary: fc.record({
      ask: fc.constant("lookup" as const),
      queue,
      key: pick(KEYS),
      range: sometimes(fc.tuple(place16, place16)),
      max,
    }),
    weight: 4,
  },
  { arbitrary: fc.record({ ask: fc.constant("scan" as const), queue, from: place16, to: place }), weight: 1 },
  {
    arbitrary: fc.record({
      ask: fc.constant("at" as const),
      queue,
      record: place16,
      further: fc.integer({ min: -128, max: 127 }),
    }),
    weight: 2,
  },
  { arbitrary: fc.record({ ask: fc.constant("arrival" as const), queue, at: place }), weight: 2 },
);

const change: fc.Arbitrary<Change> = fc.record({
  engine: fc.nat(1),
  lose: fc.oneof({ arbitrary: fc.constant(0), weight: 3 }, { arbitrary: fc.nat(15), weight: 1 }),
  flush: fc.constantFrom("async", "sync"),
  flushIntervalMs: fc.constantFrom(3_600_000, 1),
  recordCrc: fc.boolean(),
  index: nearly(8),
  indexTags: nearly(8).map((not) => !not),
  compat: nearly(8).map((is5) => (is5 ? "5" : "4.9")),
  delayLevels: nearly(4).map((isDefault) => (isDefault ? 0 : 1)),
  otherSizes: nearly(8).map((not) => !not),
  ext: nearly(8).map((not) => !not),
});

/** Ties, small steps, days, and corrections backwards that are held, or followed. */
const clockStep = fc.oneof(
  { arbitrary: fc.nat(2), weight: 6 },
  { arbitrary: fc.constantFrom(1000, 3000, 86_400_000), weight: 3 },
  { arbitrary: fc.constantFrom(-1, -1000, -600_000), weight: 2 },
  { arbitrary: fc.constantFrom(-600_001, -172_800_000), weight: 1 },
);

/** Messages whose length does not depend on what was put before: it is drawn before the process begins. */
const step: fc.Arbitrary<Step> = fc.record({
  how: fc.constantFrom("put", "putBatch", "putBatch", "flush"),
  drafts: drafts.map((some) => some.map((each) => ({ ...each, filling: undefined }))),
  clock: fc.nat(2),
});
const life: fc.Arbitrary<Life> = fc.record({
  change,
  steps: fc.array(step, { maxLength: 6, size: "max" }),
  dies: fc.nat(8),
  calls: fc.oneof({ arbitrary: fc.nat(20), weight: 2 }, { arbitrary: fc.nat(200), weight: 1 }),
});

const named = <K extends Operation["do"]>(name: K) => fc.constant(name);

const operation: fc.Arbitrary<Operation> = fc.oneof(
  { withCrossShrink: true },
  { arbitrary: fc.record({ do: named("nothing") }), weight: 1 },
  { arbitrary: fc.record({ do: fc.constantFrom("put", "append to memory"), draft }), weight: 16_000 },
  { arbitrary: fc.record({ do: named("append to disk"), draft }), weight: 500 },
  { arbitrary: fc.record({ do: named("putBatch"), drafts }), weight: 10_000 },
  { arbitrary: fc.record({ do: named("putColumns"), drafts: drafts.map(withOneStoreHost) }), weight: 4000 },
  {
    arbitrary: fc.record({ do: named("putGroup"), queue: fc.nat(OWN_QUEUES - 1), drafts, wire: fc.boolean() }),
    weight: 3000,
  },
  {
    arbitrary: fc.record({
      do: named("put something wrong"),
      drafts,
      at: place16,
      wrong: fc.constantFrom<Wrong[]>("body", "properties", "queueId", "topic", "tags", "key", "sysFlag"),
    }),
    weight: 2000,
  },
  { arbitrary: fc.record({ do: named("question"), question }), weight: 40_000 },
  { arbitrary: fc.record({ do: named("flush"), upTo: sometimes(place16) }), weight: 4000 },
  { arbitrary: fc.record({ do: named("clock"), step: clockStep }), weight: 6000 },
  { arbitrary: fc.record({ do: named("commit"), group: pick(GROUPS), queue, offset: fc.nat(1000) }), weight: 2000 },
  { arbitrary: fc.record({ do: named("forget group"), group: pick(GROUPS) }), weight: 500 },
  { arbitrary: fc.record({ do: named("close and open"), change }), weight: 2000 },
  { arbitrary: fc.record({ do: named("crash and open"), change }), weight: 1000 },
  { arbitrary: fc.record({ do: named("kill and open"), life, change }), weight: 500 },
  { arbitrary: fc.record({ do: named("read-only open") }), weight: 500 },
);

/** At least 50 operations. A sequence that fails shrinks to one of which most are nothing. */
export const sequence: fc.Arbitrary<Operation[]> = fc.array(operation, { minLength: 50, maxLength: 100, size: "max" });
