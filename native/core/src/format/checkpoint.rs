//! The `checkpoint` file (§5.1): what was known to be flushed, and when.
//!
//! | at | type | field |
//! |---|---|---|
//! | 0 | i64 | store time of the last flushed record, ms |
//! | 8 | i64 | store time of the last flushed queue entry, ms |
//! | 16 | i64 | store time of the last flushed index file's end, ms |
//! | 24 | i64 | offset that the master had flushed (since RocketMQ 5.0) |
//! | 32 | i64 | confirm offset (since RocketMQ 5.1) |
//! | 40 | – | zeros up to 4096 bytes |

use crate::limits::CHECKPOINT_BYTES;

/// By how much the queues may be older than the log says (RocketMQ's margin), ms.
const MARGIN_MS: i64 = 3000;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checkpoint {
    pub physic: i64,
    pub logics: i64,
    pub index: i64,
    pub master_flushed_offset: i64,
    pub confirm_offset: i64,
}

impl Checkpoint {
    /// Where the time of the index stands in the file.
    pub const INDEX_AT: u64 = 16;

    pub fn encode(&self) -> [u8; CHECKPOINT_BYTES] {
        let mut out = [0; CHECKPOINT_BYTES];
        let fields = [self.physic, self.logics, self.index, self.master_flushed_offset, self.confirm_offset];
        for (field, place) in fields.iter().zip(out.chunks_exact_mut(8)) {
            place.copy_from_slice(&field.to_be_bytes());
        }
        out
    }

    /// Fields that `bytes` does not reach are 0: 4.9 writes three of them, a crash may leave none.
    pub fn decode(bytes: &[u8]) -> Checkpoint {
        let (fields, _) = bytes.as_chunks::<8>();
        let field = |n: usize| fields.get(n).map_or(0, |field| i64::from_be_bytes(*field));
        Checkpoint { physic: field(0), logics: field(1), index: field(2), master_flushed_offset: field(3), confirm_offset: field(4) }
    }

    /// Store time up to which both log and queues were flushed for sure, ms.
    pub fn min_timestamp(&self) -> i64 {
        self.physic.min(self.logics).saturating_sub(MARGIN_MS).max(0)
    }
}
