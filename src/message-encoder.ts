/** What encoders of messages have in common: the limits they check, and the memory they encode into. */
import { Arena } from "./arena.ts";
import { PropertyEncoder } from "./encode-properties.ts";
import { HostEncoder } from "./hosts.ts";

/** What the options of a store say about its messages. */
export interface MessageLimits {
  readonly maxMessageBytes: number;
  /** Whether records have `__CRC32#`, which takes room in the property string. */
  readonly recordCrc: boolean;
  /** `"4.9"` refuses topics of more than 127 characters. */
  readonly compat: "5" | "4.9";
}

/** An arena larger than this is not kept. */
export const KEPT_BYTES: number = 8 * 1024 * 1024;

export abstract class MessageEncoder {
  protected readonly limits: MessageLimits;
  protected readonly bornHostEncoder: HostEncoder = new HostEncoder("127.0.0.1", 0);
  protected readonly storeHostEncoder: HostEncoder = new HostEncoder("127.0.0.1", 10_911);
  protected readonly properties: PropertyEncoder;
  protected arena: Arena = new Arena();
  /** Where the last message in the arena ends. */
  protected end = 0;

  constructor(limits: MessageLimits) {
    this.limits = limits;
    this.properties = new PropertyEncoder(limits.recordCrc);
  }

  /** The arena, and how much of it there is to hand over. */
  get bytes(): Uint8Array {
    return this.arena.bytes;
  }

  get used(): number {
    return this.end;
  }

  /** Lets go of memory that is only needed for large messages, batches and groups. */
  release(): void {
    if (this.arena.capacity > KEPT_BYTES) this.arena = new Arena();
  }
}
