/** A remoting command, as requests and responses both are (RocketMQ's `RemotingCommand`). */

/** Values are text, or what a lenient client sent. Names are looked up by what the protocol defines, nothing else. */
export type ExtFields = Readonly<Record<string, unknown>>;

/** Fields to send; `undefined` ones are left out, all others are sent as text. */
export type FieldValues = Readonly<Record<string, string | number | bigint | boolean | undefined>>;

export type Serialization = "json" | "binary";

export interface Command {
  /** Request code, or response code where `flag` has `ResponseFlag`. */
  readonly code: number;
  /** Name of the sender's language; unknown ones are `OTHER`. */
  readonly language: string;
  /** Ordinal in RocketMQ's list of versions: see `Version`. */
  readonly version: number;
  readonly opaque: number;
  readonly flag: number;
  readonly remark: string | undefined;
  readonly ext: ExtFields;
  /** A view of what the socket gave: to be copied by whoever keeps a part of it. */
  readonly body: Uint8Array;
  readonly serialization: Serialization;
}

export interface Response {
  readonly code: number;
  readonly remark?: string | undefined;
  readonly ext?: FieldValues | undefined;
  /** Several pieces are sent one behind the other. */
  readonly body?: Uint8Array | readonly Uint8Array[] | undefined;
}

export const ResponseFlag = 1;
export const OnewayFlag = 2;

export function isResponse(command: Command): boolean {
  return (command.flag & ResponseFlag) !== 0;
}

export function isOneway(command: Command): boolean {
  return (command.flag & OnewayFlag) !== 0;
}
