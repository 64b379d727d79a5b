//! The real world behind the engine's seam: mapped files, system calls, the lock, the clock, the threads.
//!
//! [`files`] is the directory, [`segment`] a file of the commit log (over `mapped`, `fault`, `prefill` and `background`), [`lock`] keeps
//! others out, [`shared`] is the engine behind its own lock, with its `flusher`. Unsafe code is in `mapped`, `fault`,
//! [`lock`] and [`clock`] only.

mod background;
mod backlog;
mod by_time;
pub mod clock;
mod descriptors;
pub mod errands;
mod errno;
mod fault;
pub mod files;
mod flusher;
mod holes;
mod identity;
mod living;
pub mod lock;
mod mapped;
pub mod members;
mod opening;
mod owner;
mod pages;
mod prefill;
pub mod reader;
mod reading;
mod resident;
pub mod segment;
pub mod shared;
mod signals;
#[cfg(test)]
mod stall;
mod sync;
pub mod upkeep;
mod whole;

pub use owner::Holder;
pub use prefill::Ahead;
