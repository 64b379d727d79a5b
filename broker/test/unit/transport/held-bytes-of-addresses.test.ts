/** Which connection goes when all hold too much. */
import { beforeEach, describe, expect, it } from "vitest";
import { HeldBytes, type Holder } from "../../../src/transport/held-bytes.ts";
import { KeptLog } from "./peer.ts";

const KB = 1000;
const MB = 1_000_000;

let held: HeldBytes;
let log: KeptLog;

class Peer implements Holder {
  static #ids = 0;
  readonly id: number = ++Peer.#ids;
  readonly remote: { address: string; port: number };
  readonly isSameMachine: boolean;
  heldBytes = 0;
  isClosed = false;

  constructor(address: string, isSameMachine = false) {
    this.remote = { address, port: 40_000 + this.id };
    this.isSameMachine = isSameMachine;
    held.join(this);
  }

  holds(bytes: number): void {
    if (this.isClosed) return;
    this.#change(bytes - this.heldBytes);
  }

  /** What its handlers have not done with, after its end. */
  keeps(bytes: number): void {
    this.#change(bytes - this.heldBytes);
  }

  close(): void {
    this.isClosed = true;
    this.#change(-this.heldBytes);
    held.leave(this);
  }

  #change(change: number): void {
    this.heldBytes += change;
    held.changed(this, change, log);
  }
}

const peers = (count: number, address: string, bytes: number, isSameMachine = false): Peer[] =>
  Array.from({ length: count }, () => {
    const peer = new Peer(address, isSameMachine);
    peer.holds(bytes);
    return peer;
  });
const closed = (all: readonly Peer[]) => all.filter(({ isClosed }) => isClosed).length;

beforeEach(() => {
  held = new HeldBytes(20 * MB);
  log = new KeptLog();
});

describe("where all connections hold too much", () => {
  it("many that hold little are those of their address, and one that holds much of another stays", () => {
    const many = peers(250, "10.0.0.6", 90 * KB);
    expect(closed(many)).toBe(28);
    const honest = new Peer("10.0.0.1");
    for (let round = 0; round < 50; round++) {
      honest.holds(MB);
      for (const peer of many) if (!peer.isClosed) peer.holds(90 * KB + (round % 2));
      honest.holds(0);
    }
    expect(honest.isClosed).toBe(false);
    expect(closed(many)).toBe(39);
  });

  it("the one of the address goes that holds most, and no more of them than needed", () => {
    const [small, large, other] = [...peers(2, "10.0.0.6", 6 * MB), ...peers(1, "10.0.0.1", 7 * MB)];
    large?.holds(7 * MB);
    expect([small, large, other].map((peer) => peer?.isClosed)).toEqual([false, false, false]);
    other?.holds(8 * MB);
    expect([small, large, other].map((peer) => peer?.isClosed)).toEqual([false, true, false]);
    expect(log.lines).toMatchObject([
      {
        level: "warn",
        facts: {
          connection: large?.id,
          remote: { address: "10.0.0.6" },
          bytes: 7 * MB,
          ofAddress: 13 * MB,
          all: 21 * MB,
        },
      },
    ]);
  });

  it("as many go as hold the excess", () => {
    const many = peers(100, "10.0.0.6", 150 * KB);
    const [other] = peers(1, "10.0.0.1", 10 * MB);
    expect([closed(many), other?.isClosed]).toEqual([34, false]);
  });

  it("connections of the broker's own machine are each for itself", () => {
    const own = peers(150, "127.0.0.1", 100 * KB, true);
    const [other] = peers(1, "10.0.0.1", 6 * MB);
    expect([closed(own), other?.isClosed]).toEqual([0, true]);
  });

  it("an address answers for those that are gone, and whose requests are still under way", () => {
    for (const gone of peers(15, "10.0.0.6", MB)) {
      gone.close();
      gone.keeps(MB);
    }
    const [last] = peers(1, "10.0.0.6", 100 * KB);
    const [other] = peers(1, "10.0.0.1", 4.95 * MB);
    expect([last?.isClosed, other?.isClosed]).toEqual([true, false]);
    other?.holds(5.1 * MB);
    expect(other?.isClosed).toBe(true);
  });

  it("one address a change goes, whatever requests of closed connections hold", () => {
    const others = ["10.0.0.1", "10.0.0.2", "10.0.0.3"].flatMap((address, n) => peers(1, address, (n + 1) * 10 * KB));
    for (let count = 0; count < 20; count++) {
      const [gone] = peers(1, "10.0.0.6", MB);
      gone?.close();
      gone?.keeps(MB);
    }
    expect(others.map(({ isClosed }) => isClosed)).toEqual([false, false, true]);
  });

  it("nothing is left of who has gone", () => {
    for (let round = 0; round < 100; round++) for (const peer of peers(10, `10.0.1.${round}`, MB)) peer.close();
    for (const peer of peers(10, "127.0.0.1", MB, true)) peer.close();
    expect(held.accounts).toBe(0);
    expect(log.lines).toEqual([]);
  });
});
