//! A file of the commit log.

use std::cell::{Cell, RefCell};

use moraine_core::error::{IoError, IoKind};
use moraine_core::storage::Segment;

use crate::deferred::{self, Step};
use crate::imports;
use crate::storage::{checked, failed, read_only};
use crate::windows;

/// Zeros written ahead of a writer whose messages are synced: those syncs find blocks that were written before.
const AHEAD_BYTES: u64 = 1024 * 1024;
/// Bytes that are written without a look at the length of the file, before the sync that vouches for them.
const UNCHECKED_BYTES: usize = 64 * 1024;
/// Greatest buffer that is kept between writes.
const KEPT_BUFFER_BYTES: usize = 1024 * 1024;

thread_local! {
    /// Where the bytes of a write are put together.
    static BUFFER: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

pub struct WasmSegment {
    handle: u32,
    path: String,
    size: u64,
    read_only: bool,
    /// Zeros are written ahead of messages.
    ahead: bool,
    /// Messages or zeros stand up to here; `None`: not known, or nobody cares.
    zeros: Cell<Option<u64>>,
    /// Bytes written since the file was last seen to have its size.
    unchecked: Cell<usize>,
}

impl WasmSegment {
    /// Over an open file, `created` just now or holding messages. `ahead`: its messages will be synced one group at a time.
    pub fn new(handle: u32, path: &str, size: u64, read_only: bool, ahead: bool, created: bool) -> Self {
        Self {
            handle,
            path: path.to_owned(),
            size,
            read_only,
            ahead,
            zeros: Cell::new((ahead && created).then_some(0)),
            unchecked: Cell::new(usize::MAX),
        }
    }

    fn check(&self, syscall: &'static str, at: u64, len: u64) -> Result<(), IoError> {
        if at <= self.size && len <= self.size - at {
            return Ok(());
        }
        let reason = format!("{len} bytes at {at} do not lie within the file's {}", self.size);
        Err(IoError::new(IoKind::Other, syscall, &self.path, &reason))
    }

    fn changeable(&self, syscall: &'static str) -> Result<(), IoError> {
        if self.read_only { Err(read_only(syscall, &self.path)) } else { Ok(()) }
    }

    fn fetch(&self, at: u64, out: &mut [u8]) -> Result<(), IoError> {
        let read = checked(imports::read(self.handle, at, out), &self.path)?;
        if read as usize == out.len() {
            return Ok(());
        }
        let len = imports::size(self.handle);
        let reason = format!("the file ends after {len} bytes, want {} at {at}", out.len());
        Err(IoError::new(IoKind::Other, "pread", &self.path, &reason))
    }

    /// A call would silently extend a file that somebody has cut.
    fn check_whole(&self) -> Result<(), IoError> {
        self.unchecked.set(0);
        let len = imports::size(self.handle);
        if len < 0.0 {
            return Err(failed(len as i32, &self.path));
        }
        if len >= self.size as f64 {
            return Ok(());
        }
        let reason = format!("the file was cut shorter: {len} bytes, it had {}", self.size);
        Err(IoError::new(IoKind::Other, "pwrite", &self.path, &reason))
    }

    /// Runs `clear`, which makes everything from `at` on read as zero, for good.
    fn restart_at(&self, at: u64, clear: impl FnOnce() -> Result<(), IoError>) -> Result<(), IoError> {
        self.changeable("pwrite")?;
        self.check("pwrite", at, 0)?;
        self.zeros.set(None);
        windows::forget(self.handle, at, self.size);
        clear()?;
        self.zeros.set(self.ahead.then_some(at));
        Ok(())
    }
}

impl Segment for WasmSegment {
    fn size(&self) -> u64 {
        self.size
    }

    fn read_at(&self, at: u64, out: &mut [u8]) -> Result<(), IoError> {
        self.check("read", at, out.len() as u64)?;
        windows::read(self.handle, self.size, at, out, |at, out| self.fetch(at, out))
    }

    fn reserve(&self, end: u64) -> Result<(), IoError> {
        self.changeable("pwrite")?;
        self.check("pwrite", end, 0)?;
        while let Some(zeros) = self.zeros.get().filter(|&zeros| zeros < end) {
            // Up to the next multiple, and only what was not written: a zero never meets a message.
            let to = (zeros - zeros % AHEAD_BYTES + AHEAD_BYTES).min(self.size);
            checked(imports::zero(self.handle, zeros, to), &self.path)?;
            self.zeros.set(Some(to));
        }
        Ok(())
    }

    fn fill<R>(&self, at: u64, len: usize, write: impl FnOnce(&mut [u8]) -> R) -> Result<R, IoError> {
        self.changeable("pwrite")?;
        self.check("pwrite", at, len as u64)?;
        if self.unchecked.get() >= UNCHECKED_BYTES {
            self.check_whole()?;
        }
        self.unchecked.set(self.unchecked.get() + len);
        windows::forget(self.handle, at, at + len as u64);
        BUFFER.with_borrow_mut(|buffer| {
            if buffer.len() < len {
                if buffer.try_reserve_exact(len - buffer.len()).is_err() {
                    return Err(IoError::new(IoKind::Busy, "pwrite", &self.path, "the WebAssembly engine has no memory left"));
                }
                buffer.resize(len, 0);
            }
            let result = write(&mut buffer[..len]);
            let written = imports::write(self.handle, at, &buffer[..len]);
            if buffer.capacity() > KEPT_BUFFER_BYTES {
                *buffer = Vec::new();
            }
            checked(written, &self.path)?;
            Ok(result)
        })
    }

    fn zero_from(&self, at: u64) -> Result<(), IoError> {
        self.restart_at(at, || match checked(imports::clear(self.handle, at, self.size), &self.path)? {
            0 => Ok(()),
            _ => checked(imports::sync(self.handle), &self.path).map(drop),
        })
    }

    fn zero_again(&self, at: u64) -> Result<(), IoError> {
        self.restart_at(at, || {
            // Node.js has no call that gives blocks back, nor one that tells which there are.
            checked(imports::zero(self.handle, at, self.size), &self.path)?;
            checked(imports::sync(self.handle), &self.path).map(drop)
        })
    }

    fn sync(&self, _from: u64, _to: u64) -> Result<(), IoError> {
        self.changeable("fdatasync")?;
        self.check_whole()?;
        if deferred::note(Step::Sync, 0, f64::from(self.handle), &self.path, &[]) {
            return Ok(());
        }
        checked(imports::sync(self.handle), &self.path).map(drop)
    }
}

impl Drop for WasmSegment {
    fn drop(&mut self) {
        windows::forget(self.handle, 0, self.size);
        imports::close(self.handle);
    }
}
