/** What runs the contract suite under other runtimes counts every test, and every failure as one. */
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { chosen, RUNTIMES } from "../../scripts/runtime-binaries.mjs";
import { enginesOf } from "../runtimes/engines.mjs";
import { GAPS, leftOut } from "../runtimes/gaps.mjs";
import { linkTools } from "../runtimes/project.mjs";
import { example, runFile } from "../runtimes/run.mjs";

const root = join(import.meta.dirname, "../..");
const read = (path: string) => readFileSync(join(root, path), "utf8");
const node = [process.execPath];

/** What is reported of a file with these tests. */
async function outcomeOf(tests: string, absent: string[] = []) {
  const project = mkdtempSync(join(tmpdir(), "moraine-runtimes-"));
  onTestFinished(() => rmSync(project, { recursive: true, force: true }));
  linkTools(project);
  writeFileSync(join(project, "package.json"), '{ "type": "module" }');
  cpSync(join(root, "test/runtimes/suite.mjs"), join(project, "suite.mjs"));
  const file = join(project, "sample.test.js");
  writeFileSync(file, `import { beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";\n${tests}`);
  return runFile(project, file, absent, node, {});
}

it("tests are run as vitest runs them, and counted by their names", async () => {
  const { passed, failed, notRun } = await outcomeOf(`
    const cleared = [];
    describe("a group", () => {
      test.each([1, 2])("of %i", (n) => {
        onTestFinished(() => cleared.push(n));
        expect(n).toBeLessThan(3);
      });
      test.runIf(false)("is not asked for", () => {});
    });
    test("what was asked for at the end is done", () => expect(cleared).toEqual([1, 2]));
    test("polls", async () => {
      let asked = 0;
      await expect.poll(() => ++asked).toBe(3);
      await vi.waitFor(() => expect(++asked).toBeGreaterThan(5));
      await expect(Promise.reject(new Error("no"))).rejects.toThrow("no");
    });
  `);
  expect(failed).toEqual([]);
  expect(passed).toEqual(["a group > of 1", "a group > of 2", "what was asked for at the end is done", "polls"]);
  expect(notRun).toEqual(["a group > is not asked for"]);
});

it.each([
  ["a wrong expectation", `test("one", () => expect(1).toBe(2));`, "one", "expected 1 to be 2"],
  ["a poll that nobody awaits", `test("one", () => void expect.poll(() => 1).toBe(1));`, "one", "was not awaited"],
  ["a failing hook", `beforeAll(() => { throw new Error("hook"); }); test("one", () => {});`, "(the file)", "hook"],
  ["a file that throws", `throw new Error("file");`, "(the file)", "file"],
  ["a file without tests", "", "(the file)", "No test"],
  ["a process that dies", `test("one", () => process.kill(process.pid, "SIGKILL"));`, "(the file)", "SIGKILL"],
  ["a process that leaves", `test("one", () => process.exit(0));`, "(the file)", "no report"],
  [
    "an error that nobody catches",
    `test("one", () => void setTimeout(() => { throw new Error("late"); }));`,
    "(nobody caught this)",
    "late",
  ],
  ["a rejection that nobody handles", `test("one", () => void Promise.reject(new Error("late")));`, "handled", "late"],
])("%s is a failure", async (_, tests, name, why) => {
  const { failed } = await outcomeOf(tests);
  expect(failed.map((each) => each.name).join()).toContain(name);
  expect(failed.map((each) => each.why).join()).toContain(why);
});

it("what is to be left out is not run, and must be there", async () => {
  const tests = `test("one", () => expect(1).toBe(2)); test("two", () => {});`;
  expect(await outcomeOf(tests, ["one"])).toEqual({ passed: ["two"], failed: [], notRun: ["one"] });
  const { failed } = await outcomeOf(`test("two", () => {});`, ["one"]);
  expect(failed).toMatchObject([{ name: "one", why: expect.stringContaining("no such test") }]);
});

it("an example that prints something else, or ran over another engine, is a failure", () => {
  const output = /```text\n([\s\S]*?)```/.exec(read("README.md"))?.[1] ?? "";
  const printing = (...outputs: string[]) => ({
    project: tmpdir(),
    runModule: () => ({ status: 0, signal: null, stdout: outputs.shift() ?? "", stderr: "" }),
  });
  const ran = (...outputs: string[]) => example(printing(...outputs), node, { MORAINE_ENGINE: "native" });
  expect(ran(output, "native\n")).toMatchObject({ passed: 1, failed: 0 });
  expect(ran(output, "wasm\n")).toMatchObject({ passed: 0, failed: 1 });
  expect(ran(`${output}!`, "native\n")).toMatchObject({ passed: 0, failed: 1 });
});

it("gaps are those of runtimes that there are, in files that there are, each with a reason that does not hold on Node", () => {
  for (const { runtime, why, proof, tests } of GAPS) {
    expect(Object.keys(RUNTIMES)).toContain(runtime);
    expect(why).not.toBe("");
    for (const [file, names] of Object.entries(tests)) {
      expect(names.length).toBeGreaterThan(0);
      expect(leftOut(runtime, file)).toEqual(expect.arrayContaining(names));
      for (const name of names) expect(read(`test/contract/${file}`)).toContain(name.split(" > ").at(-1));
    }
    const { status } = spawnSync(process.execPath, [join(root, "test/runtimes", proof)], { encoding: "utf8" });
    expect(status, proof).toBe(1);
  }
});

it("every engine that the package has is tried, or the one that is asked for", () => {
  const addon = "prebuilds/moraine.linux-x64-gnu.node";
  const module = "wasm/moraine.wasm";
  expect(enginesOf(["README.md", addon])).toEqual(["native"]);
  expect(enginesOf([module, addon])).toEqual(["native", "wasm"]);
  expect(enginesOf([module])).toEqual(["wasm"]);
  expect(enginesOf([addon, module], "wasm")).toEqual(["wasm"]);
  expect(() => enginesOf([addon], "wasm")).toThrow("--engine is wasm, and the package has native.");
  expect(() => enginesOf(["README.md"])).toThrow("no engine");
});

it("the runtimes are chosen by their names, and a wrong one is refused", () => {
  expect(chosen(undefined)).toEqual(Object.keys(RUNTIMES));
  expect(chosen("deno,bun")).toEqual(["bun", "deno"]);
  for (const wrong of ["", "bun,", "node", "bun deno"])
    expect(() => chosen(wrong)).toThrow(/--only is .*node20,node22/);
});

it.each([
  ["--only", "bun,java", /--only is "bun,java"; it must be one or more of node20,/],
  ["--engine", "java", /--engine is "java"; it must be native or wasm/],
])("the option %s %s is refused", (option, value, says) => {
  const { status, stderr } = spawnSync(process.execPath, ["scripts/runtimes.mjs", option, value], {
    cwd: root,
    encoding: "utf8",
  });
  expect(stderr).toMatch(says);
  expect(status).toBe(1);
});

it("the README says what each runtime runs, and the oldest one is the oldest that package.json allows", () => {
  const rows = [
    ...read("README.md").matchAll(/^\| ((?:Node|Bun|Deno) [\d.]+) \| all tests pass(?: but (\d+))?[^|]*\|/gm),
  ];
  const count = (name: string) => GAPS.filter((gap) => gap.runtime === name).flatMap((gap) => Object.values(gap.tests));
  const expected = Object.entries(RUNTIMES).map(([name, { title }]) => [title, count(name).flat().length]);
  expect(rows.map(([, title, without]) => [title, Number(without ?? 0)])).toEqual(expected);
  expect(read("package.json")).toContain(`"node": "^${RUNTIMES.node20.version} `);
});
