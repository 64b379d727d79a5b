/** What a peer may cost a server, and what goes wrong in writing to one. */
import { describe, expect, it } from "vitest";
import type { Response } from "../../../src/protocol/command.ts";
import { encodeRequest } from "../../../src/protocol/frame.ts";
import type { Connection } from "../../../src/transport/connection.ts";
import { int32, jsonFrame } from "../protocol/bytes.ts";
import { until } from "./peer.ts";
import { Bench, collectGarbage, ok } from "./serving.ts";

const bench = Bench.forEach();
const { serve, connect } = bench;

describe("what goes wrong in writing", () => {
  const answering = async (response: Response, serialization: "json" | "binary") => {
    const running = await serve({ handlers: { 1: () => response, 2: async () => response, 3: ok } });
    const peer = await connect(running);
    for (const code of [1, 2, 3]) {
      peer.socket.write(Buffer.concat(encodeRequest({ code, opaque: code, serialization })));
      await peer.has(code);
    }
    return peer.received.map(({ code, remark }) => [code, remark ?? ""]);
  };

  it("an answer that cannot be written says so, and neither the connection nor the process ends", async () => {
    const answers = await answering({ code: 0, ext: { ["n".repeat(40_000)]: "v" } }, "binary");
    expect(answers.map(([code]) => code)).toEqual([1, 1, 0]);
    expect(answers[0]?.[1]).toMatch(/cannot be written: a field's name has 40000 bytes/);
  });

  it("an answer that no client takes is an error", async () => {
    const answers = await answering({ code: 0, body: Buffer.alloc(16_777_216) }, "json");
    expect(answers.map(([code]) => code)).toEqual([1, 1, 0]);
    expect(answers[0]?.[1]).toMatch(/a frame would have 16777\d+ bytes/);
  });

  it("a request of ours that cannot be written harms nobody", async () => {
    const long = { long: "x".repeat(17_000_000) };
    const rejected: unknown[] = [];
    const running = await serve({
      handlers: {
        1: async (_, { connection }) => {
          connection.notify(40, long);
          await connection.invoke(40, long, undefined, 1000).catch((error: unknown) => rejected.push(error));
          return { code: 0 };
        },
      },
    });
    const peer = await connect(running);
    peer.send(1, 1);
    expect(await peer.has(1)).toMatchObject([{ code: 0 }]);
    expect(rejected).toEqual([expect.any(RangeError)]);
  });
});

describe("bodies", () => {
  it("are as large as their code allows", async () => {
    const running = await serve({ handlers: { 1: ok, 2: ok }, maxBodyBytes: (code) => code * 1000 });
    const peer = await connect(running);
    for (const [code, bytes] of [
      [1, 1000],
      [1, 1001],
      [2, 1001],
      [2, 2001],
    ] as const) {
      peer.send(code, bytes, {}, Buffer.alloc(bytes));
    }
    const answers = await peer.has(4);
    expect(answers.map(({ code }) => code)).toEqual([0, 1, 0, 1]);
    expect(answers[1]?.remark).toBe("a request 1 has a body of at most 1000 bytes, and this one of 1001");
  });
});

describe("bounds", () => {
  it.each([
    ["a frame that is too long", int32(0x0200_0000), /a frame of 33554432 bytes/],
    ["HTTP", Buffer.from("GET / HTTP/1.1\r\n\r\n"), /a frame of/],
    ["TLS", Buffer.from([0x16, 3, 1, 2, 0, 1]), /TLS is not supported/],
    ["a header that is none", jsonFrame("{"), /not JSON/],
  ])("%s ends its connection with a reason, and no other", async (_, bytes, reason) => {
    const running = await serve({ handlers: { 1: ok } });
    const [wrong, right] = [await connect(running), await connect(running)];
    wrong.socket.write(bytes);
    await wrong.closed;
    expect(bench.log.reasons.some((line) => reason.test(line))).toBe(true);
    right.send(1, 1);
    expect(await right.has(1)).toHaveLength(1);
  });

  it("of so many requests under way no more are read, and read again when some are answered", async () => {
    const waiting: (() => void)[] = [];
    const running = await serve({
      handlers: { 1: () => new Promise<Response>((resolve) => waiting.push(() => resolve({ code: 0 }))) },
      limits: { maxUnderWay: 5 },
    });
    const peer = await connect(running);
    for (let opaque = 1; opaque <= 23; opaque++) peer.send(1, opaque);
    let most = 0;
    while (peer.received.length < 23) {
      await until(() => waiting.length > 0);
      await new Promise((resolve) => setTimeout(resolve, 5));
      most = Math.max(most, waiting.length);
      const answered = peer.received.length;
      const settled = waiting.splice(0);
      for (const settle of settled) settle();
      await peer.has(answered + settled.length);
    }
    expect(most).toBe(5);
    expect(new Set(peer.received.map(({ opaque }) => opaque)).size).toBe(23);
  });

  it("of so many bytes under way, too", async () => {
    const waiting: (() => void)[] = [];
    const running = await serve({
      handlers: { 1: () => new Promise<Response>((resolve) => waiting.push(() => resolve({ code: 0 }))) },
      limits: { maxUnderWayBytes: 100_000 },
    });
    const peer = await connect(running);
    for (let opaque = 1; opaque <= 6; opaque++) peer.send(1, opaque, {}, Buffer.alloc(60_000));
    await until(() => waiting.length === 2);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(waiting).toHaveLength(2);
    while (peer.received.length < 6) {
      for (const settle of waiting.splice(0)) settle();
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  });

  it("whoever does not read is not read from, and all of it comes once it reads", async () => {
    let asked = 0;
    const body = Buffer.alloc(100_000);
    const running = await serve({
      handlers: {
        1: () => {
          asked++;
          return { code: 0, body };
        },
      },
      limits: { writeHighWaterBytes: 500_000 },
    });
    const peer = await connect(running);
    peer.socket.pause();
    for (let opaque = 1; opaque <= 400; opaque++) peer.send(1, opaque);
    await until(() => asked > 0);
    await new Promise((resolve) => setTimeout(resolve, 100));
    // What the system's buffers take, and what may wait.
    expect(asked).toBeLessThan(200);
    peer.socket.resume();
    expect(await peer.has(400)).toHaveLength(400);
    expect(asked).toBe(400);
  });

  it("whoever does not read for long is closed with a reason", async () => {
    const running = await serve({
      handlers: { 1: () => ({ code: 0, body: Buffer.alloc(2_000_000) }) },
      limits: { writeHighWaterBytes: 1_000_000, slowReaderMs: 50 },
    });
    const peer = await connect(running);
    peer.socket.pause();
    for (let opaque = 1; opaque <= 50; opaque++) peer.send(1, opaque);
    await until(() => running.connections.size === 0);
    expect(bench.log.reasons.some((reason) => /reads nothing/.test(reason))).toBe(true);
  });

  it("whoever reads is never closed for how much waits for it, nor for reading slowly", async () => {
    const waiting: (() => void)[] = [];
    const body = Buffer.alloc(4_000_000);
    const running = await serve({
      handlers: { 1: () => new Promise<Response>((resolve) => waiting.push(() => resolve({ code: 0, body }))) },
      limits: { slowReaderMs: 500, writeHighWaterBytes: 100_000 },
    });
    const peer = await connect(running);
    for (let opaque = 1; opaque <= 20; opaque++) peer.send(1, opaque);
    await until(() => waiting.length === 20);
    // Less than all in each interval of half a second.
    let taken = 0;
    peer.socket.on("data", (chunk: Buffer) => {
      taken += chunk.length;
      if (taken < 1_000_000) return;
      taken = 0;
      peer.socket.pause();
      setTimeout(() => peer.socket.resume(), 30);
    });
    for (const settle of waiting) settle();
    const answers = await peer.has(20);
    expect(answers.every((answer) => answer.body.length === 4_000_000)).toBe(true);
    expect(bench.log.lines.filter(({ level }) => level === "warn")).toEqual([]);
  });

  it("handlers can wait until the peer has taken what is there for it", async () => {
    const waits: (Promise<void> | undefined)[] = [];
    let connection: Connection | undefined;
    const running = await serve({
      handlers: {
        1: (_, context) => {
          connection = context.connection;
          waits.push(connection.writable());
          return { code: 0, body: Buffer.alloc(15_000_000) };
        },
      },
    });
    const peer = await connect(running);
    peer.socket.pause();
    peer.send(1, 1);
    await until(() => waits.length === 1);
    expect(waits[0]).toBeUndefined();
    await new Promise((resolve) => setTimeout(resolve, 20));
    let isWritable = false;
    const waiting = connection?.writable()?.then(() => {
      isWritable = true;
    });
    expect(waiting).toBeInstanceOf(Promise);
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(isWritable).toBe(false);
    peer.socket.resume();
    await waiting;
    expect(connection?.writable()).toBeUndefined();
  });

  it("whoever waits for a peer goes on when that is gone", async () => {
    let connection: Connection | undefined;
    const running = await serve({
      handlers: {
        1: (_, context) => {
          connection = context.connection;
          return { code: 0, body: Buffer.alloc(15_000_000) };
        },
      },
    });
    const peer = await connect(running);
    peer.socket.pause();
    peer.send(1, 1);
    await until(() => connection?.writable() !== undefined);
    const waiting = connection?.writable();
    peer.end();
    await waiting;
    await until(() => running.connections.size === 0);
    expect(connection?.writable()).toBeUndefined();
  });

  it("all answers leave before a server that stops closes a connection", async () => {
    const running = await serve({ handlers: { 1: () => ({ code: 0, body: Buffer.alloc(3_000_000) }) } });
    const peer = await connect(running);
    for (let opaque = 1; opaque <= 3; opaque++) peer.send(1, opaque);
    await peer.has(1);
    // Without anybody who waits for the end of the grace.
    await running.close(3_600_000);
    expect(await peer.has(3)).toHaveLength(3);
  }, 10_000);

  it("requests under way cost their headers, too", async () => {
    let asked = 0;
    const running = await serve({
      handlers: {
        1: () => {
          asked++;
          return new Promise<Response>(() => undefined);
        },
      },
      limits: { maxUnderWayBytes: 4_000_000 },
    });
    const peer = await connect(running);
    for (let opaque = 1; opaque <= 100; opaque++) peer.send(1, opaque, { long: "x".repeat(200_000) });
    await until(() => asked >= 10);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(asked).toBe(10);
  });

  it("a request under way keeps no byte of its header or body, once its handler has let go of it", async () => {
    const kept: WeakRef<object>[] = [];
    const settle: (() => void)[] = [];
    const running = await serve({
      handlers: {
        1: (request) => {
          kept.push(new WeakRef(request), new WeakRef(request.ext));
          return new Promise<Response>((resolve) => settle.push(() => resolve({ code: 0 })));
        },
      },
    });
    const peer = await connect(running);
    for (let opaque = 1; opaque <= 20; opaque++) peer.send(1, opaque, { name: "value" }, Buffer.from("body"));
    await until(() => kept.length === 40);
    await new Promise((resolve) => setTimeout(resolve, 10));
    collectGarbage();
    // The one that came last may still stand in a register.
    expect(kept.filter((ref) => ref.deref() !== undefined).length).toBeLessThanOrEqual(4);
    for (const one of settle) one();
    await peer.has(20);
  });

  it("silence closes a connection", async () => {
    const running = await serve({ handlers: {}, limits: { idleMs: 30 } });
    const peer = await connect(running);
    await peer.closed;
    await until(() => bench.log.reasons.includes("idle for 30 ms"));
  });

  it("a frame that never ends is silence", async () => {
    const running = await serve({ handlers: {}, limits: { idleMs: 30 } });
    const peer = await connect(running);
    peer.socket.write(Buffer.concat([int32(1_000_000), int32(10)]));
    await peer.closed;
  });

  it("a byte now and then does not keep a place", async () => {
    const running = await serve({ handlers: { 1: ok }, limits: { frameMs: 60, idleMs: 10_000 } });
    const dripping = await connect(running);
    dripping.socket.write(Buffer.concat([int32(1_000_000), int32(10)]));
    const drip = setInterval(() => dripping.socket.write(Buffer.alloc(1)), 10);
    // Frames that are cut anywhere, and end.
    const busy = await connect(running);
    const bytes = Buffer.concat(encodeRequest({ code: 1, opaque: 1, body: Buffer.alloc(10) }));
    let at = 0;
    const cut = setInterval(() => {
      for (let count = 0; count < 50; count++, at = (at + 1) % bytes.length)
        busy.socket.write(bytes.subarray(at, at + 1));
    }, 5);
    await dripping.closed;
    clearInterval(drip);
    await new Promise((resolve) => setTimeout(resolve, 100));
    clearInterval(cut);
    expect(busy.isClosed).toBe(false);
    expect(bench.log.reasons).toContain("a frame is not whole after 60 ms");
  });

  it("the log of a flood is none", async () => {
    const running = await serve({
      handlers: {
        1: () => {
          throw new Error("an error of ours");
        },
      },
    });
    const peer = await connect(running);
    for (let opaque = 1; opaque <= 500; opaque++) peer.send(1, opaque);
    await peer.has(500);
    for (let count = 0; count < 60; count++) {
      const bad = await connect(running);
      bad.socket.write(int32(3));
      await bad.closed;
    }
    expect(bench.log.lines.filter(({ level }) => level === "error")).toHaveLength(20);
    expect(bench.log.lines.filter(({ level }) => level === "warn")).toHaveLength(20);
  });

  it("connections are counted, and further ones closed", async () => {
    const running = await serve({ handlers: { 1: ok }, limits: { maxConnections: 3 } });
    const kept = await Promise.all([connect(running), connect(running), connect(running)]);
    for (const peer of kept) peer.send(1, 1);
    for (const peer of kept) await peer.has(1);
    const further = await connect(running);
    await further.closed;
    expect(bench.log.lines.filter(({ level }) => level === "warn")).toHaveLength(1);
    kept[0]?.end();
    await until(() => running.connections.size === 2);
    const again = await connect(running);
    again.send(1, 1);
    await again.has(1);
  });

  it("a flood of requests and connections is answered", async () => {
    const running = await serve({ handlers: { 1: ok } });
    const flood = await Promise.all(Array.from({ length: 50 }, () => connect(running)));
    for (const peer of flood) for (let opaque = 1; opaque <= 200; opaque++) peer.send(1, opaque);
    for (const peer of flood) await peer.has(200);
    expect(bench.log.lines.filter(({ level }) => level !== "debug")).toEqual([]);
  });
});
