export class WarmMemory {
  hold(bytes: number): Promise<number>;
  release(): Promise<void>;
}
