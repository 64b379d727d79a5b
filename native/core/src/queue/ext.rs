//! Extension files: where the tags codes of a queue's entries lie when they are not in the entries (store-format §3.5).
//!
//! Entries in memory always hold tags codes; addresses are made when entries are written to their files, and followed
//! when they are read from there.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::EXT_DIRECTORY;
use super::extent::{self, QueueDirectory};
use super::files::{QueueFiles, Stretch, list, read_or_hole, zero_to_end};
use super::table::{QueueIndex, QueueTable};
use crate::error::{Error, Finding};
use crate::format::ext_unit::{self, END_MARK, ExtUnit};
use crate::format::names;
use crate::format::queue_entry::QueueEntry;
use crate::limits::{MAX_SAFE_INTEGER, MAX_SEGMENT_BYTES};
use crate::storage::{ReadFiles, Storage};
use crate::writes::{Unsynced, Writes};

/// RocketMQ's `mappedFileSizeConsumeQueueExt`.
pub const DEFAULT_FILE_BYTES: u64 = 48 * 1024 * 1024;
/// Smallest file that takes a unit with the greatest bit map that RocketMQ makes by itself, and the mark.
const MIN_FILE_BYTES: u64 = 64;
/// Newest entries whose addresses are held against each other.
const LAST_ENTRIES: u64 = 64;
/// Bytes read from a file at once.
const CHUNK_BYTES: usize = 4096;

/// The extension files of a store that has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtFiles {
    /// Bytes of one file, the same in all queues.
    pub file_bytes: u64,
}

/// Where the next unit of each queue goes: behind its last one, as a byte offset.
#[derive(Debug, Default)]
pub struct ExtEnds(BTreeMap<QueueIndex, u64>);

impl ExtEnds {
    pub fn of(&self, place: QueueIndex) -> u64 {
        self.0.get(&place).copied().unwrap_or(0)
    }

    pub fn set(&mut self, place: QueueIndex, end: u64) {
        self.0.insert(place, end);
    }
}

/// The units of one plan of writes.
pub struct ExtPlan<'a> {
    ends: &'a ExtEnds,
    /// Where the units of each queue end when the plan is carried out.
    pub reached: Vec<(QueueIndex, u64)>,
    /// Store time of the record at a physical offset.
    store_time: &'a dyn Fn(u64) -> Option<i64>,
}

impl<'a> ExtPlan<'a> {
    pub fn new(ends: &'a ExtEnds, store_time: &'a dyn Fn(u64) -> Option<i64>) -> Self {
        Self { ends, reached: Vec::new(), store_time }
    }

    /// Plans the units of entries that go to their file, and gives the entries the units' addresses.
    pub fn address(&mut self, files: ExtFiles, table: &QueueTable, place: QueueIndex, entries: &mut [QueueEntry], writes: &mut Writes) {
        let end = match self.reached.last() {
            Some(&(last, end)) if last == place => end,
            _ => self.ends.of(place),
        };
        let end = files.plan(&directory(table, place), end, entries, self.store_time, writes);
        self.reached.push((place, end));
    }
}

impl ExtFiles {
    /// What a store has below `consumequeue_ext/`; `None` without that directory. The file size found there wins: that of the
    /// longest, for a power cut leaves new files short.
    pub fn load<S: Storage>(storage: &S, write: bool, findings: &mut Vec<Finding>) -> Result<Option<Self>, Error> {
        if storage.list(EXT_DIRECTORY)?.is_none() {
            return Ok(None);
        }
        let (mut file_bytes, mut of) = (0, String::new());
        for QueueDirectory { dir, .. } in queue_directories(storage)? {
            let longest = list(storage, &dir, write, findings)?.iter().map(|&(_, bytes)| bytes).max().unwrap_or(0);
            if longest > file_bytes {
                (file_bytes, of) = (longest, dir);
            }
        }
        match file_bytes {
            0 => Ok(Some(Self { file_bytes: DEFAULT_FILE_BYTES })),
            MIN_FILE_BYTES..=MAX_SEGMENT_BYTES => Ok(Some(Self { file_bytes })),
            _ => {
                let reason = format!("{file_bytes} bytes are no size for extension files: want {MIN_FILE_BYTES} to {MAX_SEGMENT_BYTES}");
                Err(Error::corrupt(&of, 0, &reason))
            }
        }
    }

    /// Finds where the units of each queue end, by the newest entry that its files hold, and clears what lies behind:
    /// units whose entries were cut.
    pub fn take_over<S: Storage>(
        &self,
        storage: &S,
        files: &QueueFiles,
        table: &QueueTable,
        unsynced: &mut Unsynced,
    ) -> Result<ExtEnds, Error> {
        let mut ends = ExtEnds::default();
        for QueueDirectory { topic, id, dir } in queue_directories(storage)? {
            let place = table.find(topic.as_bytes(), id);
            let end = match place {
                Some(place) => self.end_of(storage, files, table, place, &dir)?,
                None => 0,
            };
            self.clear_behind(storage, &dir, end, unsynced)?;
            if let Some(place) = place {
                ends.set(place, end);
            }
        }
        Ok(ends)
    }

    fn end_of<S: Storage>(&self, storage: &S, files: &QueueFiles, table: &QueueTable, place: QueueIndex, dir: &str) -> Result<u64, Error> {
        let queue = table.queue(place);
        let Some(last) = queue.tail.first().checked_sub(1).filter(|&last| last >= queue.min) else {
            return Ok(0); // no entry is in a file: no address is in use
        };
        // Addresses ascend: a newest one that is not the greatest is damaged.
        let raw = QueueFiles { ext: None, ..*files };
        let (mut newest, mut before) = (None, None);
        let from = (last + 1).saturating_sub(LAST_ENTRIES).max(queue.min);
        raw.read(storage, table, place, Stretch::of(from..last + 1), |_, entry| {
            before = before.max(newest);
            newest = entry.and_then(|entry| ext_unit::offset_of(entry.tags_code)).filter(|&offset| offset <= MAX_SAFE_INTEGER);
            true
        })?;
        if let Some(offset) = newest.filter(|_| newest > before)
            && let Some(bytes) = ExtReader::new(storage, *self, dir).unit(offset)?.map(|unit| unit.size())
        {
            return Ok(offset + bytes);
        }
        // Or it was written without a unit, or its unit is damaged: others may have theirs up to the last one.
        self.walk(storage, dir)
    }

    /// Where the units of the last file end.
    fn walk<S: Storage>(&self, storage: &S, dir: &str) -> Result<u64, Error> {
        let Some(&(base, _)) = list(storage, dir, true, &mut Vec::new())?.last() else { return Ok(0) };
        let (mut end, mut reader) = (base, ExtReader::new(storage, *self, dir));
        while end < base + self.file_bytes
            && let Some(bytes) = reader.unit(end)?.map(|unit| unit.size())
        {
            end += bytes;
        }
        Ok(end)
    }

    /// A queue without units keeps one file, of zeros: nothing but the files says how long they are.
    fn clear_behind<S: Storage>(&self, storage: &S, dir: &str, end: u64, unsynced: &mut Unsynced) -> Result<(), Error> {
        let files = list(storage, dir, true, &mut Vec::new())?;
        let path = |base| format!("{dir}/{}", names::file_name(base));
        if end == 0 && files.first().is_some_and(|&(base, _)| base > 0) {
            storage.create(&path(0), self.file_bytes)?;
            storage.sync(&path(0))?;
            storage.sync_dir(dir)?;
        }
        let mut removed = false;
        for (base, len) in files {
            let path = path(base);
            if base >= end.max(1) {
                storage.remove(&path)?;
                removed = true;
                continue;
            }
            if len < self.file_bytes {
                // As a power cut left it; RocketMQ loads no file of another length.
                storage.create(&path, self.file_bytes)?;
                unsynced.insert(&path);
            }
            if end < base + self.file_bytes && zero_to_end(storage, &path, end.saturating_sub(base), len)? {
                unsynced.insert(&path);
            }
        }
        if removed {
            storage.sync_dir(dir)?;
        }
        Ok(())
    }

    /// Plans units for entries that go to their file, behind `end`, and gives the entries the units' addresses; returns
    /// where the units end then. An entry whose store time is not known, and a blank one, keep their tags code: RocketMQ
    /// reads both.
    fn plan(
        &self,
        dir: &str,
        mut end: u64,
        entries: &mut [QueueEntry],
        store_time: impl Fn(u64) -> Option<i64>,
        writes: &mut Writes,
    ) -> u64 {
        let (mut start, mut run) = (end, Vec::new());
        for entry in entries.iter_mut().filter(|entry| !entry.is_blank()) {
            let Some(store_timestamp) = store_time(entry.physical) else { continue };
            let unit = ExtUnit { tags_code: entry.tags_code, store_timestamp, bit_map: &[] };
            let (at, mark) = ext_unit::place(end, unit.size(), self.file_bytes);
            if at != end {
                run.extend_from_slice(if mark.is_some() { &END_MARK } else { &[] });
                self.push(dir, start, &run, writes);
                run.clear();
                start = at;
            }
            unit.encode(&mut run);
            entry.tags_code = ext_unit::address_of(at);
            end = at + unit.size();
        }
        self.push(dir, start, &run, writes);
        end
    }

    /// Plans to write bytes of one file.
    fn push(&self, dir: &str, offset: u64, bytes: &[u8], writes: &mut Writes) {
        if !bytes.is_empty() {
            let in_file = offset % self.file_bytes;
            let path = format!("{dir}/{}", names::file_name(offset - in_file));
            writes.push(path, self.file_bytes, in_file, |out| out.extend_from_slice(bytes));
        }
    }
}

/// Directory of a queue's extension files.
pub fn directory(table: &QueueTable, place: QueueIndex) -> String {
    format!("{EXT_DIRECTORY}/{}/{}", table.topic_of(place).name, table.queue(place).id)
}

/// Every queue that has extension files.
fn queue_directories<S: Storage>(storage: &S) -> Result<Vec<QueueDirectory>, Error> {
    extent::queue_directories(storage, EXT_DIRECTORY, |_| true)
}

/// Follows the addresses of a queue's entries, which ascend: what was read of a file serves the next ones too.
pub struct ExtReader<'a, R> {
    storage: &'a R,
    files: ExtFiles,
    dir: &'a str,
    chunk: Vec<u8>,
    /// Byte offset of the chunk.
    at: u64,
}

impl<'a, R: ReadFiles> ExtReader<'a, R> {
    pub fn new(storage: &'a R, files: ExtFiles, dir: &'a str) -> Self {
        Self { storage, files, dir, chunk: Vec::new(), at: 0 }
    }

    /// The entry with its tags code in place of the address; as it is where the unit cannot be read.
    pub fn resolved(&mut self, entry: QueueEntry) -> Result<QueueEntry, Error> {
        let Some(offset) = ext_unit::offset_of(entry.tags_code).filter(|&offset| offset <= MAX_SAFE_INTEGER) else {
            return Ok(entry);
        };
        Ok(self.unit(offset)?.map_or(entry, |unit| QueueEntry { tags_code: unit.tags_code, ..entry }))
    }

    /// The unit at a byte offset; `None` where none begins.
    pub fn unit(&mut self, offset: u64) -> Result<Option<ExtUnit<'_>>, Error> {
        if self.held(offset).and_then(ExtUnit::decode).is_none() {
            self.fill(offset, CHUNK_BYTES)?;
            let needed = self.held(offset).and_then(ext_unit::unit_bytes).unwrap_or(0);
            if needed > CHUNK_BYTES {
                self.fill(offset, needed)?;
            }
        }
        Ok(self.held(offset).and_then(ExtUnit::decode))
    }

    /// What the chunk holds from an offset on.
    fn held(&self, offset: u64) -> Option<&[u8]> {
        self.chunk.get(usize::try_from(offset.checked_sub(self.at)?).ok()?..)
    }

    fn fill(&mut self, offset: u64, bytes: usize) -> Result<(), Error> {
        let in_file = offset % self.files.file_bytes;
        let path = format!("{}/{}", self.dir, names::file_name(offset - in_file));
        self.chunk.resize(bytes.min((self.files.file_bytes - in_file) as usize), 0);
        self.at = offset;
        let read = read_or_hole(self.storage, &path, in_file, &mut self.chunk)?;
        self.chunk.truncate(read);
        Ok(())
    }
}
