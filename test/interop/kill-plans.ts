/** Plans of stores whose process is killed while it writes them, made from a seed alone. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import type { StoreOptions } from "../../src/index.ts";
import { Dice } from "./dice.ts";
import type { Line } from "./oracle.ts";

/** How a process ends: closes the store, is killed, or is killed together with the power (power-cut.ts). */
export type LifeEnd = "close" | "kill" | "cut";

/** What test/faults/killed-child.mjs is told, beside where the store is. */
export interface Life {
  seed: number;
  /** Number of the process, from 0. */
  life: number;
  end: LifeEnd;
  /** Killed so long after its first message. */
  afterMs: number;
  diceSeed: number;
  options: StoreOptions;
  /** Bytes of the log between two queue checkpoints. */
  checkpointBytes: number;
  queues: number;
  /** At most so many. */
  messages: number;
  /** Milliseconds that the store's clock moves between two calls, and that pass in truth, at most. */
  stepMs: number;
  paceMs: number;
  startTime: number;
  /** Name of the addon's file. */
  addon: string;
}

export interface KillPlan {
  seed: number;
  line: Line;
  /** One process after another; the last is killed, and RocketMQ is next. */
  lives: Life[];
}

const HOUR_MS = 3_600_000;

const ENGINES = ["native", "wasm"] as const;

/** The engine of each process: what MORAINE_ENGINE says, or by turns. */
function engineOf(seed: number, life: number): (typeof ENGINES)[number] {
  const asked = ENGINES.find((name) => name === process.env.MORAINE_ENGINE);
  return asked ?? (ENGINES[(seed + life) % ENGINES.length] as (typeof ENGINES)[number]);
}

const [addon] = readdirSync(join(import.meta.dirname, "../../prebuilds")).filter((name) => name.endsWith(".node"));

/**
 * The plan of a seed. The clock runs fast, so that RocketMQ's recovery, which goes back three seconds, finds old segments to rely on.
 * As many queue files as RocketMQ looks at when it recovers (three) hold more than is put between two checkpoints.
 */
export function killPlan(seed: number, line: Line): KillPlan {
  const dice = new Dice(seed);
  const options: StoreOptions = {
    flush: dice.one(["async", "async", "sync"]),
    flushIntervalMs: dice.one([1, 5, 20]),
    segmentBytes: dice.one([131_072, 262_144, 524_288]),
    queueFileEntries: dice.one([200, 400]),
    indexSlots: 64,
    indexEntries: 256,
    recordCrc: dice.chance(0.7),
    compat: line === "4" ? "4.9" : "5",
  };
  const shape = {
    seed,
    options,
    checkpointBytes: dice.one([16_384, 65_536, 131_072]),
    queues: dice.from(1, 4),
    stepMs: dice.one([2000, 200, 0]),
    addon: String(addon),
  };
  const started = Date.now() - 20 * HOUR_MS;
  const count = dice.one([1, 1, 2, 3]);
  const lives = Array.from({ length: count }, (_, life): Life => {
    const isLast = life === count - 1;
    return {
      ...shape,
      options: { ...options, engine: engineOf(seed, life) },
      life,
      end: isLast ? dice.one(["kill", "kill", "cut"]) : dice.one(["close", "kill", "cut"]),
      afterMs: dice.from(0, 500),
      diceSeed: dice.from(1, 2 ** 31),
      messages: Math.floor(3000 / count),
      paceMs: dice.one([0, 1, 4]),
      startTime: started + life * HOUR_MS,
    };
  });
  return { seed, line, lives };
}
