/** Languages of clients: a name in JSON headers, a number in binary ones. */

const NAMES = [
  "JAVA",
  "CPP",
  "DOTNET",
  "PYTHON",
  "DELPHI",
  "ERLANG",
  "RUBY",
  "OTHER",
  "HTTP",
  "GO",
  "PHP",
  "OMS",
  "RUST",
  "NODE_JS",
] as const;

const KNOWN: ReadonlySet<string> = new Set(NAMES);
const OTHER = "OTHER";

export function languageOfCode(code: number): string {
  return NAMES[code] ?? OTHER;
}

export function knownLanguage(name: unknown): string {
  return typeof name === "string" && KNOWN.has(name) ? name : OTHER;
}
