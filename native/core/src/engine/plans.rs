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
/// Bytes of queue and index entries that one plan writes, about.
const BEHIND_BYTES: usize = 1 << 20;

/// Ranges of segments to be synced, and the offset that is durable then.
pub struct FlushPlan<S: Storage> {
    /// The log's directory first: a new segment's entry must survive before a record in it counts.
    directory: bool,
    ranges: Vec<(Arc<S::Segment>, u64, u64)>,
    end: u64,
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
    /// An index file that is complete with this plan, and the checkpoint that says so.
    sealed: Option<(String, Checkpoint)>,
}

impl BehindPlan {
    pub fn run<S: Storage>(&self, storage: &S) -> Result<(), IoError> {
        self.writes.run(storage)?;
        if let Some((path, checkpoint)) = &self.sealed {
            // A failed sync is never tried again, not even one that found the disk full.
            let failed = |failed| IoError { kind: IoKind::Other, ..failed };
            storage.sync(path).map_err(failed)?;
            storage.sync_dir(index::DIRECTORY).map_err(failed)?;
            storage.write_at(CHECKPOINT_PATH, 0, &checkpoint.encode())?;
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
        let ranges = engine.log.between(engine.durable).collect();
        Some(FlushPlan { directory: engine.log.take_directory_dirty(), ranges, end: engine.log.end() })
    }

    /// A plan was carried out: moves the durable position.
    pub fn flushed(&mut self, plan: FlushPlan<S>) {
        self.0.durable = self.0.durable.max(plan.end);
        self.0.stats.flushes += 1;
        let visible = self.0.visible();
        self.0.watches.reached(visible);
    }

    /// Queue and index entries that are in no file yet.
    pub fn pending_entries(&self) -> usize {
        self.0.queues.waiting_entries() + self.0.batches.waiting_entries() + self.0.index.waiting_entries()
    }

    /// About a mebibyte of entries to be written to their files; `None` if none may be. One plan at a time: the next
    /// one after [`Writer::wrote_behind`].
    pub fn plan_behind(&mut self) -> Option<BehindPlan> {
        let engine = &mut *self.0;
        if engine.behind_in_flight {
            return None;
        }
        // In a synchronous store only entries whose record is durable leave memory, so that what is in files is visible.
        let physical = match engine.options.flush {
            FlushMode::Sync => engine.durable,
            FlushMode::Async => u64::MAX,
        };
        let mut writes = Writes::default();
        let mut queues = Vec::new();
        let log = engine.log.view(engine.log.end());
        let store_time = |physical| log.store_timestamp(physical).ok().flatten();
        let mut ext = ExtPlan::new(&engine.ext_ends, &store_time);
        engine.queue_files.plan(&engine.queues, physical, BEHIND_BYTES, &mut writes, &mut queues, &mut ext);
        let ext = ext.reached;
        let mut batches = Vec::new();
        engine.batch_files.plan(&engine.batches, physical, BEHIND_BYTES, &mut writes, &mut batches);
        let index = (writes.len() < BEHIND_BYTES).then(|| engine.index.plan(BEHIND_BYTES, engine.durable, &mut writes)).flatten();
        let sealed = match (&index, engine.index.full.front()) {
            (Some(IndexProgress::Sealed), Some(file)) => {
                engine.checkpoint.index = file.header.end_timestamp;
                Some((file.path(), engine.checkpoint))
            }
            _ => None,
        };
        if writes.is_empty() {
            return None;
        }
        engine.behind_in_flight = true;
        Some(BehindPlan { writes, queues, batches, ext, index, sealed })
    }

    /// A plan met a full disk: its entries stay in memory, and are planned again when there may be room.
    pub fn put_off_behind(&mut self, _plan: BehindPlan) {
        self.0.behind_in_flight = false;
    }

    /// A plan was carried out: the entries leave memory.
    pub fn wrote_behind(&mut self, plan: BehindPlan) {
        let engine = &mut *self.0;
        engine.behind_in_flight = false;
        for &(place, upto) in &plan.queues {
            engine.queues.written(place, upto);
        }
        engine.queues.settle();
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
        for path in plan.writes.paths() {
            if !engine.unsynced.contains(path) {
                engine.unsynced.insert(path.into());
            }
        }
        if let Some((path, _)) = &plan.sealed {
            engine.unsynced.remove(path);
        }
    }
}
