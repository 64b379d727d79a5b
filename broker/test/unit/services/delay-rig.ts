/** A store whose delayed messages are delivered, by a clock that the test moves. */
import type { Store } from "moraine";
import { printProperties } from "../../../src/protocol/message-properties.ts";
import { delaysOf, waitingPlace } from "../../../src/services/delay-levels.ts";
import { DelayService } from "../../../src/services/delay-service.ts";
import { DelayOffsets } from "../../../src/tables/delay-offsets.ts";
import { Logged, ManualClock, newFolder, open } from "./rig.ts";

export interface DelayRig {
  readonly store: Store;
  readonly clock: ManualClock;
  readonly log: Logged;
  readonly offsets: DelayOffsets;
  readonly service: DelayService;
}

export async function delayRig(levels: string): Promise<DelayRig> {
  const clock = new ManualClock();
  const store = await open(newFolder(), { delayLevels: levels, clock: () => clock.now() });
  const log = new Logged();
  const topics = { create: async <T>(config: T) => config };
  const offsets = new DelayOffsets(store);
  const service = new DelayService({ store, topics, offsets, delays: delaysOf(levels), log, clock });
  return { store, clock, log, offsets, service };
}

/** A message for queue 2 of a topic that waits for its level's time. */
export function putDelayed(store: Store, body: string, given: { topic?: string; level?: number } = {}): void {
  const { topic = "orders", level = 1 } = given;
  const place = waitingPlace({ topic, queueId: 2, properties: printProperties([["DELAY", String(level)]]) }, level);
  store.put({ ...place, properties: Buffer.from(place.properties), body: Buffer.from(body) });
}
