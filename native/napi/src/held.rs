//! How many things of its own the addon holds for JavaScript, in all threads: what is more than before when a thread has ended
//! was not given back. Nothing else would show it: an operating system counts no objects.

use std::sync::atomic::{AtomicUsize, Ordering};

use napi_derive::napi;

pub static ENVIRONMENTS: Count = Count(AtomicUsize::new(0));
pub static CHANNELS: Count = Count(AtomicUsize::new(0));
pub static STORES: Count = Count(AtomicUsize::new(0));
pub static ANSWERS: Count = Count(AtomicUsize::new(0));

/// How many there are of one kind.
pub struct Count(AtomicUsize);

impl Count {
    /// One more, until it is dropped.
    pub fn one(&'static self) -> One {
        self.0.fetch_add(1, Ordering::Relaxed);
        One(self)
    }

    fn now(&self) -> u32 {
        u32::try_from(self.0.load(Ordering::Relaxed)).unwrap_or(u32::MAX)
    }
}

/// A part of what is counted.
pub struct One(&'static Count);

impl Drop for One {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// What this process holds through this copy of the addon.
#[napi(object, object_from_js = false)]
pub struct Held {
    /// Threads of JavaScript that have loaded it.
    pub environments: u32,
    /// Ways from a store to the function that gets its events.
    pub channels: u32,
    /// Stores as their threads have them: one that two threads have counts twice.
    pub stores: u32,
    /// Reads that nobody has taken yet.
    pub answers: u32,
}

#[napi]
pub fn held() -> Held {
    Held { environments: ENVIRONMENTS.now(), channels: CHANNELS.now(), stores: STORES.now(), answers: ANSWERS.now() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dropped_is_not_counted_any_more() {
        static SOME: Count = Count(AtomicUsize::new(0));
        let first = SOME.one();
        let second = SOME.one();
        assert_eq!(SOME.now(), 2);
        drop(first);
        assert_eq!(SOME.now(), 1);
        drop(second);
        assert_eq!(SOME.now(), 0);
    }
}
