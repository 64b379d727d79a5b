//! A simulated disk: what tests run the engine on when things go wrong.
//!
//! Every file has what programs see (the page cache) and what the platter holds. A power cut decides for every page of
//! 4 KiB, every length and every directory entry that no completed sync covers whether the old or the new one is there, and
//! for a page of each sector of 512 bytes; the death of the process alone leaves what programs see. Calls fail as they are
//! told to, a failed sync of a file as on Linux: what it lost counts as clean from then on, and the next sync says that all is
//! well.
//!
//! One thread. The same seed and the same calls give the same disk, the same faults and the same trace.

pub mod clock;
pub mod crash;
pub mod directory;
pub mod disk;
pub mod durable;
pub mod faults;
pub mod file;
pub mod random;
pub mod segment;
pub mod state;

pub use clock::SimClock;
pub use crash::{AllChoices, Chooser, CrashPoint, PageChoice, RandomChoices, Version};
pub use disk::SimDisk;
pub use faults::{Affected, CallKind, Failure};
pub use random::SimRandom;
pub use segment::SimSegment;
pub use state::SimState;
