//! The store directory on a real file system.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Component, Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use moraine_core::error::{IoError, IoKind};
use moraine_core::storage::{DirectoryStamp, Entry, EntryKind, FileStamp, ReadMode, Space, Storage};

use crate::background::Background;
use crate::descriptors::{Descriptors, View};
use crate::errno::{io_error, read_only, wrong_type};
use crate::holes::data_from;
use crate::identity;
use crate::mapped::Mapping;
use crate::prefill::Ahead;
use crate::resident::{cold, read_resident};
use crate::segment::{HostSegment, keeps_written_blocks};
use crate::whole::create_whole;

/// Queue and index files held open at a time.
const OPEN_FILES: usize = 256;

/// What may be done to the directory.
#[derive(Clone, Copy, Debug)]
pub struct Access {
    /// Nothing is created or changed, and every file is treated as one that others change.
    pub read_only: bool,
    /// Makes the directory if there is none.
    pub create: bool,
    /// What is put ahead of the writer of a segment.
    pub ahead: Ahead,
}

impl Access {
    pub const READ_ONLY: Self = Self { read_only: true, create: false, ahead: Ahead::Allocated };
    pub const READ_WRITE: Self = Self { read_only: false, create: true, ahead: Ahead::Written };
}

/// A directory and what is in it. Folders in it may be links, files may not.
pub struct HostStorage {
    root: PathBuf,
    access: Access,
    open: Mutex<Descriptors>,
    /// The directory itself, open from the start in a store that is written: a sync of the file system tells of every
    /// write-back that has failed since.
    directory: Option<File>,
    background: Arc<Background>,
    #[cfg(test)]
    pub(crate) stall: Arc<crate::stall::Stall>,
}

impl HostStorage {
    /// Opens a directory, or makes it if `access` says so. Fails if there is something else in its place, or no permission.
    pub fn open(root: &Path, access: Access) -> Result<Self, IoError> {
        let shown = root.to_string_lossy();
        let metadata = match fs::metadata(root) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && access.create && !access.read_only => {
                make_directories(root)?;
                fs::metadata(root)
            }
            other => other,
        };
        match metadata {
            Ok(metadata) if metadata.is_dir() => {}
            Ok(_) => return Err(wrong_type("open", &shown, "is not a directory; a store is a directory")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(IoError { reason: "there is no such directory".into(), ..io_error(&error, "open", &shown) });
            }
            Err(error) => return Err(io_error(&error, "open", &shown)),
        }
        // So that a later change of the working directory does not move the store.
        let root = fs::canonicalize(root).map_err(|error| io_error(&error, "realpath", &shown))?;
        // A directory that cannot be listed is found here rather than by the first file that seems to be missing.
        fs::read_dir(&root).map_err(|error| io_error(&error, "open", &shown))?;
        let directory = match access.read_only {
            true => None,
            false => Some(File::open(&root).map_err(|error| io_error(&error, "open", &shown))?),
        };
        Ok(Self {
            root,
            access,
            directory,
            open: Mutex::new(Descriptors::new(OPEN_FILES)),
            background: Arc::new(Background::new()),
            #[cfg(test)]
            stall: Arc::default(),
        })
    }

    /// The directory, absolute and without links.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Ends what runs in the background and waits for it: afterwards nothing is written but by calls.
    /// To be done before the lock is given up.
    pub fn stop_background(&self) {
        self.background.stop();
    }

    /// The place of a path of the seam: relative, without `..`, `.`, empty parts and NUL.
    fn place(&self, path: &str, syscall: &'static str) -> Result<PathBuf, IoError> {
        let relative = Path::new(path);
        let plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
        // `components` passes over empty and `.` parts in the middle; two spellings of one file must not be two files here.
        let canonical = path.split('/').all(|part| !part.is_empty() && part != ".");
        if path.is_empty() || !plain || !canonical || path.contains('\0') {
            return Err(IoError::new(IoKind::Other, syscall, path, "is not a path within the store"));
        }
        Ok(self.root.join(relative))
    }

    /// The place of a directory; the store directory itself is the empty path.
    fn directory(&self, dir: &str, syscall: &'static str) -> Result<PathBuf, IoError> {
        if dir.is_empty() { Ok(self.root.clone()) } else { self.place(dir, syscall) }
    }

    fn changeable(&self, syscall: &'static str, path: &str) -> Result<(), IoError> {
        if self.access.read_only { Err(read_only(syscall, path)) } else { Ok(()) }
    }

    fn descriptors(&self) -> MutexGuard<'_, Descriptors> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads a few bytes, fewer only where the file ends, however long it takes. A file that is read so again and again is
    /// mapped.
    pub(crate) fn read_few(&self, path: &str, at: u64, out: &mut [u8]) -> Result<usize, IoError> {
        #[cfg(test)]
        self.stall.pass(path);
        let view = match self.access.read_only {
            true => View::None, // others may cut it
            false => self.descriptors().view(path),
        };
        match view {
            View::Mapped(mapping) => {
                if mapping.read_within(at, out) {
                    return Ok(out.len());
                }
                if mapping.faulted() {
                    let _falls = self.descriptors().take_view(path, &mapping);
                }
            }
            View::Wanted(file) => {
                if let Ok(mapping) = map_read(&file, path) {
                    let _falls = self.descriptors().put_view(path, &file, Arc::new(mapping));
                }
            }
            View::None => {}
        }
        self.read_at(path, at, out)
    }

    /// The mapping of a file that [`HostStorage::read_few`] was asked for often enough.
    pub(crate) fn mapping(&self, path: &str) -> Option<Arc<Mapping>> {
        self.descriptors().mapping(path)
    }

    /// An existing file, from the descriptors held or opened now.
    fn file(&self, path: &str) -> Result<Arc<File>, IoError> {
        let changes = {
            let mut open = self.descriptors();
            if let Some(file) = open.get(path) {
                return Ok(file);
            }
            open.changes()
        };
        let place = self.place(path, "open")?;
        // Outside of the lock: a slow open must not hold up the others.
        let file = Arc::new(open_file(&place, path, OpenOptions::new().read(true).write(!self.access.read_only))?);
        #[cfg(test)]
        self.stall.opened(path);
        // Where the path was removed meanwhile, this may be the file that was there: whoever writes next must not get it.
        let _falls = self.descriptors().put_opened(path, &file, changes);
        Ok(file)
    }

    /// Has the next one who asks for a file open what its path leads to then.
    fn forget(&self, path: &str) {
        let _falls = self.descriptors().remove(path);
    }
}

impl Storage for HostStorage {
    type Segment = HostSegment;

    fn list(&self, dir: &str) -> Result<Option<Vec<Entry>>, IoError> {
        let place = self.directory(dir, "opendir")?;
        let found = match fs::read_dir(&place) {
            Ok(found) => found,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error(&error, "opendir", dir)),
        };
        let mut entries = Vec::new();
        for entry in found {
            let entry = entry.map_err(|error| io_error(&error, "readdir", dir))?;
            // Without a look at each: RocketMQ has a directory for every topic.
            if entry.file_type().is_ok_and(|kind| kind.is_dir())
                && let Ok(name) = entry.file_name().into_string()
            {
                entries.push(Entry { name, kind: EntryKind::Directory, len: 0 });
                continue;
            }
            let metadata = match fs::metadata(entry.path()) {
                Ok(metadata) => Some(metadata),
                // Gone in the meantime, or a link to nowhere: only the second is still an entry.
                Err(_) if fs::symlink_metadata(entry.path()).is_err() => continue,
                Err(_) => None,
            };
            let (kind, len) = match &metadata {
                Some(m) if m.is_file() && !entry.file_type().is_ok_and(|kind| kind.is_symlink()) => (EntryKind::File, m.len()),
                Some(m) if m.is_dir() => (EntryKind::Directory, 0),
                _ => (EntryKind::Other, 0),
            };
            match entry.file_name().into_string() {
                Ok(name) => entries.push(Entry { name, kind, len }),
                // No name of ours and none that a path of the seam can say.
                Err(name) => entries.push(Entry { name: name.to_string_lossy().into_owned(), kind: EntryKind::Other, len: 0 }),
            }
        }
        Ok(Some(entries))
    }

    fn identity(&self) -> Result<Option<u64>, IoError> {
        Ok(self.directory.as_ref().and_then(identity::of_place))
    }

    fn next_data(&self, path: &str, at: u64) -> Result<Option<u64>, IoError> {
        let file = self.file(path)?;
        let len = file.metadata().map_err(|error| io_error(&error, "fstat", path))?.len();
        Ok(data_from(&file, path, at, len)?.map(|(from, _)| from))
    }

    fn directory_stamp(&self, dir: &str) -> Result<DirectoryStamp, IoError> {
        match fs::metadata(self.directory(dir, "stat")?) {
            Ok(metadata) if metadata.is_dir() => Ok(DirectoryStamp { changed: changed_ns(&metadata), identity: metadata.ino() }),
            Ok(_) => Ok(DirectoryStamp::default()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(DirectoryStamp::default()),
            Err(error) => Err(io_error(&error, "stat", dir)),
        }
    }

    fn create_dir(&self, dir: &str) -> Result<(), IoError> {
        self.changeable("mkdir", dir)?;
        let place = self.directory(dir, "mkdir")?;
        match fs::DirBuilder::new().recursive(true).mode(0o755).create(&place) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(wrong_type("mkdir", dir, "there is something that is not a directory"))
            }
            Err(error) => Err(io_error(&error, "mkdir", dir)),
        }
    }

    fn open_segment(&self, path: &str) -> Result<Arc<HostSegment>, IoError> {
        let place = self.place(path, "open")?;
        let file = open_file(&place, path, OpenOptions::new().read(true).write(!self.access.read_only))?;
        let size = file.metadata().map_err(|error| io_error(&error, "fstat", path))?.len();
        let segment = match self.access.read_only {
            true => HostSegment::reading(file, path, size),
            false => HostSegment::writing(file, path, size, self.access.ahead, false, self.background.clone()),
        };
        #[cfg(test)]
        let segment = segment.stalled_by(self.stall.clone());
        Ok(Arc::new(segment))
    }

    fn create_segment(&self, path: &str, size: u64) -> Result<Arc<HostSegment>, IoError> {
        self.changeable("open", path)?;
        let place = self.place(path, "open")?;
        let file = match create_whole(&place, path, size)? {
            Some(file) => file,
            None => {
                let file = open_file(&place, path, OpenOptions::new().read(true).write(true).create_new(true))?;
                if let Err(error) = file.set_len(size) {
                    // What was made just now and is of no use.
                    let _ = fs::remove_file(&place);
                    return Err(io_error(&error, "ftruncate", path));
                }
                file
            }
        };
        Ok(Arc::new(HostSegment::writing(file, path, size, self.access.ahead, true, self.background.clone())))
    }

    fn len(&self, path: &str) -> Result<Option<u64>, IoError> {
        match fs::symlink_metadata(self.place(path, "stat")?) {
            Ok(metadata) if metadata.is_file() => Ok(Some(metadata.len())),
            Ok(metadata) => Err(wrong_type("stat", path, kind_of(&metadata))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_error(&error, "stat", path)),
        }
    }

    fn stamp(&self, path: &str) -> Result<Option<FileStamp>, IoError> {
        // Who asks expects that others replace the file: the next read opens what is there then.
        self.forget(path);
        match fs::symlink_metadata(self.place(path, "stat")?) {
            Ok(metadata) => Ok(Some(FileStamp { len: metadata.len(), modified_ns: modified_ns(&metadata), id: metadata.ino() })),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(io_error(&error, "stat", path)),
        }
    }

    fn create(&self, path: &str, size: u64) -> Result<(), IoError> {
        self.changeable("open", path)?;
        let place = self.place(path, "open")?;
        let is_new = size > 0 && matches!(fs::symlink_metadata(&place), Err(error) if error.kind() == io::ErrorKind::NotFound);
        let whole = if is_new { create_whole(&place, path, size)? } else { None };
        let file = match whole {
            Some(file) => file,
            None => {
                let file = open_file(&place, path, OpenOptions::new().read(true).write(true).create(true))?;
                let len = file.metadata().map_err(|error| io_error(&error, "fstat", path))?.len();
                if len < size {
                    file.set_len(size).map_err(|error| io_error(&error, "ftruncate", path))?;
                }
                file
            }
        };
        let _falls = self.descriptors().put(path, Arc::new(file));
        Ok(())
    }

    fn read_at(&self, path: &str, at: u64, out: &mut [u8]) -> Result<usize, IoError> {
        #[cfg(test)]
        self.stall.pass(path);
        let file = self.file(path)?;
        let mut read = 0;
        while read < out.len() {
            match file.read_at(&mut out[read..], at.saturating_add(read as u64)) {
                Ok(0) => break,
                Ok(some) => read += some,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(io_error(&error, "pread", path)),
            }
        }
        Ok(read)
    }

    fn read_by(&self, mode: ReadMode, path: &str, at: u64, out: &mut [u8]) -> Result<usize, IoError> {
        if mode != ReadMode::InMemory {
            return self.read_at(path, at, out);
        }
        // A file that is not open may need the disk to be found.
        let Some(file) = self.descriptors().get(path) else { return Err(cold(path, at, out.len())) };
        read_resident(&file, path, at, out)
    }

    fn write_at(&self, path: &str, at: u64, bytes: &[u8]) -> Result<(), IoError> {
        self.changeable("pwrite", path)?;
        self.file(path)?.write_all_at(bytes, at).map_err(|error| io_error(&error, "pwrite", path))
    }

    fn sync(&self, path: &str) -> Result<(), IoError> {
        self.changeable("fdatasync", path)?;
        self.file(path)?.sync_data().map_err(|error| io_error(&error, "fdatasync", path))
    }

    fn sync_dir(&self, dir: &str) -> Result<(), IoError> {
        self.changeable("fsync", dir)?;
        sync_directory(&self.directory(dir, "open")?, dir)
    }

    fn sync_all(&self) -> Result<(), IoError> {
        let directory = self.directory.as_ref().ok_or_else(|| read_only("syncfs", ""))?;
        rustix::fs::syncfs(directory).map_err(|error| io_error(&error.into(), "syncfs", ""))
    }

    fn remove(&self, path: &str) -> Result<(), IoError> {
        self.changeable("unlink", path)?;
        let place = self.place(path, "unlink")?;
        let removed = fs::remove_file(place);
        // Behind it: before, somebody could open the file once more.
        self.forget(path);
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error(&error, "unlink", path)),
            _ => Ok(()),
        }
    }

    fn remove_dir(&self, dir: &str) -> Result<(), IoError> {
        self.changeable("rmdir", dir)?;
        match fs::remove_dir(self.place(dir, "rmdir")?) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(io_error(&error, "rmdir", dir)),
            _ => Ok(()),
        }
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), IoError> {
        self.changeable("rename", from)?;
        let (source, target) = (self.place(from, "rename")?, self.place(to, "rename")?);
        let renamed = fs::rename(source, target).map_err(|error| io_error(&error, "rename", from));
        self.forget(from);
        self.forget(to);
        renamed
    }

    fn space(&self, dir: &str) -> Result<Option<Space>, IoError> {
        match rustix::fs::statvfs(self.directory(dir, "statfs")?) {
            Ok(found) => {
                let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
                Ok(Some(Space { used: bytes(found.f_blocks.saturating_sub(found.f_bfree)), free: bytes(found.f_bavail) }))
            }
            Err(rustix::io::Errno::NOENT) => Ok(None),
            Err(error) => Err(io_error(&error.into(), "statfs", dir)),
        }
    }
}

/// The whole of a file, to be read.
fn map_read(file: &File, path: &str) -> Result<Mapping, IoError> {
    let len = file.metadata().map_err(|error| io_error(&error, "fstat", path))?.len();
    if len == 0 || !keeps_written_blocks(file) {
        return Err(IoError::new(IoKind::Other, "mmap", path, "is not mapped"));
    }
    Mapping::new(file, len, false).map_err(|error| io_error(&error, "mmap", path))
}

/// Whoever puts a backup back sets the time of the last modification, nobody that of the last change.
fn changed_ns(metadata: &fs::Metadata) -> u64 {
    let changed = metadata.ctime().cast_unsigned().wrapping_mul(1_000_000_000);
    changed.wrapping_add(metadata.ctime_nsec().cast_unsigned())
}

fn modified_ns(metadata: &fs::Metadata) -> u64 {
    let modified = metadata.mtime().cast_unsigned().wrapping_mul(1_000_000_000);
    modified.wrapping_add(metadata.mtime_nsec().cast_unsigned())
}

/// Opens a regular file and nothing else: no link is followed, no FIFO waited for.
pub(crate) fn open_file(place: &Path, path: &str, options: &mut OpenOptions) -> Result<File, IoError> {
    let file = options
        .mode(0o644)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(place)
        .map_err(|error| io_error(&error, "open", path))?;
    let metadata = file.metadata().map_err(|error| io_error(&error, "fstat", path))?;
    if metadata.is_file() { Ok(file) } else { Err(wrong_type("open", path, kind_of(&metadata))) }
}

pub(crate) fn sync_directory(place: &Path, dir: &str) -> Result<(), IoError> {
    let directory = File::open(place).map_err(|error| io_error(&error, "open", dir))?;
    directory.sync_all().map_err(|error| io_error(&error, "fsync", dir))
}

/// Makes a directory and those above it that are missing, and makes them survive a power cut.
fn make_directories(root: &Path) -> Result<(), IoError> {
    let shown = root.to_string_lossy();
    let absolute = std::path::absolute(root).map_err(|error| io_error(&error, "getcwd", &shown))?;
    let there = absolute.ancestors().find(|above| above.exists()).unwrap_or(Path::new("/"));
    fs::DirBuilder::new().recursive(true).mode(0o755).create(&absolute).map_err(|error| io_error(&error, "mkdir", &shown))?;
    for made in absolute.ancestors().skip(1) {
        sync_directory(made, &made.to_string_lossy())?;
        if made == there {
            break;
        }
    }
    Ok(())
}

fn kind_of(metadata: &fs::Metadata) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    let kind = metadata.file_type();
    if kind.is_symlink() {
        "is a symbolic link, want a file"
    } else if kind.is_dir() {
        "is a directory, want a file"
    } else if kind.is_fifo() {
        "is a FIFO, want a file"
    } else if kind.is_socket() {
        "is a socket, want a file"
    } else {
        "is a device, want a file"
    }
}
