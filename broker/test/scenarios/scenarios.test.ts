/** All scenarios with all clients, against the broker that MORAINE_SUBJECT names. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, test } from "vitest";
import { startApache } from "../apache/apache.ts";
import { missing } from "../clients/cache.ts";
import type { Driver } from "../clients/driver.ts";
import { CLIENTS, type ClientName, PROGRAMS } from "../clients/programs.ts";
import { ALL_SCENARIOS } from "./all.ts";
import { keepFacts, stable } from "./facts.ts";
import { startMoraine } from "./moraine.ts";
import { judge } from "./recorded.ts";
import type { Scenario } from "./scenario.ts";
import { registered, Scene } from "./scene.ts";
import type { StartSubject, Subject } from "./subject.ts";

const MINUTE = 60_000;
const everything = process.env.MORAINE_SCENARIOS_ALL === "1";
const startSubject: StartSubject = process.env.MORAINE_SUBJECT === "apache" ? startApache : startMoraine;
const wanted = asked("MORAINE_CLIENTS", CLIENTS) ?? (everything ? CLIENTS : ["java-5.4.0"]);
const clients = CLIENTS.filter((name) => wanted.includes(name));
const named = asked(
  "MORAINE_SCENARIOS",
  ALL_SCENARIOS.map(({ name }) => name),
);

/** Names from the environment; one that there is not would be a scenario that passes without being run. */
function asked(variable: string, known: readonly string[]): readonly string[] | undefined {
  const names = process.env[variable]?.split(",");
  for (const name of names ?? [])
    if (!known.includes(name)) throw new Error(`${variable} has ${name}; there are ${known.join(", ")}`);
  return names;
}

const chosen = (client: ClientName): Scenario[] =>
  ALL_SCENARIOS.filter(
    ({ name, core, clients: able, start }) =>
      (named === undefined ? core || everything : named.includes(name)) &&
      (able === undefined || able.includes(client)) &&
      (start === undefined || startSubject === startMoraine),
  );

/** Without its tools a client's scenarios are counted as not run; in CI that is a failure, because nobody would notice there. */
const lacking = (client: ClientName): string[] =>
  missing([...new Set([...PROGRAMS[client].tools, ...PROGRAMS["java-5.4.0"].tools])]);

async function run(
  scenario: Scenario,
  name: ClientName,
  subject: Subject,
  client: Driver,
  hand: Driver,
): Promise<void> {
  const scene = new Scene(scenario.name, name, subject, client, hand);
  try {
    const facts = stable(await scenario.run(scene), subject);
    keepFacts(facts, subject, name, scenario.name);
    // Null: the scenario has judged all there is.
    if (facts !== null && process.env.MORAINE_JUDGE !== "none") judge(facts, subject, name, scenario.name);
  } finally {
    await scene.end();
  }
}

/** A client of its own for each name, and the hand. */
async function startClients(subject: Subject, name: ClientName): Promise<[client: Driver, hand: Driver]> {
  const folder = join(subject.folder, `client-${name}`);
  mkdirSync(folder, { recursive: true });
  const hand = PROGRAMS["java-5.4.0"].start(subject.nameServer, join(subject.folder, `hand-${name}`));
  const client = name === "java-5.4.0" ? hand : PROGRAMS[name].start(subject.nameServer, folder);
  const both = await Promise.all([client, hand]);
  await registered(subject, both[1]);
  return both;
}

for (const name of clients) {
  const absent = lacking(name);
  const shared = chosen(name).filter(({ own }) => own === undefined);
  const alone = chosen(name).filter(({ own }) => own !== undefined);
  if (absent.length > 0) {
    for (const scenario of [...shared, ...alone]) notRun(`${name}: ${scenario.name}`, absent);
    continue;
  }

  if (shared.length > 0) {
    describe.concurrent(name, () => all(name, shared));
  }
  if (alone.length === 0) continue;
  describe(`${name}, a broker each`, () => {
    for (const scenario of alone) {
      const body = async (): Promise<void> => {
        const subject = await (scenario.start ?? startSubject)(scenario.own);
        const started: Driver[] = [];
        try {
          const [client, hand] = await startClients(subject, name);
          started.push(client, hand);
          await run(scenario, name, subject, client, hand);
        } finally {
          await Promise.all(started.map((driver) => driver.kill()));
          await subject.close();
        }
      };
      test(scenario.name, body, 10 * MINUTE);
    }
  });
}

/** These scenarios at the same time, over one broker. */
function all(name: ClientName, scenarios: readonly Scenario[]): void {
  let subject: Subject;
  let client: Driver;
  let hand: Driver;

  beforeAll(async () => {
    subject = await startSubject();
    [client, hand] = await startClients(subject, name);
  }, 10 * MINUTE);

  afterAll(async () => {
    await client?.kill();
    if (hand !== client) await hand?.kill();
    await subject?.close();
  }, MINUTE);

  for (const scenario of scenarios) {
    test(scenario.name, () => run(scenario, name, subject, client, hand), 6 * MINUTE);
  }
}

function notRun(name: string, tools: readonly string[]): void {
  const why = `needs ${tools.join(", ")} on PATH`;
  if (process.env.CI === "true") {
    test(name, () => {
      throw new Error(why);
    });
  } else {
    console.warn(`not run, ${why}: ${name}`);
    test.skip(name);
  }
}
