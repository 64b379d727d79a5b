/** The header in front of each message of a batch, as native/core/src/batch.rs draws it. */
import type { Arena } from "./arena.ts";
import type { EncodedHost } from "./hosts.ts";
import { SysFlag } from "./message.ts";

/** Places of the header's fields, counted in 32-bit words from the start of a message. */
const Word = {
  size: 0,
  bodyBytes: 1,
  topicBytes: 2,
  propertyBytes: 3,
  queueId: 4,
  flag: 5,
  sysFlag: 6,
  reconsumeTimes: 7,
  bornAddress: 12,
  bornPort: 16,
  storeAddress: 17,
  storePort: 21,
} as const;
/** Places of the header's doubles, counted in 64-bit words. */
const Double = { bornTimestamp: 4, preparedTransactionOffset: 5 } as const;

/** Writes the header of the message that begins at `start` and ends where the arena is; returns where the next begins. */
export function writeHeader(
  arena: Arena,
  start: number,
  bodyBytes: number,
  topicBytes: number,
  propertyBytes: number,
  queueId: number,
  flag: number,
  sysFlag: number,
  reconsumeTimes: number,
  bornTimestamp: number,
  preparedTransactionOffset: number,
  born: EncodedHost,
  store: EncodedHost,
): number {
  const size = (arena.at - start + 7) & ~7;
  arena.reserve(7);
  const { ints, doubles } = arena;
  const word = start >> 2;
  ints[word + Word.size] = size;
  ints[word + Word.bodyBytes] = bodyBytes;
  ints[word + Word.topicBytes] = topicBytes;
  ints[word + Word.propertyBytes] = propertyBytes;
  ints[word + Word.queueId] = queueId;
  ints[word + Word.flag] = flag;
  ints[word + Word.sysFlag] =
    (sysFlag & ~(SysFlag.bornHostV6 | SysFlag.storeHostV6)) |
    (born.isV6 ? SysFlag.bornHostV6 : 0) |
    (store.isV6 ? SysFlag.storeHostV6 : 0);
  ints[word + Word.reconsumeTimes] = reconsumeTimes;
  doubles[(start >> 3) + Double.bornTimestamp] = bornTimestamp;
  doubles[(start >> 3) + Double.preparedTransactionOffset] = preparedTransactionOffset;
  writeHost(ints, word + Word.bornAddress, born);
  ints[word + Word.bornPort] = born.port;
  writeHost(ints, word + Word.storeAddress, store);
  ints[word + Word.storePort] = store.port;
  return start + size;
}

function writeHost(ints: Int32Array, at: number, host: EncodedHost): void {
  const words = host.words;
  ints[at] = words[0] as number;
  ints[at + 1] = words[1] as number;
  ints[at + 2] = words[2] as number;
  ints[at + 3] = words[3] as number;
}
