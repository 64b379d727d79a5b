/** A process of its own that has a store until it kills itself (killed-child.mjs). */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { serialize } from "node:v8";
import type { InnerBatchMessage, Message, StoreOptions } from "../../src/index.ts";
import type { Model, Prepared } from "./model.ts";
import type { Draft, Step } from "./operations.ts";

const CHILD = fileURLToPath(new URL("killed-child.mjs", import.meta.url));

/** A step with its messages. */
export interface PreparedStep {
  readonly how: Step["how"];
  readonly drafts: readonly Draft[];
  readonly messages: readonly (Message | InnerBatchMessage)[];
  readonly clock: number;
}

/** What the process is told. */
export interface Errand {
  readonly path: string;
  readonly options: StoreOptions;
  /** Its clock in the beginning. */
  readonly now: number;
  readonly steps: readonly PreparedStep[];
  readonly dies: number;
  readonly calls: number;
}

/** What a step came to, as far as the process could say it. */
export interface Acknowledged {
  readonly physicalOffsets: number[];
  readonly endOffset: number;
  readonly durableOffset: number;
}

/** Runs the process until it is dead, and returns what it was sure of, a step each. */
export async function lived(errand: Errand, files: string): Promise<Acknowledged[]> {
  const [told, acks] = [`${files}-told`, `${files}-acks`];
  writeFileSync(told, serialize(errand));
  try {
    const child = spawn(process.execPath, [CHILD, told, acks], { stdio: ["ignore", "ignore", "pipe"] });
    let words = "";
    child.stderr.setEncoding("utf8").on("data", (text: string) => {
      words += text;
    });
    const [status, signal] = await once(child, "close");
    if (signal !== "SIGKILL" || words !== "") throw new Error(`the process ended with ${signal ?? status}: ${words}`);
    const lines = readFileSync(acks, "utf8").split("\n").slice(1, -1);
    return lines.map((line) => JSON.parse(line) as Acknowledged);
  } finally {
    for (const file of [told, acks]) rmSync(file, { force: true });
  }
}

/** A step with what the store would not refuse. */
export function preparedStep(model: Model, step: Step, isRefused: (prepared: Prepared) => boolean): PreparedStep {
  const { how, clock } = step;
  const prepared = how === "flush" ? [] : step.drafts.map((draft) => ({ draft, ...model.prepare(draft) }));
  const fitting = prepared.filter((each) => !isRefused(each));
  const messages = fitting.map(({ message }) => message);
  return { how, clock, drafts: fitting.map(({ draft }) => draft), messages };
}

/** The messages of a step are where the process has found them. */
export function expectAnswer(model: Model, { how, drafts }: PreparedStep, answer: Acknowledged, now: number): void {
  const stored = drafts.map((draft) => model.append(model.prepare(draft), model.tick(now)));
  const offsets = stored.map(({ physicalOffset }) => physicalOffset);
  assert.deepEqual(answer.physicalOffsets, offsets);
  assert.equal(answer.endOffset, model.end);
  if (how === "flush") assert.equal(answer.durableOffset, answer.endOffset);
}

/** Of messages that the process was putting when it died, so many are there: from the first on, up to the end of the log. */
export function survived(model: Model, drafts: readonly Draft[], time: number, endOffset: number): number {
  let there = 0;
  while (model.end < endOffset && there < drafts.length) {
    const prepared = model.prepare(drafts[there] as Draft);
    model.makeRoom(prepared.size);
    // The blank was written, and no more.
    if (model.end === endOffset) break;
    model.append(prepared, time);
    there++;
  }
  assert.equal(endOffset, model.end, `${there} of ${drafts.length} messages are there`);
  return there;
}
