import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { ReadGate } from "../../../src/services/read-gate.ts";
import { FakeConnection } from "./rig.ts";

/** Reads that end when a test says so. */
class Reads {
  readonly begun: string[] = [];
  readonly #ends: Map<string, (bytes: number) => void> = new Map();

  of(name: string): () => Promise<number> {
    return () => {
      this.begun.push(name);
      return new Promise((resolve) => this.#ends.set(name, resolve));
    };
  }

  async end(name: string, bytes = 0): Promise<void> {
    this.#ends.get(name)?.(bytes);
    await turn();
  }
}

const size = (bytes: number) => bytes;

test("a connection has few reads under way, the others wait for their turn", async () => {
  const gate = new ReadGate({ perConnection: 2 });
  const reads = new Reads();
  const [mine, other] = [new FakeConnection(), new FakeConnection()];
  const answers = ["a", "b", "c", "d"].map((name) => gate.read(mine, reads.of(name), size));
  void gate.read(other, reads.of("x"), size);
  await turn();
  expect(reads.begun).toEqual(["a", "b", "x"]);
  await reads.end("b");
  expect(reads.begun).toEqual(["a", "b", "x", "c"]);
  await reads.end("a");
  await reads.end("c");
  await reads.end("d", 7);
  expect(await Promise.all(answers)).toEqual([0, 0, 0, 7]);
});

test("all connections together have not very many", async () => {
  const gate = new ReadGate({ inAll: 2 });
  const reads = new Reads();
  for (const name of ["a", "b", "c", "d"]) void gate.read(new FakeConnection(), reads.of(name), size);
  await turn();
  expect(reads.begun).toEqual(["a", "b"]);
  await reads.end("a");
  expect(reads.begun).toEqual(["a", "b", "c"]);
  await reads.end("b");
  expect(reads.begun).toEqual(["a", "b", "c", "d"]);
});

test("nothing is read for a peer that has not taken what was read for it", async () => {
  const gate = new ReadGate();
  const reads = new Reads();
  const connection = new FakeConnection();
  let take = () => {};
  connection.waiting = new Promise((resolve) => {
    take = resolve;
  });
  const answers = ["a", "b"].map((name) => gate.read(connection, reads.of(name), size));
  await turn();
  expect(reads.begun).toEqual([]);
  connection.waiting = undefined;
  take();
  await turn();
  expect(reads.begun).toEqual(["a", "b"]);
  await reads.end("a");
  await reads.end("b");
  await Promise.all(answers);
});

test("what is given in one turn of the event loop is bounded, as only its end shows what waits for the peer", async () => {
  const gate = new ReadGate({ bytesATurn: 100 });
  const connection = new FakeConnection();
  let begun = 0;
  const read = () => {
    begun++;
    return 60;
  };
  const answers = Array.from({ length: 10 }, () => gate.read(connection, read, size));
  await Promise.all(answers.slice(0, 2));
  // At most as many as were under way when the bound was reached.
  expect(begun).toBeLessThanOrEqual(5);
  expect(await Promise.all(answers)).toHaveLength(10);
});

test("nothing is read for a connection that was closed meanwhile, and a read that fails makes room", async () => {
  const gate = new ReadGate({ perConnection: 1 });
  const reads = new Reads();
  const connection = new FakeConnection();
  const failing = gate.read(connection, () => Promise.reject(new Error("for a test")), size);
  const first = gate.read(connection, reads.of("a"), size);
  const second = gate.read(connection, reads.of("b"), size);
  await expect(failing).rejects.toThrow("for a test");
  await turn();
  expect(reads.begun).toEqual(["a"]);
  connection.close("for a test");
  await reads.end("a", 3);
  expect([await first, await second]).toEqual([3, undefined]);
  expect(reads.begun).toEqual(["a"]);
});
