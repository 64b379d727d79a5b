/** One store in several threads of a process: sharing it, and attaching to what was shared. */
import type { EngineStore } from "./binding/contract.ts";
import { loadEngine } from "./binding/load.ts";
import { Lifecycle } from "./lifecycle.ts";
import { engineOptions, type Opened, type StoreEvents } from "./opening.ts";
import type { Settings } from "./options.ts";

/** What a thread has to know of a store that it did not open. Functions stay where they are. */
interface Shared {
  readonly path: string;
  readonly settings: Omit<Settings, "onProgress" | "clock">;
}

/** The token that other threads take. */
export function shareStore(engine: EngineStore, { path }: Lifecycle, settings: Settings): string {
  const { onProgress: _onProgress, clock: _clock, ...rest } = settings;
  return engine.share(JSON.stringify({ path, settings: rest } satisfies Shared));
}

export async function attachStore(token: string, events: StoreEvents): Promise<Opened> {
  const engine = loadEngine(undefined);
  const { path, settings: shared } = JSON.parse(engine.sharedSettings(token)) as Shared;
  const settings: Settings = { ...shared, retention: shared.retention, onProgress: undefined, clock: undefined };
  const store = await engine.attach(token, path, engineOptions(settings), { onProgress: () => {}, ...events });
  const lifecycle = new Lifecycle(path, settings.readOnly);
  return { engineName: engine.name, engine: store, lifecycle, settings, isAttached: true };
}
