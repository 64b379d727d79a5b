/** The vectors of test/fixtures/golden.json, made by RocketMQ's own classes. */
import { readFileSync } from "node:fs";

interface Vector {
  name: string;
  inputs: Record<string, unknown>;
  expected: Record<string, unknown>;
}

const vectors = (
  JSON.parse(readFileSync(new URL("../fixtures/golden.json", import.meta.url), "utf8")) as { vectors: Vector[] }
).vectors;

export function golden(name: string): Vector {
  const vector = vectors.find((each) => each.name === name);
  if (vector === undefined) throw new Error(`no golden vector ${name}`);
  return vector;
}

/** The bytes of a vector's `hex`. */
export function goldenBytes(name: string): Uint8Array {
  return Uint8Array.from(Buffer.from(golden(name).expected.hex as string, "hex"));
}
