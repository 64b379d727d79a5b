export interface Runtime {
  title: string;
  version: string;
}

export declare const RUNTIMES: Record<"node20" | "node22" | "node24" | "bun" | "deno", Runtime>;
export declare function chosen(names: string | undefined): string[];
