// 8 queues against 100,000: what each of many queues costs. RocketMQ is not asked, it fails at 20,000.
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { median } from "./median.mjs";

const CONTESTANTS = [
  { topics: 1, queues: 8 },
  { topics: 10_000, queues: 10 },
];
/** What 100,000 queues have to keep to. */
const LEAST_RATE_SHARE = 0.5;
const LONGEST_OPEN_SECONDS = 1;
const MOST_EXTRA_BYTES = 128 * 2 ** 20;

const child = fileURLToPath(new URL("./load/many-queues.mjs", import.meta.url));

/** Measures both in turn, each in a directory of its own that `inDirectory` gives and takes. */
export function run(inDirectory, messages, rounds) {
  const few = [];
  const many = [];
  for (let round = 0; round < rounds; round++) {
    for (const { topics, queues } of CONTESTANTS) {
      const figures = inDirectory((dir) => {
        const phase = (mode) =>
          JSON.parse(
            execFileSync(process.execPath, [child, mode, dir, topics, queues, messages].map(String), {
              encoding: "utf8",
            }),
          );
        return { write: phase("write"), open: phase("open") };
      });
      (topics === 1 ? few : many).push(figures);
    }
  }
  const [a, b] = [few, many].map((all) => ({
    rate: median(all.map(({ write }) => write.messagesPerSecond)),
    making: median(all.map(({ write }) => write.makingSeconds)),
    close: median(all.map(({ write }) => write.closeSeconds)),
    open: median(all.map(({ open }) => open.openSeconds)),
    bytes: Math.max(...all.map(({ write }) => write.privateBytes)),
    openBytes: Math.max(...all.map(({ open }) => open.privateBytes)),
    descriptors: Math.max(...all.flatMap(({ write, open }) => [write.descriptors, open.descriptors])),
    mappings: Math.max(...all.flatMap(({ write, open }) => [write.mappings, open.mappings])),
  }));
  console.log(`\n8 queues against 100,000, ${messages.toLocaleString("en")} messages, ${rounds} rounds`);
  const row = (name, show) => console.log(`  ${name.padEnd(44)} ${show(a).padStart(12)} ${show(b).padStart(12)}`);
  row("put, batches of 64 × 1 KiB", (s) => `${Math.round(s.rate / 1000)} k/s`);
  row("first message of every queue, in files", (s) => `${s.making.toFixed(2)} s`);
  row("clean close", (s) => `${s.close.toFixed(2)} s`);
  row("clean open", (s) => `${s.open.toFixed(3)} s`);
  row("private memory, putting", (s) => mebibytes(s.bytes));
  row("private memory, opened", (s) => mebibytes(s.openBytes));
  row("descriptors", (s) => String(s.descriptors));
  row("mappings", (s) => String(s.mappings));
  const verdict = (met) => (met ? "met" : "MISSED");
  const share = b.rate / a.rate;
  const extra = Math.max(b.bytes - a.bytes, b.openBytes - a.openBytes);
  console.log(`  → ${share.toFixed(2)} × the rate; target ${LEAST_RATE_SHARE} × ${verdict(share >= LEAST_RATE_SHARE)}`);
  console.log(`  → clean open; target ${LONGEST_OPEN_SECONDS} s ${verdict(b.open < LONGEST_OPEN_SECONDS)}`);
  console.log(
    `  → ${mebibytes(extra)} more; target ${mebibytes(MOST_EXTRA_BYTES)} ${verdict(extra <= MOST_EXTRA_BYTES)}`,
  );
  return { messages, few, many };
}

const mebibytes = (bytes) => `${Math.round(bytes / 2 ** 20)} MiB`;
