import { StoreError } from "moraine";
import { expect, test, vi } from "vitest";
import { brokerHandlers } from "../../src/handlers.ts";
import { RequestCode, ResponseCode } from "../../src/protocol/codes.ts";
import { delaysOf } from "../../src/services/delay-levels.ts";
import { DelayService } from "../../src/services/delay-service.ts";
import { HeldPulls } from "../../src/services/held-pulls.ts";
import { LogExpiry } from "../../src/services/log-expiry.ts";
import { PULL_FIELDS } from "./processors/message-rig.ts";
import { Rig } from "./processors/rig.ts";
import { KeptLog } from "./transport/peer.ts";

test("what any request can cause is logged so many times in ten seconds", async () => {
  const rig = await Rig.open();
  const { store, config, topics, delayOffsets: offsets } = rig;
  const log = new KeptLog();
  const { health, configuration, groups, producers, consumers, locks, statistics } = rig;
  const tables = { topics, groups, offsets: rig.offsets, delayOffsets: offsets };
  const heldPulls = new HeldPulls(store, 10);
  const delays = new DelayService({ store, topics, offsets, delays: delaysOf(config.messageDelayLevel), log });
  const expiry = new LogExpiry({ store, config, log });
  const services = { producers, consumers, locks, heldPulls, delays, expiry, statistics };
  rig.serve(brokerHandlers({ store, health, configuration, ...tables, ...services, startedAt: 0, log }));
  await rig.topic("orders");
  const damage = () => new StoreError("STORE_CORRUPT", "for a test", { details: { nextOffset: 1 } });
  vi.spyOn(store, "fetch").mockImplementation(() => Promise.reject(damage()));
  for (let count = 0; count < 100; count++) {
    const { code } = await rig.ask(RequestCode.PULL_MESSAGE, { ext: PULL_FIELDS });
    expect(code).toBe(ResponseCode.PULL_RETRY_IMMEDIATELY);
  }
  expect(log.lines.map(({ sentence }) => sentence)).toEqual(new Array(20).fill("a damaged message is passed over"));
  await rig.close();
});
