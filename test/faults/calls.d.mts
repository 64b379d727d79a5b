import type { Store } from "../../src/index.ts";

export declare const CALLS: Record<string, (store: Store) => unknown>;
export declare function answer(call: () => unknown): Promise<string>;
