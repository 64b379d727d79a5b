/** The list of planted bugs is in order, and what is no catch is not taken for one. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { changedBy, isQuick, judge, LAYERS, patchOf, readBugs, rotating } from "../../scripts/planted-bugs.mjs";
import { tryPatch } from "../../scripts/planted-tree.mjs";

const root = join(import.meta.dirname, "../..");
const bugs = readBugs();

it("there are enough bugs, in every layer", () => {
  expect(bugs.length).toBeGreaterThanOrEqual(25);
  expect(Object.keys(LAYERS).filter((layer) => !bugs.some((bug) => bug.layer === layer))).toEqual([]);
});

it("every patch applies to the present sources, and changes nothing but them", () => {
  const said = bugs.map(({ name }) => ({ name, ...tryPatch(root, name, "--check") })).filter(({ applied }) => !applied);
  expect(said).toEqual([]);
  const changed = bugs.flatMap(({ name }) => changedBy(readFileSync(patchOf(name), "utf8")));
  expect(changed.length).toBeGreaterThanOrEqual(bugs.length);
  expect(changed.filter((path) => !/^native\/(core|host)\/src\//.test(path))).toEqual([]);
});

it("a patch that does not apply any more is told", () => {
  const { applied, said } = tryPatch(join(root, "docs"), bugs[0]?.name ?? "", "--check");
  expect(applied).toBe(false);
  expect(said).toMatch(/No such file/);
});

const run = (status: number | null, output: string, timedOut = false) => ({ status, output, timedOut });
const GREEN = `
running 1 test
test random_workloads::whatever_a_crash_leaves_is_recovered ... ok

test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 11 filtered out; finished in 3.12s

`;
const RED = `
running 1 test
test random_workloads::whatever_a_crash_leaves_is_recovered ... FAILED

failures:

---- random_workloads::whatever_a_crash_leaves_is_recovered stdout ----

thread 'random_workloads::whatever_a_crash_leaves_is_recovered' (78) panicked at native/core/tests/crash/flaws.rs:28:9:
3183 is called durable, but the record at 2048 is not synced (step 7, Close)

failures:
    random_workloads::whatever_a_crash_leaves_is_recovered

test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 11 filtered out; finished in 3.85s

`;
const of = (layer: string) => ({ layer });

it("a bug is caught by tests that fail", () => {
  const name = "random_workloads::whatever_a_crash_leaves_is_recovered";
  expect(judge([run(101, RED)], of("random-workloads"))).toEqual({ caught: true, why: name });
  expect(judge([run(0, GREEN), run(101, RED)], of("host"))).toEqual({ caught: true, why: name });
});

it("a bug that is not there is not caught", () => {
  expect(judge([run(0, GREEN)], of("random-workloads"))).toEqual({ caught: false, why: "its tests pass" });
});

it.each([
  ["no program", []],
  ["a program that breaks off", [run(134, "running 1 test\nthread has overflowed its stack\n")]],
  ["a program that cannot start", [run(127, "")]],
  ["a program that runs no test", [run(0, "test result: ok. 0 passed; 0 failed; 0 ignored; 12 filtered out")]],
  ["a program that does not compile", [run(101, "error[E0425]: cannot find value `x` in this scope")]],
])("%s is no catch", (_, runs) => {
  expect(judge(runs, of("engine"))).toMatchObject({ caught: false });
});

it("tests that hang are a catch only where the list says so", () => {
  expect(judge([run(null, "running 1 test\n", true)], of("engine"))).toMatchObject({ caught: false });
  expect(judge([run(null, "running 1 test\n", true)], { layer: "engine", hangs: true })).toMatchObject({
    caught: true,
  });
});

it("of layers that are one test, the one counts that says what is wrong", () => {
  expect(judge([run(101, RED)], of("ordering"))).toMatchObject({ caught: true });
  expect(judge([run(101, RED)], of("rot"))).toMatchObject({ caught: false });
});

it("every quick bug has its turn", () => {
  const quick = bugs.filter(isQuick);
  const turns = Array.from({ length: quick.length }, (_, number) => rotating(bugs, 3, number));
  expect(turns.every((turn) => new Set(turn).size === 3)).toBe(true);
  expect(new Set(turns.flat())).toEqual(new Set(quick));
});
