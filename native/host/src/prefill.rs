//! The prefill frontier: storage is given to a segment ahead of the writer, so that a store into its mapping never
//! meets a full disk, and so that a sync finds blocks that were written before and has no metadata to write.
//!
//! Zeros are written from the frontier on, the writer is let go up to `reserve(end)`, and the frontier is never below
//! what the writer was let go to: so a zero never meets a message.
//!
//! Over zeros written for stores the pages are entered into the page table, too (`pages.rs`).
//!
//! Large batches are written by a call, which needs no zeros: a writer of such batches that comes to the frontier gets a
//! *leap*, a stretch that the file system has promised, and the background stays out of its way (two calls that write
//! one file wait for each other). Unless the zeros are to be synced ahead: a durable group wants blocks already written.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use moraine_core::error::{IoError, IoKind};
use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use crate::background::Background;
use crate::errno::io_error;
use crate::holes::data_from;
use crate::mapped::Mapping;
use crate::pages::{PIECE_BYTES, Pages};

/// What a writer that has caught up with small messages prefills for itself, and what is synced at once in the background.
const STEP_BYTES: u64 = 1024 * 1024;
/// A stretch without zeros for a writer of large batches.
const LEAP_BYTES: u64 = 4 * 1024 * 1024;
/// From this size on a batch is better written by a call than into a mapping that has to be prefilled first
/// (64 KiB: 290 against 540 ns per KiB; one message of 1 KiB: 1,150 against 540).
const LARGE_BATCH_BYTES: u64 = 16 * 1024;
/// How far the frontier is held ahead of the writer: at first, and after the writer has caught up a few times.
const FIRST_WINDOW_BYTES: u64 = 16 * 1024 * 1024;
const GREATEST_WINDOW_BYTES: u64 = 64 * 1024 * 1024;
/// Longest wait of a writer for somebody else's turn.
const LONGEST_WAIT: Duration = Duration::from_millis(100);

static ZEROS: [u8; PIECE_BYTES as usize] = [0; PIECE_BYTES as usize];

/// What is put ahead of the writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ahead {
    /// Zeros, synced: the blocks are written when a durable group comes to them.
    Synced,
    /// Zeros in the page cache: they go to the disk together with what replaces them.
    Written,
    /// Only the promise of the file system, where written blocks do not keep their space or nothing is mapped.
    Allocated,
}

/// A segment's file and how far it may be written.
pub(crate) struct Frontier {
    file: File,
    path: String,
    size: u64,
    ahead: Ahead,
    /// First byte without storage. Moved up by the holder of the turn only.
    reached: AtomicU64,
    /// A reservation above this asks for more in the background.
    low_water: AtomicU64,
    /// Greatest end of a reservation. Set by the writer.
    released: AtomicU64,
    window: AtomicU64,
    queued: AtomicBool,
    turn: Mutex<Turn>,
    moved: Condvar,
    waiting: AtomicBool,
    /// The first failed sync. The system tells it once per open file, to whoever comes first: the other side must hear of
    /// it too, so it is kept, and one sync runs at a time.
    failed_sync: Mutex<Option<IoError>>,
    /// Behind the last leap: from here to `reached` there are zeros in the page cache, or messages.
    zeros_from: AtomicU64,
    /// Of a file that is written through a mapping.
    pages: Option<Pages>,
}

#[derive(Clone, Copy)]
struct Turn {
    taken: bool,
    /// Whether `reached` is a position from which zeros may be written. Not in a segment just opened: its end is not known here.
    known: bool,
}

impl Frontier {
    /// Of a file just created, all zeros; `mapping`: what it is written through.
    pub(crate) fn of_created(file: File, path: &str, size: u64, ahead: Ahead, mapping: Option<Arc<Mapping>>) -> Self {
        Self::new(file, path, size, ahead, mapping, true)
    }

    /// Of a file that may hold messages.
    pub(crate) fn of_opened(file: File, path: &str, size: u64, ahead: Ahead, mapping: Option<Arc<Mapping>>) -> Self {
        Self::new(file, path, size, ahead, mapping, false)
    }

    fn new(file: File, path: &str, size: u64, ahead: Ahead, mapping: Option<Arc<Mapping>>, known: bool) -> Self {
        Self {
            file,
            path: path.to_owned(),
            size,
            ahead,
            reached: AtomicU64::new(0),
            low_water: AtomicU64::new(0),
            released: AtomicU64::new(0),
            window: AtomicU64::new(FIRST_WINDOW_BYTES),
            queued: AtomicBool::new(false),
            turn: Mutex::new(Turn { taken: false, known }),
            moved: Condvar::new(),
            waiting: AtomicBool::new(false),
            failed_sync: Mutex::new(None),
            zeros_from: AtomicU64::new(0),
            pages: mapping.map(Pages::new),
        }
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    pub(crate) fn path(&self) -> &str {
        &self.path
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Whether `at..end` is better stored into the mapping than written by a call.
    pub(crate) fn is_for_stores(&self, at: u64, end: u64) -> bool {
        end - at < LARGE_BATCH_BYTES && at >= self.zeros_from.load(Ordering::Acquire)
    }

    /// Lets the writer go up to `end`, at most the segment's size. Called by one writer.
    pub(crate) fn reserve(self: &Arc<Self>, end: u64, background: &Background) -> Result<(), IoError> {
        let before = self.released.load(Ordering::Relaxed);
        self.released.store(end.max(before), Ordering::Release);
        if end <= self.low_water.load(Ordering::Acquire) {
            return Ok(());
        }
        let leaps = self.ahead == Ahead::Written && end.saturating_sub(before) >= LARGE_BATCH_BYTES;
        if end > self.reached.load(Ordering::Acquire) {
            self.catch_up(end, leaps)?;
        }
        if !leaps && self.reached.load(Ordering::Acquire) < self.size && !self.queued.swap(true, Ordering::AcqRel) {
            background.queue(self);
        }
        Ok(())
    }

    /// The writer has come to the frontier: waits for the turn that is going on, or takes one itself.
    fn catch_up(&self, end: u64, leaps: bool) -> Result<(), IoError> {
        if !leaps {
            let window = self.window.load(Ordering::Relaxed);
            self.window.store((window * 2).min(GREATEST_WINDOW_BYTES), Ordering::Relaxed);
        }
        let deadline = Instant::now() + LONGEST_WAIT;
        let mut turn = self.lock();
        loop {
            if end <= self.reached.load(Ordering::Acquire) {
                return Ok(());
            }
            if !turn.taken {
                break;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let reason =
                    format!("no room for the next message within {} ms: the disk is slower than the writer", LONGEST_WAIT.as_millis());
                return Err(IoError::new(IoKind::Busy, "prefill", &self.path, &reason));
            }
            self.waiting.store(true, Ordering::SeqCst);
            turn = self.moved.wait_timeout(turn, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let taken = self.take(turn);
        if !taken.known {
            // The first reservation in a segment that was opened: its messages end somewhere below `end`, so nothing may
            // be written there. The file system promises the room instead; the zeros start above.
            self.allocate(0, end)?;
            self.advance_to(end);
            if let Some(pages) = &self.pages {
                pages.restart_at(end);
            }
            taken.now_known();
            return Ok(());
        }
        let reached = self.reached.load(Ordering::Acquire);
        if leaps {
            return self.leap(reached, end);
        }
        let to = end.max(reached.saturating_add(STEP_BYTES)).min(self.size);
        while self.reached.load(Ordering::Acquire) < to {
            self.extend()?;
        }
        Ok(())
    }

    /// Moves the frontier to `end` at least, without zeros. By the holder of the turn.
    fn leap(&self, reached: u64, end: u64) -> Result<(), IoError> {
        let far = end.max(reached.saturating_add(LEAP_BYTES)).min(self.size);
        let to = match self.allocate(reached, far - reached) {
            // What is needed may still fit.
            Err(full) if full.kind == IoKind::Full && end < far => self.allocate(reached, end - reached).map(|()| end),
            outcome => outcome.map(|()| far),
        }?;
        self.zeros_from.store(to, Ordering::Release);
        self.advance_to(to);
        Ok(())
    }

    /// One turn in the background, so short that the writer can have one in between. False when there is nothing left to
    /// do for now.
    pub(crate) fn step_ahead(&self) -> Result<bool, IoError> {
        let turn = self.lock();
        let reached = self.reached.load(Ordering::Acquire);
        let released = self.released.load(Ordering::Acquire);
        let target = released.saturating_add(self.window.load(Ordering::Relaxed)).min(self.size);
        if turn.taken || !turn.known || reached >= target {
            return Ok(false);
        }
        let taken = self.take(turn);
        self.extend()?;
        let extended = self.reached.load(Ordering::Acquire);
        drop(taken);
        match (self.ahead, &self.pages) {
            (Ahead::Synced, _) if extended / STEP_BYTES != reached / STEP_BYTES => self.sync_file()?,
            (Ahead::Written, Some(pages)) => pages.enter(reached, extended, released),
            _ => {}
        }
        Ok(true)
    }

    pub(crate) fn leave_queue(&self) {
        self.queued.store(false, Ordering::Release);
    }

    /// Runs `cut`, which makes everything from `at` on read as zero; afterwards the frontier is there.
    pub(crate) fn restart_at(&self, at: u64, cut: impl FnOnce() -> Result<(), IoError>) -> Result<(), IoError> {
        let mut turn = self.lock();
        while turn.taken {
            self.waiting.store(true, Ordering::SeqCst);
            turn = self.moved.wait(turn).unwrap_or_else(PoisonError::into_inner);
        }
        // If the cut fails half way nothing is known about the segment.
        turn.known = false;
        let taken = self.take(turn);
        self.released.store(at, Ordering::Release);
        self.low_water.store(0, Ordering::Release);
        self.reached.store(0, Ordering::Release);
        cut()?;
        self.reached.store(at, Ordering::Release);
        self.zeros_from.store(at, Ordering::Release);
        if let Some(pages) = &self.pages {
            pages.restart_at(at);
        }
        taken.now_known();
        Ok(())
    }

    /// Makes everything written so far survive a power cut. After a failure nothing is tried again.
    pub(crate) fn sync(&self) -> Result<(), IoError> {
        if let Some(pages) = &self.pages {
            pages.before_sync(self.released.load(Ordering::Acquire));
        }
        self.sync_file()
    }

    fn sync_file(&self) -> Result<(), IoError> {
        let mut failed = self.failed_sync.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.is_none() {
            *failed = self.file.sync_data().err().map(|error| io_error(&error, "fdatasync", &self.path));
        }
        failed.clone().map_or(Ok(()), Err)
    }

    /// Gives storage to the next piece. By the holder of the turn.
    fn extend(&self) -> Result<(), IoError> {
        let at = self.reached.load(Ordering::Acquire);
        let to = match self.ahead {
            Ahead::Allocated => {
                let to = at.saturating_add(LEAP_BYTES).min(self.size);
                self.allocate(at, to - at)?;
                to
            }
            Ahead::Synced | Ahead::Written => {
                // Up to the next multiple, so that the units of the page cache stay aligned.
                let to = (at - at % PIECE_BYTES + PIECE_BYTES).min(self.size);
                self.write_zeros(at, to - at)?;
                to
            }
        };
        self.advance_to(to);
        Ok(())
    }

    /// Has the file system promise room for `at..at + len`, whatever is there.
    fn allocate(&self, at: u64, len: u64) -> Result<(), IoError> {
        match rustix::io::retry_on_intr(|| rustix::fs::fallocate(&self.file, FallocateFlags::KEEP_SIZE, at, len)) {
            Ok(()) => Ok(()),
            Err(Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => match self.ahead {
                // Nothing to be had; `pwrite` will tell of a full disk.
                Ahead::Allocated => Ok(()),
                Ahead::Synced | Ahead::Written => self.fill_holes(at, at + len),
            },
            Err(error) => Err(io_error(&error.into(), "fallocate", &self.path)),
        }
    }

    /// What `allocate` does on file systems without that call (ext2, ext3): a hole holds no message, so zeros can go there.
    fn fill_holes(&self, at: u64, end: u64) -> Result<(), IoError> {
        let mut at = at;
        while at < end {
            let (data, after) = data_from(&self.file, &self.path, at, end)?.unwrap_or((end, end));
            while at < data {
                let piece = PIECE_BYTES.min(data - at);
                self.write_zeros(at, piece)?;
                at += piece;
            }
            at = after;
        }
        Ok(())
    }

    fn write_zeros(&self, at: u64, len: u64) -> Result<(), IoError> {
        self.file.write_all_at(&ZEROS[..len as usize], at).map_err(|error| io_error(&error, "pwrite", &self.path))
    }

    fn advance_to(&self, at: u64) {
        self.reached.store(at, Ordering::Release);
        let low_water = if at >= self.size { self.size } else { at.saturating_sub(self.window.load(Ordering::Relaxed) / 2) };
        self.low_water.fetch_max(low_water, Ordering::AcqRel);
        if self.waiting.swap(false, Ordering::SeqCst) {
            // Taken so that the waiter is either before its look at `reached` or already asleep.
            drop(self.lock());
            self.moved.notify_all();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Turn> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self, mut turn: MutexGuard<'_, Turn>) -> TakenTurn<'_> {
        turn.taken = true;
        TakenTurn { frontier: self, known: turn.known }
    }
}

/// The right to move the frontier, given back on drop.
struct TakenTurn<'a> {
    frontier: &'a Frontier,
    known: bool,
}

impl TakenTurn<'_> {
    fn now_known(mut self) {
        self.known = true;
    }
}

impl Drop for TakenTurn<'_> {
    fn drop(&mut self) {
        let mut turn = self.frontier.lock();
        turn.taken = false;
        turn.known = self.known;
        let waiting = self.frontier.waiting.swap(false, Ordering::SeqCst);
        drop(turn);
        if waiting {
            self.frontier.moved.notify_all();
        }
    }
}
