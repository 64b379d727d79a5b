export type { AppendBatch, AppendListener } from "./append-listeners.ts";
export type { ArrivalOptions } from "./arrivals.ts";
export type { PutResult, PutResults } from "./batch.ts";
export type {
  EngineHealth,
  FileFact,
  Finding,
  IndexFileFact,
  RebuildResult,
  SalvageResult,
  VerifyFinding,
} from "./binding/contract.ts";
export type { MessageColumns } from "./columns.ts";
export type {
  EngineDiagnostics,
  FlushDiagnostics,
  ListenerDiagnostics,
  PoisonDiagnostics,
  PutDiagnostics,
  RecoveryDiagnostics,
  SegmentDiagnostics,
} from "./diagnostics.ts";
export { StoreError, type StoreErrorCode, type StoreErrorDetails, type StoreErrorOptions } from "./errors.ts";
export type { FetchAtOptions } from "./fetches.ts";
export type { AppendOptions } from "./flush-waiters.ts";
export type { GetResult, GetStatus } from "./get-result.ts";
export type { GroupOffset, Groups } from "./groups.ts";
export type { JsonValue } from "./json/values.ts";
export type { StoreState } from "./lifecycle.ts";
export type { LogPositions } from "./log-positions.ts";
export type { GroupMessage, GroupOptions, Host, InnerBatchMessage, Message } from "./message.ts";
export { type OpenProgress, type StoreOptions, storeOptions } from "./options.ts";
export type { EntriesOptions, LookupOptions, QueueEntry, QueueOffsets } from "./queries.ts";
export type { QueueCursor, ReadOptions } from "./queue-cursor.ts";
export type { FetchOptions, GetOptions } from "./queue-reader.ts";
export type { Expired, ExpireOptions, Release } from "./retention.ts";
export type { RetentionOptions } from "./retention-options.ts";
export type { ScanItem, ScanOptions } from "./scan.ts";
export { Store } from "./store.ts";
export type { StoredMessage, StoredMessageJson } from "./stored-message.ts";
export type { Table, TableKey } from "./table.ts";
export type { MessageFilter } from "./tag-filter.ts";
export {
  type RebuildOptions,
  rebuildStore,
  type SalvageOptions,
  salvageStore,
  type VerifyOptions,
  verifyStore,
} from "./upkeep.ts";
export { encodeMessages } from "./wire-batch.ts";
