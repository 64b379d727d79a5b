import { MAX_FRAME_BYTES } from "../protocol/frame.ts";

/** What a peer may cost. Sizes in bytes, times in milliseconds. */
export interface TransportLimits {
  readonly maxFrameBytes: number;
  /** Connections of a server; further ones are closed at once. */
  readonly maxConnections: number;
  /** Requests of a connection that are not answered yet, held pulls among them; beyond it the connection is not read. */
  readonly maxUnderWay: number;
  /** Bytes of those requests. */
  readonly maxUnderWayBytes: number;
  /** Requests of ours on a connection that the peer has not answered yet. */
  readonly maxOutstanding: number;
  /** Bytes that wait to be written from which on a connection is not read. */
  readonly writeHighWaterBytes: number;
  /** Bytes that wait to be written with which a connection is closed. */
  readonly maxWriteBytes: number;
  /**
   * Bytes that all connections of a server may hold together: frames that are not whole, requests under way, answers beyond
   * the high-water mark. Past it, the connection that holds most is closed.
   */
  readonly maxHeldBytes: number;
  /** How long a peer may take to read what waits beyond the high-water mark. */
  readonly slowReaderMs: number;
  /** A connection on which nothing was read and nothing written for so long is closed. */
  readonly idleMs: number;
  readonly connectTimeoutMs: number;
}

export const DEFAULT_LIMITS: TransportLimits = {
  maxFrameBytes: MAX_FRAME_BYTES,
  maxConnections: 16_384,
  // A client that consumes 10,000 queues has as many pulls waiting.
  maxUnderWay: 32_768,
  maxUnderWayBytes: 33_554_432,
  maxOutstanding: 1024,
  writeHighWaterBytes: 1_048_576,
  maxWriteBytes: 67_108_864,
  maxHeldBytes: 536_870_912,
  slowReaderMs: 30_000,
  idleMs: 120_000,
  connectTimeoutMs: 3000,
};
