//! Keys of the records against the entries of the index: both in the order of the log, side by side.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::index::IndexFiles;
use super::report::{Remedy, Report};
use crate::dispatch::Dispatch;
use crate::format::hash::{index_key_hash, java_hash};
use crate::format::index_file::{IndexEntry, time_diff};
use crate::format::record::{Record, Transaction, transaction};
use crate::index::files::SealedFile;
use crate::limits::INDEX_ENTRY_BYTES;
use crate::log::segments::path;
use crate::storage::Storage;

/// Entries read at once.
const WINDOW_ENTRIES: u32 = 4096;
/// Entries beyond one that say whether it is out of order.
const AHEAD: u32 = 2;

/// An entry, and where it stands.
#[derive(Clone, Copy, Debug)]
struct Placed {
    file: usize,
    number: u32,
    entry: IndexEntry,
}

/// Walks the entries of all files as the log is walked.
pub(super) struct Keys {
    files: Vec<SealedFile>,
    complete_below: u64,
    log_min: u64,
    file: usize,
    number: u32,
    /// Position of the entry before.
    previous: i64,
    window: Vec<IndexEntry>,
    window_at: (usize, u32),
    /// An entry that was found to be out of order.
    skipped: Option<(usize, u32)>,
    expected: Vec<u32>,
    entered: Vec<u32>,
    found: Vec<Placed>,
    /// Messages with keys in front of the first entry: the first of them, and how many.
    before: Option<(u64, u64)>,
}

impl Keys {
    pub(super) fn new(index: &IndexFiles, log_min: u64) -> Self {
        Self {
            files: index.files.clone(),
            complete_below: index.complete_below,
            log_min,
            file: 0,
            number: 1,
            previous: i64::MIN,
            window: Vec::new(),
            window_at: (usize::MAX, 0),
            skipped: None,
            expected: Vec::new(),
            entered: Vec::new(),
            found: Vec::new(),
            before: None,
        }
    }

    /// A record of the log at `at`, in the segment that starts at `base`; all in front of it were given before.
    pub(super) fn record<S: Storage>(
        &mut self,
        storage: &S,
        (base, at): (u64, u64),
        record: &Record<'_>,
        dispatch: &Dispatch<'_>,
        report: &mut Report,
    ) {
        if self.files.is_empty() {
            return;
        }
        self.found.clear();
        while let Some(placed) = self.peek(storage, report).filter(|placed| placed.entry.physical <= at as i64) {
            if placed.entry.physical == at as i64 {
                self.found.push(placed);
            } else {
                self.dangling(&placed, report);
            }
            self.previous = placed.entry.physical;
            self.number += 1;
        }
        let key_hash = java_hash(java_hash(0, record.topic()), b"#");
        self.expect(dispatch, key_hash);
        // RocketMQ 5.4 enters TAGS, too.
        let tags = dispatch.names.tags.map(|tags| index_key_hash(java_hash(java_hash(key_hash, b"T#"), tags)));
        // RocketMQ enters a message twice when a crash left it the last one of an index file.
        let mut entered = core::mem::take(&mut self.entered);
        entered.clear();
        for placed in core::mem::take(&mut self.found) {
            let hash = placed.entry.key_hash;
            if !self.expected.contains(&hash) && tags != Some(hash) {
                self.complain(&placed, report, || format!("has the hash {hash}, which is of no key of the message at {at}"));
            } else if self.time_of(&placed, record.store_timestamp()).is_some_and(|expected| expected != placed.entry.time_diff) {
                let said = placed.entry.time_diff;
                self.complain(&placed, report, || format!("says {said} s behind the file's first time, the message at {at} is not"));
            } else {
                entered.push(hash);
            }
        }
        self.expected.retain(|hash| !entered.contains(hash));
        self.entered = entered;
        if self.expected.is_empty() || at >= self.complete_below {
            return;
        }
        let begins = self.files.iter().find(|file| file.header.count > 1).map_or(i64::MAX, |file| file.header.begin_physical);
        if (at as i64) < begins {
            let (first, count) = self.before.unwrap_or((at, 0));
            self.before = Some((first, count + 1));
            return;
        }
        let missing = self.expected.len();
        report.push("index-missing", &path(base), at, u64::from(record.size()), Remedy::RebuildIndex, || {
            format!("{missing} keys of the message at {at} are not in the index")
        });
    }

    /// After the last record.
    pub(super) fn finish<S: Storage>(&mut self, storage: &S, report: &mut Report) {
        while let Some(placed) = self.peek(storage, report) {
            if placed.entry.physical.unsigned_abs() < self.complete_below {
                self.dangling(&placed, report);
            }
            self.previous = placed.entry.physical;
            self.number += 1;
        }
        if let Some((first, count)) = self.before {
            let file = self.files.first().map_or_else(String::new, SealedFile::path);
            report.push("index-missing", &file, 0, 0, Remedy::RebuildIndex, || {
                format!("{count} messages with keys, from {first} on, lie in front of the first entry of the index and are not in it")
            });
        }
    }

    /// The hashes of the keys that dispatch enters (store-format §4.3).
    fn expect(&mut self, dispatch: &Dispatch<'_>, key_hash: i32) {
        self.expected.clear();
        if transaction(dispatch.sys_flag) == Transaction::Rollback {
            return;
        }
        let words = dispatch.names.keys.unwrap_or_default().split(|&byte| byte == b' ').filter(|key| !key.is_empty());
        for key in dispatch.names.uniq_key.into_iter().chain(words) {
            let hash = index_key_hash(java_hash(key_hash, key));
            if !self.expected.contains(&hash) {
                self.expected.push(hash);
            }
        }
    }

    /// The time that an entry should have; `None` where it is told from a file that is gone.
    fn time_of(&self, placed: &Placed, stored: i64) -> Option<i32> {
        let header = &self.files[placed.file].header;
        match (placed.number, placed.file.checked_sub(1)) {
            (1, None) if self.log_min > 0 => None,
            (1, None) => Some(0),
            (1, Some(before)) => Some(time_diff(self.files[before].header.end_timestamp.max(0), stored)),
            _ => Some(time_diff(header.begin_timestamp, stored)),
        }
    }

    fn dangling(&self, placed: &Placed, report: &mut Report) {
        let physical = placed.entry.physical;
        let expired = u64::try_from(physical).is_ok_and(|at| at < self.log_min);
        if !expired && !report.is_damaged(physical.unsigned_abs()) {
            self.complain(placed, report, || format!("leads to {physical}, where no message begins"));
        }
    }

    fn complain(&self, placed: &Placed, report: &mut Report, message: impl FnOnce() -> String) {
        let file = &self.files[placed.file];
        let at = file.geometry.entry_at(placed.number);
        report.push("index-entry", &file.path(), at, INDEX_ENTRY_BYTES, Remedy::RebuildIndex, || {
            format!("entry {} {}", placed.number, message())
        });
    }

    /// The next entry in the order of the log. One that breaks the order is reported and passed over.
    fn peek<S: Storage>(&mut self, storage: &S, report: &mut Report) -> Option<Placed> {
        loop {
            let count = self.files.get(self.file)?.header.count;
            if self.number >= count {
                (self.file, self.number) = (self.file + 1, 1);
                continue;
            }
            let Some(entry) = self.entry(storage, self.number, report) else {
                (self.file, self.number) = (self.file + 1, 1);
                continue;
            };
            let placed = Placed { file: self.file, number: self.number, entry };
            if self.skipped == Some((self.file, self.number)) {
                self.number += 1;
                continue;
            }
            let next = (self.number + 1 < count).then(|| self.entry(storage, self.number + 1, report)).flatten();
            let after = (self.number + 2 < count).then(|| self.entry(storage, self.number + 2, report)).flatten();
            let mut bad = (entry.physical < self.previous).then_some(placed);
            if let Some(next) = next.filter(|next| bad.is_none() && next.physical < entry.physical) {
                let next_is_bad = after.is_some_and(|after| after.physical >= entry.physical);
                bad = Some(if next_is_bad { Placed { number: self.number + 1, entry: next, ..placed } } else { placed });
            }
            let Some(bad) = bad else { return Some(placed) };
            if bad.number == self.number {
                self.number += 1;
            } else if self.skipped == Some((self.file, bad.number)) {
                return Some(placed);
            } else {
                self.skipped = Some((self.file, bad.number));
            }
            let physical = bad.entry.physical;
            self.complain(&bad, report, || format!("leads to {physical}, which is out of the order of the log"));
        }
    }

    fn entry<S: Storage>(&mut self, storage: &S, number: u32, report: &mut Report) -> Option<IndexEntry> {
        let (held_file, held_from) = self.window_at;
        if held_file != self.file || number < held_from || number >= held_from + self.window.len() as u32 {
            let file = &self.files[self.file];
            let count = (file.header.count - number).min(WINDOW_ENTRIES + AHEAD);
            let mut raw = vec![0; count as usize * IndexEntry::BYTES];
            match storage.read_at(&file.path(), file.geometry.entry_at(number), &mut raw) {
                Ok(read) => raw.truncate(read),
                Err(error) => {
                    report.unreadable(&file.path(), &error.into(), Remedy::RebuildIndex);
                    return None;
                }
            }
            self.window = raw.as_chunks::<{ IndexEntry::BYTES }>().0.iter().map(IndexEntry::decode).collect();
            self.window_at = (self.file, number);
        }
        self.window.get((number - self.window_at.1) as usize).copied()
    }
}
