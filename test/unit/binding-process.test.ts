import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { loadEngine } from "../../src/binding/load.ts";
import { batchOf } from "./binding-batch.ts";
import { noEvents, smallStore } from "./binding-options.ts";

// What holds a process, and what becomes of a store when its process or its worker ends. Each test is a program of its
// own, over the built package.

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "moraine-process-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

const batch = batchOf([{ topic: "orders", body: "one" }]);

/** In front of every program, also of a worker's: `open(events)`, and `put(store)`, which answers the end offset. */
const preamble = `
  import { Worker } from "node:worker_threads";
  import { loadEngine } from ${JSON.stringify(pathToFileURL(join(import.meta.dirname, "../../dist/binding/load.js")))};
  const engine = loadEngine("native");
  const batch = Buffer.from("${Buffer.from(batch).toString("base64")}", "base64");
  const open = (events) => engine.open(process.env.STORE, ${JSON.stringify({ ...smallStore, flushIntervalMs: 60_000 })}, {
    onProgress() {}, onSettled() {}, ...events });
  const put = (store) => {
    const results = new Float64Array(6);
    if (store.put(batch, batch.length, 1, results) !== 1) throw store.takeError();
    return results[1];
  };`;

interface Ended {
  code: number;
  signal: string | null;
  out: string;
}

function run(program: string): Promise<Ended> {
  const worker = (code: string) => `data:text/javascript,${encodeURIComponent(preamble + code)}`;
  const source = program.replace(
    /worker\(`([\s\S]*?)`\)/g,
    (_, code) => `new Worker(new URL(${JSON.stringify(worker(code))}))`,
  );
  return new Promise((resolve) => {
    const options = { env: { ...process.env, STORE: directory } };
    execFile(process.execPath, ["--input-type=module", "-e", preamble + source], options, (error, out, err) => {
      const code = typeof error?.code === "number" ? error.code : 0;
      resolve({ code, signal: error?.signal ?? null, out: out + err });
    });
  });
}

/** Whether the store had been closed, and how many messages it has. */
async function left(): Promise<{ clean: boolean; messages: number }> {
  const store = await loadEngine("native").open(directory, smallStore, noEvents);
  const found = { clean: store.health().clean, messages: store.offsets("orders", 0).max };
  await store.close();
  return found;
}

const fine = (out = ""): Ended => ({ code: 0, signal: null, out });

describe("a program", () => {
  it("ends with an idle store open, which is closed on the way out", async () => {
    expect(await run("put(await open());")).toEqual(fine());
    expect(await left()).toEqual({ clean: true, messages: 1 });
  });

  it("is held by a flush until it has settled", async () => {
    const program = `
      const store = await open({ onSettled: (durable) => console.log(durable === end) });
      const end = put(store);
      store.requestFlush();`;
    expect(await run(program)).toEqual(fine("true\n"));
  });

  it("is held by a close until it is done", async () => {
    expect(await run("const store = await open(); put(store); await store.close(); console.log('closed');")).toEqual(
      fine("closed\n"),
    );
    expect(await left()).toEqual({ clean: true, messages: 1 });
  });

  it("is held by an open, also by one that fails", async () => {
    const program = "await open(); await open().catch((error) => console.log(error.code));";
    expect(await run(program)).toEqual(fine("STORE_LOCKED\n"));
  });

  it("may leave by process.exit while a flush is under way", async () => {
    expect(await run("const store = await open(); put(store); store.requestFlush(); process.exit(7);")).toMatchObject({
      code: 7,
      signal: null,
    });
    // Node runs no clean-up then: the store is left as by a kill.
    expect((await left()).messages).toBe(1);
  });

  it("may leave by process.exit while a store is opening", async () => {
    expect(await run("open(); process.exit(7);")).toMatchObject({ code: 7, signal: null });
    expect((await left()).messages).toBe(0);
  });

  it("that is killed leaves its messages to the next open, which sees that it was not closed", async () => {
    expect(await run("put(await open()); process.kill(process.pid, 'SIGKILL');")).toMatchObject({ signal: "SIGKILL" });
    expect(await left()).toEqual({ clean: false, messages: 1 });
  });
});

describe("a worker", () => {
  it("that ends closes its store", async () => {
    const program = `
      await new Promise((resolve) => worker(\`put(await open());\`).on("exit", resolve));
      const store = await open();
      console.log(store.health().clean, store.offsets("orders", 0).max);`;
    expect(await run(program)).toEqual(fine("true 1\n"));
  });

  it("that is terminated closes its store, also with a flush under way", async () => {
    const program = `
      for (let round = 1; round <= 20; round += 1) {
        const busy = worker(\`
          import { parentPort } from "node:worker_threads";
          const store = await open();
          put(store);
          store.requestFlush();
          parentPort.postMessage("put");\`);
        await new Promise((resolve) => busy.on("message", resolve));
        await busy.terminate();
      }
      const store = await open();
      console.log(store.health().clean, store.offsets("orders", 0).max);`;
    expect(await run(program)).toEqual(fine("true 20\n"));
  });

  it("that is terminated while it opens gives the store free", async () => {
    const program = `
      for (let round = 1; round <= 20; round += 1) {
        const busy = worker(\`
          import { parentPort } from "node:worker_threads";
          open();
          parentPort.postMessage("opening");\`);
        await new Promise((resolve) => busy.on("message", resolve));
        await busy.terminate();
      }
      const opened = async () => {
        for (;;) {
          try {
            return await open();
          } catch (error) {
            if (error.code !== "STORE_LOCKED") throw error;
          }
        }
      };
      await (await opened()).close();
      console.log("opened");`;
    expect(await run(program)).toEqual(fine("opened\n"));
  });

  it("has a store of its own beside that of the main thread", async () => {
    const program = `
      const main = await open();
      const other = worker(\`
        import { parentPort } from "node:worker_threads";
        parentPort.postMessage(await open().then(() => "opened", (error) => error.code));\`);
      console.log(await new Promise((resolve) => other.on("message", resolve)));
      console.log(put(main) > 0);`;
    expect(await run(program)).toEqual(fine("STORE_LOCKED\ntrue\n"));
  });
});
