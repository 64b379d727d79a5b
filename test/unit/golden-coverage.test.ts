/** Every golden vector is asserted somewhere, or left out for a reason that is given here. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "../..");

const vectors = (
  JSON.parse(readFileSync(join(root, "test/fixtures/golden.json"), "utf8")) as { vectors: { name: string }[] }
).vectors.map(({ name }) => name);

/** Where a vector is asserted. A name that ends with a dot stands for all vectors that begin with it. */
const asserted: Record<string, string[]> = {
  "tagsCode.": ["native/core/tests/format/hashes.rs"],
  "indexHash.": ["native/core/tests/format/hashes.rs"],
  "bodyCRC.": ["native/core/tests/format/crcs.rs"],
  "offsetMsgId.": ["native/core/tests/format/names.rs"],
  "uniqKey.decode": ["native/core/tests/format/names.rs"],
  fileName: ["native/core/tests/format/names.rs"],
  "record.": ["native/core/tests/format/records.rs"],
  "record.v1.noProps": ["test/unit/stored-message.test.ts"],
  "record.v1.props": ["test/unit/stored-message.test.ts", "native/core/tests/format/records.rs"],
  "dispatch.v1.props": ["native/core/tests/format/records.rs"],
  "dispatch.schedule.tagsCode": ["native/core/tests/engine/delay_levels.rs"],
  "endOfFile.": ["native/core/tests/format/blanks.rs"],
  "putMessages.batch2": ["native/core/tests/engine/groups.rs"],
  "properties.decodeRules": ["native/core/tests/format/properties.rs", "test/unit/properties.test.ts"],
  "cq.unit": ["native/core/tests/format/queue_entries.rs"],
  "cq.preBlankUnit": ["native/core/tests/format/queue_entries.rs"],
  "cq.preBlankFill": ["test/contract/golden-blank-fill.test.ts"],
  "cqext.units": ["native/core/tests/format/ext_units.rs"],
  "bcq.unit": ["native/core/tests/format/batch_entries.rs"],
  "bloom.default": ["native/core/tests/format/ext_units.rs"],
  "index.file": ["native/core/tests/format/index_files.rs"],
  "index.rolledFile": ["native/core/tests/format/index_files.rs"],
  checkpoint: ["native/core/tests/format/checkpoints.rs"],
  "json.consumerOffset": ["test/unit/json.test.ts"],
  "json.delayOffset": ["test/unit/json.test.ts"],
  "json.topics": ["test/unit/json.test.ts"],
  "store.run.25msgs": ["test/contract/golden-run.test.ts"],
  "store.restart.normal": ["test/contract/golden-run.test.ts"],
  "store.restart.abnormal": ["test/contract/golden-recovery.test.ts"],
  "recover.tornTailAndPreallocated": ["test/contract/golden-recovery.test.ts"],
  "recover.normalExit.laggingConsumeQueue": ["test/contract/golden-recovery.test.ts"],
  "store.batchCQ": ["native/core/tests/engine/batch_files.rs"],
  "store.lmq": ["native/core/tests/engine/light_queues.rs"],
  "delete.oneCommitLogFile": ["native/core/tests/engine/retention.rs"],
  "put.statuses": ["test/contract/golden-statuses.test.ts"],
  consts: [
    "native/core/tests/format/records.rs",
    "native/core/tests/format/blanks.rs",
    "native/core/tests/format/queue_entries.rs",
    "native/core/tests/format/index_files.rs",
    "native/core/tests/format/batch_entries.rs",
    "native/core/tests/format/ext_units.rs",
  ],
};

const TIMERS = "the timer wheel belongs to a broker; this is the store under one";
const POP = "POP consumption belongs to a broker; its bodies are messages like others";
const REPLICATION = "replication between brokers is not built yet; the core is only shaped for it";

/** Vectors that nothing asserts, each with its reason. */
const leftOut: Record<string, string> = {
  "timerwheel.slot": TIMERS,
  "timerlog.consts": TIMERS,
  "timerlog.unit": TIMERS,
  "timerlog.roll": TIMERS,
  timercheck: TIMERS,
  "timer.doEnqueue": TIMERS,
  "json.popCheckPoint": POP,
  "json.popAck": POP,
  "json.popBatchAck": POP,
  epochFile: REPLICATION,
  "ha.autoswitch.slaveHandshake": REPLICATION,
  "ha.autoswitch.slaveReport": REPLICATION,
  "ha.autoswitch.transferHeader": REPLICATION,
  "ha.default.transfer": REPLICATION,
  "tiered.fileNames": "the tiered store is another store, beside this one",
  "properties.hashMapOrder": "Java's order is that of a hash map; ours is TAGS, KEYS, then as given",
};

/** Values of `consts` that belong to what is left out. */
const leftOutConstants = [
  "TIMERLOG_BLANK_MAGIC",
  "TIERED_INDEX_BEGIN_MAGIC",
  "TIERED_INDEX_END_MAGIC",
  "timerWheelFileSize",
  "compactionCqFileSize",
  "compactionLogFileSize",
];

const matches = (name: string, vector: string) => (name.endsWith(".") ? vector.startsWith(name) : vector === name);

describe("golden vectors", () => {
  it("are the 71 of the format's description, each with a name of its own", () => {
    expect(vectors).toHaveLength(71);
    expect(new Set(vectors).size).toBe(71);
  });

  it.each(vectors)("%s is asserted, or left out for a reason", (vector) => {
    const places = Object.keys(asserted).filter((name) => matches(name, vector));
    expect(places.length > 0, "asserted").toBe(leftOut[vector] === undefined);
  });

  it("that are listed exist", () => {
    const listed = [...Object.keys(asserted), ...Object.keys(leftOut)];
    expect(listed.filter((name) => !vectors.some((vector) => matches(name, vector)))).toEqual([]);
  });

  const places = Object.entries(asserted).flatMap(([name, files]) => files.map((file) => ({ name, file })));
  it.each(places)("$name is named in $file", ({ name, file }) => {
    const path = join(root, file);
    expect(existsSync(path), `${file} exists`).toBe(true);
    expect(readFileSync(path, "utf8")).toContain(`"${name}"`);
  });

  it("have no constant that is neither asserted nor left out", () => {
    const file = JSON.parse(readFileSync(join(root, "test/fixtures/golden.json"), "utf8")) as {
      vectors: { name: string; expected: object }[];
    };
    const constants = Object.keys(file.vectors.find(({ name }) => name === "consts")?.expected ?? {});
    const texts = (asserted.consts ?? []).map((place) => readFileSync(join(root, place), "utf8"));
    const named = constants.filter((constant) => texts.some((text) => text.includes(`"${constant}"`)));
    expect(named.sort()).toEqual(constants.filter((constant) => !leftOutConstants.includes(constant)).sort());
  });
});
