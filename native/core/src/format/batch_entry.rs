//! A batch consume queue entry (§3.7): where the record of a batch lies, and which queue offsets its messages have.
//!
//! | at | type | field |
//! |---|---|---|
//! | 0 | i64 | physical offset of the record |
//! | 8 | i32 | bytes of the record |
//! | 12 | i64 | tags code |
//! | 20 | i64 | store time, in ms |
//! | 28 | i64 | queue offset of the first message |
//! | 36 | i16 | messages |
//! | 38 | i32 | place in a compacted log; −1 here |
//! | 42 | i32 | 0 |

use crate::format::big_endian::{array_at, i32_at, i64_at};
use crate::limits::{BATCH_ENTRY_BYTES, MAX_BATCH_BASE};

/// The entry with position n, a count of batches, stands at byte [`BatchEntry::BYTES`] · n of its queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchEntry {
    pub physical: u64,
    pub size: u32,
    pub tags_code: i64,
    pub store_timestamp: i64,
    /// Queue offset of the first message.
    pub base: u64,
    /// Messages, from 1 to 32,767.
    pub messages: u32,
}

impl BatchEntry {
    pub const BYTES: usize = BATCH_ENTRY_BYTES as usize;

    pub fn encode(&self) -> [u8; BatchEntry::BYTES] {
        let mut out = [0; BatchEntry::BYTES];
        out[..8].copy_from_slice(&self.physical.to_be_bytes());
        out[8..12].copy_from_slice(&self.size.to_be_bytes());
        out[12..20].copy_from_slice(&self.tags_code.to_be_bytes());
        out[20..28].copy_from_slice(&self.store_timestamp.to_be_bytes());
        out[28..36].copy_from_slice(&self.base.to_be_bytes());
        out[36..38].copy_from_slice(&(self.messages as u16).to_be_bytes());
        out[38..42].copy_from_slice(&(-1_i32).to_be_bytes());
        out
    }

    /// `None` where RocketMQ sees no entry (§5.3): a negative offset, a size or number of messages that is not positive;
    /// and for offsets that are too great to be believed.
    pub fn decode(bytes: &[u8; BatchEntry::BYTES]) -> Option<BatchEntry> {
        let physical = u64::try_from(i64_at(bytes, 0)).ok()?;
        let size = u32::try_from(i32_at(bytes, 8)).ok().filter(|&size| size > 0)?;
        let base = u64::try_from(i64_at(bytes, 28)).ok().filter(|&base| base <= MAX_BATCH_BASE)?;
        let messages = i16::from_be_bytes(array_at(bytes, 36));
        let messages = u32::try_from(messages).ok().filter(|&messages| messages > 0)?;
        Some(BatchEntry { physical, size, tags_code: i64_at(bytes, 12), store_timestamp: i64_at(bytes, 20), base, messages })
    }

    /// Queue offset behind the last message.
    pub fn next(&self) -> u64 {
        self.base + u64::from(self.messages)
    }

    /// Physical offset behind the record.
    pub fn end(&self) -> u64 {
        self.physical.saturating_add(u64::from(self.size))
    }
}
