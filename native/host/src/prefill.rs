//! The prefill frontier: storage is given to a segment ahead of the writer, so that a store into its mapping never
//! meets a full disk, and so that a sync finds blocks that were written before and has no metadata to write.
//!
//! Two positions in a segment: the writer is let go up to `reserve(end)`, zeros are written from the frontier on. The
//! frontier is never below what the writer was let go to, so a zero never meets a message.

use std::collections::VecDeque;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use moraine_core::error::{IoError, IoKind};
use rustix::fs::FallocateFlags;
use rustix::io::Errno;

use crate::errno::io_error;
use crate::holes::data_from;

/// Zeros in one write. The page cache takes it as one unit, and one store into a mapped unit makes all of it dirty: with
/// 1 MiB a durable group of 64 KiB took 520 µs, with 64 KiB 115 µs, with 4 KiB the writing of the zeros costs three times as much.
const PIECE_BYTES: u64 = 64 * 1024;
/// What one turn does before others may go on.
const STEP_BYTES: u64 = 1024 * 1024;
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
    /// Greatest end of a reservation.
    released: AtomicU64,
    window: AtomicU64,
    queued: AtomicBool,
    turn: Mutex<Turn>,
    moved: Condvar,
    waiting: AtomicBool,
    /// The first failed sync. The system tells it once per open file, to whoever comes first: the other side must hear of
    /// it too, so it is kept, and one sync runs at a time.
    failed_sync: Mutex<Option<IoError>>,
}

struct Turn {
    taken: bool,
    /// Whether `reached` is a position from which zeros may be written. Not in a segment just opened: its end is not known here.
    known: bool,
}

impl Frontier {
    /// Of a file just created, all zeros.
    pub(crate) fn of_created(file: File, path: &str, size: u64, ahead: Ahead) -> Self {
        Self::new(file, path, size, ahead, true)
    }

    /// Of a file that may hold messages.
    pub(crate) fn of_opened(file: File, path: &str, size: u64, ahead: Ahead) -> Self {
        Self::new(file, path, size, ahead, false)
    }

    fn new(file: File, path: &str, size: u64, ahead: Ahead, known: bool) -> Self {
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

    /// Lets the writer go up to `end`, at most the segment's size.
    pub(crate) fn reserve(self: &Arc<Self>, end: u64, background: &Prefiller) -> Result<(), IoError> {
        if end <= self.low_water.load(Ordering::Acquire) {
            return Ok(());
        }
        self.released.fetch_max(end, Ordering::AcqRel);
        if end > self.reached.load(Ordering::Acquire) {
            self.catch_up(end)?;
        }
        if self.reached.load(Ordering::Acquire) < self.size && !self.queued.swap(true, Ordering::AcqRel) {
            background.queue(self);
        }
        Ok(())
    }

    /// The writer has come to the frontier: waits for the turn that is going on, or takes one itself.
    fn catch_up(&self, end: u64) -> Result<(), IoError> {
        let window = self.window.load(Ordering::Relaxed);
        self.window.store((window * 2).min(GREATEST_WINDOW_BYTES), Ordering::Relaxed);
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
                let reason = format!("no room for the next message within {} ms: the disk is slower than the writer", LONGEST_WAIT.as_millis());
                return Err(IoError::new(IoKind::Busy, "prefill", &self.path, &reason));
            }
            self.waiting.store(true, Ordering::SeqCst);
            turn = self.moved.wait_timeout(turn, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let known = turn.known;
        let taken = self.take(turn);
        if known {
            let to = end.max(self.reached.load(Ordering::Acquire).saturating_add(STEP_BYTES)).min(self.size);
            return self.extend(to);
        }
        // The first reservation in a segment that was opened: its messages end somewhere below `end`, so nothing may be
        // written there. The file system promises the room instead; the zeros start above.
        self.allocate(0, end)?;
        self.advance_to(end);
        taken.now_known();
        Ok(())
    }

    /// One turn of the background thread. False when there is nothing left to do for now.
    fn step_ahead(&self) -> Result<bool, IoError> {
        let turn = self.lock();
        let reached = self.reached.load(Ordering::Acquire);
        let window = self.window.load(Ordering::Relaxed);
        let target = self.released.load(Ordering::Acquire).saturating_add(window).min(self.size);
        if turn.taken || !turn.known || reached >= target {
            return Ok(false);
        }
        let taken = self.take(turn);
        self.extend(target.min(reached.saturating_add(STEP_BYTES)))?;
        drop(taken);
        if self.ahead == Ahead::Synced {
            self.sync()?;
        }
        Ok(true)
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
        taken.now_known();
        Ok(())
    }

    /// Makes everything written so far survive a power cut. After a failure nothing is tried again.
    pub(crate) fn sync(&self) -> Result<(), IoError> {
        let mut failed = self.failed_sync.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.is_none() {
            *failed = self.file.sync_data().err().map(|error| io_error(&error, "fdatasync", &self.path));
        }
        failed.clone().map_or(Ok(()), Err)
    }

    /// Gives storage to `reached..to`. By the holder of the turn.
    fn extend(&self, to: u64) -> Result<(), IoError> {
        let mut at = self.reached.load(Ordering::Acquire);
        while at < to {
            // Up to the next multiple, so that the units of the page cache stay aligned.
            let piece = (PIECE_BYTES - at % PIECE_BYTES).min(self.size - at);
            match self.ahead {
                Ahead::Allocated => {
                    self.allocate(at, to - at)?;
                    at = to;
                }
                Ahead::Synced | Ahead::Written => {
                    self.write_zeros(at, piece)?;
                    at += piece;
                }
            }
            self.advance_to(at);
        }
        Ok(())
    }

    /// Has the file system promise room for `at..at + len`, whatever is there.
    fn allocate(&self, at: u64, len: u64) -> Result<(), IoError> {
        match rustix::io::retry_on_intr(|| rustix::fs::fallocate(&self.file, FallocateFlags::empty(), at, len)) {
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
        self.frontier.waiting.store(false, Ordering::SeqCst);
        drop(turn);
        self.frontier.moved.notify_all();
    }
}

/// The background thread of a store. Started by the first segment that asks for it, ended and waited for by `stop`
/// or drop: once that has returned nothing is written any more.
pub(crate) struct Prefiller {
    queue: Arc<Queue>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Queue {
    jobs: Mutex<Jobs>,
    more: Condvar,
}

#[derive(Default)]
struct Jobs {
    waiting: VecDeque<Arc<Frontier>>,
    stopped: bool,
    started: bool,
}

impl Prefiller {
    pub(crate) fn new() -> Self {
        Self { queue: Arc::default(), thread: Mutex::new(None) }
    }

    fn queue(&self, frontier: &Arc<Frontier>) {
        let mut jobs = self.queue.lock();
        if jobs.stopped {
            return;
        }
        if !jobs.started {
            let queue = self.queue.clone();
            match std::thread::Builder::new().name("moraine-prefill".into()).spawn(move || queue.work()) {
                Ok(thread) => {
                    jobs.started = true;
                    *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
                }
                Err(_) => {
                    // No thread to be had: the writer prefills for itself, and asks again later.
                    frontier.queued.store(false, Ordering::Release);
                    return;
                }
            }
        }
        jobs.waiting.push_back(frontier.clone());
        drop(jobs);
        self.queue.more.notify_one();
    }

    /// Ends the thread and waits for it: at most one step.
    pub(crate) fn stop(&self) {
        let mut jobs = self.queue.lock();
        jobs.stopped = true;
        jobs.waiting.clear();
        drop(jobs);
        self.queue.more.notify_all();
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // It does not panic; if it did, there is nothing to add to what the panic has said.
            let _ = thread.join();
        }
    }
}

impl Drop for Prefiller {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        while let Some(frontier) = self.next() {
            frontier.queued.store(false, Ordering::Release);
            // An error needs no report: a full disk is found again by the writer when it gets there, a failed sync is kept.
            while matches!(frontier.step_ahead(), Ok(true)) && !self.lock().stopped {}
        }
    }

    fn next(&self) -> Option<Arc<Frontier>> {
        let mut jobs = self.lock();
        loop {
            if jobs.stopped {
                return None;
            }
            if let Some(frontier) = jobs.waiting.pop_front() {
                return Some(frontier);
            }
            jobs = self.more.wait(jobs).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
