// Whether a target is met.
import { summary } from "./statistics.mjs";

/**
 * The summary of a metric for each contestant that has figures of it: `figures` has those of every round by contestant.
 */
export function summaries(contestants, figures, metric) {
  return contestants.flatMap((contestant) => {
    const values = (figures[contestant.id] ?? []).map((one) => one[metric]).filter(Number.isFinite);
    return values.length === 0 ? [] : [{ contestant, ...summary(values) }];
  });
}

/** Whose figures a target names: `best peer`, `floor`, a family of contestants, or one of them. */
function isNamed(contestant, name) {
  if (name === "best peer") return contestant.kind === "peer" && !contestant.apart;
  return contestant.kind === name || contestant.family === name || contestant.id === name;
}

/** The best of those that are named; undefined where none of them was measured. Less is better with `atMost`. */
export function bestOf(all, name, lessIsBetter = false) {
  const named = all.filter(({ contestant }) => isNamed(contestant, name));
  const better = (a, b) => (lessIsBetter ? a.median - b.median : b.median - a.median);
  return named.toSorted(better)[0];
}

/**
 * `value` is our median, or how many times it is that of the best whom the target names; `met` undefined and `why` where
 * something is missing.
 */
export function judge(target, contestants, figures) {
  const all = summaries(contestants, figures, target.metric ?? "messagesPerSecond");
  const ours = bestOf(all, target.of, target.atMost !== undefined);
  if (ours === undefined) return { target, met: undefined, why: target.not ?? `${target.of} was not measured` };
  let value = ours.median;
  let against;
  if (target.against !== undefined) {
    against = bestOf(all, target.against, target.inverse === true);
    if (against === undefined) return { target, met: undefined, why: `${target.against} was not measured` };
    value = target.inverse ? against.median / ours.median : ours.median / against.median;
  }
  const met = target.atMost === undefined ? value >= target.atLeast : value <= target.atMost;
  return { target, met, value, ours: ours.contestant, against: against?.contestant };
}
