import { Writable } from "node:stream";
import { expect, test } from "vitest";
import { Output, OutputClosed } from "../../src/cli/output.ts";

/** A stream that keeps what it gets and finishes a write only when told. */
class Slow extends Writable {
  readonly chunks: string[] = [];
  finish: (error?: Error | null) => void = () => {};

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.chunks.push(chunk.toString());
    this.finish = done;
  }
}

const FINDING = { kind: "damaged", file: "commitlog/0", offset: 7, length: 3, message: "body CRC" };

test("lines are gathered, and the writer waits for who reads", async () => {
  const out = new Slow();
  const output = new Output(out, new Slow(), false);
  const text = "x".repeat(999);
  let wait: Promise<void> | undefined;
  let lines = 0;
  while (wait === undefined) {
    wait = output.line(text);
    lines++;
  }
  expect(out.chunks).toEqual([`${text}\n`.repeat(lines)]);
  let settled = false;
  wait.then(() => {
    settled = true;
  });
  await new Promise(setImmediate);
  expect(settled).toBe(false);
  out.finish();
  await wait;
});

test("a reader that has gone is not a failure, a full disk is", async () => {
  for (const [code, expected] of [
    ["EPIPE", OutputClosed],
    ["ENOSPC", Error],
  ] as const) {
    const out = new Slow();
    const output = new Output(out, new Slow(), false);
    output.line("text");
    const flushed = output.flush();
    out.finish(Object.assign(new Error(`write ${code}`), { code }));
    const error = await flushed.catch((one: unknown) => one);
    expect((error as Error).constructor).toBe(expected);
  }
});

test("a finding is named once, as JSON where that was asked", () => {
  const err = new Slow();
  const output = new Output(new Slow(), err, true);
  output.finding(FINDING);
  output.finding({ ...FINDING, message: "again" });
  expect(output.findings).toBe(1);
  expect(err.chunks).toEqual([`${JSON.stringify({ finding: FINDING })}\n`]);
});

test("a failure cannot steer the terminal by a name from the disk, and keeps its lines", () => {
  const err = new Slow();
  new Output(new Slow(), err, false).failure("it holds \x1b[31mred\nTried:", "STORE_IO");
  expect(err.chunks).toEqual(["moraine: STORE_IO: it holds \\u001b[31mred\nTried:\n"]);
});
