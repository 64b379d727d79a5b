import { afterEach, describe, expect, it } from "vitest";
import { RemotingClient } from "../../../src/transport/client.ts";
import { Dispatcher } from "../../../src/transport/dispatcher.ts";
import { RemotingServer } from "../../../src/transport/server.ts";
import { KeptLog } from "./peer.ts";

const log = new KeptLog();
const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

async function serve(port = 0): Promise<RemotingServer> {
  const dispatcher = new Dispatcher({
    handlers: [
      [1, ({ ext }) => ({ code: 0, ext: { n: String(ext.n) } })],
      [2, () => new Promise(() => undefined)],
      // Asks back before it answers.
      [3, async (_, { connection }) => ({ code: (await connection.invoke(40, {}, undefined, 1000)).code })],
    ],
    log,
  });
  const server = await RemotingServer.listen({ host: "127.0.0.1", ports: [port], dispatcher, log });
  closing.push(() => server.close(0));
  return server;
}

function make(options: Partial<ConstructorParameters<typeof RemotingClient>[0]> = {}): RemotingClient {
  const client = new RemotingClient({ log, ...options });
  closing.push(() => client.close());
  return client;
}

const addressOf = (server: RemotingServer) => `127.0.0.1:${server.ports[0]}`;

describe("a client", () => {
  it("has one connection an address", async () => {
    const server = await serve();
    const client = make();
    const answers = await Promise.all(
      [1, 2, 3].map((n) => client.invoke(addressOf(server), 1, { n }, undefined, 1000)),
    );
    expect(answers.map(({ ext }) => ext.n)).toEqual(["1", "2", "3"]);
    expect(server.connections.size).toBe(1);
  });

  it("connects again when the connection is lost, and tells so with the answer", async () => {
    const server = await serve();
    const address = addressOf(server);
    const client = make();
    const { connection } = await client.invoke(address, 1, { n: 1 }, undefined, 1000);
    expect((await client.invoke(address, 1, { n: 1 }, undefined, 1000)).connection).toBe(connection);
    await server.close(0);
    await expect(client.invoke(address, 1, { n: 1 }, undefined, 1000)).rejects.toMatchObject({
      code: expect.stringMatching(/^CONNECTION_(REFUSED|CLOSED)$/),
    });
    await serve(server.ports[0]);
    const again = await client.invoke(address, 1, { n: 2 }, undefined, 1000);
    expect(again).toMatchObject({ ext: { n: "2" } });
    expect(again.connection).not.toBe(connection);
  });

  it("keeps a connection on which an answer comes late, and leaves one on which none comes again and again", async () => {
    const server = await serve();
    const client = make();
    const late = () => client.invoke(addressOf(server), 2, {}, undefined, 20);
    const inTime = () => client.invoke(addressOf(server), 1, { n: 1 }, undefined, 1000);
    const ids = () => [...server.connections].map(({ id }) => id);
    await inTime();
    const [first] = ids();
    for (let round = 0; round < 4; round++) {
      await expect(late()).rejects.toMatchObject({ code: "REQUEST_TIMEOUT" });
      await expect(late()).rejects.toMatchObject({ code: "REQUEST_TIMEOUT" });
      expect(await inTime()).toMatchObject({ code: 0 });
      expect(ids()).toEqual([first]);
    }
    for (let count = 0; count < 3; count++) await expect(late()).rejects.toMatchObject({ code: "REQUEST_TIMEOUT" });
    expect(await inTime()).toMatchObject({ code: 0 });
    expect(ids()).not.toContain(first);
  });

  it("answers requests of the other side", async () => {
    const server = await serve();
    const plain = make();
    expect(await plain.invoke(addressOf(server), 3, {}, undefined, 1000)).toMatchObject({ code: 3 });
    const dispatcher = new Dispatcher({ handlers: [[40, () => ({ code: 77 })]], log });
    expect(await make({ dispatcher }).invoke(addressOf(server), 3, {}, undefined, 1000)).toMatchObject({ code: 77 });
  });

  it("rejects what is no address, and everything once it is closed", async () => {
    const client = make();
    await expect(client.invoke("nowhere", 1, {}, undefined, 100)).rejects.toMatchObject({ code: "CONNECTION_REFUSED" });
    const server = await serve();
    const waiting = client.invoke(addressOf(server), 2, {}, undefined, 60_000);
    waiting.catch(() => undefined);
    await client.invoke(addressOf(server), 1, { n: 1 }, undefined, 1000);
    client.close();
    await expect(waiting).rejects.toMatchObject({ code: "CONNECTION_CLOSED" });
    await expect(client.invoke(addressOf(server), 1, {}, undefined, 100)).rejects.toMatchObject({
      code: "CONNECTION_CLOSED",
    });
  });
});
