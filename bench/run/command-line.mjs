// What the words behind `npm run bench --` ask for. Whatever is wrong is said in one sentence.
import { statSync } from "node:fs";
import { tmpdir } from "node:os";
import { parseArgs } from "node:util";

export class UsageError extends Error {}

const OPTIONS = {
  all: { type: "boolean", default: false },
  only: { type: "string" },
  rounds: { type: "string" },
  messages: { type: "string" },
  gigabytes: { type: "string" },
  dir: { type: "string" },
  results: { type: "string" },
  again: { type: "boolean", default: false },
  smoke: { type: "boolean", default: false },
  report: { type: "boolean", default: false },
  micro: { type: "boolean", default: false },
  list: { type: "boolean", default: false },
  help: { type: "boolean", default: false },
};

export const HELP = `npm run bench -- [OPTIONS]

Without options: the main rows, five rounds, some fifteen minutes.

  --all               every row: with --rounds 3 more than an hour, and tens of gigabytes in --dir
  --only ROW[,ROW]    these rows, by name or number; --list shows them
  --rounds N          rounds, default 5
  --messages N        messages of each run, default by row
  --gigabytes N       size of the stores of rows that say so, default 10
  --dir DIR           where stores are made, default the system's temporary directory
  --results DIR       where figures are kept, default bench/results
  --again             also what was measured before, on this machine and commit
  --smoke             every main row (or --only, --all) once, with few messages; nothing is kept
  --micro             codec, boundary, CRC and hash instead, a call at a time
  --report            no run: docs/benchmarks.md and its plots from the figures that are kept
  --list              no run: the rows
`;

/** Settings and the rows to run, of `rows`. */
export function parse(words, rows) {
  const values = known(words);
  if (values.smoke && values.results !== undefined) throw new UsageError("--smoke keeps nothing: leave out --results.");
  if (values.all && values.only !== undefined) throw new UsageError("Give --all or --only, not both.");
  const dir = values.dir ?? tmpdir();
  if (!statSync(dir, { throwIfNoEntry: false })?.isDirectory())
    throw new UsageError(`--dir is ${dir}, which is no directory; it has to be one that exists.`);
  return {
    rounds: integer(values, "rounds", 1000) ?? (values.smoke ? 1 : 5),
    messages: integer(values, "messages", 50_000_000),
    gigabytes: integer(values, "gigabytes", 1000) ?? (values.smoke ? 0.02 : 10),
    dir,
    results: values.results,
    again: values.again,
    smoke: values.smoke,
    report: values.report,
    micro: values.micro,
    list: values.list,
    help: values.help,
    rows: chosen(values, rows),
  };
}

function known(words) {
  try {
    return parseArgs({ args: words, options: OPTIONS, strict: true, allowPositionals: false }).values;
  } catch (error) {
    const [first] = error.message.split(/\. |\n/);
    throw new UsageError(
      `${first}; the options are ${Object.keys(OPTIONS)
        .map((name) => `--${name}`)
        .join(", ")}.`,
    );
  }
}

function integer(values, name, most) {
  const text = values[name];
  if (text === undefined) return undefined;
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= 1 && value <= most) return value;
  throw new UsageError(
    `--${name} is ${JSON.stringify(text)}; it has to be an integer from 1 to ${most.toLocaleString("en")}.`,
  );
}

function chosen({ all, only }, rows) {
  if (all) return rows;
  if (only === undefined) return rows.filter(({ main }) => main);
  const wanted = only.split(",").map((name) => name.trim());
  const fits = (row, name) =>
    row.name === name || [row.number, ...(row.also ?? [])].some((number) => number > 0 && String(number) === name);
  const unknown = wanted.find((name) => !rows.some((row) => fits(row, name)));
  if (unknown !== undefined)
    throw new UsageError(
      `--only names ${JSON.stringify(unknown)}; it has to be a list of rows, of ${rows.map(({ name }) => name).join(", ")}, or their numbers.`,
    );
  return rows.filter((row) => wanted.some((name) => fits(row, name)));
}
