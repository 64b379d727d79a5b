// A row as lines for a terminal: everybody's figures, then how ours stand to the others.

import { TARGETS } from "../rows/targets.mjs";
import { judge, summaries } from "../rules/judgement.mjs";
import { medians } from "../rules/statistics.mjs";
import { FORMATS, METRICS } from "./metrics.mjs";

export const targetsOf = (row) => TARGETS.filter((target) => target.row === row.name);

/** Lines about the result of a row; not `judged`, where there were too few messages for that. */
export function* told(result, { judged = true } = {}) {
  const { row, rounds, amount, wholeSeconds, figures, out, failed } = result;
  const number = row.number > 0 ? `${row.number}  ` : "";
  yield `${number}${row.title}: ${row.class}; ${amount}, ${rounds} ${rounds === 1 ? "round" : "rounds"}, ${Math.round(wholeSeconds)} s`;
  const metric = row.metric ?? "messagesPerSecond";
  const format = FORMATS[METRICS[metric].unit];
  for (const one of summaries(row.contestants, figures, metric)) {
    const spread = `(${format(one.least)} – ${format(one.most)}, ±${percent(one.spread / 2)})`;
    yield `   ${one.contestant.id.padEnd(34)} ${format(one.median).padStart(12)}  ${spread.padEnd(36)} ${costs(figures[one.contestant.id], metric)}`;
  }
  for (const [id, why] of Object.entries(out)) yield `   ${id.padEnd(34)} not measured: ${why}`;
  for (const [id, why] of Object.entries(failed)) yield `   ${id.padEnd(34)} FAILED: ${why}`;
  yield* ratios(row, figures, metric);
  if (judged) for (const target of targetsOf(row)) yield `   → ${verdictLine(judge(target, row.contestants, figures))}`;
  yield `   Left out: ${row.leavesOut}.`;
}

/** What else the medians of a contestant say. */
export function costs(runs, metric) {
  const figures = medians(runs);
  return Object.entries(figures)
    .filter(([name]) => name !== metric && METRICS[name]?.shown)
    .map(([name, value]) => `${METRICS[name].short} ${FORMATS[METRICS[name].unit](value)}`)
    .join(", ");
}

/** Each of ours against the best of all peers, RocketMQ and the floor. */
export function* ratios(row, figures, metric) {
  const all = summaries(row.contestants, figures, metric);
  const against = [
    ["best peer", "the best peer"],
    ["rocketmq", "RocketMQ"],
    ["floor", "the floor"],
  ];
  for (const ours of all.filter(({ contestant }) => contestant.kind === "ours")) {
    const parts = against.flatMap(([name, said]) => {
      const verdict = judge(
        { of: ours.contestant.id, metric, against: name, atLeast: 0, inverse: row.lessIsBetter },
        row.contestants,
        figures,
      );
      if (verdict.value === undefined) return [];
      if (name === "floor" && !row.lessIsBetter) return [`${percent(verdict.value)} of the floor`];
      const who = name === "best peer" ? `${said} (${verdict.against.id})` : said;
      return [`${times(verdict.value)} ${who}`];
    });
    if (parts.length > 0) yield `   ${ours.contestant.id}: ${parts.join(", ")}`;
  }
}

/** A target, what came out, and whether that is enough. */
export function verdictLine({ target, met, value, why }) {
  const bound = `target ${target.number > 0 ? `${target.number}: ` : ""}${boundOf(target)}`;
  if (met === undefined) return `${target.of}: ${bound} not judged: ${why}`;
  return `${target.of}: ${cameOut({ target, value })}; ${bound} ${met ? "met" : "MISSED"}`;
}

const percent = (share) => `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`;
const times = (ratio) => `${ratio.toFixed(ratio < 10 ? 2 : 1)} ×`;

export function cameOut({ target, value }) {
  const what = target.metric === undefined ? "" : ` ${METRICS[target.metric].title}`;
  if (target.against === undefined) return `${FORMATS[target.unit](value)}${what}`;
  const against = NAMES[target.against] ?? target.against;
  return `${asShare(target) ? `${percent(value)} of` : times(value)} ${against}${what}`;
}

/** Whom a target compares with, as a person says it. */
const NAMES = {
  rocketmq: "RocketMQ",
  "rocketmq, bytes touched": "RocketMQ, bytes touched",
  lmdb: "LMDB",
  floor: "the floor",
  "best peer": "the best peer",
};

const asShare = (target) => target.against === "floor" || (target.atLeast ?? 1) < 1;

/** What a target asks. */
export function boundOf(target) {
  const [sign, bound] = target.atMost === undefined ? ["≥", target.atLeast] : ["≤", target.atMost];
  const what = target.metric === undefined ? "" : ` ${METRICS[target.metric].title}`;
  if (target.against === undefined) return `${sign} ${FORMATS[target.unit](bound)}${what}`;
  const ratio = asShare(target) ? `${Number((bound * 100).toFixed(1))} % of` : `${bound} ×`;
  return `${sign} ${ratio} ${NAMES[target.against] ?? target.against}${what}`;
}
