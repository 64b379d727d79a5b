import { type Store, StoreError } from "moraine";
import { expect, test, vi } from "vitest";
import { delayRig, putDelayed } from "./delay-rig.ts";
import type { ManualClock } from "./rig.ts";

const DELAY_MS = 1000;
const DEAD_LETTERS = "%DLQ%SCHEDULE_CONSUMER";
const TOLD = "error: a delayed message could not be delivered; it is tried again";

const rig = () => delayRig("1s");
const put = putDelayed;

const textOf = ({ body }: { body?: unknown }) => Buffer.from(body as Uint8Array).toString();
const bodies = (store: Store) => store.get("orders", 2, 0).messages.map(textOf);

/** Until it waits for a time. */
async function asleep(clock: ManualClock): Promise<void> {
  await vi.waitFor(() => expect(clock.wanted).toHaveLength(1), { interval: 1, timeout: 10_000 });
}

test("a message waits no less where the clock was set back before it came, as the store's times go on", async () => {
  const { store, clock, service } = await rig();
  const before = clock.now();
  put(store, "before");
  clock.advance(-600_000);
  put(store, "after");
  service.start();
  await asleep(clock);
  expect(store.offsets("orders", 2).max).toBe(0);
  // It looks at the clock from time to time.
  clock.advance(600_000);
  await asleep(clock);
  expect(clock.wanted).toEqual([before + DELAY_MS]);
  clock.advance(DELAY_MS);
  expect(await store.arrival("orders", 2, 1)).toBe(true);
  expect(bodies(store)).toEqual(["before", "after"]);
  await service.stop();
});

test("a disk that is full is tried every ten seconds with the first message alone, and told once a minute", async () => {
  const { store, clock, service, log } = await rig();
  for (const body of ["large", "small"]) put(store, body);
  clock.advance(DELAY_MS);
  const append = store.append.bind(store);
  let isFull = true;
  let tries = 0;
  store.append = (message, options) => {
    if (!isFull || textOf(message) === "small") return append(message, options);
    tries++;
    return Promise.reject(new StoreError("STORE_FULL", "for a test"));
  };
  service.start();
  for (let count = 0; count < 7; count++) {
    await asleep(clock);
    expect(clock.wanted).toEqual([clock.now() + 10_000]);
    clock.advance(10_000);
  }
  await asleep(clock);
  expect(tries).toBe(8);
  expect(log.lines).toEqual([TOLD, TOLD]);
  expect(store.offsets("orders", 2).max).toBe(0);
  isFull = false;
  clock.advance(10_000);
  await store.arrival("orders", 2, 1);
  expect(bodies(store)).toEqual(["large", "small"]);
  await service.stop();
});

test("a failure that comes back after a delivery is told again at once", async () => {
  const { store, clock, service, log } = await rig();
  const append = store.append.bind(store);
  let isFull = true;
  store.append = (message, options) =>
    isFull ? Promise.reject(new StoreError("STORE_FULL", "for a test")) : append(message, options);
  put(store, "first");
  clock.advance(DELAY_MS);
  service.start();
  await asleep(clock);
  expect(log.lines).toEqual([TOLD]);
  isFull = false;
  clock.advance(10_000);
  await store.arrival("orders", 2, 0);
  isFull = true;
  put(store, "second");
  await asleep(clock);
  clock.advance(DELAY_MS);
  await vi.waitFor(() => expect(clock.wanted).toEqual([clock.now() + 10_000]), { interval: 1, timeout: 10_000 });
  expect(log.lines).toEqual([TOLD, TOLD]);
  await service.stop();
});

test("messages that go to the dead letters are told so many times in ten seconds, however many they are", async () => {
  const { store, clock, service, log } = await rig();
  for (let count = 0; count < 100; count++) put(store, "lost", { topic: "no topic" });
  clock.advance(DELAY_MS);
  service.start();
  await store.arrival(DEAD_LETTERS, 0, 99);
  await service.stop();
  expect(log.lines).toHaveLength(20);
});
