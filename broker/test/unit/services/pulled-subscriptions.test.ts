import { expect, test } from "vitest";
import { buildSubscription } from "../../../src/protocol/subscription.ts";
import { PulledSubscriptions } from "../../../src/services/pulled-subscriptions.ts";

const sub = (topic: string, tags = "A || B", version = 1) => buildSubscription(topic, tags, "TAG", version);

function table(given: { maximum?: number; maxBytes?: number } = {}) {
  let time = 0;
  const pulled = new PulledSubscriptions({ now: () => time, expiryMs: () => 1000, ...given });
  return { pulled, pass: (ms: number) => (time += ms) };
}

test("equal ones are kept once, and the last one counts", () => {
  const { pulled } = table();
  const first = pulled.note("g", sub("t"));
  expect(pulled.note("g", sub("t"))).toBe(first);
  expect(pulled.get("g", "t")).toBe(first);
  expect(pulled.note("g", sub("t", "C"))).not.toBe(first);
  expect(pulled.get("g", "t")?.subString).toBe("C");
  expect([pulled.get("h", "t"), pulled.get("g", "u")]).toEqual([undefined, undefined]);
});

test("they are forgotten after a time, also those that nobody asks for", () => {
  const { pulled, pass } = table();
  pulled.note("g", sub("t"));
  pulled.note("g", sub("u"));
  pass(600);
  pulled.note("g", sub("t"));
  pass(600);
  expect([pulled.get("g", "t")?.topic, pulled.get("g", "u")]).toEqual(["t", undefined]);
  pulled.note("g", sub("v"));
  expect(pulled.size).toBe(2);
});

test("of more than fit, those go that were pulled with longest ago", () => {
  const { pulled } = table({ maximum: 3 });
  for (const topic of ["a", "b", "c", "a", "d"]) pulled.note("g", sub(topic));
  expect(["a", "b", "c", "d"].map((topic) => pulled.get("g", topic)?.topic)).toEqual(["a", undefined, "c", "d"]);
  const large = table({ maxBytes: 300_000 }).pulled;
  for (let i = 0; i < 100; i++) large.note("g", sub(`t${i}`, "x".repeat(50_000)));
  expect(large.size).toBe(2);
});
