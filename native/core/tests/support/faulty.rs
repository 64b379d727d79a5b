//! Storage in memory with a disk that fills up: calls fail while a switch is on. Or its process dies: from some call on
//! nothing changes any more. Or a place of it cannot be read.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use moraine_core::engine::reserve::RESERVE_PATH;
use moraine_core::error::{IoError, IoKind};
use moraine_core::memory::{MemorySegment, MemoryStorage};
use moraine_core::storage::{DirectoryStamp, Entry, FileStamp, Segment, Space, Storage};

/// What finds the disk full.
#[derive(Clone, Debug, Default)]
pub struct Full {
    /// Writes to the log: after all bytes went through, the worst moment.
    pub log: Rc<Cell<bool>>,
    /// Writes to other files.
    pub files: Rc<Cell<bool>>,
    /// Writes that make a file longer.
    pub new_files: Rc<Cell<bool>>,
    /// So many changes go through still; `None`: all.
    pub dies_in: Rc<Cell<Option<u32>>>,
    /// So many more writes to other files go through.
    pub files_left: Rc<Cell<Option<usize>>>,
}

impl Full {
    fn change(&self) -> Result<(), IoError> {
        match self.dies_in.get() {
            Some(0) => Err(IoError::new(IoKind::Other, "any", "", "the process is dead")),
            Some(left) => {
                self.dies_in.set(Some(left - 1));
                Ok(())
            }
            None => Ok(()),
        }
    }
}

/// How files are read.
#[derive(Clone, Debug, Default)]
pub struct Reads {
    /// Calls so far, of files of the log.
    pub count: Rc<Cell<u32>>,
    /// Bytes asked for so far, of other files.
    pub file_bytes: Rc<Cell<usize>>,
    /// The byte of each file that cannot be read.
    pub unreadable: Rc<Cell<Option<u64>>>,
}

#[derive(Clone, Debug, Default)]
pub struct FaultyStorage {
    pub memory: MemoryStorage,
    pub full: Full,
    pub reads: Reads,
}

pub struct FaultySegment {
    inner: Arc<MemorySegment>,
    full: Full,
    reads: Reads,
}

fn check(full: &Cell<bool>, path: &str) -> Result<(), IoError> {
    if full.get() { Err(IoError::new(IoKind::Full, "pwrite", path, "no space left")) } else { Ok(()) }
}

impl FaultyStorage {
    #[allow(clippy::arc_with_non_send_sync)] // one thread
    fn wrap(&self, inner: Arc<MemorySegment>) -> Arc<FaultySegment> {
        Arc::new(FaultySegment { inner, full: self.full.clone(), reads: self.reads.clone() })
    }
}

impl Storage for FaultyStorage {
    type Segment = FaultySegment;

    fn list(&self, dir: &str) -> Result<Option<Vec<Entry>>, IoError> {
        self.memory.list(dir)
    }
    fn directory_stamp(&self, dir: &str) -> Result<DirectoryStamp, IoError> {
        self.memory.directory_stamp(dir)
    }
    fn create_dir(&self, dir: &str) -> Result<(), IoError> {
        self.memory.create_dir(dir)
    }
    fn open_segment(&self, path: &str) -> Result<Arc<FaultySegment>, IoError> {
        Ok(self.wrap(self.memory.open_segment(path)?))
    }
    fn create_segment(&self, path: &str, size: u64) -> Result<Arc<FaultySegment>, IoError> {
        self.full.change()?;
        Ok(self.wrap(self.memory.create_segment(path, size)?))
    }
    fn len(&self, path: &str) -> Result<Option<u64>, IoError> {
        self.memory.len(path)
    }
    fn stamp(&self, path: &str) -> Result<Option<FileStamp>, IoError> {
        self.memory.stamp(path)
    }
    fn create(&self, path: &str, size: u64) -> Result<(), IoError> {
        self.full.change()?;
        self.memory.create(path, size)
    }
    fn read_at(&self, path: &str, at: u64, out: &mut [u8]) -> Result<usize, IoError> {
        self.reads.file_bytes.set(self.reads.file_bytes.get() + out.len());
        self.memory.read_at(path, at, out)
    }
    fn write_at(&self, path: &str, at: u64, bytes: &[u8]) -> Result<(), IoError> {
        self.full.change()?;
        check(&self.full.files, path)?;
        if at + bytes.len() as u64 > self.memory.len(path)?.unwrap_or(0) {
            check(&self.full.new_files, path)?;
        }
        match self.full.files_left.get() {
            Some(0) => return check(&Cell::new(true), path),
            Some(left) => self.full.files_left.set(Some(left - 1)),
            None => {}
        }
        self.memory.write_at(path, at, bytes)
    }
    fn sync(&self, path: &str) -> Result<(), IoError> {
        self.memory.sync(path)
    }
    fn sync_dir(&self, dir: &str) -> Result<(), IoError> {
        self.memory.sync_dir(dir)
    }
    fn sync_all(&self) -> Result<(), IoError> {
        self.memory.sync_all()
    }
    fn remove(&self, path: &str) -> Result<(), IoError> {
        self.full.change()?;
        if path == RESERVE_PATH {
            self.full.files.set(false);
            self.full.new_files.set(false);
        }
        self.memory.remove(path)
    }
    fn remove_dir(&self, dir: &str) -> Result<(), IoError> {
        self.full.change()?;
        self.memory.remove_dir(dir)
    }
    fn rename(&self, from: &str, to: &str) -> Result<(), IoError> {
        self.full.change()?;
        self.memory.rename(from, to)
    }
    fn space(&self, dir: &str) -> Result<Option<Space>, IoError> {
        self.memory.space(dir)
    }
}

impl Segment for FaultySegment {
    fn size(&self) -> u64 {
        self.inner.size()
    }
    fn read_at(&self, at: u64, out: &mut [u8]) -> Result<(), IoError> {
        self.reads.count.set(self.reads.count.get() + 1);
        if self.reads.unreadable.get().is_some_and(|byte| (at..at + out.len() as u64).contains(&byte)) {
            return Err(IoError::new(IoKind::Other, "pread", "commitlog", "the disk cannot read it"));
        }
        self.inner.read_at(at, out)
    }
    fn reserve(&self, end: u64) -> Result<(), IoError> {
        self.inner.reserve(end)
    }
    fn fill<R>(&self, at: u64, len: usize, write: impl FnOnce(&mut [u8]) -> R) -> Result<R, IoError> {
        self.full.change()?;
        let written = self.inner.fill(at, len, write)?;
        check(&self.full.log, "commitlog").map(|()| written)
    }
    fn zero_from(&self, at: u64) -> Result<(), IoError> {
        self.full.change()?;
        self.inner.zero_from(at)
    }
    fn zero_again(&self, at: u64) -> Result<(), IoError> {
        self.zero_from(at)
    }
    fn sync(&self, from: u64, to: u64) -> Result<(), IoError> {
        self.inner.sync(from, to)
    }
}
