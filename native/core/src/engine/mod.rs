//! The engine: the verbs of a store over log, queues and index.
//!
//! A [`Writer`] changes the store, a [`Reader`] only looks; whoever shares an engine between threads puts one lock
//! around it, which covers resolving only: bytes are copied from pinned views, plans run without it.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::error::{Code, Error, Finding};
use crate::format::checkpoint::Checkpoint;
use crate::index::put::Index;
use crate::log::append::LogWriter;
use crate::options::{FlushMode, Options};
use crate::queue::batch::BatchTable;
use crate::queue::batch_files::BatchFiles;
use crate::queue::ext::ExtEnds;
use crate::queue::files::QueueFiles;
use crate::queue::table::QueueTable;
use crate::storage::{Clock, ReadMode, Storage};
use crate::topics::TopicTable;
use crate::writes::Unsynced;
use sidecar::Sidecar;

pub mod appended;
mod batch;
pub mod by_time;
pub mod check;
pub mod checkpointing;
pub mod close;
mod complete;
mod counts;
pub mod delete_topic;
pub mod expire;
mod found;
pub mod health;
mod intake;
pub mod kept;
pub(crate) mod known;
mod live;
pub mod lookup;
pub mod open;
pub mod patience;
pub mod place;
pub mod plans;
pub mod put;
pub mod read;
mod rebuild;
pub mod remake;
mod remake_files;
pub mod removal;
pub mod replicate;
pub mod reserve;
pub mod resolve;
mod resolve_batch;
mod resumed;
pub mod retention;
mod rows;
mod run;
pub mod salvage;
pub mod seals;
mod settled;
pub mod sidecar;
mod take_over;
pub mod truncate;
mod trusted;
pub mod upkeep;
pub mod watch;
mod written_again;

pub use appended::Appended;
pub use checkpointing::{CheckpointPlan, WatermarkPlan};
pub use health::{FileFact, Health, IndexFileFact};
pub use open::Progress;
pub use plans::{Behind, BehindPlan, FlushPlan};
pub use resolve::{Copied, GetRequest, GetStatus, Resolved};
pub use resumed::{is_closed, written_by_us};
pub use seals::SealPlan;
pub use watch::{WatchId, WatcherId};

pub use crate::index::lookup::Search;
pub use crate::log::scan::{ScanItem, Scanner};
pub use crate::log::view::LogView;
pub use crate::queue::lookup::{Boundary, QueueOffsets};
pub use crate::stats::Stats;

/// Offsets of the log, in bytes; `min ≤ visible ≤ end`, `durable ≤ end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Positions {
    pub min: u64,
    pub end: u64,
    pub durable: u64,
    pub visible: u64,
}

/// How far the files of an open store are complete.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// End of the log.
    pub end: u64,
    /// Every message below has its entries in queue files.
    pub queues_below: u64,
    /// Index files from this name on take entries still.
    pub index_open_from: Option<String>,
}

/// An open store.
pub struct Engine<S: Storage, C: Clock> {
    storage: Arc<S>,
    clock: C,
    options: Options,
    log: LogWriter<S::Segment>,
    queues: QueueTable,
    queue_files: QueueFiles,
    ext_ends: ExtEnds,
    batches: BatchTable,
    batch_files: BatchFiles,
    topics: TopicTable,
    watches: watch::Watchers,
    index: Index,
    /// Everything below survives a power cut. Moved on by [`Writer::flushed`] alone; [`Writer::truncate`] takes it back.
    durable: u64,
    /// Position of the newest record below.
    durable_last: u64,
    /// Position of the newest record, and its store time.
    last_record: u64,
    last_store_timestamp: i64,
    /// How often store times went back.
    steps_back: u64,
    /// Messages from here on are not shown, once a confirm offset was told.
    confirmed: Option<u64>,
    /// What has come of the next record of a log that is copied from another store.
    incoming: replicate::Incoming,
    /// How often the end of the log was moved back.
    cuts: u64,
    checkpoint: Checkpoint,
    /// Derived files written since they were synced.
    unsynced: Unsynced,
    behind_in_flight: bool,
    /// The last write behind found the disk full.
    disk_full: bool,
    /// A queue checkpoint that waits for entries to be written.
    begun: Option<checkpointing::Begun>,
    checkpoint_in_flight: bool,
    /// Number of the watermark's slot with which the store was opened.
    session: u64,
    live: Option<live::Live<S::Segment>>,
    seals: seals::Seals,
    clean: bool,
    sidecar: Sidecar,
    /// Something is odd in the directories of the queues, and to be told at every open: none of them is to be left out.
    /// Or the queues are too many for their table.
    sidecar_withheld: bool,
    kept: kept::KeptFile,
    retention: retention::Retention,
    findings: Vec<Finding>,
    poison: Option<Error>,
    closed: bool,
    stats: Stats,
    /// Kept between puts, so that they do not allocate.
    run: run::Run,
}

/// Changes a store: append, flush and write-behind plans, close.
pub struct Writer<'a, S: Storage, C: Clock>(&'a mut Engine<S, C>);

/// Looks into a store: reads files and the log in a certain way.
pub struct Reader<'a, S: Storage, C: Clock>(&'a Engine<S, C>, ReadMode);

impl<S: Storage, C: Clock> Engine<S, C> {
    pub fn reader(&self) -> Reader<'_, S, C> {
        Reader(self, ReadMode::Usual)
    }

    /// One that never waits for a disk: what is not in memory is an error with [`Error::missed`].
    pub fn reader_in_memory(&self) -> Reader<'_, S, C> {
        Reader(self, ReadMode::InMemory)
    }

    /// The writing side. STORE_READ_ONLY, STORE_CLOSED, or STORE_POISONED after a failed sync.
    pub fn writer(&mut self) -> Result<Writer<'_, S, C>, Error> {
        if self.closed {
            return Err(Error::new(Code::Closed, "the store is closed; open it again"));
        }
        if self.options.read_only {
            return Err(Error::new(Code::ReadOnly, "the store was opened with readOnly: true; open it without to write"));
        }
        match &self.poison {
            Some(cause) => Err(poisoned(cause)),
            None => Ok(Writer(self)),
        }
    }

    /// Ends writing for good: a sync failed, so that what is on disk is not known any more. Nothing is tried again;
    /// reads go on, opening the store again recovers.
    pub fn poison(&mut self, cause: Error) {
        self.poison.get_or_insert(cause);
    }

    /// Why the store is poisoned, if it is.
    pub fn poisoned(&self) -> Option<&Error> {
        self.poison.as_ref()
    }

    /// What readers may see: a synchronous store shows what is durable, a poisoned one nothing above it, and none what
    /// lies above the confirm offset, where there is one.
    fn visible(&self) -> u64 {
        let written = match self.options.flush {
            FlushMode::Sync => self.durable,
            FlushMode::Async if self.poison.is_some() => self.durable,
            FlushMode::Async => self.log.end(),
        };
        self.confirmed.map_or(written, |confirmed| written.min(confirmed))
    }

    fn positions(&self) -> Positions {
        Positions { min: self.log.segments().min(), end: self.log.end(), durable: self.durable, visible: self.visible() }
    }
}

/// STORE_POISONED, with what happened.
fn poisoned(cause: &Error) -> Error {
    let mut error = Error::new(
        Code::Poisoned,
        format!("writing ended when an earlier write or sync failed ({cause}); close the store and open it again to recover"),
    );
    error.details.clone_from(&cause.details);
    error.text("cause", cause.code.name())
}
