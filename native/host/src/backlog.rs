//! Entries that wait for their files: when a put asks the flusher to write them, and when it has to wait for it.

use std::sync::PoisonError;
use std::time::Duration;

use crate::sync::atomic::{AtomicUsize, Ordering};
use crate::sync::{Condvar, Instant, Mutex, MutexGuard};

/// Queue and index entries that wait in memory before the flusher is woken to look at them.
const ASK_ENTRIES: usize = 65_536;
/// Entries that wait before those who put wait too: memory for them is bounded, and files are made more slowly than
/// messages are put.
const HOLD_ENTRIES: usize = 1_500_000;
/// Longest wait of one put. If the disk takes longer still, the engine answers STORE_BUSY in the end.
const LONGEST_HOLD: Duration = Duration::from_secs(1);

/// What puts and the flusher know of the entries that wait.
pub(crate) struct Backlog {
    /// Waiting entries at which a put asks for a write behind.
    ask_at: AtomicUsize,
    /// How many waited when this was last looked at.
    waiting: Mutex<usize>,
    less: Condvar,
    made: Instant,
}

impl Backlog {
    pub(crate) fn new() -> Self {
        Self { ask_at: AtomicUsize::new(ASK_ENTRIES), waiting: Mutex::new(0), less: Condvar::new(), made: Instant::now() }
    }

    /// After a put that left `waiting` entries: asks for a write behind, once for every so many entries, and waits for
    /// it where there are too many. To be called without the engine's lock.
    pub(crate) fn after_put(&self, waiting: usize, ask: impl FnOnce()) {
        if waiting >= HOLD_ENTRIES {
            *self.waiting() = waiting;
            ask();
            let too_many = |waiting: &mut usize| *waiting >= HOLD_ENTRIES;
            drop(self.less.wait_timeout_while(self.waiting(), LONGEST_HOLD, too_many));
        } else if waiting >= self.ask_at.load(Ordering::Relaxed) {
            self.ask_at.store(usize::MAX, Ordering::Relaxed);
            ask();
        }
    }

    /// How many of the entries wait that puts wait for, from 0 to 1.
    pub(crate) fn pressure(waiting: usize) -> f64 {
        (waiting as f64 / HOLD_ENTRIES as f64).min(1.0)
    }

    /// The flusher has written some.
    pub(crate) fn written(&self, waiting: usize) {
        *self.waiting() = waiting;
        self.less.notify_all();
    }

    /// The flusher has looked: the next puts ask again when there are so many more.
    pub(crate) fn looked_at(&self, waiting: usize) {
        self.ask_at.store(waiting.saturating_add(ASK_ENTRIES), Ordering::Relaxed);
        self.written(waiting);
    }

    /// A clock that nobody sets.
    pub(crate) fn now_ms(&self) -> u64 {
        u64::try_from(self.made.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Nothing is written for now, so nobody is to wait for it.
    pub(crate) fn release(&self) {
        self.written(0);
    }

    fn waiting(&self) -> MutexGuard<'_, usize> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_put_asks_once_for_every_so_many_entries() {
        let backlog = Backlog::new();
        let asked = |waiting| {
            let mut asked = false;
            backlog.after_put(waiting, || asked = true);
            asked
        };
        assert!(!asked(ASK_ENTRIES - 1) && asked(ASK_ENTRIES) && !asked(3 * ASK_ENTRIES));
        backlog.looked_at(3 * ASK_ENTRIES);
        assert!(!asked(4 * ASK_ENTRIES - 1) && asked(4 * ASK_ENTRIES));
    }

    #[test]
    fn a_put_waits_for_the_flusher_where_too_many_entries_wait() {
        let backlog = Backlog::new();
        let start = Instant::now();
        std::thread::scope(|scope| {
            backlog.after_put(HOLD_ENTRIES, || {
                scope.spawn(|| backlog.written(HOLD_ENTRIES - 1));
            });
        });
        assert_eq!(*backlog.waiting(), HOLD_ENTRIES - 1);
        assert!(start.elapsed() < LONGEST_HOLD);
    }
}
