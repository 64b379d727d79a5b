/** What docs/benchmarks.md says of the broker beside Apache's. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import {
  BROKER_ROWS,
  type BrokerRow,
  type BrokerRun,
  brokerPart,
  shown,
  verdicts,
  verdictText,
} from "../../bench/report/broker.mjs";

const machines = {
  m: { processors: "2 × Some", memoryBytes: 2 ** 34, system: "linux 6", fileSystem: "ext4", node: "v20" },
  other: { processors: "9 × Other", memoryBytes: 2 ** 34, system: "linux 6", fileSystem: "ext4", node: "v20" },
};
const [alone, withConsumer] = BROKER_ROWS as [BrokerRow, BrokerRow];

const ours = {
  messagesPerSecond: 60_000,
  cpuSecondsPerMillion: 10,
  privateBytes: 100 * 2 ** 20,
  p50Micros: 900,
  p99Micros: 12_345,
};
const theirs = {
  messagesPerSecond: 50_000,
  cpuSecondsPerMillion: 22,
  privateBytes: 900 * 2 ** 20,
  p50Micros: 4000,
  p99Micros: 23_000,
};

function run(
  contestant: string,
  round: number,
  figures: Record<string, number>,
  more: Partial<BrokerRun> = {},
): BrokerRun {
  const key = {
    commit: "c2",
    machine: "m",
    amount: "15 s after a warm-up of 8 s",
    at: `2026-01-0${round + 1}T00:00:00Z`,
  };
  return { ...key, contestant, round, java: "Java 17.0.1", figures, ...more };
}
const both = (own: Record<string, number>, other: Record<string, number>) => [
  run("moraine-broker", 0, own),
  run("rocketmq", 0, other),
];
const partOf = (runs: readonly BrokerRun[]) =>
  brokerPart({ runsOf: (name) => (name === alone.name ? runs : []), machines });

describe("rows", () => {
  it("are both flushes with both ways to send, each without and with a consumer, under names of their own", () => {
    expect(BROKER_ROWS.map(({ name }) => name)).toEqual([
      "async-flush-async-sends",
      "async-flush-async-sends-consumer",
      "async-flush-sync-sends",
      "async-flush-sync-sends-consumer",
      "sync-flush-async-sends",
      "sync-flush-async-sends-consumer",
      "sync-flush-sync-sends",
      "sync-flush-sync-sends-consumer",
    ]);
    expect(BROKER_ROWS.find(({ name }) => name === "sync-flush-sync-sends-consumer")).toMatchObject({
      ...{ flush: "SYNC_FLUSH", mode: "sync", threads: 64, consumer: true },
    });
  });
});

describe("targets", () => {
  const judged = (own: object, other: object = theirs, row = alone) =>
    verdicts(row, { "moraine-broker": [{ ...ours, ...own }], rocketmq: [{ ...theirs, ...other }] });
  const metOf = (all: ReturnType<typeof verdicts>, metric: string) => all.find((one) => one.metric === metric)?.met;

  it("not slower than Apache's, two thirds of its processor time, a quarter of its memory", () => {
    expect(judged({}).map(({ met }) => met)).toEqual([true, true, true]);
    expect(metOf(judged({ messagesPerSecond: 49_999 }), "messagesPerSecond")).toBe(false);
    expect(metOf(judged({ messagesPerSecond: 50_000 }), "messagesPerSecond")).toBe(true);
    expect(metOf(judged({ cpuSecondsPerMillion: 14.7 }), "cpuSecondsPerMillion")).toBe(false);
    expect(metOf(judged({ cpuSecondsPerMillion: 14.6 }), "cpuSecondsPerMillion")).toBe(true);
    expect(metOf(judged({ privateBytes: 226 * 2 ** 20 }), "privateBytes")).toBe(false);
    expect(metOf(judged({ privateBytes: 225 * 2 ** 20 }), "privateBytes")).toBe(true);
  });

  it("with a consumer, what it is given is asked of, too", () => {
    const slow = judged({ consumedPerSecond: 40_000 }, { consumedPerSecond: 50_000 }, withConsumer);
    expect(metOf(slow, "consumedPerSecond")).toBe(false);
    expect(
      metOf(judged({ consumedPerSecond: 40_000 }, { consumedPerSecond: 50_000 }), "consumedPerSecond"),
    ).toBeUndefined();
  });

  it("nothing is judged where one of them was not measured", () => {
    const all = verdicts(alone, { "moraine-broker": [ours] });
    expect(all.map(({ met }) => met)).toEqual([undefined, undefined, undefined]);
    expect(all.map(verdictText)[0]).toBe("sent /s: not judged");
  });

  it("are said with what came out", () => {
    expect(judged({ cpuSecondsPerMillion: 22 }).map(verdictText)).toEqual([
      "sent /s: 1.20 × (≥ 1 ×) met",
      "CPU s/M: 1.00 × (≤ 2/3 ×) MISSED",
      "private MiB: 0.11 × (≤ 1/4 ×) met",
    ]);
  });
});

describe("figures", () => {
  it("are medians, with the least and the most where rounds differ", () => {
    const cells = shown(alone, [ours, { ...ours, messagesPerSecond: 58_000 }, { ...ours, messagesPerSecond: 61_500 }]);
    expect(cells.slice(0, 4)).toEqual(["60,000 (58,000–61,500)", "–", "0.90", "12.3"]);
    expect(cells.at(-1)).toBe("100");
  });

  it("of a consumer are shown only where there is one", () => {
    const figures = { ...ours, consumedPerSecond: 59_000, endToEndP50Micros: 2000, endToEndP99Micros: 30_000 };
    expect(shown(withConsumer, [figures])).toContain("59,000");
    expect(shown(alone, [figures])).not.toContain("59,000");
  });
});

describe("the part of the document", () => {
  it("says cleanly that nothing was measured", () => {
    expect(brokerPart({ runsOf: () => [], machines: {} })).toBe("`npm --prefix broker run figures`. Not measured yet.");
  });

  it("has both brokers' figures, ours to Apache's, the machine, versions and the command", () => {
    const text = partOf(both(ours, theirs));
    expect(text).toContain("`npm --prefix broker run figures`");
    expect(text).toContain("15 s after a warm-up of 8 s, 1 rounds; commit c2, machine m, Java 17.0.1, 2026-01-01");
    expect(text).toContain("2 × Some");
    expect(text).not.toContain("9 × Other");
    expect(text).toContain(`| ${alone.title} | moraine-broker | 60,000 | – | 0.90 | 12.3 |`);
    expect(text).toContain(`| ${alone.title} | Apache RocketMQ 5.4.0 | 50,000 |`);
    expect(text).toContain(`| ${alone.title} | 1.20 × | – | 0.45 × | 0.11 × |`);
    expect(text).toContain("Every target that was judged is met.");
  });

  it("names every target that is missed, and every row that was not measured", () => {
    const text = partOf(both({ ...ours, messagesPerSecond: 40_000, cpuSecondsPerMillion: 20 }, theirs));
    expect(text).toContain(`- ${alone.title}: sent /s: 0.80 × (≥ 1 ×) MISSED`);
    expect(text).toContain(`- ${alone.title}: CPU s/M: 0.91 × (≤ 2/3 ×) MISSED`);
    expect(text).toContain("| **0.80 ×** |");
    expect(text).not.toContain("Every target");
    expect(text).toContain(`Not measured: ${withConsumer.title}`);
  });

  it("takes the figures of the latest commit, and none of a run that failed", () => {
    const old = { commit: "c1", at: "2025-01-01T00:00:00Z" };
    const { figures: _, ...failed } = run("rocketmq", 1, theirs, { failed: "3 messages were lost" });
    const text = partOf([
      ...both(ours, theirs),
      failed,
      run("moraine-broker", 1, { ...ours, messagesPerSecond: 1 }, old),
    ]);
    expect(text).toContain("| moraine-broker | 60,000 |");
    expect(text).toContain("| Apache RocketMQ 5.4.0 | 50,000 |");
  });

  it("says which sends to Apache's broker failed", () => {
    const text = partOf(
      both({ ...ours, failedSends: 0, failedInAll: 0 }, { ...theirs, failedSends: 7, failedInAll: 9 }),
    );
    expect(text).toContain(`- ${alone.title}: 7 sends to Apache RocketMQ 5.4.0, and 2 beside the measurement`);
    expect(text).not.toContain("sends to moraine-broker");
    expect(partOf(both(ours, theirs))).toContain("No send failed.");
  });

  it("has its place in the template", () => {
    expect(readFileSync(join(import.meta.dirname, "../../bench/report/template.md"), "utf8")).toContain("{{broker}}");
  });
});
