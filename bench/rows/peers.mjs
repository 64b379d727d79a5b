// Who stands beside us, in what durability class, and how it is set up. The table of docs/benchmarks.md is made of this.

/** Survives what: only contestants of one class stand in one row. */
export const CLASSES = {
  process: "survives kill -9",
  power: "survives power loss",
  read: "reading",
};

export const PEERS = {
  rocketmq: {
    title: "Apache RocketMQ 5.4.0, store classes in one Java process",
    process: "flushDiskType ASYNC_FLUSH",
    power: "flushDiskType SYNC_FLUSH",
    rest: "RocketMQ's defaults: files of 1 GiB, index of 5,000,000 slots; TAGS and UNIQ_KEY on each message; no broker, no network, no replica",
  },
  "rocketmq-rust": {
    title: "rocketmq-rust, crate rocketmq-store 1.0.0",
    process: "FlushDiskType::AsyncFlush",
    power: "FlushDiskType::SyncFlush",
    rest: "its defaults, but commit_log_micro_batch_enabled off, which makes single puts some eighty times faster; tokio with 2 workers; TAGS and UNIQ_KEY on each message",
  },
  lmdb: {
    title: "LMDB, npm package lmdb",
    process: "noSync and noMetaSync: a commit writes to the system's cache",
    power: "a sync with each commit",
    rest: "one transaction a batch, binary values under a number of queue and offset, no compression; no second index: where keys are looked up they are the only way to a message",
  },
  "classic-level": {
    title: "LevelDB, npm package classic-level",
    process: "sync: false",
    power: "sync: true",
    rest: "one batch() a batch, no compression; no second index, as LMDB",
  },
  "better-sqlite3": {
    title: "SQLite, npm package better-sqlite3",
    process: "journal_mode WAL, synchronous OFF",
    power: "journal_mode WAL, synchronous FULL",
    rest: "one transaction a batch, one table with the place as key, prepared statements, pages of 16 KiB, cache of 64 MiB, mmap_size 8 GiB; no second index, as LMDB",
  },
  "rocksdb-native": {
    title: "RocksDB, npm package rocksdb-native",
    process: "its log without a sync",
    power: "not possible: the package has no write that is synced",
    rest: "one write batch a batch, its defaults; no second index, as LMDB",
  },
  fs: {
    title: "a file, node:fs",
    process: "one writeSync a batch",
    power: "one writeSync and one fdatasyncSync a batch",
    rest: "records one behind the other: no CRC, no queue, no index; only for writing",
  },
  floor: {
    title: "the floor, C++ behind Node-API (bench/floor)",
    process: "CRC of the body and copy of the record into a mapped file whose blocks were written before",
    power: "the same into a buffer, one pwrite and one fdatasync a batch, over blocks written before",
    rest: "no queue, no index but for lookups, no checks: the physical work and nothing else",
  },
};

/** JavaScript peers with `job`, by the names of their packages. */
export function jsPeers(names, job) {
  return names.map((name) => ({
    id: name,
    family: name,
    kind: "peer",
    needs: name === "fs" ? undefined : name,
    // A file alone is no store: it is shown, and is nobody's best peer.
    apart: name === "fs",
    job: { contestant: name, ...job },
  }));
}

export const floor = (job, title = "floor") => ({
  id: title,
  family: "floor",
  kind: "floor",
  needs: "floor",
  job: { contestant: "floor", ...job },
});

/** RocketMQ's store, `way` by `way`: the best one counts. */
export function rocketmq(mode, ways, family = "rocketmq") {
  return ways.map((way) => ({
    id: [family, named(way)].filter(Boolean).join(", "),
    family,
    kind: "peer",
    needs: "rocketmq",
    oracle: { mode, way },
  }));
}

/** `--threads 8` as a person says it. */
function named(way) {
  const words = [];
  for (let i = 0; i < way.length; i += 2) {
    const [name, value] = [way[i]?.replace(/^--/, ""), way[i + 1]];
    if (name === "threads") words.push(`${value} threads`);
    else if (name === "queues") words.push(`${Number(value).toLocaleString("en")} queues`);
    else if (name !== "readers" && name !== "touch") words.push(`${name} ${value}`);
  }
  return words.join(", ");
}

export const rocketmqRust = (mode, ...way) => ({
  id: "rocketmq-rust",
  family: "rocketmq-rust",
  kind: "peer",
  needs: "rocketmq-rust",
  rust: { mode, way },
});

/** Ours: `job` may name the form of the messages. */
export const moraine = (job, more = "", env = {}) => ({
  id: more === "" ? "moraine" : `moraine, ${more}`,
  family: more === "" ? "moraine" : `moraine, ${more}`,
  kind: "ours",
  needs: env.MORAINE_ENGINE === "wasm" ? undefined : "native",
  job: { contestant: "moraine", ...job },
  env: { MORAINE_ENGINE: "native", ...env },
});

export const WASM = { MORAINE_ENGINE: "wasm" };
