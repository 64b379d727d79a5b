//! Locks, atomics, threads and deadlines of those who put, read, flush, leave and close: of `shared`, `members`, `reader`,
//! `flusher`, `errands` and `backlog`. With the feature `models` they are such as a scheduler of ours decides about, so that
//! tests/models tries interleavings, each to be had again from its seed. What the operating system does (files, their
//! mappings, the frontier of a segment) stays as it is.

#[cfg(feature = "models")]
mod modelled;
#[cfg(feature = "models")]
pub(crate) use modelled::{Condvar, Instant, Mutex, MutexGuard, atomic, thread};

#[cfg(not(feature = "models"))]
pub(crate) use std::{
    sync::{Condvar, Mutex, MutexGuard, atomic},
    thread,
    time::Instant,
};
