//! The only seam between the engine and the world.
//!
//! `host` implements it with mappings and system calls, [`crate::memory`] with plain memory for tests.
//! Paths are relative to the store directory, separated by `/`.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::error::{Error, Finding, IoError};

/// What a directory entry is. A link to a directory is one, any other link is no file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EntryKind {
    File,
    Directory,
    /// Link, FIFO, socket, device: never opened.
    Other,
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    pub name: String,
    pub kind: EntryKind,
    /// Length in bytes, 0 for directories.
    pub len: u64,
}

/// Something that is no file stands in the place of `what`: a finding, and where the store is to be written, STORE_CORRUPT. RocketMQ
/// would remove it, start without it or not start, by what it is.
pub(crate) fn place_taken(file: String, what: &str, write: bool) -> Result<Finding, Error> {
    let message = format!("stands in the place of {what} and is none: a link, a directory, a FIFO, a socket or a device. Move it away");
    if write {
        return Err(Error::corrupt(&file, 0, &message));
    }
    Ok(Finding { kind: "stray-file", file, offset: 0, length: 0, message })
}

/// Tells of changes to a directory: another one when an entry was added, removed or renamed in it, or when another
/// directory stands in its place. Changes to the contents of files do not show. All 0: there is no such directory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DirectoryStamp {
    /// When the directory last changed, in units of the storage.
    pub changed: u64,
    /// Which directory it is.
    pub identity: u64,
}

/// What changes when somebody replaces or writes a file: cheap to get, compared only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileStamp {
    pub len: u64,
    pub modified_ns: u64,
    /// Which file it is: another one under the same name has another number.
    pub id: u64,
}

/// Room of a file system, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Space {
    pub used: u64,
    /// What the store may still take of it.
    pub free: u64,
}

/// How bytes of a file are had.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReadMode {
    /// However long it takes.
    #[default]
    Usual,
    /// What is in memory: anything else is [`IoKind::Cold`](crate::error::IoKind::Cold), said at once.
    InMemory,
    /// However long it takes, and so that others are not disturbed by how much it is.
    Bulk,
}

/// One file of the commit log: fixed size, written once from front to back, read anywhere below the end.
///
/// One thread writes at a time, any number read. The engine never reads at or above a position that it
/// has not finished writing, so an implementation may hand out the stored bytes themselves.
pub trait Segment {
    /// Size in bytes, fixed for the life of the segment.
    fn size(&self) -> u64;

    /// Copies `out.len()` bytes from `at`. The range lies within the segment.
    fn read_at(&self, at: u64, out: &mut [u8]) -> Result<(), IoError>;

    /// As [`Segment::read_at`], in a certain way. A storage that knows no ways has everything in memory.
    fn read_by(&self, mode: ReadMode, at: u64, out: &mut [u8]) -> Result<(), IoError> {
        let _ = mode;
        self.read_at(at, out)
    }

    /// `from..to` will be read soon.
    fn will_need(&self, from: u64, to: u64) {
        let _ = (from, to);
    }

    /// `len` bytes from `at` will be copied next, from memory: what can be done ahead without waiting. The range may lie
    /// outside the segment.
    fn will_copy(&self, at: u64, len: u64) {
        let _ = (at, len);
    }

    /// Makes sure that bytes `0..end` can be written without the disk running full (the prefill frontier).
    /// Nothing is written that a reader could see.
    fn reserve(&self, end: u64) -> Result<(), IoError>;

    /// Hands `write` a buffer for `at..at + len`, reserved before. The buffer's first contents are undefined;
    /// `write` fills all of it. When this returns an error nothing may be assumed about the range.
    fn fill<R>(&self, at: u64, len: usize, write: impl FnOnce(&mut [u8]) -> R) -> Result<R, IoError>;

    /// Makes every byte from `at` to the end of the segment read as zero; where something else stood there, after a power
    /// cut too.
    fn zero_from(&self, at: u64) -> Result<(), IoError>;

    /// As [`Segment::zero_from`], and does not believe zeros that are read: after a sync that failed the page cache holds what
    /// the disk has not. The size of the segment survives a power cut, too.
    fn zero_again(&self, at: u64) -> Result<(), IoError>;

    /// Makes bytes `from..to` survive a power cut.
    fn sync(&self, from: u64, to: u64) -> Result<(), IoError>;
}

/// A directory tree that holds one store.
pub trait Storage {
    type Segment: Segment;

    /// Entries of a directory in no particular order; `None` if there is no such directory.
    fn list(&self, dir: &str) -> Result<Option<Vec<Entry>>, IoError>;

    /// Tells a storage on a running system from any other: another number after the system was started anew, in another
    /// place, or mounted again. `None` where that cannot be known.
    fn identity(&self) -> Result<Option<u64>, IoError> {
        Ok(None)
    }

    /// The first place at or behind `at` in a file that may hold something else than zeros; `None`: nothing up to its end.
    fn next_data(&self, path: &str, at: u64) -> Result<Option<u64>, IoError> {
        let _ = path;
        Ok(Some(at))
    }

    /// Stamp of a directory.
    fn directory_stamp(&self, dir: &str) -> Result<DirectoryStamp, IoError>;

    /// Creates a directory and those above it, within the store. Not an error if it exists.
    fn create_dir(&self, dir: &str) -> Result<(), IoError>;

    /// Opens an existing segment.
    fn open_segment(&self, path: &str) -> Result<Arc<Self::Segment>, IoError>;

    /// Creates a segment of `size` zero bytes under its final name. Its directory entry survives a power
    /// cut only after [`Storage::sync_dir`].
    fn create_segment(&self, path: &str, size: u64) -> Result<Arc<Self::Segment>, IoError>;

    /// Length of a file, `None` if there is none.
    fn len(&self, path: &str) -> Result<Option<u64>, IoError>;

    /// Stamp of a file, `None` if there is none.
    fn stamp(&self, path: &str) -> Result<Option<FileStamp>, IoError>;

    /// Creates a file of `size` zero bytes, or extends an existing one to it.
    fn create(&self, path: &str, size: u64) -> Result<(), IoError>;

    /// Reads up to `out.len()` bytes; fewer only where the file ends.
    fn read_at(&self, path: &str, at: u64, out: &mut [u8]) -> Result<usize, IoError>;

    /// As [`Storage::read_at`], in a certain way. A storage that knows no ways has everything in memory.
    fn read_by(&self, mode: ReadMode, path: &str, at: u64, out: &mut [u8]) -> Result<usize, IoError> {
        let _ = mode;
        self.read_at(path, at, out)
    }

    /// Writes all of `bytes` into an existing file.
    fn write_at(&self, path: &str, at: u64, bytes: &[u8]) -> Result<(), IoError>;

    /// Makes the contents of a file survive a power cut.
    fn sync(&self, path: &str) -> Result<(), IoError>;

    /// Makes the entries of a directory survive a power cut.
    fn sync_dir(&self, dir: &str) -> Result<(), IoError>;

    /// Makes everything below the storage's root survive a power cut, files and directories: where they are many, this
    /// costs less than one sync for each.
    fn sync_all(&self) -> Result<(), IoError>;

    /// Removes a file; not an error if there is none. A segment that somebody holds goes on being readable.
    fn remove(&self, path: &str) -> Result<(), IoError>;

    /// Removes an empty directory; not an error if there is none.
    fn remove_dir(&self, dir: &str) -> Result<(), IoError>;

    /// Gives a file another name in the same directory; a file that has that name is gone at the same instant. Survives a
    /// power cut after [`Storage::sync_dir`].
    fn rename(&self, from: &str, to: &str) -> Result<(), IoError>;

    /// Room on the file system that holds a directory; `None` where nobody knows, or there is no such directory.
    fn space(&self, dir: &str) -> Result<Option<Space>, IoError>;
}

/// Reading small files, whatever else one may do with them.
pub trait ReadFiles {
    /// Reads up to `out.len()` bytes; fewer only where the file ends.
    fn read(&self, path: &str, at: u64, out: &mut [u8]) -> Result<usize, IoError>;
}

impl<S: Storage> ReadFiles for S {
    fn read(&self, path: &str, at: u64, out: &mut [u8]) -> Result<usize, IoError> {
        self.read_at(path, at, out)
    }
}

/// The files of a storage, read in a certain way.
#[derive(Debug)]
pub struct FilesBy<'a, S> {
    pub storage: &'a S,
    pub mode: ReadMode,
}

impl<S: Storage> ReadFiles for FilesBy<'_, S> {
    fn read(&self, path: &str, at: u64, out: &mut [u8]) -> Result<usize, IoError> {
        self.storage.read_by(self.mode, path, at, out)
    }
}

/// Time as the store needs it.
pub trait Clock {
    /// Milliseconds since the Unix epoch.
    fn now_ms(&self) -> i64;

    /// Milliseconds to add to a UTC time to get local time at that moment (index file names are local time).
    fn zone_offset_ms(&self, at_ms: i64) -> i64;
}
