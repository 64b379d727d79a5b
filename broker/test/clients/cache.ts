/** What the tests fetch and build: once a machine, in `$XDG_CACHE_HOME/moraine-clients`, a folder for every state of its sources. */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const CACHE = join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "moraine-clients");

/**
 * The folder that `build` fills, made where there is none yet for these sources. One builder at a time: others wait for it.
 * `sources` are files and folders, whose bytes name the folder.
 */
export async function built(
  name: string,
  sources: readonly string[],
  build: (folder: string) => Promise<void>,
): Promise<string> {
  const folder = join(CACHE, `${name}-${digest(sources)}`);
  mkdirSync(CACHE, { recursive: true });
  while (!existsSync(folder)) {
    if (!takeLock(`${folder}.lock`)) {
      await sleep(200);
      continue;
    }
    try {
      if (existsSync(folder)) break;
      const unfinished = `${folder}.unfinished`;
      rmSync(unfinished, { recursive: true, force: true });
      mkdirSync(unfinished);
      await build(unfinished);
      renameSync(unfinished, folder);
    } finally {
      rmSync(`${folder}.lock`, { force: true });
    }
  }
  return folder;
}

/** A folder that stays from one state of the sources to the next, as the build folder of cargo. */
export function kept(name: string): string {
  const folder = join(CACHE, name);
  mkdirSync(folder, { recursive: true });
  return folder;
}

function digest(sources: readonly string[]): string {
  const hash = createHash("sha256");
  const add = (path: string): void => {
    if (statSync(path).isDirectory()) for (const entry of readdirSync(path).sort()) add(join(path, entry));
    else hash.update(path.slice(path.lastIndexOf("/"))).update(readFileSync(path));
  };
  for (const source of sources) add(source);
  return hash.digest("hex").slice(0, 12);
}

/** Whether this process has the lock now; that of a process that is gone is taken away. */
function takeLock(file: string): boolean {
  try {
    writeFileSync(file, String(process.pid), { flag: "wx" });
    return true;
  } catch {
    if (isLeftBehind(file)) rmSync(file, { force: true });
    return false;
  }
}

function isLeftBehind(file: string): boolean {
  try {
    process.kill(Number(readFileSync(file, "utf8")), 0);
    return false;
  } catch (error) {
    // ESRCH: nobody has this id any more. Anything else (the file has just gone) is looked at again.
    return (error as NodeJS.ErrnoException).code === "ESRCH";
  }
}

/** Runs a command to its end; throws its last output if it fails. */
export async function run(
  command: string,
  args: readonly string[],
  options: { cwd?: string; env?: NodeJS.ProcessEnv } = {},
): Promise<string> {
  const child = spawn(command, args, { ...options, stdio: ["ignore", "pipe", "pipe"] });
  let out = "";
  const keep = (text: string): void => {
    out += text;
  };
  child.stdout.setEncoding("utf8").on("data", keep);
  child.stderr.setEncoding("utf8").on("data", keep);
  const code = await new Promise((resolve, reject) => child.once("error", reject).once("close", resolve));
  if (code !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${code}:\n${out.slice(-4000)}`);
  return out;
}

/** Those of these programs that are not on PATH. */
export function missing(tools: readonly string[]): string[] {
  return tools.filter((tool) => spawnSync("which", [tool], { stdio: "ignore" }).status !== 0);
}
