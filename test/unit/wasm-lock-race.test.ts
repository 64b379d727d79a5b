/** Many take one store at once, over what a dead owner left, in processes and in threads, with both engines: one gets it. */
import { mkdirSync, readdirSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { identityOfThisProcess, identityText } from "../../src/binding/wasm-identity.ts";
import { Contender, type Counts, type EngineName, emptyRoot, hasNative } from "./contender.ts";

/** How long all take the store and give it up. */
const CONTEND_MS = 600;
const EIGHT = [0, 1, 2, 3, 4, 5, 6, 7];
const wasm = (): EngineName => "wasm";
const mixed = (n: number): EngineName => (n % 2 === 0 ? "wasm" : "native");

/** Who contends: how they are started, and with which engine each. */
interface Field {
  readonly name: string;
  readonly start: (n: number) => Contender;
  readonly engine: (n: number) => EngineName;
}

const ofOneEngine: Field[] = [
  { name: "eight processes", start: () => Contender.process(), engine: wasm },
  {
    name: "eight processes without hard links",
    start: () => Contender.process({ MORAINE_TEST_NO_LINKS: "1" }),
    engine: wasm,
  },
  { name: "eight threads", start: () => Contender.thread(), engine: wasm },
  {
    name: "four threads and four processes",
    start: (n) => (n < 4 ? Contender.thread() : Contender.process()),
    engine: wasm,
  },
];
const ofBoth: Field[] = [
  { name: "four processes of each engine", start: () => Contender.process(), engine: mixed },
  { name: "four threads of each engine", start: () => Contender.thread(), engine: mixed },
];
const fields = hasNative() ? [...ofOneEngine, ...ofBoth] : ofOneEngine;

/**
 * By turns: nobody, an owner of an earlier boot, one cut short, one whose process is gone, with a claim left by another, one whose
 * process (that of the threads) lives without it.
 */
function leaveDeadOwner(root: string, round: number): void {
  const sidecar = join(root, "moraine");
  mkdirSync(sidecar, { recursive: true });
  const owner = join(sidecar, "owner");
  const here = identityOfThisProcess("dead");
  const dead = { ...here, pid: 0x7fff_fffe };
  if (round % 5 === 1) writeFileSync(owner, identityText({ ...here, boot: "earlier" }));
  if (round % 5 === 2) {
    writeFileSync(owner, "engine wa");
    utimesSync(owner, 1_000_000, 1_000_000);
  }
  if (round % 5 === 4) writeFileSync(owner, identityText(here));
  if (round % 5 === 3) {
    writeFileSync(owner, identityText(dead));
    writeFileSync(join(sidecar, `owner.${statSync(owner, { bigint: true }).ino}`), identityText(dead));
  }
}

const ownerFiles = (root: string) => readdirSync(join(root, "moraine")).filter((name) => name.startsWith("owner"));

describe.each(fields)("of $name", ({ start, engine }) => {
  it("one takes over, and never two are in the store at a time", async () => {
    const root = emptyRoot();
    const all = EIGHT.map(start);
    await Promise.all(all.map((contender) => contender.call("ready")));
    for (let round = 0; round < 10; round++) {
      leaveDeadOwner(root, round);
      const refusals = await Promise.all(all.map((contender, n) => contender.refusal(engine(n), root)));
      expect(
        refusals.filter((refusal) => refusal !== undefined && refusal.code !== "STORE_LOCKED"),
        `round ${round}`,
      ).toEqual([]);
      const winners = all.filter((_, n) => refusals[n] === undefined);
      expect(winners, `round ${round}`).toHaveLength(1);
      await winners[0]?.call("release");
      expect(ownerFiles(root), `round ${round}`).toEqual([]);
    }

    const inside = join(emptyRoot(), "inside");
    const counts = await Promise.all(
      all.map((contender, n) => contender.call<Counts>("contend", engine(n), root, inside, CONTEND_MS)),
    );
    expect(counts.filter(({ together }) => together > 0)).toEqual([]);
    expect(counts.filter(({ taken }) => taken < 3)).toEqual([]);
  });
});
