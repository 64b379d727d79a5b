import { afterAll, beforeAll, expect, it } from "vitest";
import { InstalledPackage, readmeExample } from "./installed.mjs";

let installed: InstalledPackage;
beforeAll(() => {
  installed = new InstalledPackage();
});
afterAll(() => installed.remove());

it("the example of the README runs as it stands and prints what the README says", () => {
  const { source, output } = readmeExample();
  const { status, stdout, stderr } = installed.runModule(source);
  expect(stderr).toBe("");
  expect(stdout).toBe(output);
  expect(status).toBe(0);
});
