/** The body of REGISTER_BROKER (103), as JSON and compressed, both ways. */
import { constants, crc32, deflateSync, inflateSync } from "node:zlib";
import { ResponseCode } from "../codes.ts";
import { parseInt32 } from "../decimal.ts";
import { parseBody, printBody } from "../json.ts";
import { RequestError } from "../request-error.ts";
import { Version } from "../versions.ts";
import { type DataVersion, readDataVersion } from "./data-version.ts";
import { type Members, readEntries, readList, readMembers, readTexts, readTextTable, wrongBody } from "./reading.ts";
import { readTopicConfigWrapper, type TopicConfig, type TopicConfigWrapper } from "./topic-config.ts";

/** What a compressed body may become. A hundred thousand topics are a tenth of it. */
const MAX_INFLATED_BYTES = 134_217_728;

export interface RegisterBrokerBody extends TopicConfigWrapper {
  readonly filterServerList: readonly string[];
  /** By topic; only of static topics, passed on as it came. */
  readonly topicQueueMappingInfoMap: ReadonlyMap<string, unknown>;
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
    topicQueueMappingInfoMap: new Map(),
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
    topicQueueMappingInfoMap: new Map(readEntries(wrapper, "topicQueueMappingInfoMap")),
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
  for (let left = pieces.count(); left > 0; left--) {
    const config = readTopicLine(pieces.next().toString("utf8"));
    topicConfigTable.set(config.topicName, config);
  }
  const filterServerList = readList({ list: parseBody(pieces.next()) }, "list", String);
  const topicQueueMappingInfoMap = new Map<string, unknown>();
  if (version >= Version.V5_0_0) {
    for (let left = pieces.count(); left > 0; left--) {
      const info = readMembers(parseBody(pieces.next()), "a queue mapping");
      topicQueueMappingInfoMap.set(String(info.topic), info);
    }
  }
  return { dataVersion, topicConfigTable, filterServerList, topicQueueMappingInfoMap };
}

/** int32 length and as many bytes, one behind the other. */
class Pieces {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  count(): number {
    if (this.#at + 4 > this.#bytes.length) wrongBody("it is cut off");
    const count = this.#bytes.readInt32BE(this.#at);
    if (count < 0) wrongBody("a length in it is negative");
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

/** The same, compressed, for a command whose header says so and whose version is ours. */
export function printCompressedRegisterBroker(registration: Registration): Buffer {
  const { dataVersion, topicConfigTable, filterServerList = [] } = registration;
  const pieces: Buffer[] = [];
  const addCount = (count: number) => {
    const bytes = Buffer.allocUnsafe(4);
    bytes.writeInt32BE(count);
    pieces.push(bytes);
  };
  const add = (bytes: Buffer) => {
    addCount(bytes.length);
    pieces.push(bytes);
  };
  add(printBody(dataVersion));
  addCount(topicConfigTable.size);
  for (const config of topicConfigTable.values()) add(Buffer.from(topicLine(config)));
  add(printBody(filterServerList));
  addCount(0);
  return deflateSync(Buffer.concat(pieces), { level: constants.Z_BEST_COMPRESSION });
}

function topicLine(config: TopicConfig): string {
  const { topicName, readQueueNums, writeQueueNums, perm, topicFilterType, attributes } = config;
  return `${topicName} ${readQueueNums} ${writeQueueNums} ${perm} ${topicFilterType} ${printBody(attributes)}`;
}
