//! Limits of the format and of what this engine accepts. Every size read from a disk or a caller is held against one of them.

/// Longest body by default (RocketMQ's `maxMessageSize`).
pub const DEFAULT_MAX_MESSAGE_BYTES: u32 = 4 * 1024 * 1024;
/// Greatest `maxMessageBytes` that can be asked for.
pub const MAX_MESSAGE_BYTES: u32 = 512 * 1024 * 1024;
/// What a record may hold beside its body (store-format §2.7).
pub const RECORD_OVERHEAD_BYTES: u32 = 65_536;
/// Longest property string: its length is a signed 16-bit field.
pub const MAX_PROPERTIES_BYTES: usize = 32_767;
/// Longest topic, in bytes.
pub const MAX_TOPIC_BYTES: usize = 127;
/// Longest topic that starts with `%RETRY%` or `%DLQ%`.
pub const MAX_SYSTEM_TOPIC_BYTES: usize = 255;
/// Bytes of a consume queue entry.
pub const QUEUE_ENTRY_BYTES: u64 = 20;
/// Bytes of a batch consume queue entry.
pub const BATCH_ENTRY_BYTES: u64 = 46;
/// Greatest queue offset that a batch queue's entry is believed to begin with.
pub const MAX_BATCH_BASE: u64 = MAX_SAFE_INTEGER / BATCH_ENTRY_BYTES;
/// Bytes of an index file's header, slot and entry.
pub const INDEX_HEADER_BYTES: u64 = 40;
pub const INDEX_SLOT_BYTES: u64 = 4;
pub const INDEX_ENTRY_BYTES: u64 = 20;
/// Bytes left at the end of a segment for the blank's header.
pub const BLANK_HEADER_BYTES: u64 = 8;
/// Bytes of `checkpoint`.
pub const CHECKPOINT_BYTES: usize = 4096;
/// Bytes of a slot of `moraine/watermark`.
pub const WATERMARK_SLOT_BYTES: usize = 4096;
/// Longest queue table that is written or read.
pub const MAX_QUEUE_TABLE_BYTES: u64 = 256 * 1024 * 1024;
/// Smallest and greatest segment: room for a record and its blank; Java's mapped files end at 2 GiB.
pub const MIN_SEGMENT_BYTES: u64 = 1024;
pub const MAX_SEGMENT_BYTES: u64 = 2_147_483_647;
/// Most bytes that a lookup answers.
pub const MAX_LOOKUP_BYTES: u64 = 1 << 30;
/// Most keys' hits that RocketMQ's own query returns; ours has no such cut.
pub const MAX_GET_MESSAGES: usize = 65_536;
/// Longest encoded filter of a `get`.
pub const MAX_FILTER_BYTES: usize = 65_536;
/// Greatest number that a double holds exactly, and so the greatest offset that crosses the boundary.
pub const MAX_SAFE_INTEGER: u64 = (1 << 53) - 1;
