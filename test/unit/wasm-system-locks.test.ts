/** Locks of the system, as a list of them is read. */
import { closeSync, openSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { lockIn, lockOnByteZero, mountDevice } from "../../src/binding/wasm-system-locks.ts";
import { Contender, emptyRoot, hasNative } from "./contender.ts";

describe("a list of locks", () => {
  const devices = new Set(["254:0", "0:47"]);
  const of = (line: string) => lockIn(`1: FLOCK  ADVISORY  WRITE 9 fe:00:7 0 EOF\n${line}\n`, 4711n, devices);

  it("tells the process of a POSIX lock", () => {
    expect(of("2: POSIX  ADVISORY  WRITE 815 fe:00:4711 0 0")).toEqual({ pid: 815 });
    expect(of("2: POSIX  ADVISORY  READ  815 fe:00:4711 0 EOF")).toEqual({ pid: 815 });
    expect(of("12: POSIX  *NOINODE* WRITE 815 00:2f:4711 0 99"), "of the mount's device").toEqual({ pid: 815 });
  });

  it("tells the lock of an open file, which has no process", () => {
    expect(of("2: OFDLCK ADVISORY  WRITE -1 fe:00:4711 0 0")).toEqual({ pid: undefined });
    expect(of("2: POSIX  ADVISORY  WRITE -77 fe:00:4711 0 0"), "of another machine").toEqual({ pid: undefined });
  });

  it.each([
    ["is waited for", "2: -> POSIX  ADVISORY  WRITE 815 fe:00:4711 0 0"],
    ["is none of these kinds", "2: FLOCK  ADVISORY  WRITE 815 fe:00:4711 0 EOF"],
    ["is on another inode", "2: POSIX  ADVISORY  WRITE 815 fe:00:47110 0 0"],
    ["is on another device", "2: POSIX  ADVISORY  WRITE 815 fe:01:4711 0 0"],
    ["is on other bytes", "2: POSIX  ADVISORY  WRITE 815 fe:00:4711 1 EOF"],
    ["is on no file", "2: POSIX  ADVISORY  WRITE 815 <none>:0 0 EOF"],
    ["is no line of such a list", "POSIX 815 fe:00:4711 0 0"],
  ])("leaves out what %s", (_, line) => expect(of(line)).toBeUndefined());

  it("takes any device where the file's is not known", () => {
    expect(lockIn("2: POSIX  ADVISORY  WRITE 815 ab:cd:4711 0 0", 4711n, undefined)).toEqual({ pid: 815 });
    expect(lockIn("", 4711n, undefined)).toBeUndefined();
  });
});

it("the device of a path is that of the mount nearest to it, the last one on its place", () => {
  const root = emptyRoot();
  const mounts = [
    "22 1 254:0 / / rw - ext4 /dev/vda rw",
    `30 22 0:40 / ${root} rw - tmpfs tmpfs rw`,
    `31 30 0:41 / ${root} rw shared:7 - btrfs /dev/vdb rw`,
    `32 31 0:42 / ${root}2 rw - tmpfs tmpfs rw`,
    `33 31 0:43 / ${join(root, "a\\040b")} rw - tmpfs tmpfs rw`,
  ].join("\n");
  writeFileSync(join(root, "a b"), "");
  writeFileSync(join(root, "lock"), "");
  expect(mountDevice(join(root, "lock"), mounts)).toBe("0:41");
  expect(mountDevice(join(root, "a b"), mounts)).toBe("0:43");
  expect(mountDevice("/", mounts)).toBe("254:0");
  expect(mountDevice(join(root, "missing"), mounts)).toBeUndefined();
  expect(mountDevice(join(root, "lock"), "")).toBeUndefined();
});

it.runIf(process.platform === "linux" && hasNative())(
  "the native engine's lock is seen on its file, and no other",
  async () => {
    const root = emptyRoot();
    const holder = Contender.process();
    await holder.call("take", "native", root);
    writeFileSync(join(root, "other"), "");
    const seen = (name: string) => {
      const descriptor = openSync(join(root, name), "r+");
      const lock = lockOnByteZero(descriptor, join(root, name));
      closeSync(descriptor);
      return lock;
    };
    expect(seen("lock")).toEqual({ pid: undefined });
    expect(seen("other")).toBeUndefined();
    await holder.kill();
    expect(seen("lock")).toBeUndefined();
  },
);
