//! `moraine/queues-0` and `-1`: tables of all queues, so that opening walks no directories.
//!
//! Numbers are big-endian. A stamp (two u64) tells of changes to a directory: see [`DirectoryStamp`].
//!
//! | part | fields |
//! |---|---|
//! | header | `MORAINEQ`, u32 version 2, u64 snapshot number, then of each kind (plain, batch): u32 number of topics, u64 entries of a queue file, stamp of `consumequeue` or `batchconsumequeue` |
//! | each topic, the plain ones first | u16 length of its name, u32 number of its queues, stamp of its directory, name in UTF-8, queues |
//! | each plain queue | i32 id, u64 min, u64 next, u64 start of its last file, stamp of its directory |
//! | each batch queue | i32 id, u64 min, u64 next, u64 position of its first entry, u64 position behind its last one, stamp of its directory |
//!
//! Length and CRC-32 of the whole stand in the watermark.

use alloc::vec::Vec;

use crate::limits::{BATCH_ENTRY_BYTES, MAX_BATCH_BASE, MAX_SAFE_INTEGER, MAX_SEGMENT_BYTES, QUEUE_ENTRY_BYTES};
use crate::storage::DirectoryStamp;

const MAGIC: [u8; 8] = *b"MORAINEQ";
const VERSION: u32 = 2;

/// What holds for all queues of a kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// Number of topics that follow.
    pub topics: u32,
    /// Entries of a queue file, the same in all queues.
    pub file_entries: u64,
    pub directory: DirectoryStamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub snapshot: u64,
    pub plain: Kind,
    pub batch: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopicRow<'a> {
    pub name: &'a str,
    /// Number of queues that follow.
    pub queues: u32,
    pub directory: DirectoryStamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueRow {
    pub id: i32,
    pub min: u64,
    pub next: u64,
    /// Where the last file of the queue starts, in bytes.
    pub last_file: u64,
    pub directory: DirectoryStamp,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchRow {
    pub id: i32,
    /// Queue offsets, which count messages.
    pub min: u64,
    pub next: u64,
    /// Positions, which count entries: those that the files hold.
    pub first: u64,
    pub held: u64,
    pub directory: DirectoryStamp,
}

impl Header {
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_be_bytes());
        out.extend_from_slice(&self.snapshot.to_be_bytes());
        for kind in [self.plain, self.batch] {
            out.extend_from_slice(&kind.topics.to_be_bytes());
            out.extend_from_slice(&kind.file_entries.to_be_bytes());
            encode_stamp(kind.directory, out);
        }
    }
}

impl TopicRow<'_> {
    /// False, and nothing is added, for a name that is too long.
    pub fn encode(&self, out: &mut Vec<u8>) -> bool {
        let Ok(len) = u16::try_from(self.name.len()) else { return false };
        out.extend_from_slice(&len.to_be_bytes());
        out.extend_from_slice(&self.queues.to_be_bytes());
        encode_stamp(self.directory, out);
        out.extend_from_slice(self.name.as_bytes());
        true
    }
}

impl QueueRow {
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.id.to_be_bytes());
        out.extend_from_slice(&self.min.to_be_bytes());
        out.extend_from_slice(&self.next.to_be_bytes());
        out.extend_from_slice(&self.last_file.to_be_bytes());
        encode_stamp(self.directory, out);
    }
}

impl BatchRow {
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.id.to_be_bytes());
        for number in [self.min, self.next, self.first, self.held] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        encode_stamp(self.directory, out);
    }
}

fn encode_stamp(stamp: DirectoryStamp, out: &mut Vec<u8>) {
    out.extend_from_slice(&stamp.changed.to_be_bytes());
    out.extend_from_slice(&stamp.identity.to_be_bytes());
}

/// Reads a table from front to back: the header, then each topic with its queues. `None`: these bytes are no table.
pub struct TableReader<'a>(&'a [u8]);

impl<'a> TableReader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub fn header(&mut self) -> Option<Header> {
        let (magic, version) = (self.array::<8>()?, self.array()?);
        let snapshot = self.number()?;
        let (plain, batch) = (self.kind(QUEUE_ENTRY_BYTES)?, self.kind(BATCH_ENTRY_BYTES)?);
        (magic == MAGIC && u32::from_be_bytes(version) == VERSION).then_some(Header { snapshot, plain, batch })
    }

    fn kind(&mut self, entry_bytes: u64) -> Option<Kind> {
        let kind = Kind { topics: u32::from_be_bytes(self.array()?), file_entries: self.number()?, directory: self.stamp()? };
        (1..=MAX_SEGMENT_BYTES / entry_bytes).contains(&kind.file_entries).then_some(kind)
    }

    pub fn topic(&mut self) -> Option<TopicRow<'a>> {
        let len = u16::from_be_bytes(self.array()?);
        let queues = u32::from_be_bytes(self.array()?);
        let directory = self.stamp()?;
        let name = self.take(usize::from(len))?;
        Some(TopicRow { name: core::str::from_utf8(name).ok()?, queues, directory })
    }

    pub fn queue(&mut self) -> Option<QueueRow> {
        let row = QueueRow {
            id: i32::from_be_bytes(self.array()?),
            min: self.number()?,
            next: self.number()?,
            last_file: self.number()?,
            directory: self.stamp()?,
        };
        (row.min <= row.next && row.next <= MAX_SAFE_INTEGER / QUEUE_ENTRY_BYTES).then_some(row)
    }

    pub fn batch_queue(&mut self) -> Option<BatchRow> {
        let row = BatchRow {
            id: i32::from_be_bytes(self.array()?),
            min: self.number()?,
            next: self.number()?,
            first: self.number()?,
            held: self.number()?,
            directory: self.stamp()?,
        };
        let possible = row.min <= row.next && row.next <= MAX_BATCH_BASE && row.first <= row.held && row.held <= MAX_BATCH_BASE;
        possible.then_some(row)
    }

    /// Whether everything was read.
    pub fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }

    fn stamp(&mut self) -> Option<DirectoryStamp> {
        Some(DirectoryStamp { changed: u64::from_be_bytes(self.array()?), identity: u64::from_be_bytes(self.array()?) })
    }

    fn number(&mut self) -> Option<u64> {
        Some(u64::from_be_bytes(self.array()?)).filter(|&number| number <= MAX_SAFE_INTEGER)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*array)
    }

    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }
}
