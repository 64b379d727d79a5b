import { chmodSync, lstatSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { Configuration, optionTexts } from "../../../src/config/configuration.ts";
import { ConfigurationError } from "../../../src/config/configuration-error.ts";
import { addressList, OPTION_NAMES } from "../../../src/config/schema.ts";
import { UNUSED_OPTIONS } from "../../../src/config/unused-options.ts";

const folder = mkdtempSync(join(tmpdir(), "broker-config-"));
afterAll(() => rmSync(folder, { recursive: true }));

/** What was logged, as sentences. */
function logOf() {
  const warnings: string[] = [];
  const none = () => {};
  return { warnings, debug: none, info: none, warn: (_: object, text: string) => warnings.push(text), error: none };
}

function load(given: Record<string, string> = {}, file?: string) {
  const log = logOf();
  return { configuration: Configuration.load({ file, given }, log, () => 1000), warnings: log.warnings };
}

function write(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

function failure(given: Record<string, string>): ConfigurationError {
  try {
    load(given);
  } catch (error) {
    if (error instanceof ConfigurationError) return error;
    throw error;
  }
  throw new Error("it was taken");
}

describe("options", () => {
  it("have RocketMQ's defaults, on loopback", () => {
    const { values } = load().configuration;
    expect(values).toMatchObject({
      brokerClusterName: "DefaultCluster",
      brokerId: 0,
      brokerIP1: "127.0.0.1",
      listenPort: 10_911,
      bindAddress: "127.0.0.1",
      namesrvAddr: "",
      brokerPermission: 6,
      autoCreateTopicEnable: true,
      autoCreateSubscriptionGroup: true,
      defaultTopicQueueNums: 8,
      flushDiskType: "ASYNC_FLUSH",
      maxMessageSize: 4_194_304,
      mappedFileSizeCommitLog: 1_073_741_824,
      fileReservedTime: 72,
      deleteWhen: "04",
      messageDelayLevel: "1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h",
    });
    expect(values.brokerName).toMatch(/^[%|\w-]{1,127}$/);
  });

  it("come from a file of RocketMQ's, and the command line before it", () => {
    const file = write(
      "broker.conf",
      "# a comment\nbrokerName = broker-a\nlistenPort:20911\nflushDiskType=SYNC_FLUSH\nbrokerIP1=10.0.0.7\nnamesrvAddr=a:9876;b:9876\n",
    );
    const { configuration, warnings } = load({ listenPort: "30911" }, file);
    expect(configuration.values).toMatchObject({
      brokerName: "broker-a",
      listenPort: 30_911,
      flushDiskType: "SYNC_FLUSH",
      brokerIP1: "10.0.0.7",
      brokerIP2: "10.0.0.7",
      namesrvAddr: "a:9876;b:9876",
    });
    expect(warnings).toEqual([]);
  });

  it("that are wrong are told all at once, each with what would be right", () => {
    const { message, reason } = failure({ listenPort: "abc", flushDiskType: "SOMETIMES", brokerRole: "SLAVE" });
    expect(reason).toBe("invalid");
    expect(message.split("\n").sort()).toEqual([
      'option brokerRole is "SLAVE"; it must be ASYNC_MASTER: there are no replicas to wait for, nor to be one',
      'option flushDiskType is "SOMETIMES"; it must be ASYNC_FLUSH or SYNC_FLUSH',
      'option listenPort is "abc"; it must be an integer from 3 to 65535',
    ]);
  });

  it.each([
    ["brokerPermission", "7"],
    ["brokerId", "1"],
    ["brokerName", "a b"],
    ["brokerIP1", "localhost"],
    ["namesrvAddr", "localhost"],
    ["namesrvAddr", "localhost:99999"],
    ["messageDelayLevel", "1s 5x"],
    ["messageDelayLevel", ""],
    ["deleteWhen", "24"],
    ["autoCreateTopicEnable", "yes"],
    ["maxMessageSize", "-1"],
    ["maxMessageSize", "1e3"],
    ["fileReservedTime", ""],
  ])("%s is not %j", (name, value) => {
    expect(failure({ [name]: value }).message).toContain(`option ${name} is ${JSON.stringify(value)}; it must be `);
  });

  it("of RocketMQ that mean nothing here, and unknown ones, are taken with a warning", () => {
    const { warnings } = load({ sendMessageThreadPoolNums: "4", litenPort: "1" });
    expect(warnings).toEqual([
      "option sendMessageThreadPoolNums means nothing to this broker",
      "option litenPort is not known; is it spelled right?",
    ]);
  });

  it("are used or not, never both", () => {
    expect(OPTION_NAMES.filter((name) => UNUSED_OPTIONS.has(name))).toEqual([]);
    expect(UNUSED_OPTIONS.size).toBeGreaterThan(400);
  });

  it("that protect a broker are not passed over", () => {
    expect(failure({ aclEnable: "true" }).message).toContain("this broker has no permissions");
    expect(load({ aclEnable: "false" }).warnings).toHaveLength(1);
  });

  it("that promise copies are not passed over", () => {
    for (const promise of [
      { inSyncReplicas: "2" },
      { minInSyncReplicas: " 2 " },
      { totalReplicas: "3" },
      { allAckInSyncStateSet: "true" },
      { enableDLegerCommitLog: "TRUE" },
      { enableControllerMode: "true" },
    ]) {
      expect(failure(promise).message, JSON.stringify(promise)).toContain("this broker has no replicas");
    }
    expect(failure({ brokerRole: "SYNC_MASTER" }).message).toContain("there are no replicas");
    const none = {
      inSyncReplicas: "1",
      totalReplicas: "1",
      enableDLegerCommitLog: "false",
      brokerRole: "ASYNC_MASTER",
    };
    expect(load(none).warnings).toHaveLength(3);
  });

  it("do not put the log elsewhere than in the store", () => {
    const storePathRootDir = join(folder, "store");
    const given = { storePathRootDir, storePathCommitLog: join(storePathRootDir, "commitlog/") };
    expect(load(given).warnings).toEqual([]);
    expect(failure({ ...given, storePathCommitLog: "/elsewhere" }).message).toContain("the log of a store is in");
  });

  it("need a file that can be read", () => {
    expect(() => load({}, join(folder, "missing.conf"))).toThrow("missing.conf cannot be read");
  });
});

describe("a list of name servers", () => {
  it("has addresses divided by semicolons or commas", () => {
    expect(addressList("a:1; b.c:2,[::1]:3;")).toEqual(["a:1", "b.c:2", "[::1]:3"]);
    expect(addressList("")).toEqual([]);
    expect(addressList("a")).toBeUndefined();
  });
});

describe("changes while the broker runs", () => {
  it("are in the values at once, told, counted, and kept in the file with everything else in it", () => {
    const file = write("changed.conf", "# keep me\nbrokerName=b\ntraceOn = false\n\nsendMessageThreadPoolNums=4\n");
    const { configuration } = load({}, file);
    const { values, version } = configuration;
    const told: unknown[] = [];
    configuration.onChange((names) => told.push(names));
    expect(configuration.update({ brokerPermission: "4", traceOn: "true" })).toEqual(["brokerPermission", "traceOn"]);
    expect(values).toMatchObject({ brokerPermission: 4, traceOn: true });
    expect(told).toEqual([["brokerPermission", "traceOn"]]);
    expect(configuration.version).toEqual({ ...version, counter: version.counter + 1 });
    const text = readFileSync(file, "utf8");
    expect(text).toContain("# keep me\nbrokerName=b\n");
    expect(text).toContain("sendMessageThreadPoolNums=4");
    expect(optionTexts(text)).toMatchObject({ brokerPermission: "4", traceOn: "true" });
    expect(load({}, file).configuration.values).toEqual(values);
  });

  it("keep the file's rights, and a link to it", () => {
    const file = write("secret.conf", "brokerName=b\n");
    chmodSync(file, 0o600);
    const link = join(folder, "link.conf");
    symlinkSync(file, link);
    load({}, link).configuration.update({ traceOn: "false" });
    expect(lstatSync(link).isSymbolicLink()).toBe(true);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(optionTexts(readFileSync(file, "utf8"))).toEqual({ brokerName: "b", traceOn: "false" });
  });

  it("that cannot be kept are not made", () => {
    const file = write("lost.conf", "brokerName=b\n");
    const { configuration } = load({}, file);
    rmSync(file);
    expect(() => configuration.update({ traceOn: "false" })).toThrow("lost.conf cannot be written");
    expect(configuration.values.traceOn).toBe(true);
  });

  it.each([
    [{ configBlackList: "" }, "forbidden", "black list"],
    [{ brokerConfigPath: "/x" }, "forbidden", "black list"],
    [{ listenPort: "1234" }, "forbidden", "start the broker again"],
    [{ sendMessageThreadPoolNums: "4" }, "invalid", "means nothing"],
    [{ nonsense: "4" }, "invalid", "none of this name"],
    [{ brokerPermission: "9" }, "invalid", "it must be 2 (write), 4 (read) or 6 (both)"],
  ])("%j is refused, and nothing changes with it", (change, reason, sentence) => {
    const { configuration } = load();
    const before = { ...configuration.values };
    let refused: unknown;
    try {
      configuration.update({ traceOn: "false", ...change });
    } catch (error) {
      refused = error;
    }
    expect(refused).toBeInstanceOf(ConfigurationError);
    expect(refused).toMatchObject({ reason, message: expect.stringContaining(sentence) });
    expect(configuration.values).toEqual(before);
    expect(configuration.version.counter).toBe(0);
  });

  it("a port has another one two below it, and a message fits into a frame", () => {
    expect(load({ listenPort: "3" }).configuration.values.listenPort).toBe(3);
    for (const listenPort of ["0", "1", "2"]) expect(failure({ listenPort }).reason).toBe("invalid");
    expect(failure({ maxMessageSize: "16711681" }).reason).toBe("invalid");
  });

  it("are read from what mqadmin sends, and shown as it shows them", () => {
    const { configuration } = load();
    configuration.update(optionTexts("autoCreateTopicEnable=false\nmaxTransferCountOnMessageInMemory=64\n"));
    const lines = configuration.text().trimEnd().split("\n");
    expect(lines).toHaveLength(OPTION_NAMES.length);
    expect(lines).toContain("autoCreateTopicEnable=false");
    expect(lines).toContain("maxTransferCountOnMessageInMemory=64");
    expect([...lines].sort()).toEqual(lines);
  });
});
