import { describe, expect, it } from "vitest";
import { Admission } from "../../../src/transport/admission.ts";

describe("admission", () => {
  const take = (admission: Admission, address: string, count: number, isSameMachine = false): number =>
    Array.from({ length: count }, () => admission.take(address, isSameMachine)).filter(Boolean).length;

  it("one other machine takes so many places, and leaves room for others", () => {
    const admission = new Admission({ maxConnections: 10, maxConnectionsOfAddress: 4 });
    expect(take(admission, "10.0.0.1", 9)).toBe(4);
    expect(take(admission, "10.0.0.2", 3)).toBe(3);
    expect(take(admission, "127.0.0.1", 9, true)).toBe(3);
    expect(take(admission, "10.0.0.3", 1)).toBe(0);
  });

  it("a place is given back, once", () => {
    const admission = new Admission({ maxConnections: 5, maxConnectionsOfAddress: 2 });
    for (let round = 0; round < 10; round++) {
      expect(take(admission, "10.0.0.1", 3)).toBe(2);
      expect(take(admission, "127.0.0.1", 9, true)).toBe(3);
      for (const address of ["10.0.0.1", "10.0.0.1", "127.0.0.1", "127.0.0.1", "127.0.0.1"]) admission.leave(address);
    }
  });
});
