/** Property strings as the broker stores them: what clients sent, with its own pairs behind. */
import type { BrokerConfig } from "../../config/broker-config.ts";
import { PropertyName, parseProperties, printProperties } from "../../protocol/message-properties.ts";

/** What the broker itself sets, or takes out. */
const OWN_NAMES: readonly string[] = [
  PropertyName.POP_CK,
  PropertyName.MSG_REGION,
  PropertyName.TRACE_ON,
  PropertyName.CLUSTER,
];
/** Longest property string of a record, and with it of a text that can become one. */
const MAX_PROPERTY_BYTES = 32_767;
const MAX_BYTES_A_CHARACTER = 3;
const PAIR_END = 2;

export function withoutOwn(text: string): string {
  return without(text, OWN_NAMES);
}

/** The store counts the messages of a batch itself. */
export function withoutInnerNumber(text: string): string {
  return without(text, [PropertyName.INNER_NUM]);
}

export function withProperty(text: string, name: string, value: string): string {
  return printProperties(parseProperties(text).set(name, value));
}

function without(text: string, names: readonly string[]): string {
  const properties = parseProperties(text);
  for (const name of names) properties.delete(name);
  return printProperties(properties);
}

/** Encodes property strings, one at a time, in memory that is used again by the next one. */
export class PropertyBytes {
  readonly #config: BrokerConfig;
  readonly #bytes: Buffer = Buffer.allocUnsafeSlow(2 * MAX_BYTES_A_CHARACTER * MAX_PROPERTY_BYTES);
  #region = "";
  #cluster = "";
  #trace = false;
  #own: Buffer = Buffer.alloc(0);

  constructor(config: BrokerConfig) {
    this.#config = config;
  }

  /**
   * The string of a message, with `more` and, unless it has them, the broker's own pairs behind it; undefined where that is
   * too long. Valid until the next call.
   */
  encode(text: string, more: string, hasOwn = false): Uint8Array | undefined {
    if (text.length + more.length > MAX_PROPERTY_BYTES) return undefined;
    const bytes = this.#bytes;
    let end = bytes.write(text, 0);
    if (end > 0 && bytes[end - 1] !== PAIR_END) bytes[end++] = PAIR_END;
    if (more !== "") end += bytes.write(more, end);
    if (!hasOwn) {
      const own = this.#ownPairs();
      if (end + own.length > MAX_PROPERTY_BYTES) return undefined;
      bytes.set(own, end);
      end += own.length;
    }
    return end > MAX_PROPERTY_BYTES ? undefined : bytes.subarray(0, end);
  }

  #ownPairs(): Buffer {
    const { regionId, traceOn, brokerClusterName } = this.#config;
    if (regionId !== this.#region || traceOn !== this.#trace || brokerClusterName !== this.#cluster) {
      this.#region = regionId;
      this.#trace = traceOn;
      this.#cluster = brokerClusterName;
      this.#own = Buffer.from(
        printProperties([
          [PropertyName.MSG_REGION, regionId === "" ? undefined : regionId],
          [PropertyName.TRACE_ON, String(traceOn)],
          [PropertyName.CLUSTER, brokerClusterName],
        ]),
      );
    }
    return this.#own;
  }
}
