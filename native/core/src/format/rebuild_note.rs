//! `moraine/rebuild`: what a rebuild needs to be taken up again, should it be ended in the middle.
//!
//! Numbers are big-endian.
//!
//! | part | fields |
//! |---|---|
//! | header | `MORAINER`, u32 version 1, u32 what (1 queues, 2 index, 4 closed cleanly before), u64 log known below or 2^64 − 1, i64 log known by time |
//! | sizes | u64 entries of a queue file, u64 of a batch queue file, u64 bytes of an extension file or 0, u32 slots, u32 entries of an index file |
//! | checkpoint | 5 × i64, as it was before |
//! | queues, then batch queues | u32 number, each u16 length of the topic, topic, i32 id, u64 next offset |
//! | end | u32 CRC-32 of everything before |

use alloc::string::String;
use alloc::vec::Vec;

use crate::format::checkpoint::Checkpoint;
use crate::format::crc::crc32;
use crate::format::index_file::Geometry;
use crate::limits::{BATCH_ENTRY_BYTES, MAX_SAFE_INTEGER, MAX_SEGMENT_BYTES, QUEUE_ENTRY_BYTES};

const MAGIC: [u8; 8] = *b"MORAINER";
const VERSION: u32 = 1;
const QUEUES: u32 = 1;
const INDEX: u32 = 2;
const CLEAN: u32 = 4;
const CHECKPOINT_FIELD_BYTES: usize = 40;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RebuildNote {
    pub queues: bool,
    pub index: bool,
    /// The store had been closed cleanly.
    pub clean: bool,
    /// Everything below was written: known of a store that had been closed cleanly.
    pub below: Option<u64>,
    /// What was stored up to this time was written.
    pub stored_by: i64,
    pub queue_file_entries: u64,
    pub batch_file_entries: u64,
    pub ext_file_bytes: Option<u64>,
    pub geometry: Geometry,
    pub checkpoint: Checkpoint,
    /// Topic, id and next offset of each queue.
    pub rows: Vec<(String, i32, u64)>,
    pub batch_rows: Vec<(String, i32, u64)>,
}

impl RebuildNote {
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_be_bytes());
        let flag = |is: bool, bit: u32| if is { bit } else { 0 };
        let what = flag(self.queues, QUEUES) | flag(self.index, INDEX) | flag(self.clean, CLEAN);
        out.extend_from_slice(&what.to_be_bytes());
        out.extend_from_slice(&self.below.unwrap_or(u64::MAX).to_be_bytes());
        out.extend_from_slice(&self.stored_by.to_be_bytes());
        for size in [self.queue_file_entries, self.batch_file_entries, self.ext_file_bytes.unwrap_or(0)] {
            out.extend_from_slice(&size.to_be_bytes());
        }
        out.extend_from_slice(&self.geometry.slots.to_be_bytes());
        out.extend_from_slice(&self.geometry.entries.to_be_bytes());
        out.extend_from_slice(&self.checkpoint.encode()[..CHECKPOINT_FIELD_BYTES]);
        encode_rows(&self.rows, &mut out);
        encode_rows(&self.batch_rows, &mut out);
        let crc = crc32(&out);
        out.extend_from_slice(&crc.to_be_bytes());
        out
    }

    /// `None` for bytes that are none, or damaged.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let (covered, crc) = bytes.split_last_chunk::<4>()?;
        if u32::from_be_bytes(*crc) != crc32(covered) {
            return None;
        }
        let mut rest = covered;
        if take::<8>(&mut rest)? != MAGIC || u32::from_be_bytes(take(&mut rest)?) != VERSION {
            return None;
        }
        let what = u32::from_be_bytes(take(&mut rest)?);
        let below = u64::from_be_bytes(take(&mut rest)?);
        let stored_by = i64::from_be_bytes(take(&mut rest)?);
        let mut size = |unit: u64| Some(u64::from_be_bytes(take(&mut rest)?)).filter(|&size| size <= MAX_SEGMENT_BYTES / unit);
        let queue_file_entries = size(QUEUE_ENTRY_BYTES).filter(|&entries| entries > 0)?;
        let batch_file_entries = size(BATCH_ENTRY_BYTES).filter(|&entries| entries > 0)?;
        let ext_file_bytes = Some(size(1)?).filter(|&bytes| bytes > 0);
        let geometry = Geometry { slots: u32::from_be_bytes(take(&mut rest)?), entries: u32::from_be_bytes(take(&mut rest)?) };
        let checkpoint = Checkpoint::decode(&take::<CHECKPOINT_FIELD_BYTES>(&mut rest)?);
        let (rows, batch_rows) = (decode_rows(&mut rest)?, decode_rows(&mut rest)?);
        let below = (below != u64::MAX).then_some(below);
        let note = Self {
            queues: what & QUEUES != 0,
            index: what & INDEX != 0,
            clean: what & CLEAN != 0,
            below,
            stored_by,
            queue_file_entries,
            batch_file_entries,
            ext_file_bytes,
            geometry,
            checkpoint,
            rows,
            batch_rows,
        };
        (rest.is_empty() && below.is_none_or(|below| below <= MAX_SAFE_INTEGER)).then_some(note)
    }
}

fn encode_rows(rows: &[(String, i32, u64)], out: &mut Vec<u8>) {
    let rows = rows.iter().filter_map(|row| Some((u16::try_from(row.0.len()).ok()?, row)));
    out.extend_from_slice(&(rows.clone().count() as u32).to_be_bytes());
    for (len, (topic, id, next)) in rows {
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(topic.as_bytes());
        out.extend_from_slice(&id.to_be_bytes());
        out.extend_from_slice(&next.to_be_bytes());
    }
}

fn decode_rows(rest: &mut &[u8]) -> Option<Vec<(String, i32, u64)>> {
    let count = u32::from_be_bytes(take(rest)?);
    let mut rows = Vec::new();
    for _ in 0..count {
        let len = u16::from_be_bytes(take(rest)?);
        let (topic, behind) = rest.split_at_checked(usize::from(len))?;
        *rest = behind;
        let (id, next) = (i32::from_be_bytes(take(rest)?), u64::from_be_bytes(take(rest)?));
        let possible = id >= 0 && next <= MAX_SAFE_INTEGER / QUEUE_ENTRY_BYTES;
        rows.push((String::from(core::str::from_utf8(topic).ok().filter(|_| possible)?), id, next));
    }
    Some(rows)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, behind) = rest.split_first_chunk::<N>()?;
    *rest = behind;
    Some(*taken)
}
