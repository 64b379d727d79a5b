/** What we find in a store, in the words of the oracle. */
import type { Store } from "../../src/index.ts";
import { canonicalHost } from "./expected.ts";
import { type ComparableLine, sha256 } from "./written.ts";

const host = ({ address, port }: { address: string; port: number }): string => {
  return canonicalHost(address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`);
};

/** Every message of the log, with the fields of `comparable`. Damage is no part of it, but where it is `known` to begin. */
export function messagesOf(store: Store, known: readonly number[] = []): ComparableLine[] {
  return [...store.scan({})].flatMap((item) => {
    if (item.kind === "blank") return [];
    if (item.kind === "damaged" && known.includes(item.physicalOffset)) return [];
    if (item.kind !== "message") throw new Error(`the log has ${JSON.stringify(item)}`);
    const { message } = item;
    const { [RECORD_CRC]: crc, ...properties } = Object.fromEntries(message.properties);
    return [
      {
        offset: message.physicalOffset,
        physicalOffset: message.physicalOffset,
        size: message.size,
        topic: message.topic,
        queueId: message.queueId,
        queueOffset: message.queueOffset,
        flag: message.flag,
        sysFlag: message.sysFlag,
        bodyCRC: message.bodyCrc,
        bornTimestamp: message.bornTimestamp,
        bornHost: host(message.bornHost),
        storeTimestamp: message.storeTimestamp,
        storeHost: host(message.storeHost),
        reconsumeTimes: message.reconsumeTimes,
        preparedTransactionOffset: message.preparedTransactionOffset,
        messageId: message.offsetMsgId,
        properties,
        hasRecordCrc: crc !== undefined,
        bodySize: message.body.length,
        bodySha256: sha256(message.body),
      },
    ];
  });
}

const RECORD_CRC = "__CRC32#";
