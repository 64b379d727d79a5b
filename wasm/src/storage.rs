//! The seam over `node:fs`: a directory that holds a store.

use std::sync::Arc;

use moraine_core::error::{IoError, IoKind};
use moraine_core::storage::{DirectoryStamp, Entry, EntryKind, FileStamp, Space, Storage};

use crate::deferred::{self, Step};
use crate::imports::{self, Look, Stat};
use crate::segment::WasmSegment;

const FILE: u64 = 1;
const DIRECTORY: u64 = 2;

// Linux's numbers: JavaScript gives those, wherever it runs.
const EPERM: i32 = 1;
const ENOENT: i32 = 2;
const ENXIO: i32 = 6;
const EACCES: i32 = 13;
const EEXIST: i32 = 17;
const ENOTDIR: i32 = 20;
const EISDIR: i32 = 21;
const ENOSPC: i32 = 28;
const EROFS: i32 = 30;
const ELOOP: i32 = 40;
const EDQUOT: i32 = 122;
/// Not of the system: something is not of the type it has to be.
const WRONG_TYPE: i32 = 9999;
/// A failure without a number.
const UNNUMBERED: i32 = 9998;

#[derive(Debug)]
pub struct WasmStorage {
    root: u32,
    read_only: bool,
    /// Blocks are to be written before the messages that will be synced come to them.
    ahead: bool,
}

impl WasmStorage {
    pub fn new(root: u32, read_only: bool, ahead: bool) -> Self {
        Self { root, read_only, ahead }
    }

    fn changeable(&self, syscall: &'static str, path: &str) -> Result<(), IoError> {
        if self.read_only { Err(read_only(syscall, path)) } else { Ok(()) }
    }

    fn stat(&self, path: &str, look: Look) -> Result<Option<Stat>, IoError> {
        let mut stat = Stat::default();
        checked(imports::stat(self.root, path, look, &mut stat), path)?;
        Ok((stat[0] != 0).then_some(stat))
    }

    fn file(&self, path: &str) -> Result<u32, IoError> {
        inside(path, "open")?;
        checked(imports::file(self.root, path), path)
    }

    fn note(&self, step: Step, number: f64, path: &str, rest: &[u8]) -> bool {
        deferred::note(step, self.root, number, path, rest)
    }

    #[allow(clippy::arc_with_non_send_sync)] // the seam hands out Arcs; this storage stays on one thread
    fn segment(&self, handle: u32, path: &str, size: u64, created: bool) -> Arc<WasmSegment> {
        Arc::new(WasmSegment::new(handle, path, size, self.read_only, self.ahead && !self.read_only, created))
    }
}

impl Storage for WasmStorage {
    type Segment = WasmSegment;

    fn list(&self, dir: &str) -> Result<Option<Vec<Entry>>, IoError> {
        directory(dir, "opendir")?;
        let bytes = checked(imports::list(self.root, dir), dir)?;
        if bytes == 0 {
            return Ok(None);
        }
        let mut listing = vec![0; bytes as usize];
        imports::take(&mut listing);
        let mut entries = Vec::new();
        let mut rest = &listing[1..];
        while let Some((kind, len, name, behind)) = next_entry(rest) {
            let kind = match kind {
                1 => EntryKind::File,
                2 => EntryKind::Directory,
                _ => EntryKind::Other,
            };
            entries.push(Entry { name: String::from_utf8_lossy(name).into_owned(), kind, len });
            rest = behind;
        }
        Ok(Some(entries))
    }

    fn directory_stamp(&self, dir: &str) -> Result<DirectoryStamp, IoError> {
        directory(dir, "stat")?;
        Ok(match self.stat(dir, Look::Through)? {
            Some([DIRECTORY, _, _, changed, identity, _]) => DirectoryStamp { changed, identity },
            _ => DirectoryStamp::default(),
        })
    }

    fn create_dir(&self, dir: &str) -> Result<(), IoError> {
        self.changeable("mkdir", dir)?;
        directory(dir, "mkdir")?;
        if self.note(Step::MakeDirectory, 0.0, dir, &[]) {
            return Ok(());
        }
        match checked(imports::make_dir(self.root, dir), dir) {
            Err(there) if there.kind == IoKind::Exists => {
                Err(IoError::new(IoKind::WrongType, "mkdir", dir, "there is something that is not a directory"))
            }
            outcome => outcome.map(drop),
        }
    }

    fn open_segment(&self, path: &str) -> Result<Arc<WasmSegment>, IoError> {
        inside(path, "open")?;
        let handle = checked(imports::open(self.root, path), path)?;
        let size = imports::size(handle);
        if size < 0.0 {
            let failed = failed(size as i32, path);
            imports::close(handle);
            return Err(failed);
        }
        Ok(self.segment(handle, path, size as u64, false))
    }

    fn create_segment(&self, path: &str, size: u64) -> Result<Arc<WasmSegment>, IoError> {
        self.changeable("open", path)?;
        inside(path, "open")?;
        let handle = checked(imports::create(self.root, path, size, true), path)?;
        Ok(self.segment(handle, path, size, true))
    }

    fn len(&self, path: &str) -> Result<Option<u64>, IoError> {
        inside(path, "stat")?;
        match self.stat(path, Look::Usual)? {
            None => Ok(None),
            Some([FILE, len, ..]) => Ok(Some(len)),
            Some([kind, ..]) => Err(IoError::new(IoKind::WrongType, "stat", path, kind_text(kind))),
        }
    }

    fn stamp(&self, path: &str) -> Result<Option<FileStamp>, IoError> {
        inside(path, "stat")?;
        Ok(self.stat(path, Look::Anew)?.map(|[_, len, modified_ns, _, id, _]| FileStamp { len, modified_ns, id }))
    }

    fn create(&self, path: &str, size: u64) -> Result<(), IoError> {
        self.changeable("open", path)?;
        inside(path, "open")?;
        if self.note(Step::Create, size as f64, path, &[]) {
            return Ok(());
        }
        checked(imports::create(self.root, path, size, false), path).map(drop)
    }

    fn read_at(&self, path: &str, at: u64, out: &mut [u8]) -> Result<usize, IoError> {
        let handle = self.file(path)?;
        checked(imports::read(handle, at, out), path).map(|read| read as usize)
    }

    fn write_at(&self, path: &str, at: u64, bytes: &[u8]) -> Result<(), IoError> {
        self.changeable("pwrite", path)?;
        inside(path, "open")?;
        if self.note(Step::Write, at as f64, path, bytes) {
            return Ok(());
        }
        let handle = self.file(path)?;
        checked(imports::write(handle, at, bytes), path).map(drop)
    }

    fn sync(&self, path: &str) -> Result<(), IoError> {
        self.changeable("fdatasync", path)?;
        inside(path, "open")?;
        if self.note(Step::SyncFile, 0.0, path, &[]) {
            return Ok(());
        }
        let handle = self.file(path)?;
        checked(imports::sync(handle), path).map(drop)
    }

    fn sync_dir(&self, dir: &str) -> Result<(), IoError> {
        self.changeable("fsync", dir)?;
        directory(dir, "open")?;
        if self.note(Step::SyncDirectory, 0.0, dir, &[]) {
            return Ok(());
        }
        checked(imports::sync_dir(self.root, dir), dir).map(drop)
    }

    fn sync_all(&self) -> Result<(), IoError> {
        self.changeable("fdatasync", "")?;
        if self.note(Step::SyncAll, 0.0, "", &[]) {
            return Ok(());
        }
        checked(imports::sync_all(self.root), "").map(drop)
    }

    fn remove(&self, path: &str) -> Result<(), IoError> {
        self.changeable("unlink", path)?;
        inside(path, "unlink")?;
        if self.note(Step::Remove, 0.0, path, &[]) {
            return Ok(());
        }
        match checked(imports::remove(self.root, path), path) {
            Err(gone) if gone.kind == IoKind::NotFound => Ok(()),
            outcome => outcome.map(drop),
        }
    }

    fn remove_dir(&self, dir: &str) -> Result<(), IoError> {
        self.changeable("rmdir", dir)?;
        inside(dir, "rmdir")?;
        match checked(imports::remove_dir(self.root, dir), dir) {
            Err(gone) if gone.kind == IoKind::NotFound => Ok(()),
            outcome => outcome.map(drop),
        }
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), IoError> {
        self.changeable("rename", from)?;
        inside(from, "rename")?;
        inside(to, "rename")?;
        if self.note(Step::Rename, 0.0, from, to.as_bytes()) {
            return Ok(());
        }
        checked(imports::rename(self.root, from, to), from).map(drop)
    }

    fn space(&self, dir: &str) -> Result<Option<Space>, IoError> {
        directory(dir, "statfs")?;
        let mut found = [0; 2];
        let known = checked(imports::space(self.root, dir, &mut found), dir)?;
        Ok((known != 0).then_some(Space { used: found[0], free: found[1] }))
    }
}

/// One entry of a listing, and what is behind it.
fn next_entry(listing: &[u8]) -> Option<(u8, u64, &[u8], &[u8])> {
    let (kind, rest) = listing.split_first()?;
    let (len, rest) = rest.split_first_chunk::<8>()?;
    let (bytes, rest) = rest.split_first_chunk::<4>()?;
    let (name, rest) = rest.split_at_checked(u32::from_le_bytes(*bytes) as usize)?;
    Some((*kind, f64::from_le_bytes(*len) as u64, name, rest))
}

/// A path of the seam: relative, without `..`, `.`, empty parts and NUL.
fn inside(path: &str, syscall: &'static str) -> Result<(), IoError> {
    let plain = path.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
    if plain && !path.contains('\0') {
        return Ok(());
    }
    Err(IoError::new(IoKind::Other, syscall, path, "is not a path within the store"))
}

/// As [`inside`]; the store directory itself is the empty path.
fn directory(dir: &str, syscall: &'static str) -> Result<(), IoError> {
    if dir.is_empty() { Ok(()) } else { inside(dir, syscall) }
}

/// What an import has answered.
pub fn checked(answer: i32, path: &str) -> Result<u32, IoError> {
    u32::try_from(answer).map_err(|_| failed(answer, path))
}

/// The failure of the import that has answered `answer`.
pub fn failed(answer: i32, path: &str) -> IoError {
    let mut words = [0; 512];
    let bytes = imports::failure(&mut words).min(words.len());
    let words = String::from_utf8_lossy(&words[..bytes]);
    let (syscall, reason) = words.split_once('\0').unwrap_or(("", "failed"));
    failure(answer.saturating_neg(), syscall, path, reason)
}

/// A failed call of the system, in the words of the native engine.
pub fn failure(errno: i32, syscall: &str, path: &str, reason: &str) -> IoError {
    let kind = match errno {
        ENOENT => IoKind::NotFound,
        EEXIST => IoKind::Exists,
        EACCES | EPERM | EROFS => IoKind::Denied,
        ENOSPC | EDQUOT => IoKind::Full,
        // ELOOP: a link where O_NOFOLLOW wants a file; ENXIO: a socket or a device without a driver.
        EISDIR | ENOTDIR | ELOOP | ENXIO | WRONG_TYPE => IoKind::WrongType,
        _ => IoKind::Other,
    };
    let errno = if matches!(errno, WRONG_TYPE | UNNUMBERED) { 0 } else { errno };
    let reason = if errno == ELOOP { "is a symbolic link, want a file" } else { reason };
    IoError { kind, errno, syscall: known(syscall), path: path.to_owned(), reason: reason.to_owned() }
}

/// Names of calls are of a few kinds, and live as long as the module.
fn known(syscall: &str) -> &'static str {
    const CALLS: [&str; 20] = [
        "open",
        "opendir",
        "readdir",
        "stat",
        "fstat",
        "mkdir",
        "ftruncate",
        "link",
        "pread",
        "pwrite",
        "fdatasync",
        "fsync",
        "unlink",
        "rmdir",
        "rename",
        "statfs",
        "close",
        "lseek",
        "fallocate",
        "syncfs",
    ];
    CALLS.into_iter().find(|call| *call == syscall).unwrap_or("call")
}

/// A change asked of a storage that is open for reading.
pub fn read_only(syscall: &'static str, path: &str) -> IoError {
    IoError::new(IoKind::Denied, syscall, path, "the store is open for reading only")
}

fn kind_text(kind: u64) -> &'static str {
    match kind {
        DIRECTORY => "is a directory, want a file",
        3 => "is a symbolic link, want a file",
        4 => "is a FIFO, want a file",
        5 => "is a socket, want a file",
        _ => "is a device, want a file",
    }
}
