// docs/benchmarks.md, made of its template (what is written by hand) and the figures that are kept.
import { judge, summaries } from "../rules/judgement.mjs";
import { figuresOf } from "../rules/resumption.mjs";
import { FORMATS, METRICS } from "../run/metrics.mjs";
import { boundOf, cameOut, costs, verdictLine } from "../run/told.mjs";
import { barPlot, curvePlot } from "./plots.mjs";

const cell = (text) => String(text).replaceAll("|", "\\|");

/** The runs of a row that belong together: those of the commit, machine and amount of the latest one that went well. */
export function latest(runs) {
  const whole = runs.filter(({ failed }) => failed === undefined);
  const last = whole.toSorted((a, b) => (a.at < b.at ? 1 : -1))[0];
  if (last === undefined) return undefined;
  const figures = figuresOf(runs, last);
  const rounds = Math.max(...Object.values(figures).map((one) => one.length));
  return { figures, rounds, commit: last.commit, machine: last.machine, amount: last.amount, at: last.at };
}

/** `{{name}}` in the template becomes `parts.name`. */
export function filled(template, parts) {
  return template.replace(/\{\{(\w+)\}\}/g, (_, name) => {
    if (parts[name] === undefined) throw new Error(`the template names {{${name}}}, which there is not`);
    return parts[name];
  });
}

/** A row of the document, and its plot where there are figures. */
export function rowPart(row, targets, runs) {
  const title = `### ${row.number > 0 ? `${row.number}. ` : ""}${row.title}`;
  const found = latest(runs);
  const command = `npm run bench -- --only ${row.name}`;
  const bounds = targets.map((target) => verdictLine({ ...judge(target, row.contestants, found?.figures ?? {}) }));
  if (found === undefined) {
    const wanted = targets.map((target) => `- ${target.of}: ${boundOf(target)}`);
    return {
      text: [title, `${row.class}; \`${command}\`. Not measured yet.`, wanted.join("\n"), `Left out: ${row.leavesOut}.`]
        .filter(Boolean)
        .join("\n\n"),
    };
  }
  const metric = row.metric ?? "messagesPerSecond";
  const all = ranked(row, found.figures, metric);
  const plot = plotOf(row, all, metric);
  const text = [
    title,
    `${row.class}; ${found.amount}; ${found.rounds} rounds; commit ${found.commit ?? "unknown"}, machine ${found.machine}, ${found.at.slice(0, 10)}; \`${command}\`.`,
    ...(plot === undefined ? [] : [`![${row.title}](benchmarks/${row.name}.svg)`]),
    table(all, found.figures, metric),
    ...(bounds.length > 0 ? [bounds.map((line) => `- ${line}`).join("\n")] : []),
    `Left out: ${row.leavesOut}.`,
  ];
  return { text: text.join("\n\n"), plot };
}

function ranked(row, figures, metric) {
  const sign = row.lessIsBetter ? 1 : -1;
  return summaries(row.contestants, figures, metric).toSorted((a, b) => sign * (a.median - b.median));
}

function table(all, figures, metric) {
  const format = FORMATS[METRICS[metric].unit];
  const lines = all.map(({ contestant, median, least, most, count }) => {
    const cells = [
      contestant.id,
      format(median),
      `${format(least)} – ${format(most)}`,
      count,
      costs(figures[contestant.id], metric),
    ];
    return `| ${cells.map(cell).join(" | ")} |`;
  });
  return [
    `| | median of ${METRICS[metric].title} | least – most | runs | beside |`,
    "|---|---|---|---|---|",
    ...lines,
  ].join("\n");
}

function plotOf(row, all, metric) {
  const format = FORMATS[METRICS[metric].unit];
  const title = `${METRICS[metric].title}; ${row.class}`;
  const points = all
    .filter(({ contestant }) => contestant.x !== undefined)
    .map((one) => ({ ...one, x: one.contestant.x }));
  if (row.curve !== undefined && points.length > 1) return curveOf(row, metric, points, title);
  if (all.length === 0) return undefined;
  const kindOf = ({ kind, apart }) => (kind === "peer" && apart ? "apart" : kind);
  return barPlot(
    title,
    all.map((one) => ({ ...one, label: one.contestant.id, kind: kindOf(one.contestant), text: format(one.median) })),
  );
}

/** What grows is the cost of a message: the time that it takes, where what was measured is messages a second. */
function curveOf(row, metric, points, title) {
  const { unit } = METRICS[metric];
  if (unit !== "msg/s") return curvePlot(title, row.curve, points, FORMATS[unit]);
  const micros = (rate) => 1e6 / rate;
  const costs = points.map(({ x, median, least, most }) => ({
    x,
    median: micros(median),
    least: micros(most),
    most: micros(least),
  }));
  return curvePlot(`microseconds a message; ${row.class}`, row.curve, costs, FORMATS.µs);
}

/** One line a target: what it asks and whether it is met. */
export function summaryTable(rows, targetsOf, runsOf) {
  const lines = rows.flatMap((row) => {
    const found = latest(runsOf(row));
    return targetsOf(row).map((target) => {
      const verdict = judge(target, row.contestants, found?.figures ?? {});
      const met = verdict.met === undefined ? `– (${verdict.why})` : verdict.met ? "met" : "**missed**";
      const came = verdict.value === undefined ? "" : cameOut(verdict);
      return `| ${[target.number || "", row.title, target.of, boundOf(target), came, met].map(cell).join(" | ")} |`;
    });
  });
  return ["| # | workload | who | target | came out | |", "|---|---|---|---|---|---|", ...lines].join("\n");
}

/** How each peer is set up. */
export function peersTable(peers) {
  const lines = Object.values(peers).map(
    ({ title, process, power, rest }) => `| ${[title, process, power, rest].map(cell).join(" | ")} |`,
  );
  return ["| who | survives kill -9 | survives power loss | and |", "|---|---|---|---|", ...lines].join("\n");
}

export function machinesTable(machines) {
  const lines = Object.entries(machines).map(
    ([id, one]) =>
      `| ${[id, one.processors, `${Math.round(one.memoryBytes / 2 ** 30)} GiB`, one.system, one.fileSystem, one.node].map(cell).join(" | ")} |`,
  );
  if (lines.length === 0) return "No figures are kept yet.";
  return [
    "| machine | processors | memory | system | file system | Node.js |",
    "|---|---|---|---|---|---|",
    ...lines,
  ].join("\n");
}
