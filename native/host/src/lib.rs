//! The real world behind the engine's seam: mapped files, system calls, the lock, the clock, the threads.
//!
//! [`files`] is the directory, [`segment`] a file of the commit log (over `mapped`, `fault` and `prefill`), [`lock`] keeps
//! others out, [`shared`] is the engine behind its own lock with its `flusher`. Unsafe code is in `mapped`, `fault`,
//! [`lock`] and [`clock`] only.

pub mod clock;
mod descriptors;
mod errno;
mod fault;
pub mod files;
mod holes;
mod mapped;
mod prefill;
pub mod segment;

pub use prefill::Ahead;
