export interface Outcome {
  passed: string[];
  failed: { name: string; why: string }[];
  notRun: string[];
}

export interface Count {
  passed: number;
  failed: number;
  notRun: number;
}

/** What of an installed package the example needs. */
export interface Project {
  project: string;
  runModule(): { status: number | null; signal: string | null; stdout: string; stderr: string };
}

export declare function example(installed: Project, command: readonly string[], env: Record<string, string>): Count;
export declare function runFile(
  project: string,
  file: string,
  absent: readonly string[],
  command: readonly string[],
  env: Record<string, string>,
): Promise<Outcome>;
