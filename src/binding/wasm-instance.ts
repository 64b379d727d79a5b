/**
 * An instance of the WebAssembly module, with its memory, and calls into it: texts and bytes go in through the inbox, come
 * back through the outbox, numbers through the columns (wasm/src/answers.rs).
 */
import { StoreError } from "../errors.ts";
import { failureFrom } from "./failure.ts";
import { type LinearMemory, WasmFiles } from "./wasm-files.ts";
import { INITIAL_PAGES, loadModule } from "./wasm-module.ts";

/** What the module exports; numbers in, a number out: -1 is a failure, whose JSON is in the outbox. */
export type WasmExports = Readonly<Record<string, (...numbers: number[]) => number>>;

/** Linear memory of an instance at most, unless the option says otherwise. */
export const DEFAULT_MEMORY_BYTES: number = 64 * 1024 * 1024;
const MEMORY_PAGE_BYTES = 64 * 1024;

const encoder: InstanceType<typeof TextEncoder> = new TextEncoder();
const decoder: InstanceType<typeof TextDecoder> = new TextDecoder();
/** Texts of at most so many bytes, plain ASCII, are read without the decoder. */
const SHORT_BYTES = 32;

class Memory implements LinearMemory {
  readonly #memory: WebAssembly.Memory;
  #bytes: Uint8Array = new Uint8Array(0);
  #numbers: Float64Array = new Float64Array(0);

  constructor(memory: WebAssembly.Memory) {
    this.#memory = memory;
  }

  /** Growing detaches every view. */
  bytes(): Uint8Array {
    if (this.#bytes.length === 0) this.#bytes = new Uint8Array(this.#memory.buffer);
    return this.#bytes;
  }

  numbers(): Float64Array {
    if (this.#numbers.length === 0) this.#numbers = new Float64Array(this.#memory.buffer);
    return this.#numbers;
  }

  view(): DataView {
    return new DataView(this.#memory.buffer);
  }

  text(at: number, bytes: number): string {
    const piece = this.bytes().subarray(at, at + bytes);
    return bytes <= SHORT_BYTES && piece.every((byte) => byte < 0x80)
      ? String.fromCharCode(...piece)
      : decoder.decode(piece);
  }

  get size(): number {
    return this.#memory.buffer.byteLength;
  }
}

export interface InstanceEvents {
  /** Whether to go on. */
  onProgress(phase: string, done: number, total: number): boolean;
}

function instantiate(imports: ConstructorParameters<typeof WebAssembly.Instance>[1]): WebAssembly.Instance {
  try {
    return new WebAssembly.Instance(loadModule(), imports);
  } catch (error) {
    if (error instanceof StoreError) throw error;
    const message = `the WebAssembly module does not fit this copy of moraine; install the package again: ${(error as Error).message}`;
    throw new StoreError("STORE_NO_ENGINE", message, { cause: error, details: { engine: "wasm" } });
  }
}

export class WasmInstance {
  readonly exports: WasmExports;
  readonly files: WasmFiles;
  readonly #memory: Memory;
  readonly #limit: number;
  #panic: string | undefined;
  /** What stopped it in the middle of something. */
  #broken: StoreError | undefined;

  /** `roots`: directories of the engine's roots. */
  constructor(
    roots: readonly string[],
    readOnly: boolean,
    events: InstanceEvents,
    memoryBytes: number = DEFAULT_MEMORY_BYTES,
  ) {
    this.#limit = memoryBytes;
    const memory = new WebAssembly.Memory({
      initial: INITIAL_PAGES,
      maximum: Math.floor(memoryBytes / MEMORY_PAGE_BYTES),
    });
    this.#memory = new Memory(memory);
    this.files = new WasmFiles(roots, readOnly, {
      onProgress: events.onProgress,
      onPanic: (text) => {
        this.#panic = text;
      },
    });
    const imports = { env: { memory }, moraine: this.files.imports(this.#memory) };
    this.exports = instantiate(imports).exports as WasmExports;
  }

  /** Bytes of linear memory in use. */
  get memoryBytes(): number {
    return this.#memory.size;
  }

  /** Calls an export; what it throws and what it answers as a failure is a `StoreError`. */
  call(name: string, ...numbers: number[]): number {
    if (this.#broken !== undefined) throw broken(this.#broken);
    const call = this.exports[name] as (...numbers: number[]) => number;
    let answer: number;
    try {
      answer = call(...numbers);
    } catch (error) {
      throw this.#trapped(error);
    }
    if (answer === -1) throw failureFrom(this.text());
    return answer;
  }

  /** Puts texts and bytes into the inbox, one behind the other; returns the length of each. */
  give(...parts: readonly (string | Uint8Array)[]): number[] {
    const encoded = parts.map((part) => (typeof part === "string" ? encoder.encode(part) : part));
    let at = this.inbox(encoded.reduce((sum, part) => sum + part.length, 0));
    for (const part of encoded) {
      this.#memory.bytes().set(part, at);
      at += part.length;
    }
    return encoded.map((part) => part.length);
  }

  /** Where the inbox is, with room for so many bytes. */
  inbox(bytes: number): number {
    const at = this.call("inbox", bytes);
    if (at === 0) throw noRoom(bytes);
    return at;
  }

  memory(): Uint8Array {
    return this.#memory.bytes();
  }

  /** The outbox, valid until the next call. */
  outbox(): Uint8Array {
    const at = this.call("outbox");
    return this.#memory.bytes().subarray(at, at + this.call("outbox_bytes"));
  }

  /** The columns, valid until the next call. */
  columns(): Float64Array {
    const at = this.call("columns") / Float64Array.BYTES_PER_ELEMENT;
    return this.#memory.numbers().subarray(at, at + this.call("columns_count"));
  }

  text(): string {
    return decoder.decode(this.outbox());
  }

  json<T>(): T {
    return JSON.parse(this.text()) as T;
  }

  /** Why the open store takes nothing any more; undefined where it does. */
  poison(): StoreError | undefined {
    return this.call("poison") === 1 ? failureFrom(this.text()) : undefined;
  }

  /** Lets go of the files. */
  end(): void {
    try {
      if (this.#broken === undefined) this.exports.abandon?.();
    } catch {
      // Its files are closed all the same.
    }
    this.#broken ??= new StoreError("STORE_CLOSED", "the store is closed; open it again");
    this.files.close();
  }

  /** The instance cannot be used any more: it stopped in the middle of something. */
  #trapped(error: unknown): StoreError {
    this.#broken = this.#stopped(error);
    return this.#broken;
  }

  #stopped(error: unknown): StoreError {
    const { message } = error as Error;
    // Every panic has told its words before: without them it is memory that could not be had.
    if (this.#panic === undefined && error instanceof WebAssembly.RuntimeError && message === "unreachable") {
      const text = `the WebAssembly engine has filled its memory of ${this.#limit} bytes; close the store and open it again, and put less at once`;
      return new StoreError("STORE_POISONED", text, { cause: error, details: { engine: "wasm" } });
    }
    const text = `internal error, please report it: ${this.#panic ?? message}`;
    return new StoreError("STORE_IO", text, { cause: error, details: { internal: true } });
  }
}

function noRoom(bytes: number): StoreError {
  const message = `the WebAssembly engine has no memory left for ${bytes} bytes; ask for less at once`;
  return new StoreError("STORE_BUSY", message, { details: { engine: "wasm" } });
}

/** What every later call is told. */
function broken(first: StoreError): StoreError {
  if (first.code !== "STORE_IO")
    return new StoreError(first.code, first.message, { cause: first, details: first.details });
  const message =
    "an earlier call into this store failed in a way that is a defect of moraine; close the store and open it again";
  return new StoreError("STORE_POISONED", message, { cause: first });
}
