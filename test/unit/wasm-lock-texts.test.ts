/** In one situation both engines refuse a store with the same code, sentence and details. */
import { execFileSync } from "node:child_process";
import { chmodSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { identityOfThisProcess, identityText } from "../../src/binding/wasm-identity.ts";
import { Contender, type EngineName, emptyRoot, hasNative, type Refusal } from "./contender.ts";

/** What a store is refused with by an engine; drafts have names of their own. */
async function refusalOf(engine: EngineName, root: string, contender: Contender): Promise<Refusal> {
  const { error } = await contender.ask("take", engine, root);
  if (error === undefined) throw new Error("the store was opened");
  return JSON.parse(JSON.stringify(error).replaceAll(/owner\.[-\w]+\.new/g, "owner.NONCE.new"));
}

async function expectAlike(root: string, what: Partial<Refusal>, asking?: Contender): Promise<void> {
  const contender = asking ?? Contender.process();
  const native = await refusalOf("native", root, contender);
  expect(await refusalOf("wasm", root, contender)).toEqual(native);
  expect(native).toMatchObject(what);
}

describe.runIf(hasNative())("the same is said by both engines of a store", () => {
  it.each<EngineName>(["wasm", "native"])("that another process has open with %s", async (holding) => {
    const root = emptyRoot();
    const holder = Contender.process();
    const pid = await holder.call<number>("ready");
    await holder.call("take", holding, root);
    const message = `the store ${root} is held by process ${pid}, moraine; close it there, or open it with readOnly: true`;
    await expectAlike(root, { code: "STORE_LOCKED", message, details: { path: root, holder: pid } });
  });

  it.each<EngineName>(["wasm", "native"])("that another thread has open with %s", async (holding) => {
    const root = emptyRoot();
    await Contender.thread().call("take", holding, root);
    const message = `the store ${root} is held by this process, which has opened it already; close it there, or open it with readOnly: true`;
    const what = { code: "STORE_LOCKED", message, details: { path: root, holder: process.pid } };
    await expectAlike(root, what, Contender.thread());
  });

  it("that the other engine of the same thread has open", async () => {
    for (const [holding, asking] of [
      ["wasm", "native"],
      ["native", "wasm"],
    ] as const) {
      const root = emptyRoot();
      const both = Contender.process();
      await both.call("take", holding, root);
      expect(await both.refusal(asking, root)).toMatchObject({
        code: "STORE_LOCKED",
        message: expect.stringContaining("is held by this process, which has opened it already;"),
      });
      await both.call("release");
      expect(await both.refusal(asking, root)).toBeUndefined();
    }
  });

  it.runIf(process.platform === "linux")("whose owner cannot be looked for", async () => {
    const root = emptyRoot();
    mkdirSync(join(root, "moraine"));
    const here = identityOfThisProcess("left");
    const elsewhere = { ...here, pid: 4711, pidNamespace: here.pidNamespace + 1n };
    writeFileSync(join(root, "moraine", "owner"), identityText(elsewhere));
    await expectAlike(root, { code: "STORE_LOCKED", details: { path: root, holder: 4711 } });
  });

  const obstacles: [string, string, (path: string) => void][] = [
    ["a link", "is a symbolic link, want a file", (path) => symlinkSync("elsewhere", path)],
    ["a link to a file", "is a symbolic link, want a file", (path) => symlinkSync("../commitlog/x", path)],
    ["a FIFO", "is a FIFO, want a file", (path) => void execFileSync("mkfifo", [path])],
    ["a directory", "", (path) => mkdirSync(path)],
  ];
  const places = obstacles.flatMap(([name, words, put]) =>
    ["lock", "moraine/owner"].map((path) => [name, path, words, put] as const),
  );
  it.each(places)("with %s in place of %s", async (_, path, words, put) => {
    const root = emptyRoot();
    for (const folder of ["commitlog", "moraine"]) mkdirSync(join(root, folder));
    writeFileSync(join(root, "commitlog", "x"), "");
    put(join(root, path));
    const before = readdirSync(join(root, "moraine"));
    await expectAlike(root, { code: "STORE_IO", message: expect.stringContaining(`open of ${path} failed: ${words}`) });
    expect(readdirSync(join(root, "moraine"))).toEqual(before);
  });

  it("with a file in place of its directory moraine", async () => {
    const root = emptyRoot();
    writeFileSync(join(root, "moraine"), "");
    await expectAlike(root, { message: "open of moraine/owner.NONCE.new failed: Not a directory" });
  });

  it.each(["", "moraine"])("in a directory that may not be written: /%s", async (folder) => {
    const root = emptyRoot();
    for (const made of ["commitlog", "moraine"]) mkdirSync(join(root, made), { mode: 0o777 });
    writeFileSync(join(root, "lock"), "lock", { mode: 0o666 });
    chmodSync(root, 0o755);
    chmodSync(join(root, "lock"), folder === "" ? 0o444 : 0o666);
    chmodSync(join(root, "moraine"), 0o555);
    const nobody = Contender.process();
    await nobody.call("loadNative");
    await nobody.call("becomeNobody");
    const path = folder === "" ? "lock" : "moraine/owner.NONCE.new";
    const what = { code: "STORE_IO", message: `open of ${path} failed: Permission denied` };
    await expectAlike(root, { ...what, details: { errno: 13, syscall: "open", path } }, nobody);
  });
});
