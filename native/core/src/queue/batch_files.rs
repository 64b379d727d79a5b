//! Batch queue files: RocketMQ's `batchconsumequeue` directories (store-format §3.7).
//!
//! Files are named by byte positions, which have nothing to do with queue offsets (trap 16).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::BATCH_DIRECTORY;
use super::batch::{BatchIndex, BatchTable};
use super::files::{clear_entries, lengthen, list, read_or_hole};
use super::partition::{Doubt, partition};
use crate::error::Error;
use crate::format::batch_entry::BatchEntry;
use crate::format::names;
use crate::limits::BATCH_ENTRY_BYTES;
use crate::storage::{ReadFiles, Storage};
use crate::writes::{Unsynced, Writes};

/// Entries read from a file at once.
const CHUNK_ENTRIES: u64 = 128;

/// The files of all batch queues: how long they are, and how they are read and written.
#[derive(Clone, Copy, Debug)]
pub struct BatchFiles {
    /// Entries of one file, the same in all queues.
    pub file_entries: u64,
}

impl BatchFiles {
    pub fn file_bytes(&self) -> u64 {
        self.file_entries * BATCH_ENTRY_BYTES
    }

    fn path(&self, table: &BatchTable, place: BatchIndex, position: u64) -> (String, u64) {
        let in_file = position % self.file_entries;
        let base = (position - in_file) * BATCH_ENTRY_BYTES;
        let path = format!("{}/{}", directory(table, place), names::file_name(base));
        (path, in_file * BATCH_ENTRY_BYTES)
    }

    /// Reads entries from a position on, out of files or memory; `each` gets position and entry (`None` where a file
    /// holds none) and says whether to go on.
    pub fn read<R: ReadFiles>(
        &self,
        storage: &R,
        table: &BatchTable,
        place: BatchIndex,
        from: u64,
        count: u64,
        mut each: impl FnMut(u64, Option<BatchEntry>) -> bool,
    ) -> Result<(), Error> {
        let queue = table.queue(place);
        let end = from.saturating_add(count).min(queue.end());
        let mut position = from;
        let mut buffer = [0; (CHUNK_ENTRIES * BATCH_ENTRY_BYTES) as usize];
        while position < end.min(queue.held) {
            let (path, at) = self.path(table, place, position);
            let left_in_file = self.file_entries - position % self.file_entries;
            let wanted = (end.min(queue.held) - position).min(left_in_file).min(CHUNK_ENTRIES);
            let bytes = &mut buffer[..(wanted * BATCH_ENTRY_BYTES) as usize];
            let read = read_or_hole(storage, &path, at, bytes)?;
            bytes[read..].fill(0);
            for raw in bytes.as_chunks::<{ BATCH_ENTRY_BYTES as usize }>().0 {
                if !each(position, BatchEntry::decode(raw)) {
                    return Ok(());
                }
                position += 1;
            }
        }
        while position < end {
            if !each(position, queue.in_memory(position)) {
                return Ok(());
            }
            position += 1;
        }
        Ok(())
    }

    /// The entry at a position.
    pub fn entry<R: ReadFiles>(
        &self,
        storage: &R,
        table: &BatchTable,
        place: BatchIndex,
        position: u64,
    ) -> Result<Option<BatchEntry>, Error> {
        let queue = table.queue(place);
        if position >= queue.held || position < queue.first {
            return Ok(queue.in_memory(position));
        }
        let (path, at) = self.path(table, place, position);
        let mut raw = [0; BatchEntry::BYTES];
        let read = read_or_hole(storage, &path, at, &mut raw)?;
        Ok(BatchEntry::decode(&raw).filter(|_| read == raw.len()))
    }

    /// The last entry in front of a position that can be read, and where it stands.
    pub(super) fn last_below<R: ReadFiles>(
        &self,
        storage: &R,
        table: &BatchTable,
        place: BatchIndex,
        position: u64,
    ) -> Result<Option<(u64, BatchEntry)>, Error> {
        let mut at = position;
        while at > table.queue(place).first {
            at -= 1;
            if let Some(entry) = self.entry(storage, table, place, at)? {
                return Ok(Some((at, entry)));
            }
        }
        Ok(None)
    }

    /// The first position of a range whose entry is not `below`, which holds for a run at its front. An entry that cannot be
    /// read goes with what stands in front of it; one that says something wrong decides about itself alone.
    pub(super) fn partition<R: ReadFiles>(
        &self,
        storage: &R,
        table: &BatchTable,
        place: BatchIndex,
        range: core::ops::Range<u64>,
        doubt: Doubt,
        below: impl Fn(&BatchEntry) -> bool,
    ) -> Result<u64, Error> {
        partition(range, doubt, |position| Ok(self.entry(storage, table, place, position)?.map(|entry| below(&entry))))
    }

    /// Queue offset and position of the first entry whose record starts at or above `physical`; those behind the last one
    /// where there is none.
    pub fn first_at_or_above<S: Storage>(
        &self,
        storage: &S,
        table: &BatchTable,
        place: BatchIndex,
        physical: u64,
    ) -> Result<(u64, u64), Error> {
        let queue = table.queue(place);
        let position =
            self.partition(storage, table, place, queue.first..queue.end(), Doubt::Earlier, |entry| entry.physical < physical)?;
        Ok((self.entry(storage, table, place, position)?.map_or(queue.next, |entry| entry.base), position))
    }

    /// Where the files of a queue begin when those in front of the entry at `position` are gone; the newest one stays.
    pub fn begin_at(&self, table: &BatchTable, place: BatchIndex, position: u64) -> u64 {
        let queue = table.queue(place);
        let newest = position.min(queue.held.saturating_sub(1));
        (newest - newest % self.file_entries).max(queue.first)
    }

    /// Forgets the entries whose records start at or above `physical`; says whether there were any. Files stay as they
    /// are until [`BatchFiles::clear_behind`].
    pub fn cut<S: Storage>(&self, storage: &S, table: &mut BatchTable, place: BatchIndex, physical: u64) -> Result<bool, Error> {
        let (first, held) = (table.queue(place).first, table.queue(place).held);
        if first == held {
            return Ok(false);
        }
        if self.entry(storage, table, place, held - 1)?.is_some_and(|entry| entry.physical < physical) {
            return Ok(false); // the newest one stays, whatever a damaged one before it says
        }
        let cut = self.partition(storage, table, place, first..held, Doubt::Later, |entry| entry.physical < physical)?;
        let (end, next) = match self.last_below(storage, table, place, cut)? {
            // No further than where the first one that goes began: the last one may say too much.
            Some((position, last)) => {
                let gone = if cut < held { self.entry(storage, table, place, cut)? } else { None };
                (position + 1, gone.map_or(last.next(), |gone| last.next().min(gone.base)))
            }
            // All of them go: their offsets are given again.
            None => (first, self.entry(storage, table, place, first)?.map_or(0, |entry| entry.base)),
        };
        table.queue_mut(place).set_held(first, end, next);
        Ok(true)
    }

    /// As [`BatchFiles::cut`], of entries in memory, too.
    pub fn cut_all<S: Storage>(&self, storage: &S, table: &mut BatchTable, place: BatchIndex, physical: u64) -> Result<bool, Error> {
        let first_gone = table.cut_tail(place, physical);
        if !table.queue(place).tail.is_empty() {
            return Ok(false);
        }
        let touched = self.cut(storage, table, place, physical)?;
        if let (Some(first_gone), false) = (first_gone, touched) {
            let (first, held) = (table.queue(place).first, table.queue(place).held);
            let next = self.last_below(storage, table, place, held)?.map_or(first_gone, |(_, last)| last.next());
            table.queue_mut(place).set_held(first, held, next);
        }
        Ok(touched)
    }

    /// Zeroes what the files of a queue hold behind its last entry, and removes the files wholly behind it; short ones get
    /// their length. What was changed is to be synced: `unsynced`.
    pub fn clear_behind<S: Storage>(
        &self,
        storage: &S,
        table: &BatchTable,
        place: BatchIndex,
        unsynced: &mut Unsynced,
    ) -> Result<(), Error> {
        let (start, end) = (table.queue(place).first, table.queue(place).held);
        let dir = directory(table, place);
        let mut removed = false;
        for (base, len) in list(storage, &dir, true, &mut Vec::new())? {
            let path = format!("{dir}/{}", names::file_name(base));
            let first = base / BATCH_ENTRY_BYTES;
            if first > end || (first == end && first > start) {
                storage.remove(&path)?;
                removed = true;
                continue;
            }
            let holds_end = end < first + self.file_entries;
            if holds_end {
                clear_entries(storage, &path, (end - first) * BATCH_ENTRY_BYTES, len)?;
            }
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
    /// full; `upto` gets each queue with the position that its files will reach.
    pub fn plan(&self, table: &BatchTable, physical: u64, writes: &mut Writes, upto: &mut Vec<(BatchIndex, u64)>) {
        for &place in table.waiting() {
            let queue = table.queue(place);
            let mut position = queue.held;
            let end = queue.first_at_or_above(physical);
            while position < end && !writes.is_full() {
                let (path, at) = self.path(table, place, position);
                let room = (writes.room() as u64 / BATCH_ENTRY_BYTES).max(1);
                let count = (end - position).min(self.file_entries - position % self.file_entries).min(room);
                let skipped = (position - queue.held) as usize;
                writes.push(path, self.file_bytes(), at, |bytes| {
                    queue.tail.iter().skip(skipped).take(count as usize).for_each(|entry| bytes.extend_from_slice(&entry.encode()));
                });
                position += count;
            }
            if position > queue.held {
                upto.push((place, position));
            }
        }
    }
}

/// Directory of a batch queue.
pub fn directory(table: &BatchTable, place: BatchIndex) -> String {
    format!("{BATCH_DIRECTORY}/{}/{}", table.topic_of(place).name, table.queue(place).id)
}
