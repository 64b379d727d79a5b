//! `moraine/queues`: the table of all queues as a clean close left them, so that opening walks no directories.
//!
//! Numbers are big-endian. A stamp (two u64) tells of changes to a directory: see [`DirectoryStamp`].
//!
//! | part | fields |
//! |---|---|
//! | header | `MORAINEQ`, u32 version 1, u32 number of topics, u64 snapshot number, u64 entries of a queue file, stamp of `consumequeue` |
//! | each topic | u16 length of its name, u32 number of its queues, stamp of its directory, name in UTF-8, queues |
//! | each queue | i32 id, u64 min, u64 next, u64 start of its last file, stamp of its directory |
//!
//! Length and CRC-32 of the whole stand in the watermark.

use alloc::vec::Vec;

use crate::limits::{MAX_SAFE_INTEGER, MAX_SEGMENT_BYTES, QUEUE_ENTRY_BYTES};
use crate::storage::DirectoryStamp;

const MAGIC: [u8; 8] = *b"MORAINEQ";
const VERSION: u32 = 1;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Number of topics that follow.
    pub topics: u32,
    pub snapshot: u64,
    /// Entries of a queue file, the same in all queues.
    pub file_entries: u64,
    pub directory: DirectoryStamp,
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

impl Header {
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&MAGIC);
        out.extend_from_slice(&VERSION.to_be_bytes());
        out.extend_from_slice(&self.topics.to_be_bytes());
        out.extend_from_slice(&self.snapshot.to_be_bytes());
        out.extend_from_slice(&self.file_entries.to_be_bytes());
        encode_stamp(self.directory, out);
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
        let header = Header {
            topics: u32::from_be_bytes(self.array()?),
            snapshot: self.number()?,
            file_entries: self.number()?,
            directory: self.stamp()?,
        };
        let possible = header.file_entries > 0 && header.file_entries <= MAX_SEGMENT_BYTES / QUEUE_ENTRY_BYTES;
        (magic == MAGIC && u32::from_be_bytes(version) == VERSION && possible).then_some(header)
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
