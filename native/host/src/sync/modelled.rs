//! What [shuttle](https://docs.rs/shuttle) has, and what it lacks: waits that may last too long, and a time for them.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LockResult, PoisonError};
use std::time::Duration;

pub(crate) use shuttle::sync::{Mutex, MutexGuard, atomic};
pub(crate) use shuttle::thread;

/// Nanoseconds. Moves on where a wait lasts too long, and only there.
static NOW: AtomicU64 = AtomicU64::new(1);

/// As `std::time::Instant`, of the modelled time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Instant(u64);

impl Instant {
    pub(crate) fn now() -> Self {
        Self(NOW.load(Ordering::Relaxed))
    }

    pub(crate) fn elapsed(self) -> Duration {
        Self::now().saturating_duration_since(self)
    }

    pub(crate) fn checked_add(self, duration: Duration) -> Option<Self> {
        let nanos = u64::try_from(duration.as_nanos()).ok()?;
        self.0.checked_add(nanos).map(Self)
    }

    pub(crate) fn saturating_duration_since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// As `std::sync::Condvar`; whether a wait lasts too long is the scheduler's choice.
#[derive(Default)]
pub(crate) struct Condvar(Arc<shuttle::sync::Condvar>);

/// Whether a wait has lasted too long.
#[derive(Clone, Copy)]
pub(crate) struct Waited(bool);

impl Waited {
    pub(crate) fn timed_out(self) -> bool {
        self.0
    }
}

impl Condvar {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }

    pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        self.0.wait(guard)
    }

    pub(crate) fn wait_timeout<'a, T>(&self, guard: MutexGuard<'a, T>, longest: Duration) -> LockResult<(MutexGuard<'a, T>, Waited)> {
        let [waiting, late] = [AtomicBool::new(true), AtomicBool::new(false)].map(Arc::new);
        let until = Instant::now().checked_add(longest).map(|until| until.0);
        let timer = {
            let (condvar, waiting, late) = (Arc::clone(&self.0), Arc::clone(&waiting), Arc::clone(&late));
            move || {
                // Until the one who waits has seen it: it may not have begun to.
                while waiting.load(Ordering::Relaxed) {
                    NOW.fetch_max(until.unwrap_or(0), Ordering::Relaxed);
                    late.store(true, Ordering::Relaxed);
                    condvar.notify_all();
                    thread::yield_now();
                }
            }
        };
        thread::spawn(timer);
        let guard = self.0.wait(guard);
        waiting.store(false, Ordering::Relaxed);
        let waited = Waited(late.load(Ordering::Relaxed));
        guard.map(|guard| (guard, waited)).map_err(|poisoned| PoisonError::new((poisoned.into_inner(), waited)))
    }

    pub(crate) fn wait_timeout_while<'a, T>(
        &self,
        mut guard: MutexGuard<'a, T>,
        longest: Duration,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<(MutexGuard<'a, T>, Waited)> {
        let until = Instant::now().checked_add(longest);
        while condition(&mut guard) {
            let now = Instant::now();
            let left = until.map_or(Duration::MAX, |until| until.saturating_duration_since(now));
            if left.is_zero() {
                return Ok((guard, Waited(true)));
            }
            guard = self.wait_timeout(guard, left)?.0;
        }
        Ok((guard, Waited(false)))
    }
}
