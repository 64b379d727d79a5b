/** What the store tells by itself, for the log: its engine, what was found when it was opened, that it takes no more messages. */
import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { resolve } from "node:path";
import type { EngineDiagnostics, PoisonDiagnostics, RecoveryDiagnostics } from "moraine";
import type { Log } from "./log.ts";

/** Returns what ends it. `path` is that of the store: there may be others in the process. */
export function logStoreEvents(path: string, log: Log): () => void {
  const own = resolve(path);
  const listeners: readonly (readonly [channel: string, listener: (message: unknown) => void])[] = [
    [
      "moraine:engine",
      (message) => {
        // Of the process: it has one store.
        const { engine, attempts } = message as EngineDiagnostics;
        log.warn({ engine, attempts }, "the native engine is not there; a slower one takes its place");
      },
    ],
    [
      "moraine:recovery",
      (message) => {
        const { path: store, phase, clean, findings = [] } = message as RecoveryDiagnostics;
        if (store !== own || phase !== "opened" || (clean === true && findings.length === 0)) return;
        log.warn({ clean, findings }, "the store was not closed, and was recovered");
      },
    ],
    [
      "moraine:poison",
      (message) => {
        const { path: store, error } = message as PoisonDiagnostics;
        if (store === own) log.error({ err: error }, "the store takes no more messages: start the broker again");
      },
    ],
  ];
  for (const [channel, listener] of listeners) subscribe(channel, listener);
  return () => {
    for (const [channel, listener] of listeners) unsubscribe(channel, listener);
  };
}
