//! The pages of a segment that is written through its mapping: had ready ahead of the writer, taken out of the page table
//! behind it.
//!
//! The first store into a page costs a fault, in which the system enters it into the page table. A thread that has nothing
//! to do asks for that in front of the writer, a piece at a time.
//!
//! A page that is mapped and dirty costs more when it is written back: the system protects each one against stores first,
//! and stops every processor that runs a thread of the process to say so (in a virtual machine 9 µs a page). Taken out of
//! the page table many at a time, without their contents, they cost a hundredth.
//!
//! How far ahead follows from how much was written since the last sync: what is ready and then not written goes to the
//! disk as zeros, and so never is more than what was written.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::mapped::Mapping;

/// Pages are had ready, and taken out, in multiples of this, and zeros written ahead in pieces of it. The page cache takes a
/// write as one unit, and one store into a mapped unit makes all of it dirty: with 1 MiB a durable group of 64 KiB took 520
/// µs, with 64 KiB 115 µs; with 4 KiB writing the zeros takes twice as long.
pub(crate) const PIECE_BYTES: u64 = 64 * 1024;
/// Most bytes that are had ready ahead.
const GREATEST_LEAD_BYTES: u64 = 32 * 1024 * 1024;
/// Where the writer has overtaken, its next pages are left to it.
const HEAD_START_BYTES: u64 = 4 * PIECE_BYTES;
/// Bytes behind the writer that are taken out together.
const BEHIND_BYTES: u64 = 4 * 1024 * 1024;

/// What is known of the pages of one segment. Positions are multiples of a piece, but for `synced`.
pub(crate) struct Pages {
    mapping: Arc<Mapping>,
    /// Whether the system can be asked for pages. Otherwise each is had by the first store into it.
    asks: AtomicBool,
    /// Behind the last page that was had ready; 0 after a sync, which protects them against stores.
    ready: AtomicU64,
    /// Below it the pages were taken out.
    taken_out: AtomicU64,
    /// Where the writer was at the last sync.
    synced: AtomicU64,
}

impl Pages {
    pub(crate) fn new(mapping: Arc<Mapping>, asks: bool) -> Self {
        Self { mapping, asks: AtomicBool::new(asks), ready: AtomicU64::new(0), taken_out: AtomicU64::new(0), synced: AtomicU64::new(0) }
    }

    /// Whether stores up to `end` meet pages that are ready.
    pub(crate) fn are_ready(&self, end: u64) -> bool {
        end <= self.ready.load(Ordering::Acquire)
    }

    /// How far ahead of a writer that was let go to `released` pages are to be ready: as much as it has written.
    pub(crate) fn lead(&self, released: u64) -> u64 {
        released.saturating_sub(self.synced.load(Ordering::Acquire)).min(GREATEST_LEAD_BYTES)
    }

    /// Position of the writer from which on there is something to do.
    pub(crate) fn asks_from(&self) -> u64 {
        if !self.asks.load(Ordering::Relaxed) {
            return u64::MAX;
        }
        let (ready, synced) = (self.ready.load(Ordering::Acquire), self.synced.load(Ordering::Acquire));
        let lead = ready.saturating_sub(synced).min(GREATEST_LEAD_BYTES) / 2;
        ready.saturating_sub(lead / 2).max(synced + PIECE_BYTES)
    }

    /// The next piece to have ready, for a writer that was let go to `released`, in a file of `size` bytes; `None`: nothing
    /// for now.
    pub(crate) fn next(&self, released: u64, size: u64) -> Option<(u64, u64)> {
        let lead = self.lead(released);
        if lead < PIECE_BYTES || !self.asks.load(Ordering::Relaxed) {
            return None;
        }
        let ready = self.ready.load(Ordering::Acquire);
        let from = if ready < released { (released + HEAD_START_BYTES.min(lead / 2)) / PIECE_BYTES * PIECE_BYTES } else { ready };
        let to = (from + PIECE_BYTES).min(size);
        (from < to && from < released + lead).then_some((from, to))
    }

    /// Has `from..to` ready, where there is storage already, and takes out what the writer has left far behind.
    pub(crate) fn have_ready(&self, from: u64, to: u64, released: u64) {
        if self.mapping.populate(from as usize, (to - from) as usize) {
            self.ready.store(to, Ordering::Release);
        } else {
            // An old system, or a page that cannot be had: the store into it tells.
            self.asks.store(false, Ordering::Relaxed);
        }
        let behind = released.saturating_sub(PIECE_BYTES) / PIECE_BYTES * PIECE_BYTES;
        if behind >= self.taken_out.load(Ordering::Relaxed) + BEHIND_BYTES {
            self.take_out(behind);
        }
    }

    /// Before a sync: takes out what was written since the last one, if that is worth it.
    pub(crate) fn before_sync(&self, released: u64) {
        let written = released.saturating_sub(self.synced.swap(released, Ordering::AcqRel));
        if written >= PIECE_BYTES {
            // Those ahead as well: the sync would protect each of them, too.
            self.take_out(self.ready.swap(0, Ordering::AcqRel).max(released).next_multiple_of(PIECE_BYTES));
            self.taken_out.store(released / PIECE_BYTES * PIECE_BYTES, Ordering::Relaxed);
        }
    }

    /// The writer goes on at `at`, in pages of which nothing is known.
    pub(crate) fn restart_at(&self, at: u64) {
        self.ready.store(0, Ordering::Release);
        self.synced.store(at, Ordering::Release);
        self.taken_out.store(at / PIECE_BYTES * PIECE_BYTES, Ordering::Relaxed);
    }

    fn take_out(&self, to: u64) {
        let from = self.taken_out.swap(to, Ordering::Relaxed);
        self.mapping.take_out(from, to);
    }
}
#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: u64 = 1 << 30;

    fn pages() -> Pages {
        let path = std::env::temp_dir().join(format!("moraine-pages-{}-{:?}", std::process::id(), std::thread::current().id()));
        let file = std::fs::File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
        std::fs::remove_file(&path).unwrap();
        file.set_len(SIZE).unwrap();
        Pages::new(Arc::new(Mapping::new(&file, SIZE, true).unwrap()), true)
    }

    #[test]
    fn what_is_ready_ahead_is_never_more_than_what_was_written() {
        let pages = pages();
        let mut released = 0;
        for step in [1000, 70_000, 100, 300_000, 65_536, 4_000_000, 1] {
            released += step;
            while let Some((from, to)) = pages.next(released, SIZE) {
                assert_eq!((from % PIECE_BYTES, to - from), (0, PIECE_BYTES));
                pages.have_ready(from, to, released);
                assert!(to <= 2 * released + PIECE_BYTES, "ready to {to}, written {released}");
            }
            assert_eq!(pages.are_ready(released), released >= PIECE_BYTES, "written {released}");
            assert!(pages.asks_from() >= released, "nothing is left to do");
        }
    }

    #[test]
    fn after_a_sync_nothing_is_ready_until_something_was_written() {
        let pages = pages();
        let released = 10 * PIECE_BYTES + 7;
        pages.have_ready(10 * PIECE_BYTES, 12 * PIECE_BYTES, released);
        assert!(pages.are_ready(11 * PIECE_BYTES));
        pages.before_sync(released);
        assert!(!pages.are_ready(1));
        assert_eq!(pages.next(released + PIECE_BYTES - 1, SIZE), None);
        assert_eq!(pages.asks_from(), released + PIECE_BYTES);
        assert!(pages.next(released + PIECE_BYTES, SIZE).is_some_and(|(from, _)| from >= 10 * PIECE_BYTES));
    }

    #[test]
    fn nothing_is_asked_for_behind_the_end_of_the_file() {
        let pages = pages();
        pages.restart_at(0);
        assert_eq!(pages.next(SIZE, SIZE), None);
        let size = 3 * PIECE_BYTES + 4096;
        assert_eq!(pages.next(3 * PIECE_BYTES, size), None, "what is left is the writer's");
        assert_eq!(pages.next(PIECE_BYTES, size), Some((PIECE_BYTES, 2 * PIECE_BYTES)));
    }

    #[test]
    fn where_the_system_cannot_nothing_is_asked_for() {
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        let pages = Pages::new(Arc::new(Mapping::new(&file, PIECE_BYTES * 4, false).unwrap()), true);
        pages.have_ready(0, PIECE_BYTES, PIECE_BYTES);
        assert!(!pages.are_ready(1));
        assert_eq!((pages.asks_from(), pages.next(3 * PIECE_BYTES, SIZE)), (u64::MAX, None));
    }
}
