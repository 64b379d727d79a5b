/** Which process it is: the same text as the native engine's. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import {
  identityFrom,
  identityOfThisProcess,
  identityText,
  isThisProcess,
  isZombie,
  startTimeOf,
} from "../../src/binding/wasm-identity.ts";
import { holdsOwnerFile } from "../../src/binding/wasm-living.ts";
import { Contender, emptyRoot, hasNative } from "./contender.ts";

const linux = process.platform === "linux";

it("is read back from its text", () => {
  const identity = identityOfThisProcess("n-1");
  expect(identityFrom(identityText(identity))).toEqual(identity);
  expect(isThisProcess(identity)).toBe(true);
  expect(isThisProcess({ ...identity, startTime: identity.startTime + 1n })).toBe(false);
});

it("a text cut short is nobody", () => {
  const text = identityText(identityOfThisProcess("n"));
  for (let cut = 0; cut < text.length - "n\n".length; cut++) expect(identityFrom(text.slice(0, cut))).toBeUndefined();
  const facts = (pid: string, rest = "1") =>
    `engine e\npid ${pid}\npid-namespace ${rest}\nstart-time 1\nboot b\nnonce n\n`;
  expect(identityFrom(facts("1"))).toMatchObject({ pid: 1 });
  for (const pid of ["-1", "0", "2147483648", "", "1e3", "0x1"]) expect(identityFrom(facts(pid))).toBeUndefined();
  expect(identityFrom(facts("1", "18446744073709551616"))).toBeUndefined();
  expect(identityFrom(facts("1", "18446744073709551615"))?.pidNamespace).toBe(2n ** 64n - 1n);
});

it("the start time and the state are found behind any name", () => {
  const rest = "S 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 4711 20";
  expect(startTimeOf(`1 (node) ${rest}`)).toBe(4711n);
  expect(startTimeOf(`1 (a) b (c)) ${rest}`)).toBe(4711n);
  expect(startTimeOf("")).toBe(0n);
  expect(["1 (a) Z 1", "1 (Z) S 1", ""].map(isZombie)).toEqual([true, false, false]);
});

it.runIf(linux)("has every fact that Linux tells", () => {
  const { pidNamespace, startTime, boot } = identityOfThisProcess("");
  expect([pidNamespace > 0n, startTime > 0n, boot]).toEqual([true, true, expect.stringMatching(/^[-\w]{36}$/)]);
});

it.runIf(linux && hasNative())("both engines say the same of one process", async () => {
  const facts = [];
  const process = Contender.process();
  for (const engine of ["wasm", "native"]) {
    const root = emptyRoot();
    await process.call("take", engine, root);
    const text = readFileSync(join(root, "moraine/owner"), "utf8");
    expect(text.startsWith(`engine ${engine}\n`)).toBe(true);
    facts.push(text.replace(/^engine \w+/, "").replace(/nonce [-\w]+\n$/, ""));
    await process.call("release");
  }
  expect(facts[0]).toBe(facts[1]);
});

it("where it cannot be told whether a process lives, it does", () => {
  const here = identityOfThisProcess("n");
  const file = { device: 0n, inode: 0n };
  expect(holdsOwnerFile({ ...here, pid: 0x7fff_fffe }, file), "nobody has that id").toBe(false);
  expect(holdsOwnerFile({ ...here, pidNamespace: here.pidNamespace + 1n }, file), "elsewhere").toBe(true);
  expect(holdsOwnerFile({ ...here, pidNamespace: here.pidNamespace + 1n, boot: "" }, file), "unknown").toBe(true);
});
