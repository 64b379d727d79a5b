/** mqadmin of 5.4.0: what it does, and what it prints. */
import assert from "node:assert/strict";
import type { Received } from "../clients/driver.ts";
import type { ClientName } from "../clients/programs.ts";
import type { Scenario } from "./scenario.ts";
import { eventually, type RawAnswer, type Scene } from "./scene.ts";
import { allSent } from "./sends.ts";

const ADMIN: readonly ClientName[] = ["java-5.4.0"];

/** What a command prints. */
export async function mqadmin(scene: Scene, ...words: readonly string[]): Promise<string> {
  const all = [...words, "-n", scene.subject.nameServer];
  const { out } = await scene.hand.ask<{ out: string }>({ do: "mqadmin", words: all });
  // Said by every command at its start where the environment asks for no access control.
  return out.replace(/^RocketMQLog:.*\n/gm, "");
}

/** Lines of a table, the cells of each. */
const rows = (out: string): string[][] =>
  out
    .split("\n")
    .filter((line) => line.trim() !== "" && !line.startsWith("#"))
    .map((line) => line.trim().split(/\s{2,}|\s+(?=[\w.:%-])/));

/** `name : value` and `name=value` lines. */
const named = (out: string): Record<string, string> =>
  Object.fromEntries(
    [...out.matchAll(/^[ \t]*([\w() %.-]+?)[ \t]*[:=][ \t]+(.*?)[ \t]*$/gm)].map(([, name, value]) => [name, value]),
  );

export const admin: readonly Scenario[] = [
  {
    name: "admin-topics",
    core: true,
    clients: ADMIN,
    async run(scene) {
      const { brokerAddress, cluster } = scene.subject;
      const topic = scene.name("topic");
      const made = await mqadmin(scene, "updateTopic", "-b", brokerAddress, "-t", topic, "-r", "3", "-w", "3");
      assert.match(made, /create topic to .* success/);
      await scene.routed(topic);
      const byCluster = await mqadmin(
        scene,
        "updateTopic",
        "-c",
        cluster,
        "-t",
        scene.name("other"),
        "-r",
        "2",
        "-w",
        "2",
        "-a",
        "+message.type=NORMAL",
      );
      assert.match(byCluster, /create topic to .* success/);
      const listed = await eventually(
        () => mqadmin(scene, "topicList"),
        (out) => out.includes(topic),
      );
      const ofCluster = await mqadmin(scene, "topicList", "-c");
      assert.ok(ofCluster.split("\n").some((line) => line.includes(topic) && line.includes(cluster)));
      const route = JSON.parse(
        (
          await scene.ask<RawAnswer>(scene.hand, {
            do: "raw",
            code: 105,
            fields: { topic, acceptStandardJsonOnly: true },
          })
        ).body ?? "",
      );
      assert.match(await mqadmin(scene, "topicRoute", "-t", topic), /brokerDatas/);
      const producer = await scene.producer();
      allSent(await scene.send(producer, topic, [{ body: "a" }, { body: "b" }], { queue: scene.queue(topic, 1) }));
      const status = rows(await mqadmin(scene, "topicStatus", "-t", topic)).map((cells) => cells.slice(0, 4));
      const clusterList = await mqadmin(scene, "topicClusterList", "-t", topic);
      const deleted = await mqadmin(scene, "deleteTopic", "-c", cluster, "-t", topic);
      assert.match(deleted, /delete topic \[.*\] from cluster \[.*\] success/);
      const afterwards = await mqadmin(scene, "topicRoute", "-t", topic);
      const gone = await scene.raw(351, { topic });
      return {
        ...{ made, byCluster, route, status, clusterList, deleted, gone: gone.code },
        afterwards: afterwards.includes("No topic route info"),
        systemTopics: Object.fromEntries(
          listed
            .split("\n")
            .filter((line) => /^[A-Z]|^rmq_sys/.test(line))
            .map((name) => [name, true]),
        ),
      };
    },
  },
  {
    name: "admin-groups",
    core: true,
    clients: ADMIN,
    async run(scene) {
      const { brokerAddress, cluster } = scene.subject;
      const group = scene.name("made");
      const made = await mqadmin(
        scene,
        "updateSubGroup",
        "-b",
        brokerAddress,
        "-g",
        group,
        "-r",
        "5",
        "-q",
        "2",
        "-s",
        "true",
      );
      assert.match(made, /success/);
      const config = JSON.parse((await scene.raw(352, { group })).body ?? "{}");
      const topic = await scene.topic("topic", 2);
      const producer = await scene.producer();
      const consumer = await scene.consumer(topic, { persistMs: 500 });
      allSent(await scene.send(producer, topic, [{ body: "a" }, { body: "b" }], { queue: scene.queue(topic, 1) }));
      await scene.until([consumer], (all) => all.length >= 2);
      await eventually(
        () => scene.raw(14, { consumerGroup: scene.name("group"), topic, queueId: 1 }),
        ({ fields }) => fields?.offset === "2",
      );
      const connection = await mqadmin(scene, "consumerConnection", "-g", scene.name("group"));
      const producers = await mqadmin(scene, "producerConnection", "-g", scene.name("producers"), "-t", topic);
      const progress = rows(await mqadmin(scene, "consumerProgress", "-g", scene.name("group")));
      const all = await mqadmin(scene, "consumerProgress");
      assert.ok(all.includes(scene.name("group").slice(0, 30)));
      const deleted = await mqadmin(scene, "deleteSubGroup", "-c", cluster, "-g", group, "-r", "true");
      const gone = await scene.raw(352, { group });
      return {
        ...{ made, config, deleted, gone: gone.code },
        connection: connection
          .split("\n")
          .map((line) =>
            line
              .replace(/\d+\.\d+\.\d+\.\d+[^ ]*/g, "(client)")
              .trim()
              .replaceAll(/\s+/g, " "),
          )
          .filter((line) => line !== "")
          .sort(),
        producers: producers
          .split("\n")
          .map((line) =>
            line
              .replace(/\d+\.\d+\.\d+\.\d+[^ ,]*/g, "(client)")
              .replace(/^\d+/, "")
              .trim()
              .replaceAll(/\s+/g, " "),
          )
          .filter((line) => line !== ""),
        progress: progress
          .filter(([name]) => name === topic)
          .map((cells) => cells.slice(0, 6).map((cell) => cell.replace(/\d+\.\d+\.\d+\.\d+.*/, "(client)"))),
      };
    },
  },
  {
    name: "admin-messages",
    core: true,
    clients: ADMIN,
    async run(scene) {
      const topic = await scene.topic("topic", 2);
      const producer = await scene.producer();
      const [sent] = await scene.send(producer, topic, [{ body: "looked for", tags: "T", keys: "needle" }], {
        queue: scene.queue(topic, 1),
      });
      const fields = (out: string): unknown => {
        const {
          "Message Body Path": _path,
          "Store Time": _store,
          "Born Time": _born,
          "Born Timestamp": _at,
          "Store Timestamp": _then,
          Properties: properties,
          "Born Host": _host,
          ...rest
        } = named(out);
        return {
          ...rest,
          properties: properties?.replace(/UNIQ_KEY=\w+/, "UNIQ_KEY=(id)"),
          OffsetID: rest.OffsetID === undefined ? undefined : "(offset id)",
          "CommitLog Offset": "(offset)",
        };
      };
      const byKey = await eventually(
        () => mqadmin(scene, "queryMsgByKey", "-t", topic, "-k", "needle"),
        (out) => out.includes(sent?.msgId ?? "none"),
      );
      const byId = await mqadmin(scene, "queryMsgById", "-t", topic, "-i", String(sent?.offsetMsgId));
      const byUnique = await mqadmin(scene, "queryMsgByUniqueKey", "-t", topic, "-i", String(sent?.msgId));
      const byOffset = await mqadmin(
        scene,
        "queryMsgByOffset",
        "-t",
        topic,
        "-b",
        scene.subject.brokerName,
        "-i",
        "1",
        "-o",
        "0",
      );
      for (const out of [byId, byUnique, byOffset]) assert.ok(out.includes(topic), out);
      return {
        byKey: rows(byKey).map((cells) => cells.slice(1, 3)),
        byId: fields(byId),
        byUnique: fields(byUnique),
        byOffset: byOffset.includes("looked for") || byOffset.includes(String(sent?.offsetMsgId)),
      };
    },
  },
  {
    name: "admin-reset",
    core: true,
    clients: ADMIN,
    async run(scene) {
      const topic = await scene.topic("topic", 1);
      const producer = await scene.producer();
      const queue = scene.queue(topic, 0);
      const messages = ["a", "b", "c"].map((body) => ({ body }));
      const consumer = await scene.consumer(topic, { persistMs: 500 });
      allSent(await scene.send(producer, topic, messages, { queue }));
      await scene.until([consumer], (all) => all.length >= 3);
      const committed = (): Promise<{ fields: Record<string, string> | null }> =>
        scene.raw(14, { consumerGroup: scene.name("group"), topic, queueId: 0 });
      await eventually(committed, ({ fields }) => fields?.offset === "3");
      // While it is connected: what was taken comes again.
      const out = await mqadmin(scene, "resetOffsetByTime", "-g", scene.name("group"), "-t", topic, "-s", "0");
      const again = await scene.until([consumer], (all) => all.length >= 6, 60_000);
      assert.deepEqual(
        again
          .slice(3)
          .map(({ message }: { message: Received }) => message.body)
          .sort(),
        ["a", "b", "c"],
      );
      await eventually(committed, ({ fields }) => fields?.offset === "3");
      await scene.stop(consumer);
      // While nobody is connected.
      const offline = await mqadmin(scene, "resetOffsetByTime", "-g", scene.name("group"), "-t", topic, "-s", "0");
      const offset = (await committed()).fields?.offset;
      const second = await scene.consumer(topic);
      await scene.until([second], (all) => all.length >= 3);
      const lines = (text: string): string[] =>
        text
          .split("\n")
          .map((line) =>
            line
              .trim()
              .replaceAll(/\s+/g, " ")
              .replace(/timestamp\(string\)\[.*?\]/, "timestamp(string)[…]"),
          )
          .filter((line) => line !== "");
      return { out: lines(out), offline: lines(offline), offset };
    },
  },
  {
    name: "admin-cluster",
    core: true,
    clients: ADMIN,
    async run(scene) {
      const { brokerAddress, brokerName, cluster } = scene.subject;
      const clusterList = rows(await mqadmin(scene, "clusterList"));
      const line = clusterList.find((cells) => cells.includes(brokerName));
      assert.ok(line !== undefined, JSON.stringify(clusterList));
      assert.deepEqual(line?.slice(0, 4), [cluster, brokerName, "0", brokerAddress]);
      const status = named(await mqadmin(scene, "brokerStatus", "-b", brokerAddress));
      const config = named(await mqadmin(scene, "getBrokerConfig", "-b", brokerAddress));
      assert.equal(config.brokerName, brokerName);
      const updated = await mqadmin(
        scene,
        "updateBrokerConfig",
        "-b",
        brokerAddress,
        "-k",
        "maxTransferCountOnMessageInMemory",
        "-v",
        "31",
      );
      assert.match(updated, /success/);
      const changed = named(
        await mqadmin(scene, "getBrokerConfig", "-b", brokerAddress),
      ).maxTransferCountOnMessageInMemory;
      assert.equal(changed, "31");
      await mqadmin(
        scene,
        "updateBrokerConfig",
        "-b",
        brokerAddress,
        "-k",
        "maxTransferCountOnMessageInMemory",
        "-v",
        "32",
      );
      const stats = await mqadmin(scene, "statsAll");
      assert.match(stats, /#Topic/);
      const namesrv = await mqadmin(scene, "getNamesrvConfig");
      const consumed = await mqadmin(scene, "brokerConsumeStats", "-b", brokerAddress);
      return {
        cells: line?.length,
        status: Object.fromEntries(
          Object.keys(status)
            .filter((name) => !/^(commitLogDiskRatio_|scheduleMessageOffset)/.test(name))
            .map((name) => [name, true]),
        ),
        updated,
        namesrv: namesrv.includes("listenPort"),
        consumed: consumed.split("\n")[0],
      };
    },
  },
];
