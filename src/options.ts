/** What a store can be told when it is opened. What is on disk wins: sizes are taken from the files found. */
import { readOptions } from "./arguments.ts";
import { argumentError, StoreError, shown } from "./errors.ts";
import { type RetentionOptions, type RetentionRules, retentionRules } from "./retention-options.ts";

/** How far opening has come. `done` and `total` are bytes. */
export interface OpenProgress {
  /** What is being read: `log`, `queues`, `index`, `dispatch`. */
  readonly phase: string;
  readonly done: number;
  readonly total: number;
}

/** Options of `Store.open`. Defaults and limits: `storeOptions`. */
export interface StoreOptions {
  /** `"async"`: visible at once, synced behind. `"sync"`: visible once synced. */
  readonly flush?: "async" | "sync" | undefined;
  /** How long the background waits between two syncs. Offsets that groups commit have the log synced once a second at most. */
  readonly flushIntervalMs?: number | undefined;
  /** Bytes of a commit log file. */
  readonly segmentBytes?: number | undefined;
  /** Entries of a consume queue file. */
  readonly queueFileEntries?: number | undefined;
  /** Hash slots of an index file. */
  readonly indexSlots?: number | undefined;
  /** Entries of an index file, of which the first is never used. */
  readonly indexEntries?: number | undefined;
  /** Whether records carry a CRC over the whole record (RocketMQ's `__CRC32#`). */
  readonly recordCrc?: boolean | undefined;
  /** Whether keys are indexed. */
  readonly index?: boolean | undefined;
  /** Whether tags are indexed too, as RocketMQ 5.4 does. */
  readonly indexTags?: boolean | undefined;
  /** The oldest RocketMQ that must be able to open the store. */
  readonly compat?: "5" | "4.9" | undefined;
  /** Longest body. */
  readonly maxMessageBytes?: number | undefined;
  /** Bytes of messages of `append` that wait, for room or for their sync, before another one is refused with `STORE_BUSY`. */
  readonly maxPendingBytes?: number | undefined;
  /**
   * What the delay levels of messages in SCHEDULE_TOPIC_XXXX mean, as RocketMQ's messageDelayLevel: `"1s 5s 10m 2h"`,
   * with the units s, m, h and d. A greater level counts as the last. Must be what the broker of the store has.
   */
  readonly delayLevels?: string | undefined;
  /**
   * Files of the log that go by themselves, the oldest first: looked at every 10 seconds, `EXPIRE_BATCH_FILES` (10) at a
   * time. Without it nothing is removed but by `expire` and `deleteTopic`.
   */
  readonly retention?: RetentionOptions | undefined;
  /** Takes no lock and changes nothing; sees a live store of another process as far as it can be read. */
  readonly readOnly?: boolean | undefined;
  /** Whether a store is created where there is none. */
  readonly create?: boolean | undefined;
  /**
   * `"native"`: the addon. `"wasm"`: the WebAssembly module, which needs none. `"auto"`: the addon where one loads, else the
   * module. Default: the environment variable MORAINE_ENGINE, else `"auto"`.
   */
  readonly engine?: "auto" | "native" | "wasm" | undefined;
  readonly onProgress?: ((progress: OpenProgress) => void) | undefined;
  /** Milliseconds since the epoch for every store timestamp, instead of the system's clock (tests). */
  readonly clock?: (() => number) | undefined;
}

interface NumberOption {
  readonly kind: "integer";
  readonly unit: string;
  readonly default: number;
  readonly minimum: number;
  readonly maximum: number;
}

interface ChoiceOption<T> {
  readonly kind: "choice";
  readonly values: readonly T[];
  readonly default: T;
}

interface TextOption {
  readonly kind: "text";
  readonly default: string;
}

/** An object of options of its own; see the type of the option. */
interface GroupOption {
  readonly kind: "group";
}

interface FunctionOption {
  readonly kind: "function";
}

const integer = (unit: string, byDefault: number, minimum: number, maximum: number): NumberOption => ({
  kind: "integer",
  unit,
  default: byDefault,
  minimum,
  maximum,
});
const choice = <T>(byDefault: T, ...others: readonly T[]): ChoiceOption<T> => ({
  kind: "choice",
  values: [byDefault, ...others],
  default: byDefault,
});

/** Greatest file that RocketMQ can map. */
const MAX_FILE_BYTES = 2_147_483_647;
const QUEUE_ENTRY_BYTES = 20;
const INDEX_HEADER_BYTES = 40;
const INDEX_SLOT_BYTES = 4;
const INDEX_ENTRY_BYTES = 20;

interface OptionTable {
  readonly flush: ChoiceOption<"async" | "sync">;
  readonly flushIntervalMs: NumberOption;
  readonly segmentBytes: NumberOption;
  readonly queueFileEntries: NumberOption;
  readonly indexSlots: NumberOption;
  readonly indexEntries: NumberOption;
  readonly recordCrc: ChoiceOption<boolean>;
  readonly index: ChoiceOption<boolean>;
  readonly indexTags: ChoiceOption<boolean>;
  readonly compat: ChoiceOption<"5" | "4.9">;
  readonly maxMessageBytes: NumberOption;
  readonly maxPendingBytes: NumberOption;
  readonly delayLevels: TextOption;
  readonly retention: GroupOption;
  readonly readOnly: ChoiceOption<boolean>;
  readonly create: ChoiceOption<boolean>;
  readonly engine: ChoiceOption<"auto" | "native" | "wasm">;
  readonly onProgress: FunctionOption;
  readonly clock: FunctionOption;
}

/** Every option with its unit, default and limits. The sizes of files are RocketMQ's by default. */
export const storeOptions: OptionTable = {
  flush: choice<"async" | "sync">("async", "sync"),
  flushIntervalMs: integer("ms", 500, 1, 3_600_000),
  segmentBytes: integer("bytes", 1_073_741_824, 1024, MAX_FILE_BYTES),
  queueFileEntries: integer("entries", 300_000, 1, Math.floor(MAX_FILE_BYTES / QUEUE_ENTRY_BYTES)),
  indexSlots: integer("slots", 5_000_000, 1, 100_000_000),
  indexEntries: integer("entries", 20_000_000, 2, 100_000_000),
  recordCrc: choice(true, false),
  index: choice(true, false),
  indexTags: choice(false, true),
  compat: choice<"5" | "4.9">("5", "4.9"),
  maxMessageBytes: integer("bytes", 4_194_304, 1, 536_870_912),
  maxPendingBytes: integer("bytes", 67_108_864, 1, 1_099_511_627_776),
  retention: { kind: "group" },
  delayLevels: { kind: "text", default: "1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h" },
  readOnly: choice(false, true),
  create: choice(true, false),
  engine: choice<"auto" | "native" | "wasm">("auto", "native", "wasm"),
  onProgress: { kind: "function" },
  clock: { kind: "function" },
};

const NAMES: readonly string[] = Object.keys(storeOptions);

/** Options as checked, with every default filled in. */
export interface Settings {
  readonly flush: "async" | "sync";
  readonly flushIntervalMs: number;
  readonly segmentBytes: number;
  readonly queueFileEntries: number;
  readonly indexSlots: number;
  readonly indexEntries: number;
  readonly recordCrc: boolean;
  readonly index: boolean;
  readonly indexTags: boolean;
  readonly compat: "5" | "4.9";
  readonly maxMessageBytes: number;
  readonly maxPendingBytes: number;
  /** Milliseconds for the levels 1, 2 … */
  readonly delayLevels: number[];
  /** Only the rules that were given; undefined without any. */
  readonly retention: RetentionRules | undefined;
  readonly readOnly: boolean;
  readonly create: boolean;
  /** Undefined: the environment decides. */
  readonly engine: "auto" | "native" | "wasm" | undefined;
  readonly onProgress: ((progress: OpenProgress) => void) | undefined;
  readonly clock: (() => number) | undefined;
}

/** Checks options, and fills in the defaults. */
export function storeSettings(options: StoreOptions | undefined): Settings {
  const given = readOptions(options, NAMES);
  const settings: Settings = {
    flush: chosen("flush", given.flush, storeOptions.flush),
    flushIntervalMs: number("flushIntervalMs", given.flushIntervalMs, storeOptions.flushIntervalMs),
    segmentBytes: number("segmentBytes", given.segmentBytes, storeOptions.segmentBytes),
    queueFileEntries: number("queueFileEntries", given.queueFileEntries, storeOptions.queueFileEntries),
    indexSlots: number("indexSlots", given.indexSlots, storeOptions.indexSlots),
    indexEntries: number("indexEntries", given.indexEntries, storeOptions.indexEntries),
    recordCrc: chosen("recordCrc", given.recordCrc, storeOptions.recordCrc),
    index: chosen("index", given.index, storeOptions.index),
    indexTags: chosen("indexTags", given.indexTags, storeOptions.indexTags),
    compat: chosen("compat", given.compat, storeOptions.compat),
    maxMessageBytes: number("maxMessageBytes", given.maxMessageBytes, storeOptions.maxMessageBytes),
    maxPendingBytes: number("maxPendingBytes", given.maxPendingBytes, storeOptions.maxPendingBytes),
    delayLevels: delays(given.delayLevels ?? storeOptions.delayLevels.default),
    retention: retentionRules(given.retention),
    readOnly: chosen("readOnly", given.readOnly, storeOptions.readOnly),
    create: chosen("create", given.create, storeOptions.create),
    engine: given.engine === undefined ? undefined : chosen("engine", given.engine, storeOptions.engine),
    onProgress: callable("onProgress", given.onProgress),
    clock: checkedClock(callable("clock", given.clock)),
  };
  checkIndexFile(settings);
  return settings;
}

function number(name: string, value: number | undefined, option: NumberOption): number {
  if (value === undefined) return option.default;
  if (typeof value === "number" && Number.isInteger(value) && value >= option.minimum && value <= option.maximum) {
    return value;
  }
  const range = `from ${option.minimum} to ${option.maximum} (${option.unit})`;
  throw argumentError(`options.${name}`, `option ${name} is ${shown(value)}; it must be an integer ${range}`);
}

function chosen<T>(name: string, value: T | undefined, option: ChoiceOption<T>): T {
  if (value === undefined) return option.default;
  if (option.values.includes(value)) return value;
  const values = option.values.map(shown).join(" or ");
  throw argumentError(`options.${name}`, `option ${name} is ${shown(value)}; it must be ${values}`);
}

const UNIT_MS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const MAX_DELAY_LEVELS = 1000;

/** The times that a text of delay levels names, in ms. */
export function delays(levels: unknown): number[] {
  const name = "options.delayLevels";
  if (typeof levels !== "string") {
    throw argumentError(name, `option delayLevels is ${shown(levels)}; it must be a string such as "1s 5s 10m 2h 1d"`);
  }
  const words = levels.split(" ").filter((word) => word !== "");
  if (words.length === 0 || words.length > MAX_DELAY_LEVELS) {
    const must = `it must have 1 to ${MAX_DELAY_LEVELS}, divided by spaces`;
    throw argumentError(name, `option delayLevels is ${shown(levels)} and has ${words.length} levels; ${must}`);
  }
  return words.map((word, i) => {
    const [, count, unit = ""] = /^(\d+)([smhd])$/.exec(word) ?? [];
    const milliseconds = Number(count) * (UNIT_MS[unit] as number);
    if (milliseconds > 0 && Number.isSafeInteger(milliseconds)) return milliseconds;
    const must = "it must be a number above 0 with s, m, h or d behind it";
    throw argumentError(name, `option delayLevels has ${shown(word)} as level ${i + 1}; ${must}, such as "10s"`);
  });
}

function callable<T>(name: string, value: T | undefined): T | undefined {
  if (value === undefined || typeof value === "function") return value;
  throw argumentError(`options.${name}`, `option ${name} is ${shown(value)}; it must be a function`);
}

function checkIndexFile({ indexSlots, indexEntries }: Settings): void {
  const bytes = INDEX_HEADER_BYTES + INDEX_SLOT_BYTES * indexSlots + INDEX_ENTRY_BYTES * indexEntries;
  if (bytes <= MAX_FILE_BYTES) return;
  throw argumentError(
    "options.indexEntries",
    `options indexSlots ${indexSlots} and indexEntries ${indexEntries} make an index file of ${bytes} bytes; at most ${MAX_FILE_BYTES} are allowed`,
  );
}

/** The clock, held to what a store timestamp can be. */
function checkedClock(clock: (() => number) | undefined): (() => number) | undefined {
  if (clock === undefined) return undefined;
  return () => {
    let now: unknown;
    try {
      now = clock();
    } catch (cause) {
      throw argumentError("options.clock", "option clock threw; it must return milliseconds since the epoch", cause);
    }
    if (typeof now === "number" && Number.isSafeInteger(now) && now >= 0) return now;
    throw new StoreError(
      "STORE_INVALID_ARGUMENT",
      `option clock returned ${shown(now)}; it must return an integer from 0 to 2^53 - 1`,
      { details: { argument: "options.clock" } },
    );
  };
}
