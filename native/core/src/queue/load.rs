//! Loading queues from their directories: which there are, and how far the files of each go (store-format §3.1, §3.4).

use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use super::DIRECTORY;
use super::files::{CHUNK_ENTRIES, QueueFiles, list, missing_files, refuse_far_files, repair_last};
use super::table::{QueueIndex, QueueTable};
use super::tail::Tail;
use crate::error::{Error, Finding};
use crate::format::names;
use crate::format::queue_entry::QueueEntry;
use crate::limits::{MAX_SEGMENT_BYTES, QUEUE_ENTRY_BYTES};
use crate::storage::{Entry, EntryKind, Storage};

/// What a queue's files held when they were loaded.
#[derive(Clone, Copy, Debug)]
pub struct LoadedQueue {
    pub place: QueueIndex,
    /// Its newest entry.
    pub last: Option<QueueEntry>,
}

/// How far the entries of a file are to be believed when its last one is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Closed cleanly: entries are a run from the start, found by bisection.
    Clean,
    /// A crash may have left holes: the run ends at the first, found one by one.
    Crashed,
}

impl QueueFiles {
    /// Loads all queues below `consumequeue/` into the table. The file size found wins over `file_entries`.
    ///
    /// A last file that is empty or short comes from a crash while it was made. RocketMQ starts with neither, so with
    /// `repair` the first goes and the second gets its size.
    pub fn load<S: Storage>(
        storage: &S,
        file_entries: u32,
        trust: Trust,
        repair: bool,
        table: &mut QueueTable,
        findings: &mut Vec<Finding>,
    ) -> Result<(Self, Vec<LoadedQueue>), Error> {
        let mut found = Vec::new();
        for topic in directories(storage, DIRECTORY)? {
            let topic_dir = format!("{DIRECTORY}/{}", topic.name);
            for queue in directories(storage, &topic_dir)? {
                let dir = format!("{topic_dir}/{}", queue.name);
                let Some(id) = queue.name.parse::<i32>().ok().filter(|id| id.to_string() == queue.name) else {
                    continue; // RocketMQ too takes only directories whose name is a number for queues
                };
                let files = list(storage, &dir, findings)?;
                if !files.is_empty() {
                    found.push((topic.name.clone(), id, dir, files));
                }
            }
        }
        let bytes = found.iter().find_map(|(_, _, _, files)| files.iter().map(|&(_, len)| len).find(|&len| len > 0));
        let files = match bytes {
            Some(bytes) if bytes % QUEUE_ENTRY_BYTES == 0 && bytes <= MAX_SEGMENT_BYTES => {
                Self { file_entries: bytes / QUEUE_ENTRY_BYTES, ext: None }
            }
            Some(bytes) => {
                let reason = format!(
                    "{bytes} bytes are no size for queue files: want a multiple of {QUEUE_ENTRY_BYTES}, at most {MAX_SEGMENT_BYTES}"
                );
                return Err(Error::corrupt(DIRECTORY, 0, &reason));
            }
            None => Self { file_entries: u64::from(file_entries), ext: None },
        };
        let mut loaded = Vec::with_capacity(found.len());
        for (topic, id, dir, mut list) in found {
            if repair {
                repair_last(storage, &dir, &mut list, files.file_bytes())?;
            }
            if list.is_empty() {
                continue;
            }
            refuse_far_files(&dir, &list, QUEUE_ENTRY_BYTES)?;
            findings.extend(missing_files(&dir, &list, files.file_bytes()));
            let place = table.find_or_add(topic.as_bytes(), id);
            let (min, next, last) = files.bounds(storage, &dir, &list, trust)?;
            let queue = table.queue_mut(place);
            queue.min = min;
            queue.tail = Tail::starting_at(next);
            queue.in_files = true;
            loaded.push(LoadedQueue { place, last });
        }
        Ok((files, loaded))
    }

    /// First offset, next offset and newest entry that the files of a queue hold.
    fn bounds<S: Storage>(
        &self,
        storage: &S,
        dir: &str,
        files: &[(u64, u64)],
        trust: Trust,
    ) -> Result<(u64, u64, Option<QueueEntry>), Error> {
        for (i, &(base, len)) in files.iter().enumerate() {
            if base % self.file_bytes() != 0 || len > self.file_bytes() || (len < self.file_bytes() && i + 1 != files.len()) {
                let reason = format!("{len} bytes at {base} do not fit queue files of {} bytes", self.file_bytes());
                return Err(Error::corrupt(&format!("{dir}/{}", names::file_name(base)), 0, &reason));
            }
        }
        let min = files[0].0 / QUEUE_ENTRY_BYTES;
        for &(base, len) in files.iter().rev() {
            let path = format!("{dir}/{}", names::file_name(base));
            let count = match trust {
                Trust::Clean => bisect(storage, &path, len / QUEUE_ENTRY_BYTES)?,
                Trust::Crashed => walk(storage, &path, len / QUEUE_ENTRY_BYTES)?,
            };
            if count > 0 {
                return Ok((min, base / QUEUE_ENTRY_BYTES + count, entry_in(storage, &path, count - 1)?));
            }
        }
        Ok((min, min, None))
    }
}

pub(super) fn directories<S: Storage>(storage: &S, dir: &str) -> Result<Vec<Entry>, Error> {
    let mut entries = storage.list(dir)?.unwrap_or_default();
    entries.retain(|entry| entry.kind == EntryKind::Directory);
    entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

fn entry_in<S: Storage>(storage: &S, path: &str, number: u64) -> Result<Option<QueueEntry>, Error> {
    let mut raw = [0; QUEUE_ENTRY_BYTES as usize];
    let read = storage.read_at(path, number * QUEUE_ENTRY_BYTES, &mut raw)?;
    Ok(QueueEntry::decode(&raw).filter(|_| read == raw.len()))
}

/// Number of entries of a file whose entries are a run from its start.
fn bisect<S: Storage>(storage: &S, path: &str, capacity: u64) -> Result<u64, Error> {
    let (mut low, mut high) = (0, capacity);
    while low < high {
        let middle = low + (high - low) / 2;
        match entry_in(storage, path, middle)? {
            Some(_) => low = middle + 1,
            None => high = middle,
        }
    }
    Ok(low)
}

/// Number of entries before the first hole.
fn walk<S: Storage>(storage: &S, path: &str, capacity: u64) -> Result<u64, Error> {
    let mut buffer = [0; (CHUNK_ENTRIES * QUEUE_ENTRY_BYTES) as usize];
    let mut count = 0;
    while count < capacity {
        let wanted = (capacity - count).min(CHUNK_ENTRIES);
        let bytes = &mut buffer[..(wanted * QUEUE_ENTRY_BYTES) as usize];
        let read = storage.read_at(path, count * QUEUE_ENTRY_BYTES, bytes)?;
        bytes[read..].fill(0);
        for raw in bytes.as_chunks::<{ QUEUE_ENTRY_BYTES as usize }>().0 {
            if QueueEntry::decode(raw).is_none() {
                return Ok(count);
            }
            count += 1;
        }
    }
    Ok(count)
}
