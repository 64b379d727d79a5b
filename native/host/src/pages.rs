//! The pages of a segment that is stored into through its mapping: entered into the page table ahead of the writer, taken out
//! of it behind.
//!
//! The first store into a page costs a fault, in which the system enters it. The background asks for that, a piece of zeros
//! at a time.
//!
//! A page that is mapped and dirty costs more when it is written back: the system protects each one against stores first,
//! and stops every processor that runs a thread of the process to say so (in a virtual machine 9 µs a page). Taken out of
//! the page table many at a time, without their contents, they cost a hundredth.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::mapped::Mapping;

/// Zeros are written ahead, and their pages entered, in pieces of this. The page cache takes a write as one unit, and one store
/// into a mapped unit makes all of it dirty: with 1 MiB a durable group of 64 KiB took 520 µs, with 64 KiB 115 µs; with 4 KiB
/// writing the zeros takes twice as long.
pub(crate) const PIECE_BYTES: u64 = 64 * 1024;
/// Bytes behind the writer that are taken out together.
const BEHIND_BYTES: u64 = 4 * 1024 * 1024;

/// What is known of the pages of one segment.
pub(crate) struct Pages {
    mapping: Arc<Mapping>,
    /// Behind the last page that was entered.
    entered: AtomicU64,
    /// Below it pages were taken out. A multiple of a piece.
    taken_out: AtomicU64,
    /// Where the writer was at the last sync.
    synced: AtomicU64,
}

impl Pages {
    pub(crate) fn new(mapping: Arc<Mapping>) -> Self {
        Self { mapping, entered: AtomicU64::new(0), taken_out: AtomicU64::new(0), synced: AtomicU64::new(0) }
    }

    /// Enters the pages of `from..to`, over which zeros were written, for a writer that was let go to `released`; takes out what
    /// that has left far behind.
    pub(crate) fn enter(&self, from: u64, to: u64, released: u64) {
        // Where the system cannot, or a page cannot be had, the store into it does, or tells.
        if self.mapping.populate(from as usize, (to - from) as usize) {
            self.entered.store(to, Ordering::Release);
        }
        let behind = released.saturating_sub(PIECE_BYTES) / PIECE_BYTES * PIECE_BYTES;
        if behind >= self.taken_out.load(Ordering::Relaxed) + BEHIND_BYTES {
            self.take_out(behind);
        }
    }

    /// Before a sync: takes out what was written since the last one, if that is worth it, and what lies ahead, which the sync
    /// would protect, too.
    pub(crate) fn before_sync(&self, released: u64) {
        let written = released.saturating_sub(self.synced.swap(released, Ordering::AcqRel));
        if written >= PIECE_BYTES {
            self.take_out(self.entered.load(Ordering::Acquire).max(released).next_multiple_of(PIECE_BYTES));
            self.taken_out.store(released / PIECE_BYTES * PIECE_BYTES, Ordering::Relaxed);
        }
    }

    /// The writer goes on at `at`, in pages of which nothing is known.
    pub(crate) fn restart_at(&self, at: u64) {
        self.entered.store(0, Ordering::Release);
        self.synced.store(at, Ordering::Release);
        self.taken_out.store(at / PIECE_BYTES * PIECE_BYTES, Ordering::Relaxed);
    }

    fn take_out(&self, to: u64) {
        let from = self.taken_out.swap(to, Ordering::Relaxed);
        self.mapping.take_out(from, to);
    }
}
