/** A store of the addon without the TypeScript side. */
import type { Addon } from "../../src/binding/addon.ts";
import { smallStore } from "./binding-options.ts";

export interface RawStore {
  readonly handle: number;
  /** Resolves once the addon has told of it. */
  close(): Promise<void>;
}

export function openRaw(addon: Addon, directory: string): Promise<RawStore> {
  let onClosed: () => void = () => {};
  return new Promise((resolve, reject) => {
    const hold = setInterval(() => {}, 1000);
    const handle = addon.open(directory, smallStore, (kind, _first, _second, text) => {
      if (kind === addon.EVENT_CLOSED) onClosed();
      if (kind !== addon.EVENT_OPENED && kind !== addon.EVENT_FAILED) return;
      clearInterval(hold);
      if (kind === addon.EVENT_OPENED) resolve({ handle, close });
      else reject(new Error(text ?? ""));
    });
    const close = (): Promise<void> =>
      new Promise((closed) => {
        onClosed = closed;
        addon.close(handle);
      });
  });
}
