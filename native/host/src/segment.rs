//! A file of the commit log.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

use moraine_core::error::{IoError, IoKind};
use moraine_core::storage::{ReadMode, Segment};
use rustix::fs::FallocateFlags;

use crate::background::Background;
use crate::errno::{io_error, read_only};
use crate::holes::data_from;
use crate::mapped::{Mapping, Refused};
use crate::prefill::{Ahead, Frontier};
use crate::resident::read_resident;

/// Bytes looked at in one read while searching for what is not zero.
const SEARCH_BYTES: usize = 64 * 1024;

// What `statfs` calls the file systems that keep the space of blocks once written, so that a store into a mapping of them
// needs no new room: ext2 to ext4, XFS, tmpfs.
const EXT_MAGIC: u64 = 0xEF53;
const XFS_MAGIC: u64 = 0x5846_5342;
const TMPFS_MAGIC: u64 = 0x0102_1994;

/// Greatest buffer that is kept between writes.
const KEPT_BUFFER_BYTES: usize = 4 * 1024 * 1024;

/// How the bytes of a message come into the file.
enum Writing {
    /// Stored into the mapping; large batches by a call.
    Mapped(Arc<Mapping>),
    /// By calls; read from a mapping if there is one.
    Calls(Option<Mapping>),
    /// Not at all. Read by calls, for another process may change or cut the file.
    Never,
}

/// A file of the commit log, mapped where that is safe.
pub struct HostSegment {
    frontier: Arc<Frontier>,
    writing: Writing,
    /// Where bytes are put together for a call. Held by the writer.
    buffer: Mutex<Vec<u8>>,
    background: Option<Arc<Background>>,
    #[cfg(test)]
    stall: Arc<crate::stall::Stall>,
}

impl HostSegment {
    /// Over a file open for reading only.
    pub(crate) fn reading(file: File, path: &str, size: u64) -> Self {
        let frontier = Arc::new(Frontier::of_opened(file, path, size, Ahead::Allocated, None));
        Self {
            frontier,
            writing: Writing::Never,
            buffer: Mutex::default(),
            background: None,
            #[cfg(test)]
            stall: Arc::default(),
        }
    }

    /// Over a file open for reading and writing, `created` just now or holding messages.
    pub(crate) fn writing(file: File, path: &str, size: u64, ahead: Ahead, created: bool, background: Arc<Background>) -> Self {
        // A file that cannot be mapped (no addresses left, a file system that does not map) is written and read by calls.
        let writing = if size == 0 {
            Writing::Calls(None)
        } else if keeps_written_blocks(&file) {
            Mapping::new(&file, size, true).map_or(Writing::Calls(None), |mapping| Writing::Mapped(Arc::new(mapping)))
        } else {
            Writing::Calls(Mapping::new(&file, size, false).ok())
        };
        let (ahead, mapping) = match &writing {
            Writing::Mapped(mapping) => (ahead, Some(mapping.clone())),
            Writing::Calls(_) | Writing::Never => (Ahead::Allocated, None),
        };
        let frontier = match created {
            true => Frontier::of_created(file, path, size, ahead, mapping),
            false => Frontier::of_opened(file, path, size, ahead, mapping),
        };
        Self {
            frontier: Arc::new(frontier),
            writing,
            buffer: Mutex::default(),
            background: Some(background),
            #[cfg(test)]
            stall: Arc::default(),
        }
    }

    #[cfg(test)]
    pub(crate) fn stalled_by(self, stall: Arc<crate::stall::Stall>) -> Self {
        Self { stall, ..self }
    }

    fn file(&self) -> &File {
        self.frontier.file()
    }

    /// What it is read from, where not by calls.
    fn view(&self) -> Option<&Mapping> {
        match &self.writing {
            Writing::Mapped(mapping) => Some(mapping),
            Writing::Calls(view) => view.as_ref(),
            Writing::Never => None,
        }
    }

    fn check(&self, syscall: &'static str, at: u64, len: u64) -> Result<(), IoError> {
        let size = self.frontier.size();
        if at <= size && len <= size - at {
            return Ok(());
        }
        let reason = format!("{len} bytes at {at} do not lie within the file's {size}");
        Err(IoError::new(IoKind::Other, syscall, self.frontier.path(), &reason))
    }

    fn pread(&self, at: u64, out: &mut [u8]) -> Result<(), IoError> {
        self.file().read_exact_at(out, at).map_err(|error| {
            if error.kind() != std::io::ErrorKind::UnexpectedEof {
                return io_error(&error, "pread", self.frontier.path());
            }
            let len = self.file().metadata().map(|m| m.len()).unwrap_or(0);
            let reason = format!("the file ends after {len} bytes, want {} at {at}", out.len());
            IoError::new(IoKind::Other, "pread", self.frontier.path(), &reason)
        })
    }

    /// A call would silently extend a file that somebody has cut.
    fn check_whole(&self) -> Result<(), IoError> {
        let len = self.file().metadata().map_err(|error| io_error(&error, "fstat", self.frontier.path()))?.len();
        if len >= self.frontier.size() {
            return Ok(());
        }
        let reason = format!("the file was cut shorter: {len} bytes, it had {}", self.frontier.size());
        Err(IoError::new(IoKind::Other, "pwrite", self.frontier.path(), &reason))
    }

    fn write_by_call<R>(&self, at: u64, len: usize, write: impl FnOnce(&mut [u8]) -> R) -> Result<R, IoError> {
        self.check_whole()?;
        let mut buffer = self.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        if buffer.len() < len {
            buffer.resize(len, 0);
        }
        let result = write(&mut buffer[..len]);
        let written = self.file().write_all_at(&buffer[..len], at);
        if len > KEPT_BUFFER_BYTES {
            *buffer = Vec::new();
        }
        written.map_err(|error| io_error(&error, "pwrite", self.frontier.path()))?;
        Ok(result)
    }

    fn refused(&self, refused: Refused) -> IoError {
        let reason = match refused {
            Refused::Faulted => "a page of the mapping could not be had: the file was cut shorter, or the disk failed to read it",
            Refused::Contended => "two writers in one segment",
        };
        IoError::new(IoKind::Other, "mmap", self.frontier.path(), reason)
    }

    /// Position of the first byte from `at` that is not zero. Holes cost nothing.
    fn first_set(&self, at: u64) -> Result<Option<u64>, IoError> {
        let size = self.frontier.size();
        let mut buffer = vec![0; SEARCH_BYTES];
        let mut at = at;
        while at < size {
            let Some((from, to)) = self.data_from(at)? else { return Ok(None) };
            at = from;
            while at < to {
                let piece = &mut buffer[..SEARCH_BYTES.min((to - at) as usize)];
                self.pread(at, piece)?;
                if let Some(found) = first_set_byte(piece) {
                    return Ok(Some(at + found as u64));
                }
                at += piece.len() as u64;
            }
        }
        Ok(None)
    }

    fn data_from(&self, at: u64) -> Result<Option<(u64, u64)>, IoError> {
        data_from(self.file(), self.frontier.path(), at, self.frontier.size())
    }

    /// The writer goes on at `at`, once `clear` has made what stands behind it zero.
    fn restart_at(&self, at: u64, clear: impl FnOnce() -> Result<(), IoError>) -> Result<(), IoError> {
        if self.background.is_none() {
            return Err(read_only("fallocate", self.frontier.path()));
        }
        self.check("fallocate", at, 0)?;
        self.frontier.restart_at(at, clear)
    }

    fn clear_for_good(&self, at: u64) -> Result<(), IoError> {
        self.clear_from(at)?;
        self.frontier.sync()
    }

    /// Makes `at..` read as zero: by giving the blocks back that hold data, or by writing zeros where the file system cannot.
    /// Room that was given and not written stays.
    fn clear_from(&self, at: u64) -> Result<(), IoError> {
        let mut at = at;
        while let Some((from, to)) = self.data_from(at)? {
            self.clear(from, to)?;
            at = to;
        }
        Ok(())
    }

    fn clear(&self, from: u64, to: u64) -> Result<(), IoError> {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        match rustix::io::retry_on_intr(|| rustix::fs::fallocate(self.file(), flags, from, to - from)) {
            Ok(()) => Ok(()),
            Err(rustix::io::Errno::OPNOTSUPP | rustix::io::Errno::NOSYS | rustix::io::Errno::INVAL) => self.write_zeros(from, to),
            Err(error) => Err(io_error(&error.into(), "fallocate", self.frontier.path())),
        }
    }

    fn write_zeros(&self, from: u64, to: u64) -> Result<(), IoError> {
        let zeros = vec![0; SEARCH_BYTES];
        let mut at = from;
        while at < to {
            let piece = &zeros[..SEARCH_BYTES.min((to - at) as usize)];
            self.file().write_all_at(piece, at).map_err(|e| io_error(&e, "pwrite", self.frontier.path()))?;
            at += piece.len() as u64;
        }
        Ok(())
    }
}

impl Segment for HostSegment {
    fn size(&self) -> u64 {
        self.frontier.size()
    }

    fn read_at(&self, at: u64, out: &mut [u8]) -> Result<(), IoError> {
        #[cfg(test)]
        self.stall.pass(crate::stall::LOG_MAPPINGS);
        self.check("read", at, out.len() as u64)?;
        match self.view().map(|mapping| mapping.read(at as usize, out)) {
            Some(Ok(())) => Ok(()),
            // After a fault the calls say what is wrong, and give what can still be had.
            Some(Err(_)) | None => self.pread(at, out),
        }
    }

    fn read_by(&self, mode: ReadMode, at: u64, out: &mut [u8]) -> Result<(), IoError> {
        match mode {
            ReadMode::Usual => self.read_at(at, out),
            ReadMode::InMemory => {
                self.check("read", at, out.len() as u64)?;
                let read = read_resident(self.file(), self.frontier.path(), at, out)?;
                // What a file lacks that somebody has cut, the call in the usual way says.
                if read < out.len() { self.read_at(at, out) } else { Ok(()) }
            }
            // Pages that nobody maps are the cheapest for the system to take back.
            ReadMode::Bulk => {
                self.check("read", at, out.len() as u64)?;
                self.pread(at, out)
            }
        }
    }

    fn will_need(&self, from: u64, to: u64) {
        if let Some(len) = std::num::NonZeroU64::new(to.saturating_sub(from)) {
            // Advice: without it the reads that follow take longer.
            let _ = rustix::fs::fadvise(self.file(), from, Some(len), rustix::fs::Advice::WillNeed);
        }
    }

    fn will_copy(&self, at: u64, len: u64) {
        if let Some(mapping) = self.view() {
            mapping.fetch_ahead(at, len);
        }
    }

    fn reserve(&self, end: u64) -> Result<(), IoError> {
        let Some(background) = &self.background else { return Err(read_only("fallocate", self.frontier.path())) };
        self.check("fallocate", end, 0)?;
        self.frontier.reserve(end, background)
    }

    fn fill<R>(&self, at: u64, len: usize, write: impl FnOnce(&mut [u8]) -> R) -> Result<R, IoError> {
        self.check("write", at, len as u64)?;
        match &self.writing {
            Writing::Never => Err(read_only("pwrite", self.frontier.path())),
            Writing::Mapped(mapping) if mapping.faulted() => Err(self.refused(Refused::Faulted)),
            Writing::Mapped(mapping) if self.frontier.is_for_stores(at, at + len as u64) => {
                mapping.write(at as usize, len, write).map_err(|refused| self.refused(refused))
            }
            Writing::Mapped(_) | Writing::Calls(_) => self.write_by_call(at, len, write),
        }
    }

    fn zero_from(&self, at: u64) -> Result<(), IoError> {
        self.restart_at(at, || match self.first_set(at)? {
            None => Ok(()),
            Some(_) => self.clear_for_good(at),
        })
    }

    fn zero_again(&self, at: u64) -> Result<(), IoError> {
        self.restart_at(at, || self.clear_for_good(at))
    }

    fn sync(&self, _from: u64, _to: u64) -> Result<(), IoError> {
        if self.background.is_none() {
            return Err(read_only("fdatasync", self.frontier.path()));
        }
        // The whole file: a range would leave out the metadata that leads to it.
        self.frontier.sync()
    }
}

fn first_set_byte(bytes: &[u8]) -> Option<usize> {
    const ZEROS: [u8; 512] = [0; 512];
    let block = bytes.chunks(ZEROS.len()).position(|chunk| chunk != &ZEROS[..chunk.len()])?;
    let from = block * ZEROS.len();
    bytes[from..].iter().position(|&byte| byte != 0).map(|at| from + at)
}

pub(crate) fn keeps_written_blocks(file: &File) -> bool {
    rustix::fs::fstatfs(file).is_ok_and(|fs| matches!(fs.f_type as u64, EXT_MAGIC | XFS_MAGIC | TMPFS_MAGIC))
}
