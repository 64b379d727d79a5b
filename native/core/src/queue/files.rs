//! Queue files: RocketMQ's consume queue directories (store-format §3.1, §3.3, §3.4).

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::fmt;
use core::ops::Range;

use super::DIRECTORY;
use super::ext::{self, ExtFiles, ExtPlan, ExtReader};
use super::partition::{Doubt, partition};
use super::table::{QueueIndex, QueueTable};
use super::tail::Tail;
use crate::error::{Error, Finding, IoKind};
use crate::format::names::{self, FILE_NAME_DIGITS};
use crate::format::queue_entry::QueueEntry;
use crate::limits::{MAX_SAFE_INTEGER, QUEUE_ENTRY_BYTES};
use crate::storage::{EntryKind, ReadFiles, Storage, place_taken};
use crate::writes::{Unsynced, Writes};

/// Entries read from a file at once.
const CHUNK_ENTRIES: u64 = 512;
/// So many need no buffer of that size, which is zeroed first: what most answers need, with the entries beside theirs.
const FEW_ENTRIES: u64 = 34;

/// Files that are empty or short come from a crash while they were made: an empty last one goes, any other gets its size.
/// After a power cut files made since the last sync have their lengths or not, in any order.
pub(super) fn repair_last<S: Storage>(storage: &S, dir: &str, list: &mut Vec<(u64, u64)>, file_bytes: u64) -> Result<(), Error> {
    if let Some(&(base, 0)) = list.last() {
        storage.remove(&format!("{dir}/{}", names::file_name(base)))?;
        storage.sync_dir(dir)?; // or it is there again after a power cut, in a store that was closed meanwhile
        list.pop();
    }
    for (base, len) in list.iter_mut().filter(|(_, len)| *len < file_bytes) {
        storage.create(&format!("{dir}/{}", names::file_name(*base)), file_bytes)?;
        *len = file_bytes;
    }
    Ok(())
}

const MISSING: &str = "is missing: the messages that it led to are not shown";

/// A finding for every place where files of a queue are missing between others.
pub(super) fn missing_files(dir: &str, files: &[(u64, u64)], file_bytes: u64) -> impl Iterator<Item = Finding> {
    files.windows(2).filter(move |pair| pair[1].0 != pair[0].0 + file_bytes).map(move |pair| Finding {
        kind: "queue-gap",
        file: format!("{dir}/{}", names::file_name(pair[0].0 + file_bytes)),
        offset: 0,
        length: pair[1].0.saturating_sub(pair[0].0 + file_bytes),
        message: String::from(MISSING),
    })
}

/// Takes back what was said of missing files of a queue that begin at or behind `from`: what they held is made again.
pub(crate) fn retract_missing(findings: &mut Vec<Finding>, dir: &str, from: u64) {
    let base = |file: &str| names::parse_file_name(file.strip_prefix(dir)?.strip_prefix('/')?);
    findings.retain(|finding| finding.message != MISSING || base(&finding.file).is_none_or(|base| base < from));
}

/// Entries of missing files in one queue.
const MAX_MISSING_ENTRIES: u64 = 1_000_000;

/// Path of a queue file, spelled out where it is needed: a plan names thousands of them.
struct FilePath<'a> {
    topic: &'a str,
    queue_id: i32,
    base: u64,
}

impl FilePath<'_> {
    /// As it is displayed; what every read needs.
    fn spelled(&self) -> String {
        let Ok(queue_id) = u64::try_from(self.queue_id) else { return self.to_string() };
        let mut path = String::with_capacity(DIRECTORY.len() + self.topic.len() + 2 * FILE_NAME_DIGITS);
        path.push_str(DIRECTORY);
        path.push('/');
        path.push_str(self.topic);
        path.push('/');
        names::push_digits(queue_id, 1, &mut path);
        path.push('/');
        names::push_file_name(self.base, &mut path);
        path
    }
}

impl fmt::Display for FilePath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{DIRECTORY}/{}/{}/{:020}", self.topic, self.queue_id, self.base)
    }
}

/// Entries to be read.
#[derive(Clone, Copy, Debug)]
pub struct Stretch {
    /// Queue offset of the first.
    pub from: u64,
    /// How many at most.
    pub count: u64,
    /// After how many it is likely to end: so many are read from files at first.
    pub likely: u64,
}

impl Stretch {
    /// All of these offsets.
    pub fn of(offsets: Range<u64>) -> Self {
        let count = offsets.end.saturating_sub(offsets.start);
        Self { from: offsets.start, count, likely: count }
    }
}

/// Entries that a file holds.
#[derive(Clone, Debug)]
pub struct HeldEntries {
    pub path: String,
    /// Their queue offsets; the first stands at the start of the file.
    pub offsets: Range<u64>,
}

/// The files of all queues: how long they are, and how they are read and written.
#[derive(Clone, Copy, Debug)]
pub struct QueueFiles {
    /// Entries of one file, the same in all queues.
    pub file_entries: u64,
    /// Where their tags codes lie, in a store that has extension files.
    pub ext: Option<ExtFiles>,
}

impl QueueFiles {
    pub fn file_bytes(&self) -> u64 {
        self.file_entries * QUEUE_ENTRY_BYTES
    }

    /// The file that holds the entry at a queue offset.
    fn file<'a>(&self, table: &'a QueueTable, place: QueueIndex, offset: u64) -> FilePath<'a> {
        let base = (offset - offset % self.file_entries) * QUEUE_ENTRY_BYTES;
        FilePath { topic: &table.topic_of(place).name, queue_id: table.queue(place).id, base }
    }

    /// Where in its file that entry stands, in bytes.
    fn at(&self, offset: u64) -> u64 {
        offset % self.file_entries * QUEUE_ENTRY_BYTES
    }

    fn path(&self, table: &QueueTable, place: QueueIndex, offset: u64) -> (String, u64) {
        (self.file(table, place, offset).spelled(), self.at(offset))
    }

    /// Where the entries stand that are likely to be wanted: path of the file, where the first one stands in it, how many; `None`
    /// unless they are few, all in one file, and stand there as they are.
    pub fn in_one_file(&self, table: &QueueTable, place: QueueIndex, stretch: Stretch) -> Option<(String, u64, u64)> {
        let Stretch { from, count, likely } = stretch;
        let count = likely.min(count);
        let last = from.checked_add(count)?.checked_sub(1)?;
        let is_there = last < table.queue(place).tail.first() && last / self.file_entries == from / self.file_entries;
        if self.ext.is_some() || count > FEW_ENTRIES || !is_there {
            return None;
        }
        let (path, at) = self.path(table, place, from);
        Some((path, at, count))
    }

    /// The entries of the file that holds the one at a queue offset; `None` where no file does.
    pub fn held(&self, table: &QueueTable, place: QueueIndex, offset: u64) -> Option<HeldEntries> {
        let behind = table.queue(place).tail.first();
        let first = offset - offset % self.file_entries;
        let offsets = first..behind.min(first + self.file_entries);
        (offset < behind).then(|| HeldEntries { path: self.file(table, place, first).spelled(), offsets })
    }

    /// Reads entries, out of memory or files; `each` gets offset and entry (`None` where a file holds none) and says whether to
    /// go on.
    pub fn read<R: ReadFiles>(
        &self,
        storage: &R,
        table: &QueueTable,
        place: QueueIndex,
        Stretch { from, count, likely }: Stretch,
        mut each: impl FnMut(u64, Option<QueueEntry>) -> bool,
    ) -> Result<(), Error> {
        let tail = &table.queue(place).tail;
        let end = from.saturating_add(count).min(tail.next());
        let in_files = end.min(tail.first());
        let mut offset = from;
        if offset < in_files {
            let few = in_files.min(offset.saturating_add(likely.clamp(1, FEW_ENTRIES)));
            let mut buffer = [0; (FEW_ENTRIES * QUEUE_ENTRY_BYTES) as usize];
            if !self.read_files(storage, table, place, offset..few, &mut buffer, &mut each)? {
                return Ok(());
            }
            offset = few;
        }
        if offset < in_files {
            let mut buffer = [0; (CHUNK_ENTRIES * QUEUE_ENTRY_BYTES) as usize];
            if !self.read_files(storage, table, place, offset..in_files, &mut buffer, &mut each)? {
                return Ok(());
            }
            offset = in_files;
        }
        for entry in tail.from(offset).take(end.saturating_sub(offset) as usize) {
            if !each(offset, Some(*entry)) {
                return Ok(());
            }
            offset += 1;
        }
        Ok(())
    }

    /// Hands the entries at queue offsets that lie in files to `each`, as many at a time as `buffer` has room for; false where
    /// it has ended that.
    fn read_files<R: ReadFiles>(
        &self,
        storage: &R,
        table: &QueueTable,
        place: QueueIndex,
        offsets: Range<u64>,
        buffer: &mut [u8],
        each: &mut impl FnMut(u64, Option<QueueEntry>) -> bool,
    ) -> Result<bool, Error> {
        let ext_dir = self.ext.map(|_| ext::directory(table, place)).unwrap_or_default();
        let mut ext = self.ext.map(|files| ExtReader::new(storage, files, &ext_dir));
        let room = buffer.len() as u64 / QUEUE_ENTRY_BYTES;
        let mut offset = offsets.start;
        while offset < offsets.end {
            let (path, at) = self.path(table, place, offset);
            let left_in_file = self.file_entries - offset % self.file_entries;
            let wanted = (offsets.end - offset).min(left_in_file).min(room);
            let bytes = &mut buffer[..(wanted * QUEUE_ENTRY_BYTES) as usize];
            let read = read_or_hole(storage, &path, at, bytes)?;
            bytes[read..].fill(0);
            for raw in bytes.as_chunks::<{ QUEUE_ENTRY_BYTES as usize }>().0 {
                let mut entry = QueueEntry::decode(raw);
                if let (Some(ext), Some(addressed)) = (&mut ext, entry) {
                    entry = Some(ext.resolved(addressed)?);
                }
                if !each(offset, entry) {
                    return Ok(false);
                }
                offset += 1;
            }
        }
        Ok(true)
    }

    /// The entry at a queue offset.
    pub fn entry<R: ReadFiles>(
        &self,
        storage: &R,
        table: &QueueTable,
        place: QueueIndex,
        offset: u64,
    ) -> Result<Option<QueueEntry>, Error> {
        if let Some(entry) = table.queue(place).tail.get(offset) {
            return Ok(Some(entry));
        }
        if offset >= table.queue(place).next() {
            return Ok(None);
        }
        let (path, at) = self.path(table, place, offset);
        let mut raw = [0; QUEUE_ENTRY_BYTES as usize];
        let read = read_or_hole(storage, &path, at, &mut raw)?;
        Ok(QueueEntry::decode(&raw).filter(|_| read == raw.len()))
    }

    /// Forgets the entries whose records start at or above `physical`. Files stay as they are until
    /// [`QueueFiles::clear_behind`]; returns the offset behind the last entry that they hold.
    pub fn cut<S: Storage>(&self, storage: &S, table: &mut QueueTable, place: QueueIndex, physical: u64) -> Result<u64, Error> {
        let queue = table.queue(place);
        let held = queue.tail.first();
        if let Some(last) = held.checked_sub(1)
            && self.entry(storage, table, place, last)?.is_some_and(|entry| entry.physical < physical)
        {
            return Ok(held); // the newest one stays, whatever a damaged one before it says
        }
        let mut low = self.first_behind(storage, table, place, physical)?;
        let min = table.queue(place).min;
        while low > min && self.entry(storage, table, place, low - 1)?.is_none() {
            low -= 1;
        }
        table.queue_mut(place).tail = Tail::starting_at(low);
        Ok(held)
    }

    /// Whether an entry in the files of a queue leads to `physical`.
    pub fn leads_to<S: Storage>(&self, storage: &S, table: &QueueTable, place: QueueIndex, physical: u64) -> Result<bool, Error> {
        let (near, held) = (self.first_behind(storage, table, place, physical)?, table.queue(place).tail.first());
        for offset in near.saturating_sub(1)..held.min(near + 2) {
            if self.entry(storage, table, place, offset)?.is_some_and(|entry| entry.physical == physical) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The first queue offset in files from which on entries lead to `physical`, or behind it.
    fn first_behind<S: Storage>(&self, storage: &S, table: &QueueTable, place: QueueIndex, physical: u64) -> Result<u64, Error> {
        let queue = table.queue(place);
        let held = queue.tail.first();
        partition(queue.min.min(held)..held, Doubt::Later, |offset| {
            let entry = self.entry(storage, table, place, offset)?;
            Ok(entry.filter(|entry| !entry.is_blank()).map(|entry| entry.physical < physical))
        })
    }

    /// Zeroes what the files of a queue hold from its next offset on, and removes the files wholly behind it, so
    /// that nobody takes stale entries for messages (store-format trap 12). Files that a power cut has made short get their
    /// length. What was changed is to be synced: `unsynced`.
    pub fn clear_behind<S: Storage>(
        &self,
        storage: &S,
        table: &QueueTable,
        place: QueueIndex,
        unsynced: &mut Unsynced,
    ) -> Result<(), Error> {
        let next = table.queue(place).next();
        let dir = format!("{DIRECTORY}/{}/{}", table.topic_of(place).name, table.queue(place).id);
        let mut removed = false;
        for (base, len) in list(storage, &dir, true, &mut Vec::new())? {
            let path = format!("{dir}/{}", names::file_name(base));
            let first = base / QUEUE_ENTRY_BYTES;
            if first > next || (first == next && first > table.queue(place).min) {
                storage.remove(&path)?;
                removed = true;
                continue;
            }
            let holds_end = next < first + self.file_entries;
            if holds_end {
                clear_entries(storage, &path, (next - first) * QUEUE_ENTRY_BYTES, len)?;
            }
            // Also where nothing had to be cleared: who did it before may have died before the sync.
            if lengthen(storage, &path, len, self.file_bytes())? || holds_end {
                unsynced.insert(&path);
            }
        }
        if removed {
            storage.sync_dir(&dir)?;
        }
        Ok(())
    }

    /// Plans to write entries that wait in memory and whose records lie below `physical`, as long as the plan is not
    /// full; `upto` gets each queue with the offset that its files will reach, `units` those of extension files. Looks at
    /// each queue that waits once.
    pub fn plan(
        &self,
        table: &mut QueueTable,
        physical: u64,
        writes: &mut Writes,
        upto: &mut Vec<(QueueIndex, u64)>,
        units: &mut ExtPlan<'_>,
    ) {
        for _ in 0..table.waiting_queues() {
            if writes.is_full() {
                break;
            }
            let Some(place) = table.next_waiting() else { break };
            let queue = table.queue(place);
            let mut offset = queue.tail.first();
            let end = queue.tail.first_at_or_above(physical);
            if offset == end {
                table.wait_again(place);
                continue;
            }
            if let Some(fill_from) = queue.fill_from {
                let blanks = offset - fill_from;
                writes.push(self.file(table, place, fill_from), self.file_bytes(), self.at(fill_from), |bytes| {
                    (0..blanks).for_each(|_| bytes.extend_from_slice(&QueueEntry::BLANK.encode()));
                });
            }
            while offset < end && !writes.is_full() {
                let room = (writes.room() as u64 / QUEUE_ENTRY_BYTES).max(1);
                let count = (end - offset).min(self.file_entries - offset % self.file_entries).min(room);
                let entries = queue.tail.from(offset).take(count as usize);
                let (file, at) = (self.file(table, place, offset), self.at(offset));
                if let Some(files) = self.ext {
                    let mut addressed: Vec<QueueEntry> = entries.copied().collect();
                    units.address(files, table, place, &mut addressed, writes);
                    writes.push(file, self.file_bytes(), at, |bytes| {
                        addressed.iter().for_each(|entry| bytes.extend_from_slice(&entry.encode()));
                    });
                } else {
                    writes.push(file, self.file_bytes(), at, |bytes| entries.for_each(|entry| bytes.extend_from_slice(&entry.encode())));
                }
                offset += count;
            }
            upto.push((place, offset));
        }
    }
}

/// Leaves out files in front of a gap, or several, too great for the entries there to be looked for one by one: the queue
/// begins behind. The files stay as they are.
pub(super) fn leave_out_far_files(dir: &str, files: &mut Vec<(u64, u64)>, entry_bytes: u64) -> Option<Finding> {
    let mut missing = 0;
    let served = files.windows(2).rposition(|pair| {
        missing += pair[1].0.saturating_sub(pair[0].0.saturating_add(pair[0].1)) / entry_bytes;
        missing > MAX_MISSING_ENTRIES
    })?;
    let (last, first) = (files[served], files[served + 1].0);
    files.drain(..=served);
    let gap = last.0.saturating_add(last.1);
    Some(Finding {
        kind: "queue-gap",
        file: format!("{dir}/{}", names::file_name(gap)),
        offset: 0,
        length: first.saturating_sub(gap),
        message: format!(
            "and those behind it are missing, more than {MAX_MISSING_ENTRIES} entries in all: the queue begins at {}, the \
             messages in front are not shown. Put the files back, or move the wrong ones away",
            names::file_name(first)
        ),
    })
}

/// (start, length) of the files of a queue, by start. What is no queue file is reported and left alone; where something else
/// has the place of one, a store that is to be written is refused.
pub(super) fn list<S: Storage>(storage: &S, dir: &str, write: bool, findings: &mut Vec<Finding>) -> Result<Vec<(u64, u64)>, Error> {
    let mut files = Vec::new();
    for entry in storage.list(dir)?.unwrap_or_default() {
        let file = format!("{dir}/{}", entry.name);
        match names::parse_file_name(&entry.name).filter(|&base| base <= MAX_SAFE_INTEGER) {
            Some(base) if entry.kind == EntryKind::File => files.push((base, entry.len)),
            Some(_) => findings.push(place_taken(file, "a queue file", write)?),
            None => findings.push(Finding {
                kind: "stray-file",
                file,
                offset: 0,
                length: entry.len,
                message: String::from("is no queue file; RocketMQ does not start while it lies there"),
            }),
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// Reads from a queue file; one that is missing between others is a hole.
pub(super) fn read_or_hole<R: ReadFiles>(storage: &R, path: &str, at: u64, out: &mut [u8]) -> Result<usize, Error> {
    match storage.read(path, at, out) {
        Err(missing) if missing.kind == IoKind::NotFound => Ok(0),
        outcome => Ok(outcome?),
    }
}

/// Gives a file its length that a power cut has taken; says whether it had.
pub(super) fn lengthen<S: Storage>(storage: &S, path: &str, len: u64, file_bytes: u64) -> Result<bool, Error> {
    if len < file_bytes {
        storage.create(path, file_bytes)?;
    }
    Ok(len < file_bytes)
}

/// Where the size stands in an entry of either kind.
const SIZE_AT: u64 = 8;

/// Zeroes a file of entries from the one at `at` on. The size of the first goes before everything else: without one it is no entry,
/// nor is what stands behind it, should only a part of the rest be cleared.
pub(super) fn clear_entries<S: Storage>(storage: &S, path: &str, at: u64, len: u64) -> Result<(), Error> {
    let mut size = [0; 4];
    if storage.read_at(path, at + SIZE_AT, &mut size)? == size.len() && size != [0; 4] {
        storage.write_at(path, at + SIZE_AT, &[0; 4])?;
    }
    zero_to_end(storage, path, at, len).map(|_| ())
}

/// Zeroes a file from `at` to its end where it is not zero already; says whether anything was.
pub(super) fn zero_to_end<S: Storage>(storage: &S, path: &str, at: u64, len: u64) -> Result<bool, Error> {
    const ZEROS: [u8; 4096] = [0; 4096];
    let mut buffer = [0; 4096];
    let mut cleared = false;
    let mut at = at;
    while at < len {
        at = match storage.next_data(path, at)? {
            Some(data) if data < len => data,
            _ => break,
        };
        let wanted = (len - at).min(4096) as usize;
        let read = storage.read_at(path, at, &mut buffer[..wanted])?;
        if read == 0 {
            break;
        }
        if buffer[..read].iter().any(|&byte| byte != 0) {
            storage.write_at(path, at, &ZEROS[..read])?;
            cleared = true;
        }
        at += read as u64;
    }
    Ok(cleared)
}
