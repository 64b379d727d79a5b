// What is measured, and how a person reads it.

const grouped = (value) => Math.round(value).toLocaleString("en");

/** Numbers by their unit. */
export const FORMATS = {
  "msg/s": (value) =>
    value < 10_000
      ? `${grouped(value)} /s`
      : value < 1e6
        ? `${grouped(value / 1000)} k/s`
        : `${(value / 1e6).toFixed(2)} M/s`,
  "bytes/s": (value) => `${grouped(value / 1e6)} MB/s`,
  bytes: (value) => `${(value / 1e6).toFixed(value < 1e7 ? 1 : 0)} MB`,
  µs: (value) => `${value.toFixed(value < 10 ? 2 : 0)} µs`,
  ms: (value) => `${value.toFixed(value < 10 ? 2 : 0)} ms`,
  s: (value) => `${value.toFixed(value < 10 ? 2 : 0)} s`,
  count: grouped,
};

/** `shown` beside the main metric of a row, under its `short` name. */
export const METRICS = {
  messagesPerSecond: { title: "messages a second", unit: "msg/s", short: "messages", shown: true },
  bytesPerSecond: { title: "bytes a second", unit: "bytes/s", short: "", shown: true },
  messages: { title: "messages measured", unit: "count", short: "of", shown: true },
  consumedPerSecond: { title: "consumed", unit: "msg/s", short: "consumed", shown: true },
  cpuSecondsPerMillion: { title: "CPU seconds a million messages", unit: "s", short: "CPU/M", shown: true },
  privateBytes: { title: "private memory", unit: "bytes", short: "private", shown: true },
  residentBytes: { title: "resident at most", unit: "bytes", short: "resident", shown: true },
  extraBytes: { title: "more private memory than with 8 queues", unit: "bytes", short: "more", shown: true },
  p50Micros: { title: "p50", unit: "µs", short: "p50", shown: true },
  p99Micros: { title: "p99", unit: "µs", short: "p99", shown: true },
  p999Micros: { title: "p99.9", unit: "µs", short: "p99.9", shown: true },
  mostMicros: { title: "longest", unit: "µs", short: "longest", shown: true },
  openMillis: { title: "open", unit: "ms", short: "open", shown: true },
  coldOpenMillis: { title: "open, from the disk", unit: "ms", short: "from disk", shown: true },
  rebuildMillis: { title: "queues and index built again", unit: "ms", short: "rebuild", shown: true },
  coldRebuildMillis: {
    title: "queues and index built again, from the disk",
    unit: "ms",
    short: "rebuild from disk",
    shown: true,
  },
  riseMillis: { title: "rise of the 99th percentile", unit: "ms", short: "rise", shown: true },
  longestPauseMillis: { title: "longest pause for garbage", unit: "ms", short: "longest GC", shown: true },
  dispatchTailMillis: { title: "queues and index behind", unit: "ms", short: "dispatch behind", shown: true },
  descriptors: { title: "descriptors", unit: "count", short: "descriptors", shown: true },
  mappings: { title: "mappings", unit: "count", short: "mappings", shown: true },
  threads: { title: "threads that put or read", unit: "count", short: "threads", shown: true },
};
