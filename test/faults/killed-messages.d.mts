import type { Message } from "../../src/index.ts";

export declare const TOPICS: string[];
/** Message `n` that a store's process puts in its `life`-th life. */
export declare function killedMessage(seed: number, life: number, n: number, queues: number): Message;
