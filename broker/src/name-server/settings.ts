import { forbiddenChanges, isOption, type NameServerOptions, readNameServerOptions } from "./options.ts";

/** The options as they are now: tools may change some while the name server runs. A restart has those of its start again. */
export class Settings {
  #given: Readonly<Record<string, unknown>>;
  #current: NameServerOptions;

  /** Throws a `RangeError` for a value that an option cannot have. */
  constructor(given: Readonly<Record<string, unknown>> = {}) {
    this.#given = given;
    this.#current = readNameServerOptions(given);
  }

  get current(): NameServerOptions {
    return this.#current;
  }

  /** All or nothing: the names that may not be changed, or none. Names that are no options are passed over. */
  update(changes: Readonly<Record<string, string>>): string[] {
    const forbidden = forbiddenChanges(this.#current, Object.keys(changes));
    if (forbidden.length > 0) return forbidden;
    const known = Object.fromEntries(Object.entries(changes).filter(([name]) => isOption(name)));
    const given = { ...this.#given, ...known };
    this.#current = readNameServerOptions(given);
    this.#given = given;
    return [];
  }
}
