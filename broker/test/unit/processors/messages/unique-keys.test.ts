import { expect, test } from "vitest";
import { UniqueKeys } from "../../../../src/processors/messages/unique-keys.ts";

test("ids have the form of RocketMQ's, and none comes twice", () => {
  const keys = new UniqueKeys({ address: "10.1.2.3", port: 10_911 }, 0x1_2345);
  const now = new Date(2026, 1, 3, 4, 5, 6).getTime();
  const all = Array.from({ length: 1000 }, () => keys.next(now));
  expect(new Set(all).size).toBe(1000);
  expect(all[0]).toMatch(/^0A0102032345[0-9A-F]{8}/);
  const milliseconds = now - new Date(2026, 1, 1).getTime();
  expect(all[0]?.slice(20, 28)).toBe(milliseconds.toString(16).toUpperCase().padStart(8, "0"));
  expect(keys.next(new Date(2026, 2, 1, 0, 0, 0, 5).getTime()).slice(20, 28)).toBe("00000005");
});
