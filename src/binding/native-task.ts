/** Tasks of the addon, each in a thread of its own, as promises. */
import type { StoreError } from "../errors.ts";
import type { EngineTask, TaskProgress } from "./contract.ts";

/** What the addon exports for them (native/napi/src/upkeep.rs). */
export interface TaskAddon {
  readonly EVENT_PROGRESS: number;
  readonly EVENT_FAILED: number;
  readonly EVENT_DONE: number;
  stopTask(task: number): void;
}

export type TaskEvent = (kind: number, done: number, total: number, text: string | null) => void;

/** Starts a task, and keeps the process alive until it is at its end: the addon's events do not. */
export function runTask<T>(
  addon: TaskAddon,
  onProgress: TaskProgress,
  toError: (json: string) => StoreError,
  start: (onEvent: TaskEvent) => number,
): EngineTask<T> {
  let task: number | undefined;
  const done = new Promise<T>((resolve, reject) => {
    const hold = setInterval(() => {}, 2 ** 31 - 1);
    const end = (): void => {
      task = undefined;
      clearInterval(hold);
    };
    try {
      task = start((kind, first, second, text) => {
        if (kind === addon.EVENT_PROGRESS) {
          onProgress(text ?? "", first, second);
        } else if (kind === addon.EVENT_DONE) {
          end();
          resolve(JSON.parse(text ?? "null") as T);
        } else if (kind === addon.EVENT_FAILED) {
          end();
          reject(toError(text ?? "{}"));
        }
      });
    } catch (error) {
      end();
      reject(error);
    }
  });
  return {
    done,
    stop: () => {
      if (task !== undefined) addon.stopTask(task);
    },
  };
}
