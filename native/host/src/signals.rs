//! What callers ask of a store's thread, and how it waits for that.

use std::sync::PoisonError;
use std::time::Duration;

use crate::errands::Errand;
use crate::sync::atomic::{AtomicBool, Ordering};
use crate::sync::{Condvar, Instant, Mutex, MutexGuard};

/// What callers ask of the thread.
#[derive(Default)]
pub(crate) struct Signals {
    asked: Mutex<Asked>,
    wake: Condvar,
    ended: Condvar,
    /// Whether the thread knows that something was put since it last looked.
    armed: AtomicBool,
}

#[derive(Default)]
struct Asked {
    flush: bool,
    behind: bool,
    errands: Vec<Errand>,
    armed: bool,
    end: Option<End>,
    ended: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Close,
    /// Nobody holds the store any more.
    Abandon,
}

/// What there is to do.
pub(crate) struct Work {
    pub(crate) flush: bool,
    pub(crate) behind: bool,
    pub(crate) errands: Vec<Errand>,
    /// The interval has passed.
    pub(crate) due: bool,
    /// It is time to look at what may be removed.
    pub(crate) look: bool,
    pub(crate) end: Option<End>,
}

impl Signals {
    /// Something was put: in an interval from now at the latest it has to be looked at.
    pub(crate) fn arm(&self) {
        if !self.armed.load(Ordering::Relaxed) && !self.armed.swap(true, Ordering::AcqRel) {
            self.ask(|asked| asked.armed = true);
        }
    }

    pub(crate) fn ask_flush(&self) {
        self.ask(|asked| asked.flush = true);
    }

    pub(crate) fn ask_behind(&self) {
        self.ask(|asked| asked.behind = true);
    }

    /// Asks for an errand; false, and nothing follows, where the store is about to end.
    pub(crate) fn ask_errand(&self, errand: Errand) -> bool {
        let mut asked = self.lock();
        if asked.end.is_some() || asked.ended {
            return false;
        }
        asked.errands.push(errand);
        self.wake.notify_one();
        true
    }

    pub(crate) fn close(&self) {
        self.ask(|asked| {
            asked.end.get_or_insert(End::Close);
        });
    }

    pub(crate) fn abandon(&self) {
        self.ask(|asked| {
            asked.end.get_or_insert(End::Abandon);
        });
    }

    /// Waits until the thread has let go of the store.
    pub(crate) fn wait_for_end(&self, longest: Duration) {
        let asked = self.lock();
        drop(self.ended.wait_timeout_while(asked, longest, |asked| !asked.ended));
    }

    fn ask(&self, change: impl FnOnce(&mut Asked)) {
        change(&mut self.lock());
        self.wake.notify_one();
    }

    fn lock(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether something is to be done that must not wait for the end of a round of writes behind.
    pub(crate) fn interrupt(&self, deadline: Option<Instant>) -> bool {
        let asked = self.lock();
        asked.flush
            || asked.armed
            || !asked.errands.is_empty()
            || asked.end.is_some()
            || deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    /// Whether a flush is asked for; whoever is told so carries it out.
    pub(crate) fn take_flush(&self) -> bool {
        std::mem::take(&mut self.lock().flush)
    }

    /// Waits for something to do. `deadline` is when the interval ends that began with the first put after idleness, `look`
    /// when it is time to look at what may be removed.
    pub(crate) fn next(&self, deadline: &mut Option<Instant>, interval: Duration, look: Option<Instant>) -> Work {
        let mut asked = self.lock();
        loop {
            let now = Instant::now();
            if std::mem::take(&mut asked.armed) {
                *deadline = deadline.or(now.checked_add(interval));
            }
            let due = deadline.is_some_and(|deadline| now >= deadline);
            if due {
                *deadline = None;
                // Before the engine is looked at: what is put from here on arms again.
                self.armed.store(false, Ordering::Release);
            }
            let look_due = look.is_some_and(|look| now >= look);
            if due || look_due || asked.flush || asked.behind || !asked.errands.is_empty() || asked.end.is_some() {
                let (flush, behind) = (std::mem::take(&mut asked.flush), std::mem::take(&mut asked.behind));
                let errands = std::mem::take(&mut asked.errands);
                return Work { flush, behind, errands, due, look: look_due, end: asked.end };
            }
            asked = match [*deadline, look].into_iter().flatten().min() {
                None => self.wake.wait(asked).unwrap_or_else(PoisonError::into_inner),
                Some(deadline) => {
                    self.wake.wait_timeout(asked, deadline.saturating_duration_since(now)).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }

    pub(crate) fn end(&self) {
        self.lock().ended = true;
        self.ended.notify_all();
    }
}
