//! Finding messages by key: chains from the newest file to the oldest.
//!
//! An index says where to look, never what is there: hits are compared with the record by the caller. Damaged files
//! may hide a message; they cannot make a walk endless, because links strictly fall.

use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use super::active::ActiveFile;
use super::files::{self, SealedFile};
use super::put::Index;
use crate::error::Error;
use crate::format::index_file::{Geometry, IndexEntry};
use crate::limits::INDEX_ENTRY_BYTES;
use crate::storage::ReadFiles;

/// Positions for which a search has kept memory at most.
const KEPT_POSITIONS: usize = 65_536;

/// A search for the messages whose key has a hash. Broken off by an error it can go on, in the same index: what was found
/// stays found, so that a search whose files come into memory a piece at a time comes to its end.
#[derive(Debug, Default)]
pub struct Search {
    found: Vec<u64>,
    /// In which file it was broken off, in front of which entry.
    broken_off: Option<BrokenOff>,
    /// The entry in a file that was left to whoever asks.
    left: Option<Left>,
}

/// What is looked for: `limit` positions in `range` at most, the newest first.
#[derive(Clone, Debug)]
pub struct Sought {
    pub key_hash: u32,
    pub range: Range<u64>,
    pub limit: usize,
}

#[derive(Debug)]
struct Left {
    path: String,
    geometry: Geometry,
    number: u32,
    sought: Sought,
}

#[derive(Debug)]
struct BrokenOff {
    file: String,
    /// `None`: the slot was not read.
    number: Option<u32>,
}

/// A file to be searched.
enum Chained<'a> {
    Active(&'a ActiveFile),
    Sealed(&'a SealedFile),
}

impl Search {
    /// Looks until everything is found, or, where that is allowed, an entry in a file is left.
    pub fn go_on<R: ReadFiles>(&mut self, index: &Index, storage: &R, sought: &Sought, may_leave: bool) -> Result<(), Error> {
        let newest = index.active.iter().chain(index.full.iter().rev()).map(Chained::Active);
        let files = newest.chain(index.sealed.iter().rev().map(Chained::Sealed));
        let mut resumed = self.broken_off.take();
        self.left = None;
        if let Some(broken_off) = &resumed
            && !index.has(&broken_off.file)
        {
            (self.found, resumed) = (Vec::new(), None); // the file has gone: what lies behind it may have, too
        }
        for file in files {
            let from = match resumed.take() {
                Some(broken_off) if broken_off.file == file.name() => broken_off.number,
                Some(elsewhere) => {
                    resumed = Some(elsewhere);
                    continue;
                }
                None => None,
            };
            if !self.walk(&file, from, storage, sought, may_leave)? {
                break;
            }
        }
        if self.left.is_none() {
            self.found.sort_unstable_by(|a, b| b.cmp(a));
            self.found.dedup();
        }
        Ok(())
    }

    /// What was found: positions, newest first, without repeats once the search has come to its end.
    pub fn found(&self) -> &[u64] {
        &self.found
    }

    /// Which entry was left: path of the file, and where it stands in it. `None`: the search is to go on, or has come to its end.
    pub fn left(&self) -> Option<(&str, u64)> {
        self.left.as_ref().map(|left| (left.path.as_str(), left.geometry.entry_at(left.number)))
    }

    /// Takes the entry that was left, as it stands in the file. Where the chain goes on there, its next one is left: one look at
    /// the index is enough for all of them.
    pub fn give(&mut self, raw: &[u8; INDEX_ENTRY_BYTES as usize]) {
        let Some(mut left) = self.left.take() else { return };
        let next = self.take(&IndexEntry::decode(raw), left.number, &left.sought);
        if let Some(broken_off) = &mut self.broken_off {
            broken_off.number = Some(next);
        }
        if next > 0 && self.found.len() < left.sought.limit {
            left.number = next;
            self.left = Some(left);
        }
    }

    /// For another search, in the same memory; not in that of one that found very much.
    pub fn clear(&mut self) {
        if self.found.capacity() > KEPT_POSITIONS {
            self.found = Vec::new();
        }
        self.found.clear();
        (self.broken_off, self.left) = (None, None);
    }

    /// Follows a file's chain down; false when there is enough, or an entry was left.
    fn walk<R: ReadFiles>(
        &mut self,
        file: &Chained<'_>,
        from: Option<u32>,
        storage: &R,
        sought: &Sought,
        may_leave: bool,
    ) -> Result<bool, Error> {
        let mut number = match from {
            Some(number) => number,
            None => file.slot(storage, sought.key_hash).inspect_err(|_| self.break_off(file, None))?,
        };
        if number >= file.count() {
            return Ok(true);
        }
        while number > 0 && self.found.len() < sought.limit {
            if may_leave && file.is_in_file(number) {
                self.left = Some(Left { path: file.path(), geometry: *file.geometry(), number, sought: sought.clone() });
                self.break_off(file, Some(number));
                return Ok(false);
            }
            let read = file.entry(storage, number).inspect_err(|_| self.break_off(file, Some(number)))?;
            let Some(entry) = read else { break };
            number = self.take(&entry, number, sought);
        }
        Ok(self.found.len() < sought.limit)
    }

    /// Takes the entry with a number; returns that of the one before it in the chain, 0 where it ends or turns back.
    fn take(&mut self, entry: &IndexEntry, number: u32, sought: &Sought) -> u32 {
        if entry.key_hash == sought.key_hash
            && let Ok(physical) = u64::try_from(entry.physical)
            && sought.range.contains(&physical)
        {
            self.found.push(physical);
        }
        if entry.previous < number { entry.previous } else { 0 }
    }

    fn break_off(&mut self, file: &Chained<'_>, number: Option<u32>) {
        self.broken_off = Some(BrokenOff { file: String::from(file.name()), number });
    }
}

impl Chained<'_> {
    fn name(&self) -> &str {
        match self {
            Chained::Active(file) => &file.name,
            Chained::Sealed(file) => &file.name,
        }
    }

    fn count(&self) -> u32 {
        match self {
            Chained::Active(file) => file.header.count,
            Chained::Sealed(file) => file.header.count,
        }
    }

    fn path(&self) -> String {
        match self {
            Chained::Active(file) => file.path(),
            Chained::Sealed(file) => file.path(),
        }
    }

    fn geometry(&self) -> &Geometry {
        match self {
            Chained::Active(file) => &file.geometry,
            Chained::Sealed(file) => &file.geometry,
        }
    }

    fn is_in_file(&self, number: u32) -> bool {
        match self {
            Chained::Active(file) => number < file.written_entries(),
            Chained::Sealed(_) => true,
        }
    }

    /// The newest entry of a key's slot, 0 for none.
    fn slot<R: ReadFiles>(&self, storage: &R, key_hash: u32) -> Result<u32, Error> {
        match self {
            Chained::Active(file) => Ok(file.slot(key_hash)),
            Chained::Sealed(file) => file.slot(storage, key_hash),
        }
    }

    fn entry<R: ReadFiles>(&self, storage: &R, number: u32) -> Result<Option<IndexEntry>, Error> {
        match self {
            Chained::Active(file) if !self.is_in_file(number) => Ok(file.pending_entry(number)),
            Chained::Active(_) | Chained::Sealed(_) => files::entry(storage, &self.path(), self.geometry(), number),
        }
    }
}
