//! A consume queue entry (§3.1): where the message at one queue offset lies.
//!
//! | at | type | field |
//! |---|---|---|
//! | 0 | i64 | physical offset of the record |
//! | 8 | i32 | bytes of the record |
//! | 12 | i64 | tags code |

use crate::format::big_endian::{i32_at, i64_at};
use crate::limits::QUEUE_ENTRY_BYTES;

/// The entry with queue offset n stands at byte [`QueueEntry::BYTES`] · n of its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueEntry {
    pub physical: u64,
    pub size: u32,
    /// Hash of the tags, delivery time, or address in the extension file (§3.2).
    pub tags_code: i64,
}

impl QueueEntry {
    pub const BYTES: usize = QUEUE_ENTRY_BYTES as usize;

    /// Fills a queue file in front of the first message when that has not queue offset 0 (§3.3).
    pub const BLANK: QueueEntry = QueueEntry { physical: 0, size: 0x7FFF_FFFF, tags_code: 0 };

    pub fn encode(&self) -> [u8; QueueEntry::BYTES] {
        let mut out = [0; QueueEntry::BYTES];
        out[..8].copy_from_slice(&self.physical.to_be_bytes());
        out[8..12].copy_from_slice(&self.size.to_be_bytes());
        out[12..].copy_from_slice(&self.tags_code.to_be_bytes());
        out
    }

    /// `None` where RocketMQ sees no entry: a negative offset, or a size that is not positive. A blank is an entry.
    pub fn decode(bytes: &[u8; QueueEntry::BYTES]) -> Option<QueueEntry> {
        let physical = u64::try_from(i64_at(bytes, 0)).ok()?;
        let size = u32::try_from(i32_at(bytes, 8)).ok().filter(|&size| size > 0)?;
        Some(QueueEntry { physical, size, tags_code: i64_at(bytes, 12) })
    }

    pub fn is_blank(&self) -> bool {
        *self == QueueEntry::BLANK
    }

    /// Physical offset behind the record.
    pub fn end(&self) -> u64 {
        self.physical.saturating_add(u64::from(self.size))
    }
}
