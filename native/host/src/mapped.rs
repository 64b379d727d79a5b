//! A mapped file, reached through guarded copies only: no pointer into it leaves this module.

use std::fs::File;
use std::io;
use std::ptr;
use std::sync::{Mutex, TryLockError};

use memmap2::{MmapOptions, MmapRaw, UncheckedAdvice};

use crate::fault::Registration;

/// More would push out of the processor's cache what is worked on.
const FETCHED_AHEAD_BYTES: u64 = 4096;

/// Why an access did not happen, or does not count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// A page could not be had. What was read is zeros, what was written is lost.
    Faulted,
    /// Somebody else is writing at this moment.
    Contended,
}

/// The whole of a file, shared with every other process that maps or reads it.
pub(crate) struct Mapping {
    // Before the map: it must be forgotten before the addresses are given back.
    guard: Registration,
    map: MmapRaw,
    writable: bool,
    /// Held while a caller has a slice of the mapping.
    writing: Mutex<()>,
}

impl Mapping {
    /// Maps `len` bytes, more than none, of a file opened for reading and, if `writable`, for writing.
    pub(crate) fn new(file: &File, len: u64, writable: bool) -> io::Result<Self> {
        let len = usize::try_from(len).map_err(|_| io::Error::from(io::ErrorKind::FileTooLarge))?;
        let mut options = MmapOptions::new();
        options.len(len);
        let map = if writable { options.map_raw(file)? } else { options.map_raw_read_only(file)? };
        let guard = Registration::new(map.as_ptr() as usize, len).map_err(io::Error::from_raw_os_error)?;
        Ok(Self { guard, map, writable, writing: Mutex::new(()) })
    }

    /// Whether an access has faulted. From then on nothing is read or written here.
    pub(crate) fn faulted(&self) -> bool {
        self.guard.faulted()
    }

    /// Copies `out.len()` bytes from `at`, which lie within the mapping.
    pub(crate) fn read(&self, at: usize, out: &mut [u8]) -> Result<(), Refused> {
        assert!(at <= self.map.len() && out.len() <= self.map.len() - at, "read past the mapping");
        if self.guard.faulted() {
            return Err(Refused::Faulted);
        }
        // SAFETY: the range was checked just now and stays mapped as long as `self`; `out` is memory of the caller's
        // own. A page that cannot be had is replaced by zeros (fault.rs). The seam's contract keeps readers away from
        // bytes that `write` is filling, and other processes from changing a store that is locked.
        // Broken by: `a_truncated_segment_answers_with_errors`, `readers_and_the_writer_share_a_segment`.
        unsafe { ptr::copy_nonoverlapping(self.map.as_ptr().add(at), out.as_mut_ptr(), out.len()) };
        if self.guard.faulted() { Err(Refused::Faulted) } else { Ok(()) }
    }

    /// As [`Mapping::read`], of any bytes; false where they do not lie within the mapping, or cannot be had.
    pub(crate) fn read_within(&self, at: u64, out: &mut [u8]) -> bool {
        let end = at.checked_add(out.len() as u64);
        end.is_some_and(|end| end <= self.map.len() as u64) && self.read(at as usize, out).is_ok()
    }

    /// Has the processor fetch the bytes `at..at + len`, as far as they lie within the mapping and its pages are in the page
    /// table, and does not wait for them.
    pub(crate) fn fetch_ahead(&self, at: u64, len: u64) {
        const LINE_BYTES: usize = 64;
        let to = at.saturating_add(len.min(FETCHED_AHEAD_BYTES)).min(self.map.len() as u64) as usize;
        #[cfg(target_arch = "x86_64")]
        for at in (at as usize & !(LINE_BYTES - 1)..to).step_by(LINE_BYTES) {
            use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
            // SAFETY: the address lies within the mapping; a hint reads nothing that the program sees, and never faults.
            unsafe { _mm_prefetch::<_MM_HINT_T0>(self.map.as_ptr().add(at).cast::<i8>()) };
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = (to, LINE_BYTES);
    }

    /// Hands `write` the bytes `at..at + len`, which lie within the mapping. One caller at a time.
    pub(crate) fn write<R>(&self, at: usize, len: usize, write: impl FnOnce(&mut [u8]) -> R) -> Result<R, Refused> {
        assert!(self.writable, "write to a mapping for reading");
        assert!(at <= self.map.len() && len <= self.map.len() - at, "write past the mapping");
        let _exclusive = match self.writing.try_lock() {
            Ok(exclusive) => exclusive,
            // A writer that panicked left bytes that nobody counts as written.
            Err(TryLockError::Poisoned(left)) => left.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(Refused::Contended),
        };
        if self.guard.faulted() {
            return Err(Refused::Faulted);
        }
        // SAFETY: checked range, mapped and writable as long as `self`; `writing` makes this the only slice, it ends
        // with the call, and readers stay below the position that the writer has finished (the seam's contract).
        // Bytes of a mapping are always initialised. Broken by: `readers_and_the_writer_share_a_segment`.
        let bytes = unsafe { std::slice::from_raw_parts_mut(self.map.as_mut_ptr().add(at), len) };
        let result = write(bytes);
        if self.guard.faulted() { Err(Refused::Faulted) } else { Ok(result) }
    }

    /// Has every page of a range in memory and in the page table, ready for stores. False where the system cannot, or a page
    /// cannot be had.
    pub(crate) fn populate(&self, at: usize, len: usize) -> bool {
        assert!(at <= self.map.len() && len <= self.map.len() - at, "populate past the mapping");
        #[cfg(target_os = "linux")]
        return !self.guard.faulted() && self.map.advise_range(memmap2::Advice::PopulateWrite, at, len).is_ok();
        #[cfg(not(target_os = "linux"))]
        return false;
    }

    /// Takes the pages of `from..to` out of the page table; the next access brings each back, as it is in the file.
    pub(crate) fn take_out(&self, from: u64, to: u64) {
        let to = to.min(self.map.len() as u64);
        if from >= to || self.guard.faulted() {
            return;
        }
        // SAFETY: the mapping is shared with its file, which keeps what was stored into the pages; no Rust value changes.
        // Broken by: `pages_that_were_taken_out_keep_what_was_stored`.
        let advised = unsafe { self.map.unchecked_advise_range(UncheckedAdvice::DontNeed, from as usize, (to - from) as usize) };
        // Without it a sync takes longer.
        let _ = advised;
    }
}
