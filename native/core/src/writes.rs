//! Writes to derived files, planned under the lock and carried out without it, and which files are to be synced for them.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::{self, Write as _};
use core::ops::Range;

use crate::error::{IoError, IoKind};
use crate::storage::Storage;

/// Bytes of a plan, about.
const FULL_BYTES: usize = 1 << 20;
/// Writes of a plan. Each may make a file, and whoever waits for the end of a plan must not wait for long.
const FULL_WRITES: usize = 2048;
/// Files that are remembered by name until they are synced.
const MAX_UNSYNCED_PATHS: usize = 1024;

/// One write: bytes of the plan's buffer into a file that is made at full size if there is none.
#[derive(Debug)]
struct PlannedWrite {
    path: Range<usize>,
    file_bytes: u64,
    at: u64,
    bytes: Range<usize>,
}

/// Writes in the order in which they were planned.
#[derive(Debug, Default)]
pub struct Writes {
    bytes: Vec<u8>,
    /// All paths, one behind the other.
    paths: String,
    list: Vec<PlannedWrite>,
}

impl Writes {
    /// Bytes planned so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Whether the plan holds as much as one should.
    pub fn is_full(&self) -> bool {
        self.room() == 0 || self.list.len() >= FULL_WRITES
    }

    /// Bytes that may still be added, about.
    pub fn room(&self) -> usize {
        FULL_BYTES.saturating_sub(self.bytes.len())
    }

    /// Plans to write what `encode` appends to the buffer.
    pub fn push(&mut self, path: impl fmt::Display, file_bytes: u64, at: u64, encode: impl FnOnce(&mut Vec<u8>)) {
        let (path_start, start) = (self.paths.len(), self.bytes.len());
        // Writing to a String does not fail.
        let _ = write!(self.paths, "{path}");
        encode(&mut self.bytes);
        self.list.push(PlannedWrite { path: path_start..self.paths.len(), file_bytes, at, bytes: start..self.bytes.len() });
    }

    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.list.iter().map(|write| &self.paths[write.path.clone()])
    }

    pub fn run<S: Storage>(&self, storage: &S) -> Result<(), IoError> {
        for (write, path) in self.list.iter().zip(self.paths()) {
            let bytes = &self.bytes[write.bytes.clone()];
            match storage.write_at(path, write.at, bytes) {
                Err(missing) if missing.kind == IoKind::NotFound => {
                    if let Some((parent, _)) = path.rsplit_once('/') {
                        storage.create_dir(parent)?;
                    }
                    if let Err(failed) = storage.create(path, write.file_bytes) {
                        // A file that was made and has no length yet would be taken for a whole one by the next write. Where
                        // it cannot be removed either, the first failure is the one to be told.
                        let _ = storage.remove(path);
                        return Err(failed);
                    }
                    storage.write_at(path, write.at, bytes)?;
                }
                outcome => outcome?,
            }
        }
        Ok(())
    }
}

/// Derived files written since they were last synced: by name, or, when they are many, all that the storage holds.
#[derive(Debug, Default)]
pub struct Unsynced {
    paths: BTreeSet<String>,
    everything: bool,
}

impl Unsynced {
    pub fn insert(&mut self, path: &str) {
        if self.everything || self.paths.contains(path) {
            return;
        }
        if self.paths.len() < MAX_UNSYNCED_PATHS {
            self.paths.insert(path.into());
        } else {
            self.everything = true;
            self.paths.clear();
        }
    }

    pub fn extend<'a>(&mut self, paths: impl Iterator<Item = &'a str>) {
        paths.for_each(|path| self.insert(path));
    }

    /// A file was synced by itself.
    pub fn remove(&mut self, path: &str) {
        self.paths.remove(path);
    }

    /// Forgets files that were removed.
    pub fn forget_missing<S: Storage>(&mut self, storage: &S) -> Result<(), IoError> {
        for path in core::mem::take(&mut self.paths) {
            if storage.len(&path)?.is_some() {
                self.paths.insert(path);
            }
        }
        Ok(())
    }

    /// Syncs the files, and every directory on the way to them: one that was made must not be lost with what is in it.
    pub fn sync<S: Storage>(&mut self, storage: &S) -> Result<(), IoError> {
        self.sync_each(storage, &mut || {})
    }

    /// As [`Unsynced::sync`]; calls `between` after each file and directory.
    pub fn sync_each<S: Storage>(&mut self, storage: &S, between: &mut dyn FnMut()) -> Result<(), IoError> {
        if self.everything {
            storage.sync_all()?;
        }
        for path in &self.paths {
            storage.sync(path)?;
            between();
        }
        for directory in directories_above(&self.paths) {
            storage.sync_dir(directory)?;
            between();
        }
        *self = Self::default();
        Ok(())
    }
}

/// Every directory on the way to the paths, the store directory included; none for no path.
fn directories_above(paths: &BTreeSet<String>) -> BTreeSet<&str> {
    paths.iter().flat_map(|path| path.match_indices('/').map(|(at, _)| &path[..at]).chain([""])).collect()
}
