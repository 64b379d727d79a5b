import { totalmem } from "node:os";
import { describe, expect, it } from "vitest";
import { DEFAULT_LIMITS, heldBytesWithin } from "../../../src/transport/limits.ts";

const GIB = 1_073_741_824;

describe("what connections may hold", () => {
  it("is a quarter of what the process may have, where that is less than the machine has", () => {
    expect(heldBytesWithin({ process: GIB, machine: 64 * GIB })).toBe(GIB / 4);
    expect(heldBytesWithin({ process: 64 * GIB, machine: GIB })).toBe(GIB / 4);
  });

  it("is a quarter of what the machine has, where nothing is said of the process", () => {
    // Node.js says so in three ways, by version and system.
    for (const none of [0, undefined, 2 ** 64]) expect(heldBytesWithin({ process: none, machine: GIB })).toBe(GIB / 4);
  });

  it("is half a GiB at most", () => {
    expect(heldBytesWithin({ process: 0, machine: 64 * GIB })).toBe(GIB / 2);
    const here = { process: process.constrainedMemory(), machine: totalmem() };
    expect(DEFAULT_LIMITS.maxHeldBytes).toBe(heldBytesWithin(here));
  });
});
