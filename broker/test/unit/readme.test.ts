import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const read = (path: string) => readFileSync(join(import.meta.dirname, "../..", path), "utf8");
const readme = read("README.md");

test("the clients that the README shows are those of the examples", () => {
  expect(readme).toContain(`\`\`\`java\n${read("examples/java/Hello.java")}\`\`\``);
  expect(readme).toContain(`\`\`\`go\n${read("examples/go/main.go")}\`\`\``);
});

test("options of the command line are those of the README", () => {
  const source = read("src/command-line.ts");
  const options = [...source.matchAll(/\.option\("(?:-\w, )?(--[\w-]+)/g)].map(([, name]) => name);
  expect(options.length).toBeGreaterThan(5);
  const table = readme.split("\n").filter((line) => line.startsWith("| `-"));
  const missing = options.filter((name) => name !== "--option" && !table.some((line) => line.includes(`\`${name}`)));
  expect(missing).toEqual([]);
});

test("commands of the README are for the folder of the whole project", () => {
  const scripts = [...readme.matchAll(/\bnode (\S+\.m?js)\b/g)].map(([, path]) => path ?? "");
  expect(scripts).not.toEqual([]);
  expect(scripts.filter((path) => !existsSync(join(import.meta.dirname, "../../..", path)))).toEqual([]);
});
