/** Making a checkout ready leaves alone what belongs to another one. */
import { execFileSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";

const root = join(import.meta.dirname, "../..");

test("packages behind a link are not installed anew, however old", () => {
  const folder = mkdtempSync(join(tmpdir(), "moraine-set-up-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const [other, checkout] = [join(folder, "other"), join(folder, "checkout")];
  mkdirSync(join(other, "package"), { recursive: true });
  writeFileSync(join(other, ".package-lock.json"), "{}");
  utimesSync(join(other, ".package-lock.json"), 0, 0);
  mkdirSync(join(checkout, "scripts"), { recursive: true });
  cpSync(join(root, "scripts/set-up.mjs"), join(checkout, "scripts/set-up.mjs"));
  writeFileSync(join(checkout, "package.json"), '{ "name": "checkout", "version": "1.0.0" }');
  writeFileSync(
    join(checkout, "package-lock.json"),
    '{ "name": "checkout", "version": "1.0.0", "lockfileVersion": 3, "packages": {} }',
  );
  symlinkSync(other, join(checkout, "node_modules"), "junction");
  const script = 'import("./scripts/set-up.mjs").then(({ installPackages }) => installPackages())';
  execFileSync(process.execPath, ["-e", script], { cwd: checkout, stdio: "pipe" });
  expect(existsSync(join(other, "package"))).toBe(true);
});
