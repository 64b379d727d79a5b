import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { describe, expect, test } from "vitest";
import { type Finding, Store, StoreError, verifyStore } from "../../src/index.ts";
import { INSTEAD, OUTSIDE, PLACES, placeIn } from "./hostile.ts";
import { bytes, message, openStore, SMALL, temporaryDirectory, text } from "./temporary-store.ts";

const MESSAGES = 60;
/** What a store may take beside what the process has, for whatever files say of their sizes. */
const MAX_GROWTH_BYTES = 256 * 1024 * 1024;
const SIZES = { ...SMALL, segmentBytes: 4096, queueFileEntries: 20, indexSlots: 16, indexEntries: 64 };

const body = (n: number): string => `body ${n} `.repeat(8);

let made: Promise<string> | undefined;

/** A closed store with several files of each sort; tests work on copies. */
function original(): Promise<string> {
  made ??= (async () => {
    const dir = join(temporaryDirectoryOfAll(), "store");
    mkdirSync(join(dir, "config"), { recursive: true });
    writeFileSync(join(dir, "config/topics.json"), '{"topicConfigTable":{"orders":{"attributes":{}}}}');
    for (let life = 0; life < 2; life++) {
      const store = await Store.open(dir, SIZES);
      for (let n = (life * MESSAGES) / 2; n < ((life + 1) * MESSAGES) / 2; n++) {
        store.put(message({ queueId: n % 2, keys: [`k${n}`], body: bytes(body(n)) }));
      }
      await store.close();
    }
    return dir;
  })();
  return made;
}

/** Outlives the single test. */
function temporaryDirectoryOfAll(): string {
  const dir = mkdtempSync(join(tmpdir(), "moraine-"));
  process.once("exit", () => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

async function copy(): Promise<string> {
  const dir = join(await temporaryDirectory(), "store");
  cpSync(await original(), dir, { recursive: true, preserveTimestamps: true });
  return dir;
}

/** Everything that a store shows is as it was put; how many messages its queues show. */
function shown(store: Store): { queues: number; log: number } {
  const logged = [...store.scan()].flatMap((item) => (item.kind === "message" ? [text(item.message.body)] : []));
  const put = new Set(Array.from({ length: MESSAGES }, (_, n) => body(n)));
  for (const one of logged) expect(put.has(one), one).toBe(true);
  expect(new Set(logged).size).toBe(logged.length);
  let queues = 0;
  for (const queueId of [0, 1]) {
    for (let offset = 0; offset < MESSAGES / 2; offset++) {
      try {
        const [found] = store.get("orders", queueId, offset, { max: 1 }).messages;
        if (found?.queueOffset !== offset) continue;
        expect(text(found.body)).toBe(body(2 * offset + queueId));
        queues += 1;
      } catch (error) {
        expect((error as StoreError).code).toBe("STORE_CORRUPT");
      }
    }
  }
  for (const n of [0, 17, MESSAGES - 1]) {
    for (const found of store.lookup("orders", `k${n}`)) expect(text(found.body)).toBe(body(n));
  }
  return { queues, log: logged.length };
}

/** Opens a store in both ways and verifies it. Whatever is missing is said; a refusal names what it is about. */
async function expectNothingWorse(dir: string, what: string, names: readonly string[]): Promise<void> {
  const before = process.memoryUsage().rss;
  const findings: Finding[] | StoreError = await verifyStore(dir, { deep: true }).catch((error) => error);
  if (!Array.isArray(findings)) expectReason(findings, `${what}, verified`, names);
  for (const options of [{ readOnly: true }, { create: false }]) {
    const title = `${what}, ${JSON.stringify(options)}`;
    const store = await Store.open(dir, { ...SIZES, ...options }).catch((error: unknown) => error);
    if (!(store instanceof Store)) {
      expectReason(store, title, names);
      continue;
    }
    try {
      const { queues, log } = shown(store);
      const isSaid = !Array.isArray(findings) || findings.length > 0 || store.health().findings.length > 0;
      if (queues < MESSAGES || log < MESSAGES)
        expect(isSaid, `${title}: ${queues} and ${log} of ${MESSAGES}`).toBe(true);
    } finally {
      // What stands in the place of a file that is written to is found then.
      await store.close().catch((error: unknown) => expectReason(error, `${title}, closed`, names));
    }
  }
  expect(process.memoryUsage().rss - before, what).toBeLessThan(MAX_GROWTH_BYTES);
}

function expectReason(error: unknown, what: string, names: readonly string[]): void {
  expect(error, what).toBeInstanceOf(StoreError);
  const { code, message: said, stack } = error as StoreError;
  const codes = ["STORE_IO", "STORE_CORRUPT", "STORE_INVALID_ARGUMENT", "STORE_UNSUPPORTED_FORMAT", "STORE_POISONED"];
  expect(codes, `${what}: ${stack}`).toContain(code);
  expect(
    names.some((name) => said.includes(name)),
    `${what}: ${said}`,
  ).toBe(true);
}

describe("in the place of", () => {
  test.each(PLACES)("%s", async (place) => {
    for (const [what, put] of Object.entries(INSTEAD)) {
      const dir = await copy();
      const path = placeIn(dir, place);
      rmSync(path, { recursive: true, force: true });
      mkdirSync(dirname(path), { recursive: true });
      await put(path);
      const [root = ""] = place.split("/");
      await expectNothingWorse(dir, `${what} in place of ${place}`, [basename(path), root]);
      const elsewhere = `${join(dirname(dirname(path)), basename(path))}.elsewhere`;
      if (existsSync(elsewhere)) expect(readFileSync(elsewhere, "utf8")).toBe(OUTSIDE);
    }
  });
});

describe("that nobody may read", () => {
  test.each(PLACES)("%s", async (place) => {
    const dir = await copy();
    const path = placeIn(dir, place);
    if (!existsSync(path)) writeFileSync(path, "");
    const { mode } = statSync(path);
    chmodSync(path, 0);
    // Who runs as root may.
    try {
      await expectNothingWorse(dir, `${place} of mode 000`, [basename(path), place.split("/")[0] as string]);
    } finally {
      if (existsSync(path)) chmodSync(path, mode);
    }
  });
});

const STRAY = [
  "9223372036854775807",
  "9223372036854775808",
  "99999999999999999999",
  "18446744073709551616",
  "340282366920938463463374607431768211456",
  "00000000000000004097",
  "-0000000000000004096",
  "0",
  "٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠٠",
  "a".repeat(255),
  ".hidden",
  "new\nline",
];
const FOLDERS = [
  "",
  "commitlog",
  "consumequeue",
  "consumequeue/orders",
  "consumequeue/orders/0",
  "index",
  "config",
  "moraine",
];

describe("names that do not belong there", () => {
  test.each(FOLDERS)("in /%s", async (folder) => {
    for (const what of ["noise", "a directory", "a FIFO"]) {
      const dir = await copy();
      for (const name of STRAY) {
        const path = join(dir, folder, name);
        if (!existsSync(path)) await INSTEAD[what]?.(path); // 0 may be a queue
      }
      await expectNothingWorse(dir, `${what} of strange names in /${folder}`, [...STRAY, folder.split("/")[0] || "/"]);
    }
  });

  test.each(FOLDERS)("hundreds of them in /%s", async (folder) => {
    const dir = await copy();
    for (let n = 0; n < 300; n++) writeFileSync(join(dir, folder, `stray-${n}`), "x");
    await expectNothingWorse(dir, `strays in /${folder}`, ["stray-", folder.split("/")[0] || "/"]);
  });
});

describe("config/moraine.json that says", () => {
  test.each([
    "{",
    "null",
    "[]",
    '"text"',
    "[".repeat(100_000),
    '{"minOffset":-1}',
    '{"minOffset":1e400}',
    '{"minOffset":9223372036854775807}',
    '{"version":999,"minOffset":"4096","topics":7}',
    '{"topics":{"orders":{"hiddenBelow":-5,"queues":{"0":1e30}}}}',
    `{"topics":{"${"x".repeat(100_000)}":{}}}`,
    "\u0000".repeat(5000),
  ])("%.40s", async (said) => {
    const dir = await copy();
    writeFileSync(join(dir, "config/moraine.json"), said);
    await expectNothingWorse(dir, `moraine.json of ${said.slice(0, 40)}`, ["moraine.json"]);
  });
});

test("the original is as it was", async () => {
  const store = await openStore({ ...SIZES, readOnly: true }, await original());
  expect(shown(store)).toEqual({ queues: MESSAGES, log: MESSAGES });
});
