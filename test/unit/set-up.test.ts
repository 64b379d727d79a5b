/** Making a checkout ready leaves alone what belongs to another one. */
import { execFileSync, spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";

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

test("tests of parts that need the addon are named so, since the run leaves them out where there is none", () => {
  const read = (path: string) => readFileSync(join(root, path), "utf8");
  const loading = readdirSync(join(root, "test/unit"))
    .filter((name) => name.endsWith(".test.ts"))
    .filter((name) =>
      /import \{[^}]*\bload(Addon|Engine)\b[^}]*\} from "\.\.\/\.\.\/src/.test(read(`test/unit/${name}`)),
    );
  expect(loading.length).toBeGreaterThan(2);
  expect(loading.filter((name) => !name.startsWith("binding-"))).toEqual([]);
  expect(read("scripts/test.mjs")).toContain('"test/unit/binding-*.test.ts"');
});

describe("on a machine that cannot compile Rust", () => {
  const ADDON = `prebuilds/moraine.${process.platform}-${process.arch}.node`;

  /** Set-up of a checkout that has packages and compiled TypeScript, with an addon that is so much newer than its sources. */
  function setUp(addonIsNewerBy?: number) {
    const checkout = mkdtempSync(join(tmpdir(), "moraine-set-up-"));
    onTestFinished(() => rmSync(checkout, { recursive: true, force: true }));
    for (const folder of ["scripts", "dist", "native", "prebuilds", "bin"]) mkdirSync(join(checkout, folder));
    cpSync(join(root, "scripts/set-up.mjs"), join(checkout, "scripts/set-up.mjs"));
    symlinkSync(join(root, "node_modules"), join(checkout, "node_modules"), "junction");
    writeFileSync(join(checkout, "dist/index.js"), "");
    utimesSync(join(checkout, "native"), 1_000_000, 1_000_000);
    utimesSync(join(checkout, "scripts/set-up.mjs"), 1_000_000, 1_000_000);
    if (addonIsNewerBy !== undefined) {
      writeFileSync(join(checkout, ADDON), "");
      utimesSync(join(checkout, ADDON), 1_000_000 + addonIsNewerBy, 1_000_000 + addonIsNewerBy);
    }
    const script = 'import("./scripts/set-up.mjs").then(({ setUp }) => console.log(setUp()))';
    const env = { ...process.env, PATH: join(checkout, "bin") };
    return spawnSync(process.execPath, ["-e", script], { cwd: checkout, env, encoding: "utf8" });
  }

  test("the WebAssembly engine runs, and a sentence says so and how to get the other one", () => {
    const { status, stdout, stderr } = setUp();
    expect(stderr).toBe("");
    expect(stdout).toMatch(
      /^moraine: no addon is built, and the WebAssembly engine runs\. .*cargo is missing.*https:.*\n/,
    );
    expect(stdout).toContain("{ hasAddon: false }");
    expect(status).toBe(0);
  });

  test("an addon of these sources is used", () => {
    expect(setUp(1)).toMatchObject({ status: 0, stdout: "{ hasAddon: true }\n", stderr: "" });
  });

  test("an addon of older sources is an error that says what to do", () => {
    const { status, stderr } = setUp(-1);
    expect(stderr).toContain(`${ADDON} is older than its sources, and cargo is missing`);
    expect(stderr).toContain("remove it");
    expect(status).toBe(1);
  });
});
