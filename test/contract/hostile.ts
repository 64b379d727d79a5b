/** What may stand in a store directory in the place of its files and folders. */
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { basename, dirname, join } from "node:path";
import { onTestFinished } from "vitest";

/** What a file holds that a link leads to. */
export const OUTSIDE = "not of the store";

/** What stands in the place of something else. */
export const INSTEAD: Record<string, (path: string) => void | Promise<void>> = {
  "a FIFO": (path) => void execFileSync("mkfifo", [path]),
  "a socket": async (path) => {
    // The path of a socket is short: it is bound in its directory.
    const before = process.cwd();
    process.chdir(dirname(path));
    const server = createServer();
    try {
      await new Promise<void>((done, failed) =>
        server.once("error", failed).listen(`./${basename(path)}`, () => done()),
      );
    } finally {
      process.chdir(before);
    }
    onTestFinished(() => void server.close());
  },
  "a link to itself": (path) => symlinkSync(basename(path), path),
  "a link to nowhere": (path) => symlinkSync("/nowhere/at/all", path),
  "a link to a file elsewhere": (path) => {
    const elsewhere = join(dirname(dirname(path)), `${basename(path)}.elsewhere`);
    writeFileSync(elsewhere, OUTSIDE);
    symlinkSync(elsewhere, path);
  },
  "a link to a device": (path) => symlinkSync("/dev/zero", path),
  "a directory": (path) => void mkdirSync(path),
  "an empty file": (path) => writeFileSync(path, ""),
  noise: (path) =>
    writeFileSync(
      path,
      Uint8Array.from({ length: 5000 }, (_, n) => (n * n * 31 + n * 7) & 255),
    ),
  "a terabyte of zeros": (path) => {
    writeFileSync(path, "");
    truncateSync(path, 2 ** 40);
  },
};

/** Names below the store, `*` for the first file and `$` for the last one. */
export const PLACES: readonly string[] = [
  "commitlog",
  "commitlog/*",
  "commitlog/$",
  "consumequeue",
  "consumequeue/orders",
  "consumequeue/orders/0",
  "consumequeue/orders/0/*",
  "consumequeue/orders/1/$",
  "batchconsumequeue",
  "consumequeue_ext",
  "index",
  "index/*",
  "index/$",
  "checkpoint",
  "abort",
  "abort.bak",
  "lock",
  "config",
  "config/moraine.json",
  "config/moraine.json.bak",
  "config/topics.json",
  "moraine",
  "moraine/watermark",
  "moraine/queues-0",
  "moraine/queues-1",
  "moraine/live",
  "moraine/owner",
  "moraine/seals",
  "moraine/reserve",
  "moraine/rebuild",
  "moraine/next",
];

export function placeIn(dir: string, place: string): string {
  const folder = join(dir, dirname(place));
  const name = basename(place);
  if (name !== "*" && name !== "$") return join(dir, place);
  return join(
    folder,
    readdirSync(folder)
      .sort()
      .at(name === "*" ? 0 : -1) as string,
  );
}
