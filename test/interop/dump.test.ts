import { describe, expect, test } from "vitest";
import { moraine } from "./command-line.ts";
import { canonicalHost, type MessageLine } from "./expected.ts";
import { damageOf, expectedOf, fixtureNames, unpack } from "./fixtures.ts";
import { snapshot } from "./folders.ts";

const FIELDS = [
  "physicalOffset",
  "topic",
  "queueId",
  "queueOffset",
  "size",
  "bodyCrc",
  "sysFlag",
  "flag",
  "bornTimestamp",
  "bornHost",
  "storeTimestamp",
  "storeHost",
  "reconsumeTimes",
  "preparedTransactionOffset",
  "properties",
  "bodySize",
  "bodySha256",
];

/** A message of RocketMQ's as the command line prints it. */
function printed(line: MessageLine): object {
  const named = { ...line, bodyCrc: line.bodyCRC, physicalOffset: line.offset };
  const hosts = { bornHost: canonicalHost(line.bornHost), storeHost: canonicalHost(line.storeHost) };
  return Object.fromEntries(Object.entries({ ...named, ...hosts }).filter(([name]) => FIELDS.includes(name)));
}

interface FindingLine {
  finding: { kind: string; file: string; offset: number; length: number; message: string };
}

describe.each(fixtureNames.filter((name) => name !== "rmq5-flipped-bit"))("moraine dump of %s", (name) => {
  test("prints the messages that RocketMQ finds, and changes nothing", async () => {
    const store = unpack(name);
    const before = snapshot(store);
    const expected = expectedOf(name);

    const { code, out, err } = await moraine("dump", store, "--json", "--body", "sha256");

    const messages = out.map((line) => JSON.parse(line));
    expect(messages).toEqual(expected.messages.map(printed));
    for (const message of messages) expect(Object.keys(message)).toEqual(FIELDS);
    expect(code).toBe(err.length === 0 ? 0 : 2);
    if (expected.open.abort) expect(code).toBe(2);
    else if (damageOf(name).length === 0) expect(err).toEqual([]);
    expect(snapshot(store)).toEqual(before);
  });
});

describe("moraine dump of rmq5-flipped-bit", () => {
  test("names the damaged record and goes on behind it", async () => {
    const store = unpack("rmq5-flipped-bit");
    const before = snapshot(store);
    const expected = expectedOf("rmq5-flipped-bit").messages.map(printed);
    const [damage] = damageOf("rmq5-flipped-bit");

    const { code, out, err } = await moraine("dump", store, "--json", "--body", "sha256");

    const messages = out.map((line) => JSON.parse(line) as { physicalOffset: number });
    expect(messages.slice(0, expected.length)).toEqual(expected);
    // RocketMQ drops the two messages behind the damaged one as well.
    expect(messages).toHaveLength(expected.length + 2);
    const findings = err.map((line) => (JSON.parse(line) as FindingLine).finding);
    expect(findings).toContainEqual(
      expect.objectContaining({ file: damage?.file, offset: 40099, length: damage?.recordSize }),
    );
    expect(code).toBe(2);
    expect(snapshot(store)).toEqual(before);
  });
});
