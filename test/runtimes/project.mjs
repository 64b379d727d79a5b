// The contract suite as it stands, laid out beside an installed package, which it tests instead of src/.
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, readdirSync, realpathSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));
const COPIED = ["test/contract", "test/faults", "test/fixtures", "test/unit/golden.ts"];
/** Tools of the tests, by the folders that hold them. */
const TOOLS = ["vitest", "@vitest", "fast-check"];
const OPTIONS = {
  target: "es2022",
  module: "nodenext",
  noCheck: true,
  rewriteRelativeImportExtensions: true,
  types: [],
  verbatimModuleSyntax: true,
};

/** Makes the suite in `project` plain JavaScript, which every runtime takes; paths of its test files. */
export function layOutSuite(project) {
  for (const path of COPIED) {
    mkdirSync(join(project, dirname(path)), { recursive: true });
    cpSync(join(root, path), join(project, path), { recursive: true });
  }
  mkdirSync(join(project, "src"));
  writeFileSync(join(project, "src/index.ts"), 'export * from "moraine";\n');
  cpSync(join(root, "test/runtimes/suite.mjs"), join(project, "suite.mjs"));
  linkTools(project);
  compile(project);
  const folder = join(project, "test/contract");
  const files = readdirSync(folder).sort();
  return files.filter((name) => name.endsWith(".test.js")).map((name) => join(folder, name));
}

export function linkTools(project) {
  const modules = realpathSync(join(root, "node_modules"));
  mkdirSync(join(project, "node_modules"), { recursive: true });
  for (const name of TOOLS) symlinkSync(join(modules, name), join(project, "node_modules", name));
}

function compile(project) {
  writeFileSync(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions: OPTIONS, include: ["src", "test"] }));
  const args = [join(root, "node_modules/typescript/bin/tsc"), "-p", project];
  const { status, stdout } = spawnSync(process.execPath, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`the contract suite does not compile:\n${stdout}`);
}
