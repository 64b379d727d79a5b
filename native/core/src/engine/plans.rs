//! Plans: what must be synced or written, as data. Made and settled under the lock, carried out without it.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Writer;
use crate::error::{IoError, IoKind};
use crate::format::checkpoint::Checkpoint;
use crate::index;
use crate::index::put::IndexProgress;
use crate::log;
use crate::options::FlushMode;
use crate::queue::batch::BatchIndex;
use crate::queue::ext::ExtPlan;
use crate::queue::table::QueueIndex;
use crate::storage::{Clock, Segment, Storage};
use crate::writes::Writes;

/// Path of the checkpoint.
pub const CHECKPOINT_PATH: &str = "checkpoint";
/// Bytes of index entries that a plan takes in front of queue entries: half of it.
const INDEX_BYTES: usize = 1 << 19;

/// So few queues are written as soon as an interval has passed: their files stay open.
const FEW_QUEUES: usize = 128;
/// Entries that each waiting queue should have, on average, before the files of many are opened for them.
const DENSE_ENTRIES: usize = 16;
/// Queue entries that wait for more of their queues at most: 24 MiB of memory, twice that in half-filled buffers.
const PATIENT_ENTRIES: usize = 1 << 20;

/// What a plan of writes behind is to hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Behind {
    /// Queue entries and index entries.
    All,
    /// Index entries: they go to one file, however many queues there are.
    Index,
}

/// Ranges of segments to be synced, and the offset that is durable then.
pub struct FlushPlan<S: Storage> {
    /// The log's directory first: a new segment's entry must survive before a record in it counts.
    directory: bool,
    ranges: Vec<(Arc<S::Segment>, u64, u64)>,
    end: u64,
    /// The newest record below `end`.
    last: u64,
    /// Cuts of the log before the plan: it says nothing about what is written after another.
    cuts: u64,
}

impl<S: Storage> FlushPlan<S> {
    /// Offset behind the last byte that the plan makes durable.
    pub fn end(&self) -> u64 {
        self.end
    }

    pub fn run(&self, storage: &S) -> Result<(), IoError> {
        if self.directory {
            storage.sync_dir(log::DIRECTORY)?;
            storage.sync_dir("")?;
        }
        self.ranges.iter().try_for_each(|(segment, from, to)| segment.sync(*from, *to))
    }
}

/// Queue and index entries to be written to their files.
pub struct BehindPlan {
    writes: Writes,
    queues: Vec<(QueueIndex, u64)>,
    batches: Vec<(BatchIndex, u64)>,
    ext: Vec<(QueueIndex, u64)>,
    index: Option<IndexProgress>,
    /// An index file that is complete with this plan, and the time that `checkpoint` says so with.
    sealed: Option<(String, i64)>,
}

impl BehindPlan {
    pub fn run<S: Storage>(&self, storage: &S) -> Result<(), IoError> {
        self.writes.run(storage)?;
        if let Some((path, time)) = &self.sealed {
            // A failed sync is never tried again, not even one that found the disk full.
            let failed = |failed| IoError { kind: IoKind::Other, ..failed };
            storage.sync(path).map_err(failed)?;
            storage.sync_dir(index::DIRECTORY).map_err(failed)?;
            // Its time alone: the others may have been taken back since the plan was made.
            storage.write_at(CHECKPOINT_PATH, Checkpoint::INDEX_AT, &time.to_be_bytes())?;
        }
        Ok(())
    }
}

impl<S: Storage, C: Clock> Writer<'_, S, C> {
    /// What must be synced so that everything put so far is durable; `None` if it is. One plan at a time: the next
    /// one after [`Writer::flushed`].
    pub fn plan_flush(&mut self) -> Option<FlushPlan<S>> {
        let engine = &mut *self.0;
        if engine.log.end() == engine.durable {
            return None;
        }
        let mut ranges: Vec<_> = engine.log.between(engine.durable).collect();
        let directory = engine.log.take_directory_dirty();
        // A segment that was made just now may hold nothing yet: its size must survive, too, or the log ends in front of it.
        let empty = engine.log.segments().last().filter(|last| directory && last.base == engine.log.end());
        ranges.extend(empty.map(|last| (Arc::clone(&last.segment), 0, 0)));
        Some(FlushPlan { directory, ranges, end: engine.log.end(), last: engine.last_record, cuts: engine.cuts })
    }

    /// A plan was carried out: moves the durable position.
    pub fn flushed(&mut self, plan: FlushPlan<S>) {
        if plan.cuts == self.0.cuts {
            self.0.durable = self.0.durable.max(plan.end);
            self.0.durable_last = plan.last;
        }
        self.0.stats.flushes += 1;
        let visible = self.0.visible();
        self.0.watches.reached(visible);
    }

    /// Queue and index entries that are in no file yet.
    pub fn pending_entries(&self) -> usize {
        self.0.queues.waiting_entries() + self.0.batches.waiting_entries() + self.0.index.waiting_entries()
    }

    /// Whether it pays to write queue entries now. With many queues each write opens a file, so that they wait until
    /// a write carries more than one entry. Who asks decides for itself when they have waited long enough.
    pub fn queues_are_worth_writing(&self) -> bool {
        let (queues, entries) = (self.0.queues.waiting_queues(), self.0.queues.waiting_entries());
        queues <= FEW_QUEUES || entries >= queues * DENSE_ENTRIES || entries >= PATIENT_ENTRIES
    }

    /// Entries to be written to their files, all kinds of them.
    pub fn plan_behind(&mut self) -> Option<BehindPlan> {
        self.plan_behind_of(Behind::All)
    }

    /// About a mebibyte of entries to be written to their files; `None` if none may be. One plan at a time: the next
    /// one after [`Writer::wrote_behind`] or [`Writer::put_off_behind`].
    pub fn plan_behind_of(&mut self, kinds: Behind) -> Option<BehindPlan> {
        let engine = &mut *self.0;
        if engine.behind_in_flight {
            return None;
        }
        // In a synchronous store only entries whose record is durable leave memory, so that what is in files is visible.
        let physical = match engine.options.flush {
            FlushMode::Sync => engine.durable,
            FlushMode::Async => u64::MAX,
        };
        let physical = engine.confirmed.map_or(physical, |confirmed| physical.min(confirmed));
        // What is to be said of a queue checkpoint must not be overtaken.
        let physical = engine.begun.map_or(physical, |begun| physical.min(begun.upto));
        let mut writes = Writes::default();
        let mut queues = Vec::new();
        let index = engine.index.plan(INDEX_BYTES, engine.durable, &mut writes);
        let (mut batches, mut ext) = (Vec::new(), Vec::new());
        if kinds == Behind::All {
            let log = engine.log.view(engine.log.end());
            let store_time = |physical| log.store_timestamp(physical).ok().flatten();
            let mut units = ExtPlan::new(&engine.ext_ends, &store_time);
            engine.queue_files.plan(&mut engine.queues, physical, &mut writes, &mut queues, &mut units);
            ext = units.reached;
            engine.batch_files.plan(&engine.batches, physical, &mut writes, &mut batches);
        }
        let sealed = match (&index, engine.index.full.front()) {
            (Some(IndexProgress::Sealed), Some(file)) => Some((file.path(), file.header.end_timestamp)),
            _ => None,
        };
        if writes.is_empty() {
            return None;
        }
        engine.behind_in_flight = true;
        Some(BehindPlan { writes, queues, batches, ext, index, sealed })
    }

    /// A plan met a full disk: its entries stay in memory, and are planned again when there may be room.
    pub fn put_off_behind(&mut self, plan: BehindPlan) {
        self.0.behind_in_flight = false;
        self.0.disk_full = true;
        plan.queues.iter().for_each(|&(place, _)| self.0.queues.wait_again(place));
    }

    /// A plan was carried out: the entries leave memory.
    pub fn wrote_behind(&mut self, plan: BehindPlan) {
        let engine = &mut *self.0;
        engine.behind_in_flight = false;
        engine.disk_full = false;
        for &(place, upto) in &plan.queues {
            engine.queues.written(place, upto);
        }
        for &(place, end) in &plan.ext {
            engine.ext_ends.set(place, end);
        }
        for &(place, upto) in &plan.batches {
            engine.batches.written(place, upto);
        }
        engine.batches.settle();
        if let Some(progress) = &plan.index {
            engine.index.wrote(progress);
        }
        engine.unsynced.extend(plan.writes.paths());
        if let Some((path, time)) = &plan.sealed {
            engine.unsynced.remove(path);
            engine.checkpoint.index = *time; // not before: until then its file may not be on disk
        }
    }
}
