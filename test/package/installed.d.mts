export interface Outcome {
  status: number | null;
  stdout: string;
  stderr: string;
}

export declare class InstalledPackage {
  readonly project: string;
  readonly packed: readonly string[];
  run(command: string, ...args: string[]): Outcome;
  runModule(source: string, command?: readonly string[], env?: Readonly<Record<string, string>>): Outcome;
  remove(): void;
}

export declare function readmeExample(): { source: string; output: string };
