// The broker beside Apache's: what is run, what is asked of it, and the part of docs/benchmarks.md, from the figures that
// `npm --prefix broker run figures` keeps in broker/bench/results.
import { judge } from "../rules/judgement.mjs";
import { summary } from "../rules/statistics.mjs";
import { latest, machinesTable } from "./document.mjs";

/** Who is measured, by the name of its runs. */
export const BROKERS = [
  { id: "moraine-broker", kind: "ours", title: "moraine-broker" },
  { id: "rocketmq", kind: "peer", title: "Apache RocketMQ 5.4.0" },
];

const FLUSHES = ["ASYNC_FLUSH", "SYNC_FLUSH"];
const SENDS = [
  { mode: "async", threads: 1, outstanding: 256, title: "asynchronous sends, 256 outstanding" },
  { mode: "sync", threads: 64, outstanding: 64, title: "64 threads that send synchronously" },
];

/** `name` is that of the file of results. */
export const BROKER_ROWS = FLUSHES.flatMap((flush) =>
  SENDS.flatMap(({ title, ...send }) =>
    [false, true].map((consumer) => ({
      name: `${flush.toLowerCase().replace("_", "-")}-${send.mode}-sends${consumer ? "-consumer" : ""}`,
      title: `${flush}, ${title}, ${consumer ? "a consumer" : "no consumer"}`,
      flush,
      ...send,
      consumer,
    })),
  ),
);

const MEBIBYTE = 2 ** 20;
const grouped = (value) => Math.round(value).toLocaleString("en");
const millis = (micros) => (micros / 1000).toFixed(micros < 10_000 ? 2 : 1);

/** What is shown, and what is asked: how many times it may, or must, be that of Apache's broker. */
const METRICS = [
  { metric: "messagesPerSecond", title: "sent /s", said: grouped, atLeast: 1 },
  { metric: "consumedPerSecond", title: "consumed /s", said: grouped, atLeast: 1, consumer: true },
  { metric: "p50Micros", title: "send p50 ms", said: millis },
  { metric: "p99Micros", title: "send p99 ms", said: millis },
  { metric: "endToEndP50Micros", title: "end to end p50 ms", said: millis, consumer: true },
  { metric: "endToEndP99Micros", title: "end to end p99 ms", said: millis, consumer: true },
  { metric: "cpuSecondsPerMillion", title: "CPU s/M", said: (value) => value.toFixed(1), atMost: 2 / 3, bound: "2/3" },
  {
    metric: "privateBytes",
    title: "private MiB",
    said: (value) => grouped(value / MEBIBYTE),
    atMost: 1 / 4,
    bound: "1/4",
  },
];

const shownFor = (row) => METRICS.filter(({ consumer }) => !consumer || row.consumer);

/** Everything that is asked of a row: `{ metric, title, bound, met, value }`, without `met` where somebody was not measured. */
export function verdicts(row, figures) {
  return shownFor(row).flatMap(({ metric, title, atLeast, atMost, bound }) => {
    if (atLeast === undefined && atMost === undefined) return [];
    const target = { number: 0, row: row.name, of: "moraine-broker", metric, against: "rocketmq" };
    const asked = atLeast === undefined ? { ...target, atMost } : { ...target, atLeast };
    const { met, value } = judge(asked, BROKERS, figures);
    return [{ metric, title, bound: atLeast === undefined ? `≤ ${bound}` : `≥ ${atLeast}`, met, value }];
  });
}

const times = (value) => `${value.toFixed(2)} ×`;

/** What came out of it, in a few words. */
export function verdictText({ title, bound, met, value }) {
  if (met === undefined) return `${title}: not judged`;
  return `${title}: ${times(value)} (${bound} ×) ${met ? "met" : "MISSED"}`;
}

/** The figures of a contestant as cells: medians, and the least and the most where rounds differ. */
export function shown(row, runs) {
  return METRICS.map(({ metric, said, consumer }) => {
    const values = consumer && !row.consumer ? [] : runs.map((run) => run[metric]).filter(Number.isFinite);
    if (values.length === 0) return "–";
    const { median, least, most } = summary(values);
    const [middle, low, high] = [median, least, most].map(said);
    return low === high ? middle : `${middle} (${low}–${high})`;
  });
}

export const HEADINGS = METRICS.map(({ title }) => title);

/** `results`: runs of each row by its name, and machines. */
export function brokerPart({ runsOf, machines }) {
  const found = BROKER_ROWS.map((row) => ({ row, found: latest(runsOf(row.name)) }));
  const measured = found.flatMap((one) => (one.found === undefined ? [] : [one]));
  const command = "`npm --prefix broker run figures`";
  if (measured.length === 0) return `${command}. Not measured yet.`;
  return [
    `${command} (\`-- --only NAME\` for one row); ${sources(measured, runsOf)}.`,
    machinesTable(Object.fromEntries(Object.entries(machines).filter(([id]) => isOf(measured, id)))),
    table(measured),
    ratios(measured),
    missed(measured),
    failedSends(measured),
    unmeasured(found),
  ]
    .filter(Boolean)
    .join("\n\n");
}

const isOf = (measured, id) => measured.some(({ found }) => found.machine === id);

/** On what everything was measured: one phrase where that is the same for all rows. */
function sources(measured, runsOf) {
  const phrases = measured.map(({ row, found }) => {
    const last = runsOf(row.name).find(({ at }) => at === found.at);
    return `${found.amount}, ${found.rounds} rounds; commit ${found.commit ?? "unknown"}, machine ${found.machine}, ${last?.java ?? "Java of an unknown version"}, ${found.at.slice(0, 10)}`;
  });
  return [...new Set(phrases)].join("; also ");
}

function table(measured) {
  const lines = measured.flatMap(({ row, found }) =>
    BROKERS.flatMap(({ id, title }) => {
      const runs = found.figures[id] ?? [];
      return runs.length === 0 ? [] : [`| ${[row.title, title, ...shown(row, runs)].join(" | ")} |`];
    }),
  );
  const headings = ["", "", ...HEADINGS];
  return [`| ${headings.join(" | ")} |`, `|${"---|".repeat(headings.length)}`, ...lines].join("\n");
}

/** Ours as a multiple of Apache's. */
function ratios(measured) {
  const asked = METRICS.filter(({ atLeast, atMost }) => atLeast !== undefined || atMost !== undefined);
  const lines = measured.map(({ row, found }) => {
    const all = verdicts(row, found.figures);
    const cells = asked.map(({ metric }) => {
      const verdict = all.find((one) => one.metric === metric);
      if (verdict?.met === undefined) return "–";
      return verdict.met ? times(verdict.value) : `**${times(verdict.value)}**`;
    });
    return `| ${[row.title, ...cells].join(" | ")} |`;
  });
  const headings = [
    "ours to Apache's",
    ...asked.map(({ title, atLeast, bound }) => `${title} ${atLeast ? `≥ ${atLeast}` : `≤ ${bound}`}`),
  ];
  return [`| ${headings.join(" | ")} |`, `|${"---|".repeat(headings.length)}`, ...lines].join("\n");
}

function missed(measured) {
  const lines = measured.flatMap(({ row, found }) =>
    verdicts(row, found.figures)
      .filter(({ met }) => met === false)
      .map((verdict) => `- ${row.title}: ${verdictText(verdict)}`),
  );
  return lines.length === 0 ? "Every target that was judged is met." : ["Missed:", ...lines].join("\n");
}

/** In runs that are shown: a run of ours in which one failed is none of them. */
function failedSends(measured) {
  const lines = measured.flatMap(({ row, found }) =>
    BROKERS.flatMap(({ id, title }) => {
      const sum = (metric) => (found.figures[id] ?? []).reduce((all, run) => all + (run[metric] ?? 0), 0);
      const [measuring, inAll] = [sum("failedSends"), sum("failedInAll")];
      if (inAll === 0) return [];
      return [`- ${row.title}: ${measuring} sends to ${title}, and ${inAll - measuring} beside the measurement`];
    }),
  );
  return lines.length === 0 ? "No send failed." : ["Failed sends:", ...lines].join("\n");
}

function unmeasured(found) {
  const titles = found.filter((one) => one.found === undefined).map(({ row }) => row.title);
  return titles.length === 0 ? "" : `Not measured: ${titles.join("; ")}.`;
}
