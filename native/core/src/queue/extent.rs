//! How far the files of a queue go, of either kind: which there are, and where their entries end (store-format §3.1, §3.7).

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::files::{leave_out_far_files, list, missing_files, repair_last};
use super::{BATCH_DIRECTORY, DIRECTORY};
use crate::error::{Error, Finding};
use crate::format::batch_entry::BatchEntry;
use crate::format::names;
use crate::format::queue_entry::QueueEntry;
use crate::limits::{BATCH_ENTRY_BYTES, MAX_SEGMENT_BYTES, QUEUE_ENTRY_BYTES};
use crate::storage::{Entry, EntryKind, Storage};

/// How far the entries of a file are to be believed when its last one is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Closed cleanly: entries are a run from the start.
    Clean,
    /// A crash may have left holes: the run ends at the first.
    Crashed,
}

/// An entry of the files of one kind.
pub(crate) trait FileEntry: Copy {
    const BYTES: u64;
    /// Where the queues of the kind have their directories.
    const DIRECTORY: &'static str;
    /// What its files are called.
    const FILES: &'static str;
    /// A file holds so many entries that a clean end is found by bisection. It would not see a hole.
    const MANY: bool;

    /// `None` where there is none.
    fn parse(raw: &[u8]) -> Option<Self>;
}

impl FileEntry for QueueEntry {
    const BYTES: u64 = QUEUE_ENTRY_BYTES;
    const DIRECTORY: &'static str = DIRECTORY;
    const FILES: &'static str = "queue files";
    const MANY: bool = true;

    fn parse(raw: &[u8]) -> Option<Self> {
        Self::decode(raw.first_chunk()?)
    }
}

impl FileEntry for BatchEntry {
    const BYTES: u64 = BATCH_ENTRY_BYTES;
    const DIRECTORY: &'static str = BATCH_DIRECTORY;
    const FILES: &'static str = "batch queue files";
    const MANY: bool = false;

    fn parse(raw: &[u8]) -> Option<Self> {
        Self::decode(raw.first_chunk()?)
    }
}

/// A queue that has files.
pub(super) struct FoundQueue {
    pub topic: String,
    pub id: i32,
    dir: String,
    /// (start, length), by start.
    files: Vec<(u64, u64)>,
}

/// What the files of a queue hold: entries at `first..end`, counted from the start of the queue.
pub(super) struct Extent<E> {
    pub first: u64,
    pub end: u64,
    /// The last of them.
    pub last: Option<E>,
    /// The first entry behind a hole: the run was longer once.
    pub behind: Option<E>,
    /// What stands behind the last entry is neither one nor nothing, or the last is none itself, or its file was cut.
    pub is_damaged: bool,
}

/// The queues of a kind whose topics are `wanted`, by topic.
pub(super) fn find<S: Storage, E: FileEntry>(
    storage: &S,
    wanted: impl FnMut(&str) -> bool,
    write: bool,
    findings: &mut Vec<Finding>,
) -> Result<Vec<FoundQueue>, Error> {
    let mut found = Vec::new();
    for QueueDirectory { topic, id, dir } in queue_directories(storage, E::DIRECTORY, wanted)? {
        let files = list(storage, &dir, write, findings)?;
        if !files.is_empty() {
            found.push(FoundQueue { topic, id, dir, files });
        }
    }
    Ok(found)
}

/// A directory that belongs to a queue.
pub(super) struct QueueDirectory {
    pub topic: String,
    pub id: i32,
    pub dir: String,
}

/// The directories of queues below `root` whose topics are `wanted`, by topic.
pub(super) fn queue_directories<S: Storage>(
    storage: &S,
    root: &str,
    mut wanted: impl FnMut(&str) -> bool,
) -> Result<Vec<QueueDirectory>, Error> {
    let mut found = Vec::new();
    for topic in directories(storage, root)? {
        if !wanted(&topic.name) {
            continue;
        }
        for queue in directories(storage, &format!("{root}/{}", topic.name))? {
            // RocketMQ too takes only directories whose name is a number for queues.
            if let Some(id) = queue.name.parse::<i32>().ok().filter(|id| id.to_string() == queue.name) {
                found.push(QueueDirectory { dir: format!("{root}/{}/{}", topic.name, queue.name), topic: topic.name.clone(), id });
            }
        }
    }
    Ok(found)
}

/// Entries of one file, by the first one that holds any; after a crash, which may leave some short, by the longest one.
/// `asked` where there is none, or where a crash has left none whole: the files stand so far apart, and none is so long.
pub(super) fn file_entries<E: FileEntry>(found: &[FoundQueue], asked: u32, trust: Trust) -> Result<u64, Error> {
    let mut lengths = found.iter().flat_map(|queue| &queue.files).map(|&(_, len)| len).filter(|&len| len > 0);
    let length = match trust {
        Trust::Clean => lengths.next(),
        Trust::Crashed => lengths.max(),
    };
    let asked_bytes = u64::from(asked) * E::BYTES;
    match length {
        None => Ok(u64::from(asked)),
        Some(bytes) if trust == Trust::Crashed && bytes < asked_bytes && stand_apart(found, asked_bytes) => Ok(u64::from(asked)),
        Some(bytes) if bytes % E::BYTES == 0 && bytes <= MAX_SEGMENT_BYTES => Ok(bytes / E::BYTES),
        Some(bytes) if trust == Trust::Crashed && bytes < asked_bytes => Ok(u64::from(asked)),
        Some(bytes) => {
            let (files, entry) = (E::FILES, E::BYTES);
            let reason = format!("{bytes} bytes are no size for {files}: want a multiple of {entry}, at most {MAX_SEGMENT_BYTES}");
            Err(Error::corrupt(E::DIRECTORY, 0, &reason))
        }
    }
}

/// The same where a crash may have been, for files of which nothing else is known.
pub(super) fn fitting_entries<E: FileEntry>(found: &[FoundQueue], asked: u32) -> Result<u64, Error> {
    let entries = file_entries::<E>(found, asked, Trust::Crashed)?;
    found.iter().try_for_each(|queue| queue.refuse_odd_files::<E>(entries * E::BYTES, Trust::Crashed))?;
    Ok(entries)
}

/// Whether files follow one another, and all of them begin where files of `bytes` do.
fn stand_apart(found: &[FoundQueue], bytes: u64) -> bool {
    let mut files = found.iter().flat_map(|queue| &queue.files);
    files.clone().all(|&(base, _)| base % bytes == 0) && files.any(|&(base, _)| base > 0)
}

impl FoundQueue {
    /// What its files hold; `None` if that was nothing but an empty file that a crash left, which is gone now.
    ///
    /// A last file that is empty or short comes from a crash while it was made. RocketMQ starts with neither, so with
    /// `repair` the first goes and the second gets its size.
    pub fn extent<S: Storage, E: FileEntry>(
        &mut self,
        storage: &S,
        file_entries: u64,
        (trust, repair): (Trust, bool),
        findings: &mut Vec<Finding>,
    ) -> Result<Option<Extent<E>>, Error> {
        let file_bytes = file_entries * E::BYTES;
        // Closed cleanly, it would have its size.
        let is_short = trust == Trust::Clean && self.files.last().is_some_and(|&(_, len)| len < file_bytes);
        if repair {
            repair_last(storage, &self.dir, &mut self.files, file_bytes)?;
        }
        findings.extend(leave_out_far_files(&self.dir, &mut self.files, E::BYTES));
        let Some(&(start, _)) = self.files.first() else {
            return Ok(is_short.then_some(Extent { first: 0, end: 0, last: None, behind: None, is_damaged: true }));
        };
        findings.extend(missing_files(&self.dir, &self.files, file_bytes));
        self.refuse_odd_files::<E>(file_bytes, trust)?;
        let (first, mut behind, mut is_damaged) = (start / E::BYTES, None, is_short);
        for &(base, len) in self.files.iter().rev() {
            let path = format!("{}/{}", self.dir, names::file_name(base));
            let count = if trust == Trust::Clean && E::MANY {
                bisect::<S, E>(storage, &path, len / E::BYTES)?
            } else {
                let (count, hidden) = walk(storage, &path, len / E::BYTES)?;
                behind = hidden.or(behind);
                is_damaged |= trust == Trust::Clean && count < len / E::BYTES && holds_something::<S, E>(storage, &path, count)?;
                count
            };
            if count > 0 {
                let last = entry_in(storage, &path, count - 1)?;
                is_damaged |= trust == Trust::Clean && last.is_none();
                return Ok(Some(Extent { first, end: base / E::BYTES + count, last, behind, is_damaged }));
            }
        }
        Ok(Some(Extent { first, end: first, last: None, behind, is_damaged }))
    }

    /// After a crash any of them may be short: what stands behind its end is made again from the log.
    fn refuse_odd_files<E: FileEntry>(&self, file_bytes: u64, trust: Trust) -> Result<(), Error> {
        for (i, &(base, len)) in self.files.iter().enumerate() {
            let may_be_short = trust == Trust::Crashed || i + 1 == self.files.len();
            if base % file_bytes != 0 || len > file_bytes || (len < file_bytes && !may_be_short) {
                let reason = format!("{len} bytes at {base} do not fit {} of {file_bytes} bytes", E::FILES);
                return Err(Error::corrupt(&format!("{}/{}", self.dir, names::file_name(base)), 0, &reason));
            }
        }
        Ok(())
    }
}

/// The directories in one, by name.
fn directories<S: Storage>(storage: &S, dir: &str) -> Result<Vec<Entry>, Error> {
    let mut entries = storage.list(dir)?.unwrap_or_default();
    entries.retain(|entry| entry.kind == EntryKind::Directory);
    entries.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

fn entry_in<S: Storage, E: FileEntry>(storage: &S, path: &str, number: u64) -> Result<Option<E>, Error> {
    let mut buffer = [0; BATCH_ENTRY_BYTES as usize]; // the longer kind
    let raw = &mut buffer[..E::BYTES as usize];
    let read = storage.read_at(path, number * E::BYTES, raw)?;
    Ok(E::parse(raw).filter(|_| read == raw.len()))
}

/// Whether an entry's place in a file is not all zeros.
fn holds_something<S: Storage, E: FileEntry>(storage: &S, path: &str, number: u64) -> Result<bool, Error> {
    let mut buffer = [0; BATCH_ENTRY_BYTES as usize];
    let raw = &mut buffer[..E::BYTES as usize];
    let read = storage.read_at(path, number * E::BYTES, raw)?;
    Ok(raw[..read].iter().any(|&byte| byte != 0))
}

/// Number of entries of a file whose entries are a run from its start. A damaged one is no end of the run.
fn bisect<S: Storage, E: FileEntry>(storage: &S, path: &str, capacity: u64) -> Result<u64, Error> {
    let (mut low, mut high) = (0, capacity);
    while low < high {
        let middle = low + (high - low) / 2;
        if holds_something::<S, E>(storage, path, middle)? { low = middle + 1 } else { high = middle }
    }
    Ok(low)
}

/// Bytes read from a file at once.
const CHUNK_BYTES: usize = 8192;

/// Number of entries before the first hole, and the first one found behind it: it is looked for in the chunk of the hole and
/// in the next.
fn walk<S: Storage, E: FileEntry>(storage: &S, path: &str, capacity: u64) -> Result<(u64, Option<E>), Error> {
    let mut buffer = [0; CHUNK_BYTES];
    let (mut at, mut hole) = (0, None);
    while at < capacity && hole.is_none_or(|hole| at <= hole + CHUNK_BYTES as u64 / E::BYTES) {
        let wanted = (capacity - at).min(CHUNK_BYTES as u64 / E::BYTES);
        let bytes = &mut buffer[..(wanted * E::BYTES) as usize];
        let read = storage.read_at(path, at * E::BYTES, bytes)?;
        bytes[read..].fill(0);
        for raw in bytes.chunks_exact(E::BYTES as usize) {
            match (E::parse(raw), hole) {
                (Some(entry), Some(hole)) => return Ok((hole, Some(entry))),
                (None, None) => hole = Some(at),
                _ => {}
            }
            at += 1;
        }
    }
    Ok((hole.unwrap_or(at), None))
}
