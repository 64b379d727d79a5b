/** The body of REGISTER_BROKER (103): read as JSON and compressed, written as JSON. */
import { crc32, inflateSync } from "node:zlib";
import { ResponseCode } from "../codes.ts";
import { parseInt32 } from "../decimal.ts";
import { parseBody, printBody } from "../json.ts";
import { RequestError } from "../request-error.ts";
import { Version } from "../versions.ts";
import { type DataVersion, readDataVersion } from "./data-version.ts";
import { type Members, readEntries, readMembers, readText, readTexts, readTextTable, wrongBody } from "./reading.ts";
import { readTopicConfigWrapper, type TopicConfig, type TopicConfigWrapper } from "./topic-config.ts";

/** What a compressed body may become: some 200 bytes for each topic. */
const MAX_INFLATED_BYTES = 33_554_432;
/** Of one registration: a broker that has more tells them in several. */
const MAX_TOPICS = 131_072;

export interface RegisterBrokerBody extends TopicConfigWrapper {
  readonly filterServerList: readonly string[];
  /** Names of static topics, whose queues are spread over brokers by a mapping. */
  readonly staticTopics: ReadonlySet<string>;
}

/** RocketMQ's checksum of a body: CRC-32 without its top bit. */
export function bodyChecksum(body: Uint8Array): number {
  return crc32(body) & 0x7fff_ffff;
}

/** An empty body is a registration without any topic. `version` is that of the broker's command. */
export function readRegisterBroker(bytes: Uint8Array, compressed: boolean, version: number): RegisterBrokerBody {
  if (bytes.length === 0) return nothing();
  return compressed ? readCompressed(bytes, version) : readJson(bytes);
}

function nothing(): RegisterBrokerBody {
  return {
    dataVersion: readDataVersion(undefined),
    topicConfigTable: new Map(),
    filterServerList: [],
    staticTopics: new Set(),
  };
}

function readJson(bytes: Uint8Array): RegisterBrokerBody {
  const body = readMembers(parseBody(bytes), "it");
  const given = body.topicConfigSerializeWrapper;
  const wrapper: Members =
    given === undefined || given === null ? {} : readMembers(given, "topicConfigSerializeWrapper");
  return {
    ...readTopicConfigWrapper(wrapper),
    filterServerList: readTexts(body, "filterServerList"),
    staticTopics: new Set(readEntries(wrapper, "topicQueueMappingInfoMap").map(([topic]) => topic)),
  };
}

function readCompressed(bytes: Uint8Array, version: number): RegisterBrokerBody {
  let inflated: Buffer;
  try {
    inflated = inflateSync(bytes, { maxOutputLength: MAX_INFLATED_BYTES });
  } catch (cause) {
    throw new RequestError(ResponseCode.SYSTEM_ERROR, `the body cannot be decompressed: ${String(cause)}`, { cause });
  }
  const pieces = new Pieces(inflated);
  const dataVersion = readDataVersion(parseBody(pieces.next()));
  const topicConfigTable = new Map<string, TopicConfig>();
  for (let left = pieces.count(MAX_TOPICS); left > 0; left--) {
    const config = readTopicLine(pieces.next().toString("utf8"));
    topicConfigTable.set(config.topicName, config);
  }
  const filterServerList = readTexts({ list: parseBody(pieces.next()) }, "list");
  const staticTopics = new Set<string>();
  if (version >= Version.V5_0_0) {
    for (let left = pieces.count(MAX_TOPICS); left > 0; left--) {
      const info = readMembers(parseBody(pieces.next()), "a queue mapping");
      staticTopics.add(readText(info, "topic"));
    }
  }
  return { dataVersion, topicConfigTable, filterServerList, staticTopics };
}

/** int32 length and as many bytes, one behind the other. */
class Pieces {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  count(most: number = MAX_INFLATED_BYTES): number {
    if (this.#at + 4 > this.#bytes.length) wrongBody("it is cut off");
    const count = this.#bytes.readInt32BE(this.#at);
    if (count < 0) wrongBody("a length in it is negative");
    if (count > most) wrongBody(`it has ${count} of what there may be ${most} of`);
    this.#at += 4;
    return count;
  }

  next(): Buffer {
    const length = this.count();
    const from = this.#at;
    if (length > this.#bytes.length - from) wrongBody("it is cut off");
    this.#at += length;
    return this.#bytes.subarray(from, this.#at);
  }
}

/** `topic readQueues writeQueues perm filterType attributes`; order and system flag are not in it. */
function readTopicLine(line: string): TopicConfig {
  const [topicName = "", read, write, perm, filterType, ...rest] = line.split(" ");
  const attributes = rest.join(" ");
  return {
    topicName,
    readQueueNums: parseInt32(read) ?? wrongBody("a topic has no read queues"),
    writeQueueNums: parseInt32(write) ?? wrongBody("a topic has no write queues"),
    perm: parseInt32(perm) ?? wrongBody("a topic has no permission"),
    topicFilterType: filterType === "MULTI_TAG" ? "MULTI_TAG" : "SINGLE_TAG",
    topicSysFlag: 0,
    order: false,
    attributes:
      attributes === "" ? {} : readTextTable({ attributes: parseBody(Buffer.from(attributes)) }, "attributes"),
  };
}

export interface Registration {
  readonly dataVersion: DataVersion;
  readonly topicConfigTable: ReadonlyMap<string, TopicConfig>;
  readonly filterServerList?: readonly string[];
}

/** What our broker sends. */
export function printRegisterBroker({ dataVersion, topicConfigTable, filterServerList = [] }: Registration): Buffer {
  return printBody({
    filterServerList,
    topicConfigSerializeWrapper: {
      dataVersion,
      mappingDataVersion: dataVersion,
      topicConfigTable,
      topicQueueMappingDetailMap: {},
      topicQueueMappingInfoMap: {},
    },
  });
}
