/** What all connections of a process hold together. */
import { describe, expect, it } from "vitest";
import type { Response } from "../../../src/protocol/command.ts";
import type { Handler } from "../../../src/transport/connection.ts";
import { HeldBytes } from "../../../src/transport/held-bytes.ts";
import { int32 } from "../protocol/bytes.ts";
import { until } from "./peer.ts";
import { Bench, ok } from "./serving.ts";

const bench = Bench.forEach();
const { serve, connect } = bench;

const MB = 1_000_000;
/** A frame that is not whole. */
const partial = (bytes: number) => Buffer.concat([int32(10 * MB), int32(10), Buffer.alloc(bytes)]);
const warnings = () => bench.log.lines.filter(({ level }) => level === "warn");

describe("all connections together", () => {
  it("hold so much; the one that holds most goes", async () => {
    const running = await serve({ handlers: { 1: ok }, limits: { maxHeldBytes: 3 * MB } });
    const small = await Promise.all([connect(running), connect(running)]);
    for (const peer of small) peer.socket.write(partial(0.1 * MB));
    const large = await connect(running);
    large.socket.write(partial(5 * MB));
    await large.closed;
    const [other] = small;
    expect(small.map(({ isClosed }) => isClosed)).toEqual([false, false]);
    other?.end();
    const fine = await connect(running);
    fine.send(1, 1);
    await fine.has(1);
  });

  it("give back what they held", async () => {
    const running = await serve({
      handlers: { 1: ok, 2: async () => ({ code: 0 }) },
      limits: { maxHeldBytes: 0.4 * MB },
    });
    for (let round = 0; round < 5; round++) {
      const peer = await connect(running);
      for (let opaque = 1; opaque <= 20; opaque++) peer.send(1 + (opaque % 2), opaque, {}, Buffer.alloc(0.1 * MB));
      await peer.has(20);
      peer.socket.write(partial(0.09 * MB));
      peer.end();
      await peer.closed;
    }
    expect(warnings()).toEqual([]);
  });

  it("hold what waits for peers that do not read, each of them below the mark from which on it is not read", async () => {
    const body = Buffer.alloc(MB);
    const running = await serve({
      handlers: { 1: () => ({ code: 0, body }) },
      limits: { writeHighWaterBytes: 1000 * MB, maxHeldBytes: 20 * MB },
    });
    const peers = await Promise.all([connect(running), connect(running)]);
    const reading = await connect(running);
    await until(() => running.connections.size === 3);
    for (const peer of peers) {
      peer.socket.pause();
      for (let opaque = 1; opaque <= 60; opaque++) peer.send(1, opaque);
    }
    await until(() => running.connections.size === 1);
    expect(warnings().map(({ sentence }) => sentence)).toEqual(
      Array(2).fill("a connection is closed: all of them hold too much"),
    );
    reading.send(1, 1);
    await reading.has(1);
  });

  it("hold what nobody has asked for, too", async () => {
    const running = await serve({
      handlers: {},
      limits: { writeHighWaterBytes: 1000 * MB, maxHeldBytes: 20 * MB },
    });
    const peer = await connect(running);
    peer.socket.pause();
    await until(() => running.connections.size === 1);
    const [connection] = running.connections;
    const body = Buffer.alloc(MB);
    for (let count = 0; count < 60; count++) connection?.notify(40, {}, body);
    expect(warnings()).toHaveLength(1);
    expect(connection?.isOpen).toBe(false);
  });

  it("do not hold what was taken", async () => {
    const body = Buffer.alloc(MB);
    const running = await serve({ handlers: { 1: () => ({ code: 0, body }) }, limits: { maxHeldBytes: 5 * MB } });
    for (let count = 0; count < 10; count++) {
      const peer = await connect(running);
      peer.send(1, 1);
      await peer.has(1);
    }
    expect(running.connections.size).toBe(10);
    expect(warnings()).toEqual([]);
  });

  it("hold requests that handlers have not done with, though their peers are gone", async () => {
    const settle: (() => void)[] = [];
    const running = await serve({
      handlers: { 1: () => new Promise<Response>((resolve) => settle.push(() => resolve({ code: 0 }))) },
      limits: { maxHeldBytes: 5 * MB },
    });
    const leaveTwo = async (before: number) => {
      const peer = await connect(running);
      for (const opaque of [1, 2]) peer.send(1, opaque, {}, Buffer.alloc(MB));
      await until(() => settle.length === before + 2 || peer.isClosed);
      peer.end();
      await until(() => running.connections.size === 0);
    };
    for (const before of [0, 2]) await leaveTwo(before);
    expect(warnings()).toEqual([]);
    await leaveTwo(4);
    expect(warnings()).toHaveLength(1);
    for (const one of settle.splice(0)) one();
    await leaveTwo(0);
    expect(warnings()).toHaveLength(1);
  });

  it("are those of all servers of a process", async () => {
    const held = new HeldBytes(3 * MB);
    let asked = 0;
    const waiting: Handler = (_, { signal }) => {
      asked++;
      return new Promise((resolve) => signal.addEventListener("abort", () => resolve(undefined)));
    };
    const servers = [
      await serve({ handlers: { 1: waiting }, held }),
      await serve({ handlers: { 1: ok }, held }),
    ] as const;
    const large = await connect(servers[0]);
    large.send(1, 1, {}, Buffer.alloc(2.5 * MB));
    await until(() => asked === 1);
    const small = await connect(servers[1]);
    small.send(1, 1, {}, Buffer.alloc(MB));
    await large.closed;
    await small.has(1);
    expect(small.isClosed).toBe(false);
  });
});
