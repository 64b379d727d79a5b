import { afterEach, describe, expect, it, vi } from "vitest";
import type { Command, Response } from "../../../src/protocol/command.ts";
import { encodeRequest } from "../../../src/protocol/frame.ts";
import { RequestError } from "../../../src/protocol/request-error.ts";
import type { Connection } from "../../../src/transport/connection.ts";
import { Dispatcher } from "../../../src/transport/dispatcher.ts";
import type { TransportLimits } from "../../../src/transport/limits.ts";
import { RemotingServer } from "../../../src/transport/server.ts";
import { jsonFrame } from "../protocol/bytes.ts";
import { Peer, until } from "./peer.ts";
import { Bench, ok } from "./serving.ts";

const bench = Bench.forEach();
const { serve, connect } = bench;

afterEach(() => void vi.useRealTimers());

describe("answers", () => {
  it("on every port, with the opaque of the request", async () => {
    const running = await serve({ handlers: { 1: ({ ext }) => ({ code: 0, ext: { name: String(ext.name) } }) } });
    for (const index of [0, 1]) {
      const peer = await connect(running, index);
      peer.send(1, 70 + index, { name: "n" });
      expect(await peer.has(1)).toMatchObject([{ code: 0, opaque: 70 + index, flag: 1, ext: { name: "n" } }]);
    }
  });

  it("as they are ready, not as they were asked", async () => {
    const settle = new Map<number, () => void>();
    const running = await serve({
      handlers: {
        1: ({ opaque }) => new Promise<Response>((resolve) => settle.set(opaque, () => resolve({ code: opaque }))),
      },
    });
    const peer = await connect(running);
    for (const opaque of [1, 2, 3]) peer.send(1, opaque);
    await until(() => settle.size === 3);
    for (const opaque of [3, 1, 2]) {
      settle.get(opaque)?.();
      await peer.has([3, 1, 2].indexOf(opaque) + 1);
    }
    expect(peer.received.map(({ code, opaque }) => [code, opaque])).toEqual([
      [3, 3],
      [1, 1],
      [2, 2],
    ]);
  });

  it("errors of handlers, of either kind", async () => {
    const running = await serve({
      handlers: {
        1: () => {
          throw new RequestError(17, "topic[x] not exist");
        },
        2: async () => {
          throw new RequestError(16, "no");
        },
        3: () => {
          throw new TypeError("broken");
        },
        4: () => Promise.reject(new Error("also broken")),
      },
    });
    const peer = await connect(running);
    for (const code of [1, 2, 3, 4, 99]) peer.send(code, code);
    const answers = [...(await peer.has(5))].sort((left, right) => left.opaque - right.opaque);
    expect(answers.map(({ code, remark }) => [code, remark])).toEqual([
      [17, "topic[x] not exist"],
      [16, "no"],
      [1, "TypeError, broken"],
      [1, "Error, also broken"],
      [3, " request type 99 not supported"],
    ]);
    expect(bench.log.lines.filter(({ level }) => level === "error")).toHaveLength(2);
  });

  it("hooks come first, and may refuse", async () => {
    const seen: number[] = [];
    const before = [
      ({ code }: Command) => {
        if (code === 2) throw new RequestError(16, "not you");
      },
      async ({ code }: Command) => {
        await Promise.resolve();
        if (code === 3) throw new RequestError(16, "nor you");
      },
      ({ code }: Command) => {
        seen.push(code);
      },
    ];
    const running = await serve({ handlers: { 1: ok, 2: ok, 3: ok }, before });
    const peer = await connect(running);
    for (const code of [1, 2, 3]) peer.send(code, code);
    const answers = [...(await peer.has(3))].sort((left, right) => left.opaque - right.opaque);
    expect(answers.map(({ code, remark }) => [code, remark])).toEqual([
      [0, undefined],
      [16, "not you"],
      [16, "nor you"],
    ]);
    expect(seen).toEqual([1]);
  });

  it("none to one-way requests, and none where the handler gives none", async () => {
    const asked: number[] = [];
    const running = await serve({
      handlers: {
        1: ({ opaque }) => {
          asked.push(opaque);
          if (opaque === 2) throw new Error("unseen");
          return { code: 0 };
        },
        2: () => undefined,
        3: ok,
      },
    });
    const peer = await connect(running);
    for (const opaque of [1, 2]) peer.socket.write(Buffer.concat(encodeRequest({ code: 1, opaque, flag: 2 })));
    peer.send(2, 3);
    peer.send(3, 4);
    expect(await peer.has(1)).toMatchObject([{ opaque: 4 }]);
    expect(asked).toEqual([1, 2]);
  });

  it("the serialization is that of the request", async () => {
    const running = await serve({ handlers: { 1: () => ({ code: 0, remark: "r", body: Buffer.from("b") }) } });
    const peer = await connect(running);
    peer.socket.write(Buffer.concat(encodeRequest({ code: 1, opaque: 1, serialization: "binary" })));
    expect(await peer.has(1)).toMatchObject([{ serialization: "binary", remark: "r" }]);
  });
});

describe("requests of ours", () => {
  async function connected(limits?: Partial<TransportLimits>): Promise<[Connection, Peer]> {
    const running = await serve({ handlers: {}, ...(limits && { limits }) });
    const peer = await connect(running);
    await until(() => running.connections.size === 1);
    const [connection] = running.connections;
    if (connection === undefined) throw new Error("no connection");
    return [connection, peer];
  }

  const answer = (peer: Peer, opaque: number, code: number) => peer.socket.write(jsonFrame({ code, opaque, flag: 1 }));

  it("are answered in any order", async () => {
    const [connection, peer] = await connected();
    const answers = [1, 2, 3].map((code) => connection.invoke(code, { n: code }, undefined, 5000));
    const requests = await peer.has(3);
    for (const { opaque, code } of [...requests].reverse()) answer(peer, opaque, code * 10);
    expect((await Promise.all(answers)).map(({ code }) => code)).toEqual([10, 20, 30]);
  });

  it("time out each at its own time; a late answer is nobody's", async () => {
    const [connection, peer] = await connected();
    vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout", "performance"] });
    const settled: string[] = [];
    const invoke = (code: number, timeoutMs: number) => {
      const answered = connection.invoke(code, {}, undefined, timeoutMs);
      const settle = () => void settled.push(`request ${code}`);
      answered.then(settle, settle);
      return answered;
    };
    const late = invoke(1, 120);
    const early = invoke(2, 30);
    const fine = invoke(3, 5000);
    await vi.advanceTimersByTimeAsync(29);
    expect(settled).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(settled).toEqual(["request 2"]);
    await expect(early).rejects.toMatchObject({
      code: "REQUEST_TIMEOUT",
      message: "request 2 was not answered in 30 ms",
    });
    await vi.advanceTimersByTimeAsync(89);
    expect(settled).toEqual(["request 2"]);
    await vi.advanceTimersByTimeAsync(1);
    expect(settled).toEqual(["request 2", "request 1"]);
    await expect(late).rejects.toMatchObject({ code: "REQUEST_TIMEOUT" });
    const [first, , third] = await peer.has(3);
    answer(peer, first?.opaque ?? 0, 7);
    answer(peer, third?.opaque ?? 0, 8);
    expect(await fine).toMatchObject({ code: 8 });
    expect(bench.log.lines.some(({ sentence }) => /nobody waits/.test(sentence))).toBe(true);
  });

  it("are rejected when the connection closes, and then at once", async () => {
    const [connection, peer] = await connected();
    const signals: string[] = [];
    connection.onClose(() => signals.push("closed"));
    const off = connection.onClose(() => signals.push("taken off"));
    off();
    const waiting = connection.invoke(1, {}, undefined, 60_000);
    await peer.has(1);
    peer.end();
    await expect(waiting).rejects.toMatchObject({ code: "CONNECTION_CLOSED" });
    expect(connection.isOpen).toBe(false);
    expect(signals).toEqual(["closed"]);
    await expect(connection.invoke(1, {}, undefined, 60_000)).rejects.toMatchObject({ code: "CONNECTION_CLOSED" });
    connection.notify(1, {});
    await new Promise<void>((resolve) => {
      connection.onClose(resolve);
    });
  });

  it("are bounded in number", async () => {
    const [connection] = await connected({ maxOutstanding: 2 });
    const waiting = [1, 2].map((code) => connection.invoke(code, {}, undefined, 60_000));
    for (const each of waiting) each.catch(() => undefined);
    await expect(connection.invoke(3, {}, undefined, 60_000)).rejects.toMatchObject({ code: "TOO_MANY_REQUESTS" });
  });

  it("one-way ones say so, and the signal of requests follows the connection", async () => {
    const signals: AbortSignal[] = [];
    const running = await serve({
      handlers: {
        1: (_, { signal, connection }) => {
          signals.push(signal);
          connection.notify(40, { consumerGroup: "g" }, Buffer.from("b"));
          return new Promise(() => undefined);
        },
      },
    });
    const peer = await connect(running);
    peer.send(1, 1);
    expect(await peer.has(1)).toMatchObject([{ code: 40, flag: 2, ext: { consumerGroup: "g" } }]);
    expect(signals[0]?.aborted).toBe(false);
    peer.end();
    await until(() => signals[0]?.aborted === true);
  });
});

describe("stopping", () => {
  it("answers what is under way, sends newer clients away, and closes", async () => {
    let settle: () => void = () => undefined;
    const running = await serve({
      handlers: {
        1: () => new Promise<Response>((resolve) => (settle = () => resolve({ code: 0, remark: "late" }))),
        2: ok,
      },
    });
    const peer = await connect(running);
    const idle = await connect(running);
    await until(() => running.connections.size === 2);
    peer.send(1, 1);
    await until(() => [...running.connections].length === 2 && settle.length === 0);
    await new Promise((resolve) => setTimeout(resolve, 20));
    const closing = running.close(5000);
    await idle.closed;
    peer.send(2, 2);
    peer.socket.write(jsonFrame({ code: 2, opaque: 3, version: 401 }));
    expect(await peer.has(2)).toMatchObject([
      { opaque: 2, code: 1500, remark: "please go away" },
      { opaque: 3, code: 0 },
    ]);
    settle();
    expect(await peer.has(3)).toMatchObject([{}, {}, { opaque: 1, remark: "late" }]);
    await closing;
    await peer.closed;
    await expect(Peer.connect(running.ports[0] ?? 1)).rejects.toThrow();
  });

  it("does not wait for longer than it may", async () => {
    const running = await serve({ handlers: { 1: () => new Promise(() => undefined) } });
    const peer = await connect(running);
    peer.send(1, 1);
    await until(() => running.connections.size === 1);
    await new Promise((resolve) => setTimeout(resolve, 20));
    await running.close(30);
    await peer.closed;
  });

  it("a port that is taken leaves nothing behind", async () => {
    const running = await serve({ handlers: {} });
    const dispatcher = new Dispatcher({ handlers: [], log: bench.log });
    const [taken = 0] = running.ports;
    const second = RemotingServer.listen({ host: "127.0.0.1", ports: [0, taken], dispatcher, log: bench.log });
    await expect(second).rejects.toMatchObject({ code: "EADDRINUSE" });
  });
});
