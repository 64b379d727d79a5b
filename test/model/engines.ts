/** Which engines a run of the model tests is about: MORAINE_MODEL_ENGINE, or the one of MORAINE_ENGINE. */
import { ENGINE, type EngineName } from "../contract/engine.ts";

const FORMS: Readonly<Record<string, readonly EngineName[]>> = {
  native: ["native"],
  wasm: ["wasm"],
  alternating: ["native", "wasm"],
};

const form: string = process.env.MORAINE_MODEL_ENGINE ?? ENGINE;

/** Of each opening one of these, whichever had the store before. */
export const ENGINES: readonly EngineName[] = enginesOf(form);

/** How `npm run model` is told of it. */
export const ENGINE_OPTION: string = `--engine ${form}`;

function enginesOf(name: string): readonly EngineName[] {
  const engines = FORMS[name];
  if (engines !== undefined) return engines;
  throw new Error(`MORAINE_MODEL_ENGINE is ${name}; it must be one of ${Object.keys(FORMS).join(", ")}`);
}

/** The engine at a place of any number. */
export function engineAt(place: number): EngineName {
  return ENGINES[place % ENGINES.length] as EngineName;
}
