import { totalmem } from "node:os";
import { MAX_FRAME_BYTES } from "../protocol/frame.ts";

/** What a peer may cost. Sizes in bytes, times in milliseconds. */
export interface TransportLimits {
  readonly maxFrameBytes: number;
  /** Connections of a server; further ones are closed at once. */
  readonly maxConnections: number;
  /** Of these, from one other machine. */
  readonly maxConnectionsOfAddress: number;
  /** Requests of a connection that are not answered yet, held pulls among them; beyond it the connection is not read. */
  readonly maxUnderWay: number;
  /** What those requests take. A connection of which all are held pulls stays below it. */
  readonly maxUnderWayBytes: number;
  /** Requests of ours on a connection that the peer has not answered yet. */
  readonly maxOutstanding: number;
  /** Bytes that wait to be written from which on a connection is not read, and what is large is not read for it. */
  readonly writeHighWaterBytes: number;
  /**
   * Bytes that all connections may hold together: frames that are not whole, requests under way, what waits to be written.
   * Past it, connections are closed (`HeldBytes` says which).
   */
  readonly maxHeldBytes: number;
  /** A peer that takes nothing for so long, while more waits than the high-water mark, is closed. */
  readonly slowReaderMs: number;
  /** A connection on which nothing was read and nothing written for so long is closed. */
  readonly idleMs: number;
  /** How long a frame may take from its first bytes to its last, while the connection is read. */
  readonly frameMs: number;
  readonly connectTimeoutMs: number;
}

const MOST_HELD_BYTES = 536_870_912;
/** Of the memory that the process may have. */
const HELD_PART = 4;

/** Bytes of memory. */
export interface Memory {
  /** What the process may have: nothing, or more than there is, where nobody limits it. */
  readonly process: number | undefined;
  readonly machine: number;
}

/** What all connections may hold of this. */
export function heldBytesWithin(memory: Memory): number {
  const ofProcess = memory.process || memory.machine;
  return Math.min(MOST_HELD_BYTES, Math.floor(Math.min(ofProcess, memory.machine) / HELD_PART));
}

export const DEFAULT_LIMITS: TransportLimits = {
  maxFrameBytes: MAX_FRAME_BYTES,
  maxConnections: 16_384,
  maxConnectionsOfAddress: 4096,
  // A client that consumes 10,000 queues has as many pulls waiting.
  maxUnderWay: 32_768,
  maxUnderWayBytes: 67_108_864,
  maxOutstanding: 1024,
  writeHighWaterBytes: 1_048_576,
  maxHeldBytes: heldBytesWithin({ process: process.constrainedMemory(), machine: totalmem() }),
  slowReaderMs: 30_000,
  idleMs: 120_000,
  frameMs: 120_000,
  connectTimeoutMs: 3000,
};
