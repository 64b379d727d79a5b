/**
 * The file of a table, `config/NAME.json`, and the one before it, `NAME.json.bak` (store-format chapter 1.2). The only
 * file of the API that touches a disk by itself.
 *
 * At every instant one of the two is whole: a new version is written beside them and synced, the old one becomes the
 * `.bak`, the new one takes its name, the directory is synced. Who reads looks at the file, then at the `.bak`; so does
 * RocketMQ.
 */
import { isUtf8 } from "node:buffer";
import { closeSync, constants, existsSync, fstatSync, openSync, readFileSync } from "node:fs";
import { lstat, mkdir, open, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Finding } from "./binding/contract.ts";
import { errnoOf } from "./errno.ts";
import { StoreError, type StoreErrorDetails } from "./errors.ts";
import { JsonObject } from "./json/nodes.ts";
import { JsonError, readJson } from "./json/read.ts";

/** Longest file that is read or written: tables are small. */
const MAX_TABLE_BYTES: number = 256 * 1024 * 1024;

/** A file that is no link, and does not make the opener wait for a writer as a pipe does. */
const READ_FILE: number = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0);

/** Errors that say that there is no room. */
const FULL: ReadonlySet<string | undefined> = new Set(["ENOSPC", "EDQUOT"]);

/** What a file holds. */
type Content =
  | { readonly kind: "whole"; readonly root: JsonObject }
  | { readonly kind: "missing" | "empty" }
  | { readonly kind: "damaged"; readonly reason: string; readonly offset: number };

/** A table as it is on the disk. */
export interface TableOnDisk {
  /** Undefined where there is none yet. */
  readonly root: JsonObject | undefined;
  /** What was noticed, where the table is not the file's. */
  readonly finding: Finding | undefined;
}

export class TableFile {
  /** Relative to the store directory. */
  readonly file: string;
  readonly #store: string;
  readonly #folder: string;
  readonly #main: string;
  readonly #backup: string;
  readonly #temporary: string;
  /** What stands in the place of the file; decides what becomes of it when the next version comes. */
  #kind: Content["kind"] = "missing";

  constructor(storePath: string, name: string) {
    this.file = `config/${name}.json`;
    this.#store = storePath;
    this.#folder = join(storePath, "config");
    this.#main = join(this.#folder, `${name}.json`);
    this.#backup = `${this.#main}.bak`;
    this.#temporary = `${this.#main}.tmp`;
  }

  /** Whether there is a file, or a version before it. */
  exists(): boolean {
    return existsSync(this.#main) || existsSync(this.#backup);
  }

  /** Throws STORE_CORRUPT where neither file nor `.bak` is whole and one of them is damaged; nothing is changed then. */
  read(): TableOnDisk {
    const main = this.#read(this.#main, this.file);
    this.#kind = main.kind;
    if (main.kind === "whole") return { root: main.root, finding: undefined };
    const backupFile = `${this.file}.bak`;
    const backup = this.#read(this.#backup, backupFile);
    if (backup.kind === "whole") {
      return { root: backup.root, finding: this.#finding(main, `${stateText(main)}; ${backupFile} is used`) };
    }
    if (main.kind === "damaged") {
      throw corrupt(this.file, main.offset, `${main.reason}; ${backupFile} ${stateText(backup)}`);
    }
    if (backup.kind === "damaged") {
      throw corrupt(backupFile, backup.offset, `${backup.reason}; ${this.file} ${stateText(main)}`);
    }
    const isLost = main.kind === "empty" || backup.kind === "empty";
    const finding = isLost ? this.#finding(main, `${stateText(main)}; ${backupFile} ${stateText(backup)}`) : undefined;
    return { root: undefined, finding };
  }

  /** Replaces the file. When it resolves, the new version survives a power cut. */
  async write(bytes: Buffer): Promise<void> {
    try {
      await this.#makeFolder();
      await this.#writeTemporary(bytes);
      await this.#keepOld();
      await rename(this.#temporary, this.#main);
      this.#kind = "whole";
      await syncFolder(this.#folder);
    } catch (error) {
      // On a full disk the log may want the room. What keeps it from being removed stood in the way before.
      await rm(this.#temporary, { force: true }).catch(() => {});
      throw ioError(error, this.file);
    }
  }

  #read(path: string, file: string): Content {
    let bytes: Buffer;
    try {
      bytes = readBounded(path, file);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return { kind: "missing" };
      throw ioError(error, file);
    }
    return parsed(bytes);
  }

  #finding(main: Content, message: string): Finding {
    const offset = main.kind === "damaged" ? main.offset : 0;
    return { kind: `table-${main.kind}`, file: this.file, offset, length: 0, message };
  }

  async #makeFolder(): Promise<void> {
    const made = await mkdir(this.#folder, { recursive: true });
    if (made !== undefined) await syncFolder(this.#store);
  }

  async #writeTemporary(bytes: Buffer): Promise<void> {
    if (bytes.length > MAX_TABLE_BYTES) throw tooLarge(this.file, bytes.length);
    await rm(this.#temporary, { force: true });
    const handle = await open(this.#temporary, "wx");
    try {
      await handle.writeFile(bytes);
      await handle.sync();
    } finally {
      await handle.close();
    }
  }

  /** Makes way for a new version. What is damaged never takes the place of a `.bak` that is whole. */
  async #keepOld(): Promise<void> {
    if (this.#kind === "whole") await renameIfThere(this.#main, this.#backup);
    else if (this.#kind === "damaged") await renameIfThere(this.#main, await this.#nameForDamaged());
    this.#kind = "missing";
  }

  async #nameForDamaged(): Promise<string> {
    for (let n = 1; ; n++) {
      const path = `${this.#main}.damaged${n === 1 ? "" : `-${n}`}`;
      try {
        await lstat(path);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return path;
        throw error;
      }
    }
  }
}

function readBounded(path: string, file: string): Buffer {
  const descriptor = openSync(path, READ_FILE);
  try {
    const stat = fstatSync(descriptor);
    if (!stat.isFile()) {
      throw new StoreError("STORE_IO", `${file} is no regular file; a table is one`, {
        details: { file, path, syscall: "open", reason: "not a regular file" },
      });
    }
    if (stat.size > MAX_TABLE_BYTES) throw tooLarge(file, stat.size);
    return readFileSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

function parsed(bytes: Buffer): Content {
  if (!isUtf8(bytes)) return { kind: "damaged", reason: "is not UTF-8", offset: endOfUtf8(bytes) };
  const text = bytes.toString("utf8");
  if (text.trim() === "") return { kind: "empty" };
  try {
    const root = readJson(text);
    if (root instanceof JsonObject) return { kind: "whole", root };
    return { kind: "damaged", reason: "is no JSON object", offset: 0 };
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    const before = text.slice(0, error.position);
    const line = before.split("\n").length;
    const column = error.position - before.lastIndexOf("\n");
    const reason = `is no JSON: ${error.message} (line ${line}, column ${column})`;
    return { kind: "damaged", reason, offset: Buffer.byteLength(before, "utf8") };
  }
}

/** Where the first byte is that is not of a UTF-8 text: decoding replaces it, and encoding does not bring it back. */
function endOfUtf8(bytes: Buffer): number {
  const again = Buffer.from(bytes.toString("utf8"), "utf8");
  let at = 0;
  while (at < bytes.length && bytes[at] === again[at]) at++;
  return at;
}

function stateText(content: Content): string {
  if (content.kind === "damaged") return content.reason;
  return content.kind === "whole" ? "is whole" : `is ${content.kind}`;
}

function corrupt(file: string, offset: number, reason: string): StoreError {
  return new StoreError(
    "STORE_CORRUPT",
    `${file} at ${offset}: ${reason}; nothing was changed, put a whole file there`,
    {
      details: { file, offset, reason },
    },
  );
}

function tooLarge(file: string, bytes: number): StoreError {
  return new StoreError("STORE_UNSUPPORTED", `${file} has ${bytes} bytes; a table has at most ${MAX_TABLE_BYTES}`, {
    details: { file, bytes, maximum: MAX_TABLE_BYTES },
  });
}

/** The failure of a system call, as the API tells it. */
function ioError(error: unknown, file: string): StoreError {
  if (error instanceof StoreError) return error;
  const { code, syscall, path, message } = error as NodeJS.ErrnoException;
  const errno = errnoOf(error);
  const details: StoreErrorDetails = {
    file,
    ...(errno === undefined ? {} : { errno }),
    ...(syscall === undefined ? {} : { syscall }),
    ...(path === undefined ? {} : { path }),
  };
  return new StoreError(FULL.has(code) ? "STORE_FULL" : "STORE_IO", `${file}: ${message}`, { cause: error, details });
}

/** Renames a file, unless somebody has taken it away. */
async function renameIfThere(from: string, to: string): Promise<void> {
  try {
    await rename(from, to);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
  }
}

/** Makes names in a folder survive a power cut. Windows has no such call. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
