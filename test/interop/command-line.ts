/** The built command line, run as a user runs it. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";

const MAIN = join(import.meta.dirname, "../../dist/cli/main.js");

export interface Run {
  code: number | null;
  /** Lines of standard output. */
  out: string[];
  /** Lines of standard error. */
  err: string[];
}

/** Runs `moraine` with these arguments to its end. */
export async function moraine(...args: string[]): Promise<Run> {
  if (!existsSync(MAIN)) throw new Error(`${MAIN} is missing: npm run build makes it`);
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  const [out, err, code] = await Promise.all([
    collect(child.stdout),
    collect(child.stderr),
    new Promise<number | null>((resolve, reject) => child.once("error", reject).once("close", resolve)),
  ]);
  return { code, out: lines(out), err: lines(err) };
}

/** Runs `moraine` with this standard input to its end. */
export async function moraineFed(
  input: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  ...args: string[]
): Promise<Run> {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["pipe", "pipe", "pipe"] });
  // Who has seen enough closes its input.
  child.stdin.on("error", () => {});
  Readable.from(input).pipe(child.stdin);
  const [out, err, code] = await Promise.all([
    collect(child.stdout),
    collect(child.stderr),
    new Promise<number | null>((resolve, reject) => child.once("error", reject).once("close", resolve)),
  ]);
  return { code, out: lines(out), err: lines(err) };
}

/** Starts `moraine`, reads its first line, then stops reading, as `head -1` does. */
export async function moraineReadOnce(...args: string[]): Promise<{ code: number | null; err: string[] }> {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  child.stdout.once("data", () => child.stdout.destroy());
  const [err, code] = await Promise.all([
    collect(child.stderr),
    new Promise<number | null>((resolve, reject) => child.once("error", reject).once("close", resolve)),
  ]);
  return { code, err: lines(err) };
}

async function collect(stream: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString("utf8");
}

function lines(text: string): string[] {
  return text === "" ? [] : text.replace(/\n$/, "").split("\n");
}
