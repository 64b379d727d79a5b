//! `moraine/watermark`: what we know of a store that no file of RocketMQ's says. A sidecar, never the truth.
//!
//! Two slots of 4096 bytes, written in turn, so that one is whole at any moment. The one with the greater sequence number
//! counts. Numbers are big-endian; whatever is not listed is zero, and there for what later versions have to say.
//!
//! | at | type | field |
//! |---|---|---|
//! | 0 | 8 bytes | `MORAINE\x01`: magic and version |
//! | 8 | u64 | sequence number |
//! | 16 | u32 | state: 1 open, 2 closed cleanly |
//! | 20 | u32, u32 | slots and entries of an index file; 0: not known |
//! | 32 | u64 | offset of the first byte of the log's first file |
//! | 40 | u64 | offset behind the last byte of its last file |
//! | 48 | u64 | final offset: where the next record goes |
//! | 56 | u64 | position of the last record |
//! | 64 | u32, u32 | its size and the CRC-32 of its bytes; size 0: there is none |
//! | 72 | i64 | its store time, ms |
//! | 80 | 5 × i64 | the fields of `checkpoint` |
//! | 120 | u64 | number of the snapshot of the queue table |
//! | 128 | u64, u32 | its length in bytes, and its CRC-32 |
//! | 144 | u64 | 1 + offset from which the key index lacks messages: the store was kept without one; 0: it lacks none |
//! | 256 | | room for positions and seals of files |
//! | 4092 | u32 | CRC-32 of everything before |

use crate::format::big_endian::{array_at, i64_at, u32_at};
use crate::format::checkpoint::Checkpoint;
use crate::format::crc::crc32;
use crate::format::index_file::Geometry;
use crate::limits::{MAX_SAFE_INTEGER, WATERMARK_SLOT_BYTES};

const MAGIC: [u8; 8] = *b"MORAINE\x01";
const CRC_AT: usize = WATERMARK_SLOT_BYTES - 4;

/// A slot of the watermark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watermark {
    pub sequence: u64,
    /// What a clean close has left; `None` while the store is open.
    pub closed: Option<Closed>,
    /// How index files are laid out.
    pub geometry: Option<Geometry>,
    /// Offset from which the index lacks messages.
    pub unindexed: Option<u64>,
}

/// A store as it was when it was closed cleanly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Closed {
    /// First byte of the log's files, and the one behind their last.
    pub min: u64,
    pub extent: u64,
    /// Where the next record goes.
    pub end: u64,
    pub last: Option<LastRecord>,
    pub checkpoint: Checkpoint,
    pub queues: TableIdentity,
}

/// The newest record of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LastRecord {
    pub at: u64,
    pub size: u32,
    pub crc: u32,
    pub store_timestamp: i64,
}

/// Which queue table belongs to a watermark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableIdentity {
    pub snapshot: u64,
    pub bytes: u64,
    pub crc: u32,
}

impl Watermark {
    pub const BYTES: usize = WATERMARK_SLOT_BYTES;

    /// Where in the file the slot stands that this one is written to.
    pub fn slot_at(&self) -> u64 {
        self.sequence % 2 * Self::BYTES as u64
    }

    pub fn encode(&self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        let mut put = |at: usize, bytes: &[u8]| out[at..at + bytes.len()].copy_from_slice(bytes);
        put(0, &MAGIC);
        put(8, &self.sequence.to_be_bytes());
        put(16, &if self.closed.is_some() { 2_u32 } else { 1 }.to_be_bytes());
        if let Some(geometry) = self.geometry {
            put(20, &geometry.slots.to_be_bytes());
            put(24, &geometry.entries.to_be_bytes());
        }
        put(144, &self.unindexed.map_or(0, |offset| offset + 1).to_be_bytes());
        if let Some(closed) = &self.closed {
            put(32, &closed.min.to_be_bytes());
            put(40, &closed.extent.to_be_bytes());
            put(48, &closed.end.to_be_bytes());
            if let Some(last) = closed.last {
                put(56, &last.at.to_be_bytes());
                put(64, &last.size.to_be_bytes());
                put(68, &last.crc.to_be_bytes());
                put(72, &last.store_timestamp.to_be_bytes());
            }
            put(80, &closed.checkpoint.encode()[..40]);
            put(120, &closed.queues.snapshot.to_be_bytes());
            put(128, &closed.queues.bytes.to_be_bytes());
            put(136, &closed.queues.crc.to_be_bytes());
        }
        let crc = crc32(&out[..CRC_AT]);
        out[CRC_AT..].copy_from_slice(&crc.to_be_bytes());
        out
    }

    /// `None` for bytes that are no slot, or a damaged one.
    pub fn decode(slot: &[u8; Self::BYTES]) -> Option<Watermark> {
        if slot[..8] != MAGIC || u32_at(slot, CRC_AT) != crc32(&slot[..CRC_AT]) {
            return None;
        }
        let offset = |at: usize| Some(u64::from_be_bytes(array_at(slot, at))).filter(|&offset| offset <= MAX_SAFE_INTEGER);
        let geometry = Geometry { slots: u32_at(slot, 20), entries: u32_at(slot, 24) };
        let closed = match u32_at(slot, 16) {
            1 => None,
            2 => {
                let last = LastRecord { at: offset(56)?, size: u32_at(slot, 64), crc: u32_at(slot, 68), store_timestamp: i64_at(slot, 72) };
                Some(Closed {
                    min: offset(32)?,
                    extent: offset(40)?,
                    end: offset(48)?,
                    last: (last.size != 0).then_some(last),
                    checkpoint: Checkpoint::decode(&slot[80..120]),
                    queues: TableIdentity { snapshot: offset(120)?, bytes: offset(128)?, crc: u32_at(slot, 136) },
                })
            }
            _ => return None,
        };
        let known = geometry.slots > 0 && geometry.entries > 0;
        let unindexed = offset(144)?.checked_sub(1);
        Some(Watermark { sequence: offset(8)?, closed, geometry: known.then_some(geometry), unindexed })
    }

    /// The slot of a file that counts: the newer one that is whole.
    pub fn newest(file: &[u8]) -> Option<Watermark> {
        let (slots, _) = file.as_chunks::<{ Self::BYTES }>();
        slots.iter().take(2).filter_map(Self::decode).max_by_key(|slot| slot.sequence)
    }
}
