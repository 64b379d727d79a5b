/** Owners that come and go while another looks at the file: each turn where it does most harm. */
import fs from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { identityOfThisProcess, identityText } from "../../src/binding/wasm-identity.ts";
import { claimOwner } from "../../src/binding/wasm-owner.ts";
import { emptyRoot } from "./contender.ts";

const ownerText = (nonce: string, facts = {}) => identityText({ ...identityOfThisProcess(nonce), ...facts });

/** Lets `turn` happen once, before the first call of that name that `isWhen` is true of. */
function before(name: "linkSync" | "readdirSync", isWhen: (...given: string[]) => boolean, turn: () => void): void {
  const real = fs[name] as (...given: unknown[]) => unknown;
  let isDone = false;
  const hooked = (...given: unknown[]) => {
    if (!isDone && isWhen(...given.map(String))) {
      isDone = true;
      turn();
    }
    return real(...given);
  };
  Object.assign(fs, { [name]: hooked });
  syncBuiltinESMExports();
  onTestFinished(() => {
    Object.assign(fs, { [name]: real });
    syncBuiltinESMExports();
  });
}

it("a dead owner's inode that is a living one's now, which gives way to a third, is not replaced", () => {
  const directory = emptyRoot();
  const path = join(directory, "owner");
  fs.writeFileSync(path, ownerText("dead", { pid: 0x7fff_fffe }));
  const turns: string[] = [];
  let second = -1;
  let third = -1;
  // The dead one has been seen, and its claim is about to be made.
  before(
    "linkSync",
    (_, to = "") => /owner\.\d+$/.test(to),
    () => {
      turns.push("second");
      // A living owner on the same inode.
      second = fs.openSync(path, "r+");
      fs.writeSync(second, ownerText("second"), 0);
      fs.ftruncateSync(second, ownerText("second").length);
      // It is about to be asked for in /proc.
      before(
        "readdirSync",
        (folder = "") => folder === `/proc/${process.pid}/fd`,
        () => {
          turns.push("third");
          // Somebody else looks at it, too: so the third has another inode.
          const reader = fs.openSync(path, "r");
          onTestFinished(() => fs.closeSync(reader));
          fs.unlinkSync(path);
          fs.closeSync(second);
          third = fs.openSync(path, "wx");
          fs.writeSync(third, ownerText("third"));
          onTestFinished(() => fs.closeSync(third));
        },
      );
    },
  );

  const claim = claimOwner(directory);
  expect(turns).toEqual(["second", "third"]);
  expect(claim.holder).toEqual({ pid: process.pid, isThisProcess: true });
  expect(fs.readFileSync(path, "utf8")).toBe(ownerText("third"));
  expect(fs.fstatSync(third).ino).toBe(fs.statSync(path).ino);
  expect(fs.readdirSync(directory)).toEqual(["owner"]);
});
