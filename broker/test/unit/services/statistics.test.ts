import { afterEach, describe, expect, test, vi } from "vitest";
import { DayCount, Meter, Rate } from "../../../src/services/meter.ts";
import { Statistics } from "../../../src/services/statistics.ts";

const START = new Date(2024, 0, 10, 12, 0, 0).getTime();
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

afterEach(() => vi.restoreAllMocks());

describe("a meter", () => {
  test("has what was counted in the last minute, hour and day", () => {
    const meter = new Meter(START);
    meter.add(START, 10, 2);
    meter.add(START + 30_000, 20, 3);
    const { statsMinute, statsHour, statsDay } = meter.read(START + 40_000);
    expect(statsMinute).toEqual({ sum: 30, tps: 30 / 40, avgpt: 6 });
    expect(statsHour).toEqual({ sum: 30, tps: 30 / 600, avgpt: 6 });
    expect(statsDay).toEqual({ sum: 30, tps: 30 / 3600, avgpt: 6 });
  });

  test("forgets what is longer ago", () => {
    const meter = new Meter(START);
    for (let minute = 0; minute < 120; minute++) meter.add(START + minute * MINUTE, 1);
    const now = START + 119 * MINUTE + 5000;
    const read = meter.read(now);
    expect(read.statsMinute.sum).toBe(1);
    expect(read.statsHour.sum).toBe(60);
    expect(read.statsDay.sum).toBe(120);
    expect(meter.read(now + MINUTE).statsMinute.sum).toBe(0);
    expect(meter.read(now + 2 * HOUR).statsHour).toEqual({ sum: 0, tps: 0, avgpt: 0 });
    expect(meter.read(now + 30 * HOUR).statsDay.sum).toBe(0);
  });

  test("has a rate that is steady under steady load", () => {
    const meter = new Meter(START);
    for (let second = 0; second < 3 * 3600; second++) meter.add(START + second * 1000, 50);
    const read = meter.read(START + 3 * HOUR);
    expect(read.statsMinute.tps).toBeGreaterThan(45);
    expect(read.statsMinute.tps).toBeLessThan(55);
    expect(read.statsHour.tps).toBeGreaterThan(45);
    expect(read.statsHour.tps).toBeLessThan(55);
  });

  test("of nothing is nothing", () => {
    expect(new Meter(START).read(START).statsMinute).toEqual({ sum: 0, tps: 0, avgpt: 0 });
  });
});

describe("a rate", () => {
  test("is that of the last 10, 60 and 600 seconds", () => {
    const rate = new Rate();
    for (let second = 0; second < 30; second++) rate.add(START + second * 1000, 60);
    expect(rate.text(START + 30_000)).toBe("60 30 3");
    expect(rate.text(START + 35_000)).toBe("30 30 3");
    expect(rate.text(START + 700_000)).toBe("0 0 0");
  });

  test("stands still where the clock goes back", () => {
    const rate = new Rate();
    rate.add(START, 10);
    rate.add(START - 5000, 10);
    expect(rate.perSecond(START + 1000, 10)).toBe(2);
  });
});

describe("a count of days", () => {
  test("knows what it was in the morning, today and yesterday", () => {
    const count = new DayCount(START);
    count.add(START, 5);
    expect(count.read(START)).toEqual({ now: 5, todayMorning: 0, yesterdayMorning: 0 });
    const tomorrow = START + 24 * HOUR;
    count.add(tomorrow, 2);
    expect(count.read(tomorrow)).toEqual({ now: 7, todayMorning: 5, yesterdayMorning: 0 });
    expect(count.read(tomorrow + 24 * HOUR)).toEqual({ now: 7, todayMorning: 7, yesterdayMorning: 5 });
    expect(count.read(tomorrow + 240 * HOUR)).toEqual({ now: 7, todayMorning: 7, yesterdayMorning: 7 });
  });
});

describe("statistics", () => {
  function statistics() {
    let now = START;
    const all = new Statistics({ clusterName: "c", systemTopics: new Set(["own"]), now: () => now });
    const pass = (ms: number) => {
      now += ms;
    };
    return { all, pass };
  }
  const sum = (all: Statistics, name: string, key: string) => all.snapshot(name, key)?.statsMinute.sum;

  test("count what is put, by RocketMQ's names and keys", () => {
    const { all } = statistics();
    all.put("t", 3, 300, 1);
    all.put("t", 1, 100, 2);
    all.put("own", 5, 50, 0);
    all.put("TBW102", 5, 50);
    expect(sum(all, "TOPIC_PUT_NUMS", "t")).toBe(4);
    expect(sum(all, "TOPIC_PUT_SIZE", "t")).toBe(400);
    expect(sum(all, "QUEUE_PUT_NUMS", "t@1")).toBe(3);
    expect(sum(all, "QUEUE_PUT_SIZE", "t@2")).toBe(100);
    expect(sum(all, "BROKER_PUT_NUMS", "c")).toBe(14);
    expect(sum(all, "BROKER_PUT_NUMS_WITHOUT_SYSTEM_TOPIC", "c")).toBe(4);
    expect(all.snapshot("TOPIC_PUT_NUMS", "nobody")).toBeUndefined();
    expect(all.snapshot("NO_NAME", "t")).toBeUndefined();
  });

  test("count what is got, and what comes back", () => {
    const { all, pass } = statistics();
    all.got("g", "t", 1, 3, 300);
    all.got("g", "t", 2, 2, 200);
    all.got("h", "t", 1, 1, 100);
    all.missed();
    all.sentBack("g", "t");
    all.deadLetter("g", "t");
    expect(sum(all, "GROUP_GET_NUMS", "t@g")).toBe(5);
    expect(sum(all, "GROUP_GET_SIZE", "t@g")).toBe(500);
    expect(sum(all, "QUEUE_GET_NUMS", "t@1@g")).toBe(3);
    expect(sum(all, "QUEUE_GET_SIZE", "t@1@h")).toBe(100);
    expect(sum(all, "BROKER_GET_NUMS", "c")).toBe(6);
    expect(sum(all, "SNDBCK_PUT_NUMS", "t@g")).toBe(1);
    expect(sum(all, "DLQ_PUT_NUMS", "t@g")).toBe(1);
    pass(10_000);
    expect(all.tps("GROUP_GET_NUMS", "t@g")).toBeCloseTo(0.5);
    expect(all.tps("GROUP_GET_NUMS", "t@nobody")).toBe(0);
    const runtime = all.runtime();
    expect(runtime.getFoundTps.split(" ")[0]).toBe("0.3");
    expect(runtime.getMissTps.split(" ")[0]).toBe("0.1");
    expect(runtime.getTotalTps.split(" ")[0]).toBe("0.4");
    expect(runtime.getTransferredTps.split(" ")[0]).toBe("0.6");
    expect(runtime).toMatchObject({ putTps: "0 0 0", msgGetTotalTodayNow: 6, msgPutTotalTodayNow: 0 });
  });

  test("forget topics and groups that are gone, and nothing else", () => {
    const { all } = statistics();
    for (const topic of ["t", "u"]) {
      all.put(topic, 1, 1, 0);
      for (const group of ["g", "h"]) all.got(group, topic, 0, 1, 1);
    }
    all.deleteTopic("t");
    all.deleteGroup("g");
    const kept = ["t", "u"].flatMap((topic) =>
      ["g", "h"].map((group) => sum(all, "QUEUE_GET_NUMS", `${topic}@0@${group}`)),
    );
    expect(kept).toEqual([undefined, undefined, undefined, 1]);
    expect(sum(all, "TOPIC_PUT_NUMS", "t")).toBeUndefined();
    expect(sum(all, "TOPIC_PUT_NUMS", "u")).toBe(1);
    expect(sum(all, "BROKER_PUT_NUMS", "c")).toBe(2);
    all.put("t", 1, 1, 0);
    expect(sum(all, "TOPIC_PUT_NUMS", "t")).toBe(1);
  });
});

test("a clock that is set changes no rate, and days go by it", () => {
  const dates = vi.spyOn(Date, "now").mockReturnValue(START);
  const elapsed = vi.spyOn(performance, "now");
  let seconds = 0;
  const statistics = new Statistics({ clusterName: "c" });
  const load = (count: number) => {
    for (const end = seconds + count; seconds < end; seconds++) {
      elapsed.mockReturnValue(seconds * 1000);
      statistics.put("t", 10, 100, 0);
    }
  };
  load(120);
  dates.mockReturnValue(START - HOUR);
  load(600);
  elapsed.mockReturnValue(seconds * 1000);
  const { tps, sum } = statistics.snapshot("TOPIC_PUT_NUMS", "t")?.statsMinute ?? { tps: 0, sum: 0 };
  expect([tps, sum]).toEqual([10, 500]);
  expect(statistics.runtime().putTps).toBe("10 10 10");
  expect(statistics.runtime()).toMatchObject({ msgPutTotalTodayNow: 7200, msgPutTotalTodayMorning: 0 });
  dates.mockReturnValue(START + 24 * HOUR);
  load(1);
  expect(statistics.runtime()).toMatchObject({ msgPutTotalTodayNow: 7210, msgPutTotalTodayMorning: 7200 });
});

test("names and keys that clients choose are counted for as long as they are not too many", () => {
  const statistics = new Statistics({ clusterName: "c", maximum: 50 });
  for (let i = 0; i < 100; i++) {
    statistics.got(`g${i}`, "t", i, 1, 10);
    statistics.sentBack(`g${i}`, "t");
  }
  const kept = Array.from({ length: 100 }, (_, i) => statistics.snapshot("GROUP_GET_NUMS", `t@g${i}`)).filter(Boolean);
  expect(kept.length).toBeGreaterThan(0);
  expect(kept.length).toBeLessThan(50);
  statistics.got("g99", "t", 99, 1, 10);
  expect(statistics.snapshot("GROUP_GET_NUMS", "t@g99")).toBeDefined();
  expect(statistics.snapshot("BROKER_GET_NUMS", "c")).toBeDefined();
});

test("queues beyond the maximum are not counted for, and take nothing from topics and groups", () => {
  let now = START;
  const statistics = new Statistics({ clusterName: "c", maximum: 50, now: () => now });
  const round = (queues: number) => {
    for (let queueId = 0; queueId < queues; queueId++) {
      statistics.put("t", 1, 10, queueId);
      statistics.got("g", "t", queueId, 1, 10);
    }
  };
  round(1000);
  const counted = (name: string, key: (queueId: number) => string) =>
    Array.from({ length: 1000 }, (_, queueId) => statistics.snapshot(name, key(queueId))).filter(Boolean).length;
  const queues = () => [
    counted("QUEUE_PUT_NUMS", (queueId) => `t@${queueId}`),
    counted("QUEUE_GET_NUMS", (queueId) => `t@${queueId}@g`),
  ];
  expect(queues()).toEqual([13, 12]);
  expect(statistics.snapshot("TOPIC_PUT_NUMS", "t")?.statsMinute.sum).toBe(1000);
  expect(statistics.snapshot("GROUP_GET_NUMS", "t@g")?.statsMinute.sum).toBe(1000);
  // Those that stand still for long make room.
  now += HOUR - 1;
  round(2);
  statistics.put("t", 1, 10, 999);
  expect(statistics.snapshot("QUEUE_PUT_NUMS", "t@999")).toBeUndefined();
  now += MINUTE;
  statistics.put("t", 1, 10, 999);
  expect(statistics.snapshot("QUEUE_PUT_NUMS", "t@999")?.statsMinute.sum).toBe(1);
  expect(queues()).toEqual([3, 2]);
  statistics.deleteTopic("t");
  expect(queues()).toEqual([0, 0]);
  round(1000);
  expect(queues()).toEqual([13, 12]);
});
