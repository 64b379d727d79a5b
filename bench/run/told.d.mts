import type { RowResult } from "./row.mjs";

export function told(result: RowResult, options?: { readonly judged?: boolean }): Generator<string, void, undefined>;
