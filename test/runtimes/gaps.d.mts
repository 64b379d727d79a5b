export interface Gap {
  runtime: string;
  why: string;
  proof: string;
  tests: Record<string, string[]>;
}

export declare const GAPS: Gap[];
export declare function leftOut(runtime: string, file: string): string[];
