export interface Bug {
  name: string;
  layer: string;
  bug: string;
  hangs?: boolean;
  states?: number;
}

export interface ProgramRun {
  status: number | null;
  output: string;
  timedOut: boolean;
}

export declare const LAYERS: Record<string, unknown>;
export declare function readBugs(): Bug[];
export declare function patchOf(name: string): string;
export declare function changedBy(patch: string): string[];
export declare function isQuick(bug: Bug): boolean;
export declare function rotating(bugs: Bug[], count: number, number: number): Bug[];
export declare function judge(runs: ProgramRun[], bug: Pick<Bug, "layer" | "hangs">): { caught: boolean; why: string };
