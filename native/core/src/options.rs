//! What a store can be told when it is opened. What is on disk wins: sizes are taken from the files found.

use alloc::vec::Vec;

use crate::limits::DEFAULT_MAX_MESSAGE_BYTES;

/// RocketMQ's delay levels 1 to 18, in ms.
pub const DEFAULT_DELAY_LEVELS_MS: [i64; 18] = [
    1_000, 5_000, 10_000, 30_000, 60_000, 120_000, 180_000, 240_000, 300_000, 360_000, 420_000, 480_000, 540_000, 600_000, 1_200_000,
    1_800_000, 3_600_000, 7_200_000,
];

/// When a put becomes visible and what `flush` is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlushMode {
    /// Visible at once, synced in the background.
    Async,
    /// Visible when synced.
    Sync,
}

/// The oldest RocketMQ that must be able to open what is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compat {
    /// 4.9.x: takes a V2 record for the end of the log, so topics over 127 characters are refused.
    V4_9,
    V5,
}

/// Which files of the log go by themselves, the oldest first: those that one of the rules names.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RetentionPolicy {
    /// Files whose newest message, and whose last change, are at least so old.
    pub max_age_ms: Option<u64>,
    /// Files in front of the newest so many bytes of the log.
    pub max_bytes: Option<u64>,
    /// Age counts only while it is this hour of the day, in local time.
    pub delete_hour: Option<u8>,
    /// As many files as it takes to bring the used part of the disk down to this.
    pub disk_ratio: Option<f64>,
}

#[derive(Clone, Debug)]
pub struct Options {
    pub flush: FlushMode,
    /// Bytes of a commit log file.
    pub segment_bytes: u64,
    /// Entries of a consume queue file.
    pub queue_file_entries: u32,
    pub index_slots: u32,
    pub index_entries: u32,
    /// Appends RocketMQ's `__CRC32#` property, which covers the whole record.
    pub record_crc: bool,
    /// Whether keys are indexed.
    pub index: bool,
    /// Indexes TAGS too, as RocketMQ 5.4 does.
    pub index_tags: bool,
    pub compat: Compat,
    pub max_message_bytes: u32,
    pub read_only: bool,
    /// Creates a store where there is none.
    pub create: bool,
    /// What the delay levels 1, 2 … mean, in ms (store-format §3.2).
    pub delay_levels: Vec<i64>,
    /// What may be removed without being asked for; `None`: nothing.
    pub retention: Option<RetentionPolicy>,
    /// Bytes kept on disk for a close that finds the disk full; 0: none.
    pub reserve_bytes: u64,
    /// Bytes of the log between two queue checkpoints, about: so much is dispatched again after a kill.
    pub checkpoint_bytes: u64,
    /// Process id for the `abort` file, as RocketMQ 5 writes it.
    pub process_id: u32,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            flush: FlushMode::Async,
            segment_bytes: 1 << 30,
            queue_file_entries: 300_000,
            index_slots: 5_000_000,
            index_entries: 20_000_000,
            record_crc: true,
            index: true,
            index_tags: false,
            compat: Compat::V5,
            max_message_bytes: DEFAULT_MAX_MESSAGE_BYTES,
            read_only: false,
            create: true,
            delay_levels: DEFAULT_DELAY_LEVELS_MS.to_vec(),
            retention: None,
            reserve_bytes: 0,
            checkpoint_bytes: 64 * 1024 * 1024,
            process_id: 0,
        }
    }
}
