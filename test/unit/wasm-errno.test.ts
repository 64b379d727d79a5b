/** Errors of node:fs in the words of the native engine. */
import { closeSync, constants, mkdtempSync, openSync, rmSync, symlinkSync, writeFileSync, writeSync } from "node:fs";
import { constants as system, tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { errnoOf, ioFailure, reasonOf, refusedFile } from "../../src/binding/wasm-errno.ts";
import { StoreError } from "../../src/errors.ts";

function caught(call: () => unknown): unknown {
  try {
    call();
  } catch (error) {
    return error;
  }
  throw new Error("nothing was thrown");
}

function temporary(): string {
  const directory = mkdtempSync(join(tmpdir(), "moraine-errno-"));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

it("a missing file has the sentence and the details of the native engine", () => {
  const failure = ioFailure(
    caught(() => openSync(join(temporary(), "none"), "r")),
    "open",
    "commitlog/0",
  );
  expect(failure).toBeInstanceOf(StoreError);
  expect(failure.code).toBe("STORE_IO");
  expect(failure.message).toBe("open of commitlog/0 failed: No such file or directory");
  expect(failure.details).toEqual({ errno: 2, syscall: "open", path: "commitlog/0" });
});

it("no room and no quota are STORE_FULL", () => {
  const quota = Object.assign(new Error("Unknown system error -122"), {
    errno: -122,
    code: "Unknown system error -122",
  });
  for (const [error, errno] of [
    [{ code: "ENOSPC", errno: -4055 }, 28],
    [quota, 122],
  ] as const) {
    const failure = ioFailure(error, "pwrite", "lock");
    expect(failure.code).toBe("STORE_FULL");
    expect(failure.message).toBe(`pwrite of lock failed: ${reasonOf(errno)}`);
    expect(failure.details.errno).toBe(errno);
  }
});

it.runIf(process.platform === "linux")("a full device is STORE_FULL", () => {
  const descriptor = openSync("/dev/full", "w");
  const error = caught(() => writeSync(descriptor, "x"));
  closeSync(descriptor);
  expect(ioFailure(error, "write", "lock").message).toBe("write of lock failed: No space left on device");
});

it("a link that is not followed is told as one", () => {
  const directory = temporary();
  writeFileSync(join(directory, "file"), "");
  symlinkSync(join(directory, "file"), join(directory, "link"));
  const error = caught(() => openSync(join(directory, "link"), constants.O_RDONLY | constants.O_NOFOLLOW));
  expect(ioFailure(error, "open", "lock")).toMatchObject({
    message: "open of lock failed: is a symbolic link, want a file",
    details: { errno: 40 },
  });
});

it("numbers are Linux's wherever the error comes from", () => {
  expect(errnoOf({ code: "EACCES", errno: -4092 }), "Windows").toBe(13);
  expect(errnoOf({ code: "ENOTEMPTY", errno: -66 }), "macOS").toBe(39);
  expect(errnoOf({ code: "Unknown system error -117", errno: -117 }), "unknown to libuv").toBe(117);
  expect(errnoOf(new Error("Structure needs cleaning (os error 117)")), "Deno").toBe(117);
});

it("what is no error of the system has the number 0 and its own words", () => {
  for (const error of [new TypeError("path has a NUL"), "path has a NUL"]) {
    expect(ioFailure(error, "open", "x")).toMatchObject({
      message: "open of x failed: path has a NUL",
      details: { errno: 0 },
    });
  }
  for (const error of [undefined, null, 7, {}, { errno: "2" }]) expect(errnoOf(error)).toBe(0);
});

it("a StoreError is left as it is", () => {
  const error = refusedFile("open", "lock", "is a FIFO, want a file");
  expect(error.message).toBe("open of lock failed: is a FIFO, want a file");
  expect(error.details).toEqual({ errno: 0, syscall: "open", path: "lock" });
  expect(ioFailure(error, "read", "other")).toBe(error);
});

it.runIf(process.platform === "linux")("the table has the system's own numbers", () => {
  for (const [code, errno] of Object.entries(system.errno)) {
    const known = errnoOf({ code });
    if (known !== 0) expect([code, known]).toEqual([code, errno]);
  }
});
