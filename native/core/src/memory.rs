//! The seam in memory: what tests run the engine on. One thread; a clone is the same storage.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::collections::BTreeSet;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use crate::error::{IoError, IoKind};
use crate::storage::{Clock, DirectoryStamp, Entry, EntryKind, FileStamp, Segment, Space, Storage};

type Bytes = Rc<RefCell<Vec<u8>>>;

/// Files in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryStorage {
    files: Rc<RefCell<BTreeMap<String, Bytes>>>,
    directories: Rc<RefCell<BTreeSet<String>>>,
    /// Changes of the entries of each directory.
    entry_changes: Rc<RefCell<BTreeMap<String, u64>>>,
    calls: Rc<RefCell<Vec<String>>>,
    /// Changes so far: the time of the files' stamps.
    changes: Rc<Cell<u64>>,
    changed: Rc<RefCell<BTreeMap<String, u64>>>,
    listed: Rc<RefCell<Vec<String>>>,
    space: Rc<Cell<Option<Space>>>,
    /// Which running system it is on.
    boot: Rc<Cell<Option<u64>>>,
}

impl MemoryStorage {
    /// A copy of every file, apart from this storage: what a crash leaves.
    pub fn snapshot(&self) -> Self {
        let copy = |(path, bytes): (&String, &Bytes)| (path.clone(), Rc::new(RefCell::new(bytes.borrow().clone())));
        let files = Rc::new(RefCell::new(self.files.borrow().iter().map(copy).collect()));
        let directories = Rc::new(RefCell::new(self.directories.borrow().clone()));
        let entry_changes = Rc::new(RefCell::new(self.entry_changes.borrow().clone()));
        let changed = Rc::new(RefCell::new(self.changed.borrow().clone()));
        let changes = Rc::new(Cell::new(self.changes.get()));
        let boot = Rc::new(Cell::new(self.boot.get()));
        Self { files, directories, entry_changes, changed, changes, boot, ..Self::default() }
    }

    /// Sets when a file was last modified, in ms since the epoch. By itself a file here is as old as time.
    pub fn set_modified(&self, path: &str, ms: i64) {
        self.changed.borrow_mut().insert(path.to_owned(), ms.max(0).unsigned_abs() * 1_000_000);
    }

    /// Sets the room that there is said to be.
    pub fn set_space(&self, space: Option<Space>) {
        self.space.set(space);
    }

    /// The system that this storage is on was started for the `n`th time.
    pub fn boot(&self, n: u64) {
        self.boot.set(Some(n));
    }

    /// Contents of a file.
    pub fn contents(&self, path: &str) -> Option<Vec<u8>> {
        self.files.borrow().get(path).map(|bytes| bytes.borrow().clone())
    }

    /// Puts a file in place, with the directories above it.
    pub fn place(&self, path: &str, bytes: &[u8]) {
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.add_directory(parent);
        }
        self.entry_changed(path);
        self.files.borrow_mut().insert(path.to_owned(), Rc::new(RefCell::new(bytes.to_vec())));
        self.touch(path);
    }

    /// Changes a byte of a file where it is: no directory changes with it.
    pub fn change(&self, path: &str, at: usize, change: impl FnOnce(&mut u8)) {
        if let Some(file) = self.files.borrow().get(path) {
            file.borrow_mut().get_mut(at).map(change);
        }
    }

    pub fn paths(&self) -> Vec<String> {
        self.files.borrow().keys().cloned().collect()
    }

    /// Removes every file below a directory, and the directory.
    pub fn remove_tree(&self, dir: &str) {
        let below = |path: &String| path != dir && !path.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'));
        self.files.borrow_mut().retain(|path, _| below(path));
        self.directories.borrow_mut().retain(below);
        self.entry_changed(dir);
    }

    /// Directories listed so far, in order.
    pub fn listed(&self) -> Vec<String> {
        self.listed.borrow().clone()
    }

    /// An entry was added or removed.
    fn entry_changed(&self, path: &str) {
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        *self.entry_changes.borrow_mut().entry(parent.to_owned()).or_default() += 1;
    }

    /// Syncs so far, in order: `sync PATH`, `sync-dir DIR`, `sync-all`.
    pub fn syncs(&self) -> Vec<String> {
        self.calls.borrow().iter().filter(|call| call.starts_with("sync")).cloned().collect()
    }

    /// As [`MemoryStorage::syncs`], with `remove PATH` and `rename PATH` (the new name) among them.
    pub fn calls(&self) -> Vec<String> {
        self.calls.borrow().clone()
    }

    fn touch(&self, path: &str) {
        self.changes.set(self.changes.get() + 1);
        self.changed.borrow_mut().insert(path.to_owned(), self.changes.get());
    }

    fn add_directory(&self, dir: &str) {
        let mut directories = self.directories.borrow_mut();
        let ends = dir.match_indices('/').map(|(at, _)| at).chain([dir.len()]);
        for end in ends {
            if directories.insert(dir[..end].to_owned()) {
                self.entry_changed(&dir[..end]);
            }
        }
    }

    fn refuse_directory(&self, syscall: &'static str, path: &str) -> Result<(), IoError> {
        match self.directories.borrow().contains(path) {
            true => Err(IoError::new(IoKind::WrongType, syscall, path, "is a directory, want a file")),
            false => Ok(()),
        }
    }

    fn file(&self, syscall: &'static str, path: &str) -> Result<Bytes, IoError> {
        self.refuse_directory(syscall, path)?;
        self.files.borrow().get(path).cloned().ok_or_else(|| IoError::new(IoKind::NotFound, syscall, path, "no such file"))
    }

    #[allow(clippy::arc_with_non_send_sync)] // the seam hands out Arcs; this storage stays on one thread
    fn segment(&self, path: &str, bytes: Bytes) -> Arc<MemorySegment> {
        Arc::new(MemorySegment { path: path.to_owned(), bytes, calls: Rc::clone(&self.calls) })
    }
}

impl Storage for MemoryStorage {
    type Segment = MemorySegment;

    fn list(&self, dir: &str) -> Result<Option<Vec<Entry>>, IoError> {
        self.listed.borrow_mut().push(dir.to_owned());
        if !dir.is_empty() && !self.directories.borrow().contains(dir) {
            return Ok(None);
        }
        let name_in = |path: &str| {
            let rest = if dir.is_empty() { path } else { path.strip_prefix(dir)?.strip_prefix('/')? };
            (!rest.is_empty() && !rest.contains('/')).then(|| rest.to_owned())
        };
        let mut entries = Vec::new();
        for path in self.directories.borrow().iter() {
            entries.extend(name_in(path).map(|name| Entry { name, kind: EntryKind::Directory, len: 0 }));
        }
        for (path, bytes) in self.files.borrow().iter() {
            entries.extend(name_in(path).map(|name| Entry { name, kind: EntryKind::File, len: bytes.borrow().len() as u64 }));
        }
        Ok(Some(entries))
    }

    fn identity(&self) -> Result<Option<u64>, IoError> {
        Ok(self.boot.get())
    }

    fn directory_stamp(&self, dir: &str) -> Result<DirectoryStamp, IoError> {
        if !self.directories.borrow().contains(dir) {
            return Ok(DirectoryStamp::default());
        }
        Ok(DirectoryStamp { changed: self.entry_changes.borrow().get(dir).copied().unwrap_or(0), identity: 1 })
    }

    fn create_dir(&self, dir: &str) -> Result<(), IoError> {
        self.add_directory(dir);
        Ok(())
    }

    fn open_segment(&self, path: &str) -> Result<Arc<MemorySegment>, IoError> {
        Ok(self.segment(path, self.file("open", path)?))
    }

    fn create_segment(&self, path: &str, size: u64) -> Result<Arc<MemorySegment>, IoError> {
        if self.files.borrow().contains_key(path) {
            return Err(IoError::new(IoKind::Exists, "open", path, "file exists"));
        }
        self.create(path, size)?;
        self.open_segment(path)
    }

    fn len(&self, path: &str) -> Result<Option<u64>, IoError> {
        self.refuse_directory("stat", path)?;
        Ok(self.files.borrow().get(path).map(|bytes| bytes.borrow().len() as u64))
    }

    fn stamp(&self, path: &str) -> Result<Option<FileStamp>, IoError> {
        let modified_ns = self.changed.borrow().get(path).copied().unwrap_or(0);
        Ok(self.len(path)?.map(|len| FileStamp { len, modified_ns, id: 0 }))
    }

    fn create(&self, path: &str, size: u64) -> Result<(), IoError> {
        if let Some((parent, _)) = path.rsplit_once('/')
            && !self.directories.borrow().contains(parent)
        {
            return Err(IoError::new(IoKind::NotFound, "open", path, "no such directory"));
        }
        self.refuse_directory("open", path)?;
        if !self.files.borrow().contains_key(path) {
            self.entry_changed(path);
        }
        let bytes = Rc::clone(self.files.borrow_mut().entry(path.to_owned()).or_default());
        let len = bytes.borrow().len().max(size as usize);
        bytes.borrow_mut().resize(len, 0);
        Ok(())
    }

    fn read_at(&self, path: &str, at: u64, out: &mut [u8]) -> Result<usize, IoError> {
        let file = self.file("read", path)?;
        let bytes = file.borrow();
        let from = (at as usize).min(bytes.len());
        let count = out.len().min(bytes.len() - from);
        out[..count].copy_from_slice(&bytes[from..from + count]);
        Ok(count)
    }

    fn write_at(&self, path: &str, at: u64, data: &[u8]) -> Result<(), IoError> {
        let file = self.file("write", path)?;
        let mut bytes = file.borrow_mut();
        let end = at as usize + data.len();
        if bytes.len() < end {
            bytes.resize(end, 0);
        }
        bytes[at as usize..end].copy_from_slice(data);
        self.touch(path);
        Ok(())
    }

    fn sync(&self, path: &str) -> Result<(), IoError> {
        self.file("fdatasync", path)?;
        self.calls.borrow_mut().push(alloc::format!("sync {path}"));
        Ok(())
    }

    fn sync_dir(&self, dir: &str) -> Result<(), IoError> {
        self.calls.borrow_mut().push(alloc::format!("sync-dir {dir}"));
        Ok(())
    }

    fn sync_all(&self) -> Result<(), IoError> {
        self.calls.borrow_mut().push("sync-all".to_owned());
        Ok(())
    }

    fn remove(&self, path: &str) -> Result<(), IoError> {
        self.refuse_directory("unlink", path)?;
        if self.files.borrow_mut().remove(path).is_some() {
            self.entry_changed(path);
            self.calls.borrow_mut().push(alloc::format!("remove {path}"));
        }
        Ok(())
    }

    fn remove_dir(&self, dir: &str) -> Result<(), IoError> {
        let below = |path: &String| path.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'));
        if self.files.borrow().keys().any(below) || self.directories.borrow().iter().any(below) {
            return Err(IoError::new(IoKind::Other, "rmdir", dir, "directory not empty"));
        }
        if self.directories.borrow_mut().remove(dir) {
            self.entry_changed(dir);
        }
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), IoError> {
        let file = self.file("rename", from)?;
        self.refuse_directory("rename", to)?;
        self.files.borrow_mut().remove(from);
        self.files.borrow_mut().insert(to.to_owned(), file);
        self.entry_changed(to);
        self.touch(to);
        self.calls.borrow_mut().push(alloc::format!("rename {to}"));
        Ok(())
    }

    fn space(&self, _dir: &str) -> Result<Option<Space>, IoError> {
        Ok(self.space.get())
    }
}

/// A segment in memory.
#[derive(Debug)]
pub struct MemorySegment {
    path: String,
    bytes: Bytes,
    calls: Rc<RefCell<Vec<String>>>,
}

impl Segment for MemorySegment {
    fn size(&self) -> u64 {
        self.bytes.borrow().len() as u64
    }

    fn read_at(&self, at: u64, out: &mut [u8]) -> Result<(), IoError> {
        out.copy_from_slice(&self.bytes.borrow()[at as usize..at as usize + out.len()]);
        Ok(())
    }

    fn reserve(&self, _end: u64) -> Result<(), IoError> {
        Ok(())
    }

    fn fill<R>(&self, at: u64, len: usize, write: impl FnOnce(&mut [u8]) -> R) -> Result<R, IoError> {
        Ok(write(&mut self.bytes.borrow_mut()[at as usize..at as usize + len]))
    }

    fn zero_from(&self, at: u64) -> Result<(), IoError> {
        self.bytes.borrow_mut()[at as usize..].fill(0);
        Ok(())
    }

    fn zero_again(&self, at: u64) -> Result<(), IoError> {
        self.zero_from(at)
    }

    fn sync(&self, from: u64, to: u64) -> Result<(), IoError> {
        self.calls.borrow_mut().push(alloc::format!("sync {} {from}..{to}", self.path));
        Ok(())
    }
}

/// A clock that stands until it is moved.
#[derive(Clone, Debug)]
pub struct MemoryClock {
    now: Rc<Cell<i64>>,
    zone_offset_ms: i64,
}

impl MemoryClock {
    pub fn at(now_ms: i64) -> Self {
        Self { now: Rc::new(Cell::new(now_ms)), zone_offset_ms: 0 }
    }

    pub fn with_zone_offset(self, zone_offset_ms: i64) -> Self {
        Self { zone_offset_ms, ..self }
    }

    pub fn set(&self, now_ms: i64) {
        self.now.set(now_ms);
    }
}

impl Clock for MemoryClock {
    fn now_ms(&self) -> i64 {
        self.now.get()
    }

    fn zone_offset_ms(&self, _at_ms: i64) -> i64 {
        self.zone_offset_ms
    }
}
