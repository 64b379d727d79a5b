// `npm run bench -- --micro`: what single synchronous calls take, measured by the package `benchmark`, nothing beside them.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Benchmark from "benchmark";
import { lacking } from "../run/availability.mjs";
import { boundaryCases } from "./boundary.mjs";
import { codecCases } from "./codec.mjs";
import { crcCases } from "./crc.mjs";
import { openStore } from "./store.mjs";

/** Runs every case and prints nanoseconds of each thing it does, with the margin of error. */
export async function micro() {
  const dir = mkdtempSync(join(tmpdir(), "moraine-micro-"));
  const store = await openStore(dir, (await lacking("native")) === undefined ? "native" : "wasm");
  const why = await lacking("floor");
  try {
    console.log(`Engine: ${store.engine}${why === undefined ? "" : `; the floor is left out: ${why}`}\n`);
    const floor = why === undefined ? await import("../floor/contestant.mjs") : undefined;
    if (floor !== undefined) console.log(`The floor's CRC: ${floor.crcWay}\n`);
    for (const [title, cases] of [
      ["codec", codecCases(store)],
      ["boundary and hash", boundaryCases(store, floor)],
      ["CRC", crcCases(floor)],
    ]) {
      console.log(title);
      for (const one of cases) console.log(lineOf(one));
      console.log("");
    }
  } finally {
    await store.close();
    rmSync(dir, { recursive: true, force: true });
  }
}

/** `times`: how many things one call does. */
function lineOf({ name, times = 1, call }) {
  const { stats, error } = new Benchmark(name, call, { maxTime: 0.5, minSamples: 20 }).run();
  if (error !== undefined) throw error;
  const nanos = (stats.mean * 1e9) / times;
  return `   ${name.padEnd(64)} ${nanos.toFixed(nanos < 100 ? 1 : 0).padStart(9)} ns  ± ${stats.rme.toFixed(1)} %`;
}
