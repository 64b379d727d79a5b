import { expect, test } from "vitest";
import { delayLevelOf } from "../../../../src/processors/messages/delays.ts";

test.each([
  [undefined, 0],
  ["0", 0],
  ["-1", 0],
  ["1", 1],
  ["4", 4],
  ["5", 4],
])("DELAY %j asks for %i", (property, level) => {
  expect(delayLevelOf(property, 4)).toBe(level);
});

test.each(["", "2x", "9999999999"])("DELAY %j is none", (property) => {
  expect(() => delayLevelOf(property, 4)).toThrow("it must be an int");
});
