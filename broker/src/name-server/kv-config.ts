import { mkdir, open, readFile, rename } from "node:fs/promises";
import { dirname } from "node:path";
import { parseBody, printBody } from "../protocol/json.ts";

/** Namespace of the queues of strictly ordered topics: topic → `brokerA:4;brokerB:4`. */
export const ORDER_TOPIC_NAMESPACE = "ORDER_TOPIC_CONFIG";
/** What tools have put there in all, before more is refused: the whole of it is written at each change, and in memory. */
const MAX_KEYS = 100_000;
const MAX_BYTES = 4_194_304;

/** Settings that tools leave with the name server: namespace → key → value, in a file of RocketMQ's form. */
export class KVConfig {
  readonly #path: string | undefined;
  readonly #namespaces: Map<string, Map<string, string>> = new Map();
  #keys = 0;
  /** As they are written, of namespaces with their keys and values. */
  #bytes = 0;
  #saving: Promise<void> = Promise.resolve();
  #nextSave: Promise<void> | undefined;

  private constructor(path: string | undefined) {
    this.#path = path;
  }

  /** Without a path everything is forgotten at the end. Rejects if the file is there and cannot be read. */
  static async load(path: string | undefined): Promise<KVConfig> {
    const config = new KVConfig(path);
    if (path !== undefined) await config.#read(path);
    return config;
  }

  get(namespace: string, key: string): string | undefined {
    return this.#namespaces.get(namespace)?.get(key);
  }

  namespace(namespace: string): ReadonlyMap<string, string> | undefined {
    return this.#namespaces.get(namespace);
  }

  /** False if there is no room for it. Resolves when it is in the file. */
  async put(namespace: string, key: string, value: string): Promise<boolean> {
    const before = this.get(namespace, key);
    if (before === undefined && this.#keys >= MAX_KEYS) return false;
    const more = this.#bytesWith(namespace, key, value) - this.#bytes;
    // A file that was written elsewhere may have more: what makes it less is taken all the same.
    if (more > 0 && this.#bytes + more > MAX_BYTES) return false;
    this.#set(namespace, key, value);
    await this.#save();
    return true;
  }

  async delete(namespace: string, key: string): Promise<void> {
    const pairs = this.#namespaces.get(namespace);
    const value = pairs?.get(key);
    if (pairs === undefined || value === undefined) return;
    pairs.delete(key);
    this.#keys--;
    this.#bytes -= printedBytes(key) + printedBytes(value);
    // RocketMQ keeps the name for ever.
    if (pairs.size === 0) {
      this.#namespaces.delete(namespace);
      this.#bytes -= printedBytes(namespace);
    }
    await this.#save();
  }

  #bytesWith(namespace: string, key: string, value: string): number {
    const pairs = this.#namespaces.get(namespace);
    const before = pairs?.get(key);
    const named = this.#bytes + (pairs === undefined ? printedBytes(namespace) : 0);
    return named + printedBytes(value) + (before === undefined ? printedBytes(key) : -printedBytes(before));
  }

  #set(namespace: string, key: string, value: string): void {
    this.#bytes = this.#bytesWith(namespace, key, value);
    const pairs = this.#namespaces.get(namespace) ?? new Map<string, string>();
    if (!pairs.has(key)) this.#keys++;
    pairs.set(key, value);
    this.#namespaces.set(namespace, pairs);
  }

  async #read(path: string): Promise<void> {
    let bytes: Buffer;
    try {
      bytes = await readFile(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
      throw error;
    }
    if (bytes.length === 0) return;
    const table = (parseBody(bytes) as { configTable?: Record<string, Record<string, unknown>> } | null)?.configTable;
    for (const [namespace, pairs] of Object.entries(table ?? {})) {
      for (const [key, value] of Object.entries(pairs)) this.#set(namespace, key, String(value));
    }
  }

  /** Changes that come while the file is written share the next time. */
  #save(): Promise<void> {
    if (this.#path === undefined) return Promise.resolve();
    this.#nextSave ??= this.#saving.then(() => {
      this.#nextSave = undefined;
      const writing = this.#write(this.#path as string);
      this.#saving = writing.catch(() => undefined);
      return writing;
    });
    return this.#nextSave;
  }

  async #write(path: string): Promise<void> {
    await mkdir(dirname(path), { recursive: true });
    const temporary = `${path}.tmp`;
    const file = await open(temporary, "w");
    try {
      await file.writeFile(printBody({ configTable: this.#namespaces }));
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(temporary, path);
  }
}

/** Of a string in the file, with the escapes that it needs. */
function printedBytes(text: string): number {
  return printBody(text).length;
}
