/** The contract suite runs over any engine: it knows the public API alone, and says in one place what an engine lacks. */
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { expect, it } from "vitest";

const root = join(import.meta.dirname, "../..");
const read = (path: string) => readFileSync(join(root, path), "utf8");
const suite = ["test/contract", "test/faults"].flatMap((folder) =>
  readdirSync(join(root, folder)).map((name) => `${folder}/${name}`),
);
const code = suite.filter((path) => /\.(ts|mjs)$/.test(path));

/** Beside the public API: what makes stores and messages, faults, and bytes that RocketMQ wrote. */
const SUPPORT = [
  /^test\/contract\/(cold|columns|engine|golden-store|hostile|inner-batch|temporary-store|worker)\.ts$/,
  /^test\/faults\//,
  /^test\/unit\/golden\.ts$/,
];
/** Tools of the tests. */
const TOOLS = ["vitest", "fast-check"];

it("imports the public API and its own support alone", () => {
  const imports = code.flatMap((from) =>
    [...read(from).matchAll(/(?:^|\n)(?:import|export)\b[^;"]*?\bfrom "([^"]+)"/g)].map(([, name = ""]) => ({
      from,
      to: name.startsWith(".") ? normalize(join(dirname(from), name)) : name,
    })),
  );
  expect(imports.length).toBeGreaterThan(50);
  const foreign = imports.filter(({ to }) => {
    const isPublic = to === "src/index.ts" || to === "moraine";
    return !isPublic && !to.startsWith("node:") && !TOOLS.includes(to) && !SUPPORT.some((known) => known.test(to));
  });
  expect(foreign.map(({ from, to }) => `${from} imports ${to}`)).toEqual([]);
});

it("only engine.ts knows which engine is tested", () => {
  const knowing = code.filter((path) => /MORAINE_ENGINE/.test(read(path)));
  expect(knowing).toEqual(["test/contract/engine.ts"]);
});

it("every test that breaks a disk asks whether the engine supports it", () => {
  const breaking = code.filter(
    (path) => /\.test\.ts$/.test(path) && /\.\.\/faults\/(poisoned-store|stalled-disk)/.test(read(path)),
  );
  expect(breaking.length).toBeGreaterThan(0);
  expect(breaking.filter((path) => !/runIf\(supports\.faults\)/.test(read(path)))).toEqual([]);
});

it("everything that the native engine supports is used, and nothing is left out for it", () => {
  const declared = /native: \{([^}]*)\}/.exec(read("test/contract/engine.ts"))?.[1] ?? "";
  const features = [...declared.matchAll(/(\w+): (\w+)/g)].map(([, name, value]) => ({ name, value }));
  expect(features.length).toBeGreaterThan(0);
  expect(features.filter(({ value }) => value !== "true")).toEqual([]);
  const tests = code.filter((path) => path.endsWith(".test.ts")).map(read);
  expect(features.filter(({ name }) => !tests.some((text) => text.includes(`supports.${name}`)))).toEqual([]);
  const skipping = /\b(?:test|describe|it)\.(?:skip|only|todo|skipIf)\b/;
  expect(code.filter((path) => skipping.test(read(path)))).toEqual([]);
});
