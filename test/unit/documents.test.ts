/** What the documents say about the repository is so. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";

const root = join(import.meta.dirname, "../..");
const read = (path: string) => readFileSync(join(root, path), "utf8");
const below = (folder: string) =>
  readdirSync(join(root, folder), { recursive: true, encoding: "utf8" }).map(
    (path) => `${folder}/${path.replaceAll("\\", "/")}`,
  );
const documents = [...readdirSync(root), ...below("docs")].filter((path) => path.endsWith(".md"));

it("every npm script that a document names exists", () => {
  const scripts = Object.keys(JSON.parse(read("package.json")).scripts);
  const named = documents.flatMap((path) =>
    [...read(path).matchAll(/npm run ([\w:-]+)/g)].map(([, script]) => `${path}: ${script}`),
  );
  expect(named.length).toBeGreaterThan(0);
  expect(named.filter((line) => !scripts.includes(line.split(": ")[1] ?? ""))).toEqual([]);
});

it("every command that a document shows exists", () => {
  const commands = documents.flatMap((path) =>
    [...read(path).matchAll(/npx moraine (\w+)/g)].map(([, command]) => command),
  );
  expect(commands).not.toHaveLength(0);
  expect(commands.filter((command) => !existsSync(join(root, `src/cli/${command}.ts`)))).toEqual([]);
});

it("the versions that documents and scripts ask for are those of the manifests", () => {
  const node = /\^(20\.\d+)/.exec(JSON.parse(read("package.json")).engines.node)?.[1];
  const rust = /rust-version = "([\d.]+)"/.exec(read("Cargo.toml"))?.[1];
  for (const path of ["README.md", "CONTRIBUTING.md"]) expect(read(path)).toContain(`Node ${node}`);
  for (const path of ["CONTRIBUTING.md", "scripts/set-up.mjs"]) expect(read(path)).toContain(`Rust ${rust}`);
});

it("every link between documents leads somewhere", () => {
  const links = documents.flatMap((path) =>
    [...read(path).matchAll(/\]\((?!https?:)([^)#]+)[^)]*\)/g)].map(([, target]) => ({ path, target: target ?? "" })),
  );
  expect(links.length).toBeGreaterThan(0);
  expect(links.filter(({ path, target }) => !existsSync(join(root, dirname(path), target)))).toEqual([]);
});

it("the code map of ARCHITECTURE.md names every source file, and only files that exist", () => {
  // Rows like | `storage.rs` | … | in chapters headed by a folder: ### `native/core/src`.
  const mapped = read("ARCHITECTURE.md")
    .split(/^##+ /m)
    .slice(1)
    .flatMap((section) => {
      const folder = /^`([\w/]+)`/.exec(section)?.[1];
      if (folder === undefined) return [];
      return [...section.matchAll(/^\| `([\w./-]+)` \|/gm)].map(([, file]) => `${folder}/${file}`);
    });
  const sources = ["src", "native/core/src", "native/host/src", "native/napi/src", "wasm/src"]
    .flatMap(below)
    .filter((path) => /\.(ts|rs)$/.test(path));
  expect(sources.filter((path) => !mapped.includes(path))).toEqual([]);
  expect(mapped.filter((path) => !existsSync(join(root, path)))).toEqual([]);
});

const locks = ["package-lock.json", "bench/package-lock.json", "broker/package-lock.json"];
it.each(locks)("%s leaves the registry to the one who installs", (lock) => {
  // A link, as that of the broker's package to the store beside it, names its folder.
  expect(read(lock)).not.toMatch(/"resolved": "(?!\.\.")/);
});

it("docs/errors.md has a heading for every code, and for no other", () => {
  const codes = (text: string, pattern: RegExp) => [...text.matchAll(pattern)].map(([, code]) => code).sort();
  const [union] = /type StoreErrorCode =[^;]*;/.exec(read("src/errors.ts")) ?? [""];
  const known = codes(union, /"(STORE_\w+)"/g);
  expect(known.length).toBeGreaterThan(0);
  expect(codes(read("docs/errors.md"), /^## (\w+)$/gm)).toEqual(known);
});

it("every script of package.json starts a file that exists", () => {
  const scripts: string[] = Object.values(JSON.parse(read("package.json")).scripts);
  const started = scripts.flatMap((script) =>
    [...script.matchAll(/\bnode ([\w/.-]+\.mjs)/g)].map(([, file]) => file ?? ""),
  );
  expect(started.length).toBeGreaterThan(0);
  expect(started.filter((file) => !existsSync(join(root, file)))).toEqual([]);
});

it.each([
  ["crash states", "Reliability ledger", /^Total: ([\d,]+) crash states, ([\d,]+) runs with failing calls\.$/m, [4, 8]],
  [
    "threads",
    "One store in many threads",
    /^Total: ([\d,]+) interleavings; ([\d,]+) calls in ([\d,]+) stores, ([\d,]+) threads ended in them\.$/m,
    [4, 6, 5, 7],
  ],
])("the reliability ledger's total of %s is the sum of its rows", (_, title, total, columns) => {
  const chapter =
    read("docs/reliability-ledger.md")
      .split(/^#+ /m)
      .find((chapter) => chapter.startsWith(title)) ?? "";
  const rows = [...chapter.matchAll(/^\| 20.*$/gm)].map(([row]) => row.split("|").map((cell) => cell.trim()));
  expect(rows.length).toBeGreaterThan(0);
  const sum = (column: number) => rows.reduce((all, row) => all + Number(row[column]), 0);
  expect(total.exec(chapter)?.slice(1)).toEqual(columns.map((column) => sum(column).toLocaleString("en")));
});
