//! `moraine/watermark`: what we know of a store that no file of RocketMQ's says. A sidecar, never the truth.
//!
//! Two slots of 4096 bytes, written in turn, so that one is whole at any moment. The one with the greater sequence number
//! counts. Numbers are big-endian; whatever is not listed is zero, and there for what later versions have to say.
//!
//! | at | type | field |
//! |---|---|---|
//! | 0 | 8 bytes | `MORAINE\x01`: magic and version |
//! | 8 | u64 | sequence number |
//! | 16 | u32 | state: 1 open, nothing more is known; 2 closed cleanly; 3 open, with positions |
//! | 20 | u32, u32 | slots and entries of an index file; 0: not known |
//! | 32 | u64 | offset of the first byte of the log's first file |
//! | 40 | u64 | offset behind the last byte of its last file; 0 while open |
//! | 48 | u64 | closed: final offset, where the next record goes; open: durable offset |
//! | 56 | u64 | position of the last record below it |
//! | 64 | u32, u32 | its size and the CRC-32 of its bytes; size 0: there is none |
//! | 72 | i64 | its store time, ms |
//! | 80 | 5 × i64 | the fields of `checkpoint` |
//! | 120 | u64 | number of the snapshot of the queue table |
//! | 128 | u64, u32 | its length in bytes, and its CRC-32 |
//! | 140 | u32 | open: 1 if queue and index files are complete up to an offset; 2 if index files are, and queue files were when the table was taken but are no more: all queues are to be built again, and none goes on below its offset in the table |
//! | 144 | u64 | 1 + offset from which the key index lacks messages: the store was kept without one; 0: it lacks none |
//! | 152 | u32 | open: 1 if an index file was being filled at that offset |
//! | 156 | i64 | its name, as a number |
//! | 164 | 40 bytes | the header that it had in memory: all entries that it counts are in the file |
//! | 208 | u64 | number of the slot with which the store was opened |
//! | 216 | u64 | offset of the first byte of the log's first file when the queue table was taken |
//! | 224 | u64 | the offset up to which queue and index files are complete |
//! | 232 | i64 | name of the index file before the one that was being filled, as a number; 0: there is none |
//! | 256 | | room for what comes later |
//! | 4092 | u32 | CRC-32 of everything before |

use crate::format::big_endian::{array_at, i64_at, u32_at};
use crate::format::checkpoint::Checkpoint;
use crate::format::crc::crc32;
use crate::format::index_file::{Geometry, Header};
use crate::limits::{MAX_SAFE_INTEGER, WATERMARK_SLOT_BYTES};

const MAGIC: [u8; 8] = *b"MORAINE\x01";
/// States of a store.
const OPEN: u32 = 1;
const CLOSED: u32 = 2;
const RUNNING: u32 = 3;
/// States of the queue files of an open store.
const COMPLETE: u32 = 1;
const LOST: u32 = 2;

const CRC_AT: usize = WATERMARK_SLOT_BYTES - 4;

/// A slot of the watermark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watermark {
    pub sequence: u64,
    /// What a clean close has left; `None` while the store is open.
    pub closed: Option<Closed>,
    /// How far an open store had come.
    pub running: Option<Running>,
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

/// How far an open store has come, by what was synced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Running {
    /// First byte of the log's files.
    pub min: u64,
    /// Everything below survives a power cut.
    pub durable: u64,
    /// The newest record below it.
    pub last: Option<LastRecord>,
    pub checkpoint: Checkpoint,
    pub derived: Option<Derived>,
    /// Number of the slot that the store was opened with.
    pub session: u64,
}

/// How far queue files and index files are complete and synced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Derived {
    /// All entries of records below are in queue files. A boundary of records.
    pub upto: u64,
    /// First byte of the log's files then.
    pub min: u64,
    /// What the queues' files held then.
    pub queues: TableIdentity,
    /// They have lost entries since: all queues are being built again, and none goes on below its offset in the table.
    pub lost: bool,
    /// The index file that was being filled then.
    pub index: Option<IndexMark>,
}

/// An index file as far as it is synced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IndexMark {
    /// Its name, as a number (store-format §4).
    pub name: i64,
    /// That of the file before it; 0: there is none.
    pub before: i64,
    pub header: Header,
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
        let state = if self.closed.is_some() {
            CLOSED
        } else if self.running.is_some() {
            RUNNING
        } else {
            OPEN
        };
        put(16, &state.to_be_bytes());
        if let Some(geometry) = self.geometry {
            put(20, &geometry.slots.to_be_bytes());
            put(24, &geometry.entries.to_be_bytes());
        }
        put(144, &self.unindexed.map_or(0, |offset| offset + 1).to_be_bytes());
        let mut put_positions =
            |[min, extent, end]: [u64; 3], last: Option<LastRecord>, checkpoint: &Checkpoint, queues: &TableIdentity| {
                put(32, &min.to_be_bytes());
                put(40, &extent.to_be_bytes());
                put(48, &end.to_be_bytes());
                if let Some(last) = last {
                    put(56, &last.at.to_be_bytes());
                    put(64, &last.size.to_be_bytes());
                    put(68, &last.crc.to_be_bytes());
                    put(72, &last.store_timestamp.to_be_bytes());
                }
                put(80, &checkpoint.encode()[..40]);
                put(120, &queues.snapshot.to_be_bytes());
                put(128, &queues.bytes.to_be_bytes());
                put(136, &queues.crc.to_be_bytes());
            };
        if let Some(closed) = &self.closed {
            put_positions([closed.min, closed.extent, closed.end], closed.last, &closed.checkpoint, &closed.queues);
        } else if let Some(running) = &self.running {
            let derived = running.derived.unwrap_or_default();
            put_positions([running.min, 0, running.durable], running.last, &running.checkpoint, &derived.queues);
            put(140, &running.derived.map_or(0, |derived| if derived.lost { LOST } else { COMPLETE }).to_be_bytes());
            put(224, &derived.upto.to_be_bytes());
            put(216, &derived.min.to_be_bytes());
            put(208, &running.session.to_be_bytes());
            if let Some(index) = derived.index {
                put(152, &1_u32.to_be_bytes());
                put(156, &index.name.to_be_bytes());
                put(232, &index.before.to_be_bytes());
                put(164, &index.header.encode());
            }
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
        let last = || {
            let last = LastRecord { at: offset(56)?, size: u32_at(slot, 64), crc: u32_at(slot, 68), store_timestamp: i64_at(slot, 72) };
            Some((last.size != 0).then_some(last))
        };
        let queues = || Some(TableIdentity { snapshot: offset(120)?, bytes: offset(128)?, crc: u32_at(slot, 136) });
        let checkpoint = Checkpoint::decode(&slot[80..120]);
        let (mut closed, mut running) = (None, None);
        match u32_at(slot, 16) {
            OPEN => {}
            CLOSED => {
                closed =
                    Some(Closed { min: offset(32)?, extent: offset(40)?, end: offset(48)?, last: last()?, checkpoint, queues: queues()? });
            }
            RUNNING => {
                let index = IndexMark { name: i64_at(slot, 156), before: i64_at(slot, 232), header: Header::decode(&array_at(slot, 164)) };
                let index = (u32_at(slot, 152) != 0).then_some(index);
                let state = u32_at(slot, 140);
                let derived = Derived { upto: offset(224)?, min: offset(216)?, queues: queues()?, lost: state == LOST, index };
                let derived = matches!(state, COMPLETE | LOST).then_some(derived);
                let (min, durable, session) = (offset(32)?, offset(48)?, offset(208)?);
                running = Some(Running { min, durable, last: last()?, checkpoint, derived, session });
            }
            _ => return None,
        }
        let known = geometry.slots > 0 && geometry.entries > 0;
        let unindexed = offset(144)?.checked_sub(1);
        Some(Watermark { sequence: offset(8)?, closed, running, geometry: known.then_some(geometry), unindexed })
    }

    /// The slot of a file that counts: the newer one that is whole.
    pub fn newest(file: &[u8]) -> Option<Watermark> {
        let (slots, _) = file.as_chunks::<{ Self::BYTES }>();
        slots.iter().take(2).filter_map(Self::decode).max_by_key(|slot| slot.sequence)
    }
}
