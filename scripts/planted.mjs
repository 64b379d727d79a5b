// Plants known bugs one after the other (test/planted), and demands that the layer of tests named for each goes red.
// `npm run planted -- [--only NAME[,NAME]] [--layer L] [--rotating N [--seed S]] [--off NAME] [--list]`.
// `--off` does not plant that one: it must be told as not caught.
import { parseArgs } from "node:util";
import { LAYERS, readBugs, rotating } from "./planted-bugs.mjs";
import { plant, turn } from "./planted-run.mjs";

function numberOf(name, text) {
  if (text !== "" && Number.isSafeInteger(Number(text)) && Number(text) >= 0) return Number(text);
  throw new Error(`--${name} is ${JSON.stringify(text)}; it must be a whole number.`);
}

/** Names of bugs, of which the number in front is enough. */
function named(all, option, text) {
  return text.split(",").map((name) => {
    const found = all.find((bug) => bug.name === name || bug.name.startsWith(`${name}-`));
    if (found === undefined) throw new Error(`--${option} names ${name}; --list says which there are.`);
    return found.name;
  });
}

function chosen(all, { only, layer, rotating: count, seed }) {
  if (layer !== undefined && !(layer in LAYERS)) {
    throw new Error(`--layer is ${layer}; there are ${Object.keys(LAYERS).join(", ")}.`);
  }
  const wanted = only && named(all, "only", only);
  const some = all.filter(
    (bug) => (layer === undefined || bug.layer === layer) && (wanted === undefined || wanted.includes(bug.name)),
  );
  if (count === undefined) return some;
  return rotating(some, numberOf("rotating", count), seed === undefined ? turn() : numberOf("seed", seed));
}

try {
  const text = { type: "string" };
  const { values } = parseArgs({
    options: {
      only: text,
      layer: text,
      rotating: text,
      seed: text,
      off: text,
      list: { type: "boolean", default: false },
    },
  });
  const all = readBugs();
  const bugs = chosen(all, values);
  if (values.list) {
    for (const { name, layer, bug } of bugs) console.log(`${name} (${layer})\n  ${bug}`);
  } else {
    const results = await plant(bugs, console.log, values.off ? named(all, "off", values.off) : []);
    const width = Math.max(...bugs.map(({ name }) => name.length), 0);
    console.log("");
    for (const { bug, caught, why } of results) {
      console.log(`${caught ? "caught    " : "NOT CAUGHT"}  ${bug.name.padEnd(width)}  ${bug.layer}: ${why}`);
    }
    const count = results.filter(({ caught }) => caught).length;
    console.log(`\n${count} caught, ${results.length - count} not caught`);
    process.exitCode = count === results.length && count > 0 ? 0 : 1;
  }
} catch (error) {
  console.error(`moraine: ${error.message}`);
  process.exitCode = 1;
}
