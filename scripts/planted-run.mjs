// Bugs planted and looked for: each layer without one first, then each bug by itself.
import { spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { isGreen, judge } from "./planted-bugs.mjs";
import { makeTree } from "./planted-tree.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
/** A layer that has not ended after so many times its usual time hangs; where that is expected, it is waited for less. */
const PATIENCE = { unexpected: 10, expected: 3 };
const LEAST_MS = 60_000;
const LONGEST_MS = 1_800_000;
const DAY_MS = 86_400_000;

/** Whose turn it is: the number of commits, or, where git does not know all of them, of days. */
export function turn() {
  const git = (...args) => spawnSync("git", args, { cwd: root, encoding: "utf8" }).stdout?.trim() ?? "";
  const commits =
    git("rev-parse", "--is-shallow-repository") === "false" ? Number(git("rev-list", "--count", "HEAD")) : 0;
  return commits > 0 ? commits : Math.floor(Date.now() / DAY_MS);
}

/** Tries the bugs one after the other; `{ bug, caught, why }` for each. Bugs that are `off` are not planted. */
export async function plant(bugs, print, off = []) {
  const tree = makeTree();
  const usual = await withoutBugs(tree, bugs, print);
  const results = [];
  for (const [number, bug] of bugs.entries()) {
    const started = Date.now();
    const attempt = () => tried(tree, bug, usual.get(alike(bug)));
    const verdict = off.includes(bug.name) ? await attempt() : await tree.with(bug.name, attempt);
    const seconds = ((Date.now() - started) / 1000).toFixed(1);
    print(
      `${number + 1}/${bugs.length} ${bug.name}: ${verdict.caught ? "caught" : "NOT CAUGHT"}, ${verdict.why} (${seconds} s)`,
    );
    results.push({ bug, ...verdict });
  }
  return results;
}

/** Bugs of one layer that take the same number of states: they need its tests without a bug once. */
function alike({ layer, states }) {
  return states === undefined ? layer : `${layer}, ${states} states`;
}

/** How long the tests of each layer take without a bug. Throws where they do not pass: then going red says nothing. */
async function withoutBugs(tree, bugs, print) {
  const usual = new Map();
  for (const bug of bugs) {
    const what = alike(bug);
    if (usual.has(what)) continue;
    const { compiled, programs, said } = tree.build(bug.layer);
    if (!compiled) throw new Error(`the tests of the layer ${bug.layer} do not compile as they are:\n${said}`);
    const started = Date.now();
    const runs = await tree.run(bug, programs, LONGEST_MS);
    const took = Date.now() - started;
    if (!isGreen(runs)) {
      const output = runs.map((run) => run.output).join("\n");
      throw new Error(`the layer ${what} is red without a bug:\n${output.slice(-4000)}`);
    }
    print(`${what}: green without a bug (${(took / 1000).toFixed(1)} s)`);
    usual.set(what, took);
  }
  return usual;
}

async function tried(tree, bug, usualMs) {
  const { compiled, programs, said } = tree.build(bug.layer);
  if (!compiled)
    return { caught: false, why: `it does not compile: ${/^error.*$/m.exec(said)?.[0] ?? said.slice(-300)}` };
  const patience = bug.hangs ? PATIENCE.expected : PATIENCE.unexpected;
  return judge(await tree.run(bug, programs, Math.max(LEAST_MS, patience * usualMs)), bug);
}
