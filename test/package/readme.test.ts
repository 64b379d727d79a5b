import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { InstalledPackage } from "./installed.ts";

const readme = readFileSync(join(import.meta.dirname, "../../README.md"), "utf8");

let installed: InstalledPackage;
beforeAll(() => {
  installed = new InstalledPackage();
});
afterAll(() => installed.remove());

it("the example of the README runs as it stands and prints what the README says", () => {
  const [, example, output] = /```js\n([\s\S]*?)```[\s\S]*?```text\n([\s\S]*?)```/.exec(readme) ?? [];
  expect(example, "a js block followed by a text block").toBeDefined();
  const { status, stdout, stderr } = installed.runModule(example ?? "");
  expect(stderr).toBe("");
  expect(stdout).toBe(output);
  expect(status).toBe(0);
});
