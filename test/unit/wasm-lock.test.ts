/** One writer, without system locks: who is refused, and what is left. */
import {
  chmodSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { type Identity, identityFrom, identityOfThisProcess, identityText } from "../../src/binding/wasm-identity.ts";
import { acquireLock, type WasmLock } from "../../src/binding/wasm-lock.ts";
import { StoreError } from "../../src/errors.ts";
import { Contender, emptyRoot } from "./contender.ts";

const linux = process.platform === "linux";

function take(root: string): WasmLock {
  const lock = acquireLock(root);
  onTestFinished(() => lock.release());
  return lock;
}

function refusal(root: string): StoreError {
  try {
    acquireLock(root).undo();
  } catch (error) {
    expect(error).toBeInstanceOf(StoreError);
    return error as StoreError;
  }
  throw new Error("the lock was taken");
}

const names = (root: string) => readdirSync(root, { recursive: true, encoding: "utf8" }).sort();
const ownerFile = (root: string) => join(root, "moraine", "owner");

/** Leaves an owner file as another would, with these facts in place of this process's; returns the text. */
function leaveOwner(root: string, facts: Partial<Identity> = {}, file = "owner"): string {
  const text = identityText({ ...identityOfThisProcess("left"), ...facts });
  mkdirSync(join(root, "moraine"), { recursive: true });
  writeFileSync(join(root, "moraine", file), text);
  return text;
}

/** A process id that nobody has: the largest that Linux gives is 2^22. */
const NOBODY = 0x7fff_fffe;

describe("a store that was taken", () => {
  it("names its owner, and is refused to a second one of this process", () => {
    const root = emptyRoot();
    take(root);
    expect(readFileSync(join(root, "lock"), "utf8")).toBe("lock");
    const owner = identityFrom(readFileSync(ownerFile(root), "utf8"));
    expect(owner).toMatchObject({ engine: "wasm", pid: process.pid });

    const error = refusal(root);
    expect(error.code).toBe("STORE_LOCKED");
    expect(error.message).toBe(
      `the store ${root} is held by this process, which has opened it already; close it there, or open it with readOnly: true`,
    );
    expect(error.details).toEqual({ path: root, holder: process.pid });
    expect(names(root), "who was refused has touched nothing").toEqual(["lock", "moraine", "moraine/owner"]);
  });

  it("is free when it was given up, twice or once, and leaves no owner", () => {
    const root = emptyRoot();
    const lock = take(root);
    lock.release();
    lock.release();
    lock.undo();
    expect(names(root)).toEqual(["lock", "moraine"]);
    take(root).release();
    expect(names(root)).toEqual(["lock", "moraine"]);
  });

  it.runIf(linux)("leaves no descriptor open", () => {
    const root = emptyRoot();
    const open = () => readdirSync("/proc/self/fd").length;
    const before = open();
    for (let n = 0; n < 20; n++) {
      const lock = take(root);
      refusal(root);
      lock.release();
    }
    expect(open()).toBe(before);
  });

  it("leaves nothing that it has made when that is undone, and all that was there", () => {
    const root = emptyRoot();
    take(root).undo();
    expect(names(root)).toEqual([]);

    writeFileSync(join(root, "lock"), "locked before");
    mkdirSync(join(root, "moraine"));
    take(root).undo();
    expect(names(root)).toEqual(["lock", "moraine"]);
    expect(readFileSync(join(root, "lock"), "utf8")).toBe("locked before");
  });

  it("keeps what another has put beside it meanwhile", () => {
    const root = emptyRoot();
    const lock = take(root);
    writeFileSync(join(root, "moraine", "watermark"), "");
    rmSync(join(root, "lock"));
    writeFileSync(join(root, "lock"), "another's");
    lock.undo();
    expect(names(root)).toEqual(["lock", "moraine", "moraine/watermark"]);
    expect(readFileSync(join(root, "lock"), "utf8")).toBe("another's");
  });

  it("does not remove an owner file that is another's by now", () => {
    const root = emptyRoot();
    const lock = take(root);
    rmSync(ownerFile(root));
    const text = leaveOwner(root, { pid: NOBODY });
    lock.release();
    expect(readFileSync(ownerFile(root), "utf8")).toBe(text);
  });
});

describe("an owner file that was left", () => {
  const dead: [string, Partial<Identity>][] = [
    ["by a process that is gone", { pid: NOBODY }],
    ["before the system was started anew", { boot: "earlier", pid: process.pid }],
    ["by a process that does not hold it open any more, as a dead worker's", {}],
    ["by the native engine, killed", { engine: "native", pid: NOBODY }],
  ];
  it.each(linux ? dead : dead.slice(0, 1))("%s is replaced", (_, facts) => {
    const root = emptyRoot();
    leaveOwner(root, facts);
    take(root);
    expect(identityFrom(readFileSync(ownerFile(root), "utf8"))).toMatchObject({ engine: "wasm", pid: process.pid });
    expect(names(join(root, "moraine"))).toEqual(["owner"]);
  });

  it.each([
    ["empty", ""],
    ["cut short", "engine wa"],
    ["without its last line", "engine wasm\npid 1\npid-namespace 1\nstart-time 1\nboot b\n"],
    ["of zeros, and longer than any", "\0".repeat(5000)],
  ])("that is %s is replaced", (_, text) => {
    const root = emptyRoot();
    leaveOwner(root);
    writeFileSync(ownerFile(root), text);
    const old = new Date(Date.now() - 60_000);
    utimesSync(ownerFile(root), old, old);
    take(root);
    expect(names(join(root, "moraine"))).toEqual(["owner"]);
  });

  it("with claims of others that died while they replaced it is replaced", () => {
    const root = emptyRoot();
    leaveOwner(root, { pid: NOBODY });
    let claim = "owner";
    for (let depth = 0; depth < 5; depth++) {
      claim = `owner.${statSync(join(root, "moraine", claim), { bigint: true }).ino}`;
      leaveOwner(root, { pid: NOBODY }, claim);
    }
    take(root).release();
    expect(names(join(root, "moraine"))).toEqual([]);
  });

  it("with more claims than can come about is refused, with what to do", () => {
    const root = emptyRoot();
    leaveOwner(root, { pid: NOBODY });
    let claim = "owner";
    for (let depth = 0; depth < 9; depth++) {
      claim = `owner.${statSync(join(root, "moraine", claim), { bigint: true }).ino}`;
      leaveOwner(root, { pid: NOBODY }, claim);
    }
    expect(refusal(root)).toMatchObject({
      code: "STORE_IO",
      message: expect.stringMatching(/too many claims left by dead processes; remove the files moraine\/owner\*$/),
    });
  });

  it.runIf(linux)("in another pid namespace counts as a living one's", () => {
    const root = emptyRoot();
    const pidNamespace = identityOfThisProcess("").pidNamespace + 1n;
    const text = leaveOwner(root, { pidNamespace, pid: NOBODY });
    expect(refusal(root)).toMatchObject({
      code: "STORE_LOCKED",
      message: expect.stringContaining(`is held by process ${NOBODY}, moraine;`),
      details: { path: root, holder: NOBODY },
    });
    expect(readFileSync(ownerFile(root), "utf8")).toBe(text);
  });

  it.runIf(linux)("belongs to who has it open for writing, not to who looks at it", () => {
    const root = emptyRoot();
    // An id that was given again has another start, but not the file open.
    leaveOwner(root, { engine: "native", startTime: 1n });
    const holding = openSync(ownerFile(root), "r+");
    expect(refusal(root).code).toBe("STORE_LOCKED");
    closeSync(holding);
    const looking = openSync(ownerFile(root), "r");
    take(root);
    closeSync(looking);
  });
});

describe("another", () => {
  it("process is refused until the holder dies", async () => {
    const root = emptyRoot();
    const holder = Contender.process();
    const pid = await holder.call<number>("ready");
    await holder.call("take", "wasm", root);
    expect(refusal(root)).toMatchObject({
      code: "STORE_LOCKED",
      message: expect.stringContaining(`is held by process ${pid}, moraine;`),
      details: { path: root, holder: pid },
    });
    await holder.kill();
    expect(existsSync(ownerFile(root)), "a killed process leaves its name").toBe(true);
    take(root);
  });

  it("thread is refused until the holder's is ended, wherever it is", async () => {
    const root = emptyRoot();
    const holder = Contender.thread();
    await holder.call("take", "wasm", root);
    expect(refusal(root)).toMatchObject({
      message: expect.stringContaining("is held by this process, which has opened it already;"),
    });
    const other = Contender.thread();
    expect(await other.refusal("wasm", root)).toMatchObject({ code: "STORE_LOCKED" });
    await holder.kill();
    expect(await other.refusal("wasm", root)).toBeUndefined();
    expect(refusal(root).code).toBe("STORE_LOCKED");
    await other.call("release");
    take(root);
  });
});

describe("calls that the system refuses", () => {
  it("are told with the call, the path and the reason", async () => {
    const root = emptyRoot();
    chmodSync(root, 0o555);
    const nobody = Contender.process();
    await nobody.call("becomeNobody");
    expect(await nobody.refusal("wasm", root)).toEqual({
      code: "STORE_IO",
      message: "open of lock failed: Permission denied",
      details: { errno: 13, syscall: "open", path: "lock" },
    });
    expect(names(root)).toEqual([]);
  });

  it("leave what was there as it was", () => {
    const root = emptyRoot();
    writeFileSync(join(root, "moraine"), "no directory");
    expect(refusal(root)).toMatchObject({
      code: "STORE_IO",
      message: expect.stringMatching(/^open of moraine\/owner\..*\.new failed: Not a directory$/),
      details: { errno: 20, syscall: "open" },
    });
    expect(readFileSync(join(root, "moraine"), "utf8")).toBe("no directory");
  });
});
