/** A scenario: what is done with a client, and what must come of it. */
import type { ClientName } from "../clients/programs.ts";
import type { Facts } from "./facts.ts";
import type { Scene } from "./scene.ts";
import type { Settings, StartSubject } from "./subject.ts";

export interface Scenario {
  readonly name: string;
  /** Part of `npm test`; the others only with `--all`. */
  readonly core: boolean;
  /** Clients that can do it; default: all. */
  readonly clients?: readonly ClientName[];
  /** Broker options it needs, or that it stops the broker: then it has a broker of its own. */
  readonly own?: Settings;
  /** What it starts for itself, where that is more than the broker that all are run against. Only our broker has it. */
  readonly start?: StartSubject;
  /** Throws if anything is not as it must be. Returns what two brokers are compared by. */
  run(scene: Scene): Promise<Facts>;
}

export const JAVA: readonly ClientName[] = ["java-5.4.0", "java-5.3.3", "java-4.9.8"];

export const GO: ClientName = "go-2.1.2";
export const RUST: ClientName = "rust-1.0.0";
