// @types/node has no WebAssembly namespace, and all of "dom" for its sake would let the names of browsers through.
declare namespace WebAssembly {
  class Module {
    constructor(bytes: Uint8Array);
    static customSections(module: Module, name: string): ArrayBuffer[];
  }
  class Memory {
    /** Both in pages of 64 KiB. */
    constructor(limits: { initial: number; maximum?: number });
    /** Detached, and another one, once the memory has grown. */
    readonly buffer: ArrayBuffer;
    grow(pages: number): number;
  }
  class Instance {
    constructor(
      module: Module,
      imports: Record<string, Record<string, Memory | ((...args: never[]) => number | bigint | undefined)>>,
    );
    readonly exports: Readonly<Record<string, unknown>>;
  }
  /** Bytes that are no module. */
  class CompileError extends Error {}
  /** Imports that do not fit a module. */
  class LinkError extends Error {}
  /** A trap. */
  class RuntimeError extends Error {}
}
