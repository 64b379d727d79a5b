//! What an open store says on disk of how far it has come, so that opening after a kill costs what was written since.
//!
//! A **watermark** says what of the log is synced. A **queue checkpoint** says beside it up to which record all entries
//! are in queue and index files, and synced: it is begun at the end that the log has then, entries behind it stay in
//! memory until all before it are written, and only when all of that is synced is it said, first in the sidecar, then by
//! the times of RocketMQ's `checkpoint`.

use alloc::vec::Vec;

use super::plans::CHECKPOINT_PATH;
use super::sidecar::{last_record, write_table};
use super::{Engine, Writer};
use crate::error::{IoError, IoKind};
use crate::format::checkpoint::Checkpoint;
use crate::format::crc::crc32;
use crate::format::watermark::{Derived, IndexMark, Running, TableIdentity, Watermark};
use crate::limits::MAX_QUEUE_TABLE_BYTES;
use crate::log::view::LogView;
use crate::storage::{Clock, Storage};
use crate::writes::Unsynced;

/// Bytes of the log between two queue checkpoints for each queue, at least: one opens the files of all that have waited.
const CHECKPOINT_BYTES_A_QUEUE: u64 = 16 * 1024;
/// Bytes of the log between two watermarks.
const WATERMARK_EVERY_BYTES: u64 = 64 * 1024 * 1024;

/// A queue checkpoint that was begun: entries of records from `upto` on stay in memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Begun {
    pub(super) upto: u64,
    last: u64,
    index: Option<IndexMark>,
    /// How often store times had gone back.
    steps_back: u64,
}

/// A slot of the watermark to be written.
struct Slot {
    watermark: Watermark,
    /// The newest record below the durable offset, whose bytes the slot vouches for.
    last: Option<u64>,
    exists: bool,
}

/// Says that the log is durable up to an offset.
pub struct WatermarkPlan<S: Storage> {
    slot: Slot,
    log: LogView<S::Segment>,
    written: Option<Running>,
}

/// Syncs queue and index files, and says how far they reach.
pub struct CheckpointPlan<S: Storage> {
    unsynced: Unsynced,
    table: Vec<u8>,
    mark: WatermarkPlan<S>,
    checkpoint: Checkpoint,
    /// How often store times had gone back when it was begun.
    steps_back: u64,
}

impl<S: Storage> WatermarkPlan<S> {
    /// A full disk, or something that is no file in the sidecar's place, leaves the watermark as it was.
    pub fn run(&mut self, storage: &S) -> Result<(), IoError> {
        match self.write(storage) {
            Err(error) if matches!(error.kind, IoKind::Full | IoKind::WrongType) => Ok(()),
            outcome => outcome,
        }
    }

    fn write(&mut self, storage: &S) -> Result<(), IoError> {
        let Some(mut running) = self.slot.watermark.running else { return Ok(()) };
        if let Some(at) = self.slot.last {
            let Some(last) = last_record(&self.log, at) else { return Ok(()) };
            running.last = Some(last);
        }
        self.slot.watermark.running = Some(running);
        self.slot.watermark.write(storage, self.slot.exists)?;
        self.written = Some(running);
        Ok(())
    }

    /// It was not written after all: the watermark is as it was.
    pub fn unsaid(&mut self) {
        self.written = None;
    }
}

impl<S: Storage> CheckpointPlan<S> {
    /// Carries the plan out. `between` is called between two syncs of files, each of which may take long.
    pub fn run(&mut self, storage: &S, between: &mut dyn FnMut()) -> Result<(), IoError> {
        // A failed sync is never tried again, not even one that found the disk full.
        self.unsynced.sync_each(storage, between).map_err(|failed| IoError { kind: IoKind::Other, ..failed })?;
        match self.write_table(storage) {
            Err(error) if matches!(error.kind, IoKind::Full | IoKind::WrongType) => return Ok(()),
            outcome => outcome?,
        }
        self.mark.run(storage)
    }

    /// Table and watermark were not written after all; everything was synced.
    pub fn unsaid(&mut self) {
        self.mark.unsaid();
    }

    fn write_table(&self, storage: &S) -> Result<(), IoError> {
        let Some(Derived { queues, .. }) = self.mark.slot.watermark.running.and_then(|running| running.derived) else { return Ok(()) };
        write_table(storage, queues.snapshot, &self.table)
    }
}

impl<S: Storage, C: Clock> Writer<'_, S, C> {
    /// Whether so much was put since the last queue checkpoint, or there was none, that another one is worth its syncs.
    pub fn checkpoint_is_due(&self) -> bool {
        let engine = &*self.0;
        if engine.sidecar.is_unusable() || engine.sidecar_withheld {
            return false;
        }
        if engine.begun.is_some() {
            return true;
        }
        let queues = engine.queues.len() as u64;
        let every = engine.options.checkpoint_bytes.max(queues * CHECKPOINT_BYTES_A_QUEUE);
        match engine.sidecar.running.and_then(|running| running.derived).filter(|derived| !derived.lost) {
            Some(derived) => engine.log.end() >= derived.upto + every,
            None => engine.log.end() > engine.log.segments().min(),
        }
    }

    /// Begins a queue checkpoint, unless one is begun: everything put so far is to be in files.
    pub fn begin_checkpoint(&mut self) {
        let engine = &mut *self.0;
        if engine.begun.is_none() && !engine.checkpoint_in_flight {
            let index = engine.index.mark().filter(|_| engine.options.index);
            engine.begun = Some(Begun { upto: engine.log.end(), last: engine.last_record, index, steps_back: engine.steps_back });
        }
    }

    /// The checkpoint that was begun, once the log is durable and all entries before it are in files: until then `None`,
    /// and [`Writer::plan_flush`] and [`Writer::plan_behind`] are to be carried out. One plan at a time: the next one
    /// after [`Writer::checkpointed`].
    pub fn plan_checkpoint(&mut self) -> Result<Option<CheckpointPlan<S>>, IoError> {
        let engine = &mut *self.0;
        let Some(begun) = engine.begun else { return Ok(None) };
        if engine.behind_in_flight || engine.checkpoint_in_flight || !engine.holds_everything_below(&begun) {
            return Ok(None);
        }
        engine.begun = None;
        if engine.sidecar.is_unusable() || engine.sidecar_withheld {
            return Ok(None);
        }
        let snapshot = engine.sidecar.next_snapshot();
        let table = engine.encode_queues(None, snapshot)?;
        if table.len() as u64 > MAX_QUEUE_TABLE_BYTES {
            engine.sidecar_withheld = true; // nor will the next one be shorter
            return Ok(None);
        }
        let mut checkpoint = engine.checkpoint;
        let view = engine.log.view(engine.log.end());
        if let Ok(Some(time)) = view.store_timestamp(begun.last) {
            // Not the greatest ever: a clock that was ahead once would vouch for everything written since.
            (checkpoint.physic, checkpoint.logics) = (time, time);
        }
        let queues = TableIdentity { snapshot, bytes: table.len() as u64, crc: crc32(&table) };
        let derived = Derived { upto: begun.upto, min: engine.log.segments().min(), queues, lost: false, index: begun.index };
        let mark = engine.watermark_plan(checkpoint, Some(derived));
        let unsynced = core::mem::take(&mut engine.unsynced);
        engine.checkpoint_in_flight = true;
        Ok(Some(CheckpointPlan { unsynced, table, mark, checkpoint, steps_back: begun.steps_back }))
    }

    /// A checkpoint was carried out: RocketMQ's `checkpoint` says so, too. Unless the clock went back since it was begun:
    /// it would vouch for what was put then.
    pub fn checkpointed(&mut self, plan: CheckpointPlan<S>) -> Result<(), IoError> {
        let said = plan.mark.written.is_some();
        self.watermarked(plan.mark);
        let engine = &mut *self.0;
        if said && plan.steps_back == engine.steps_back {
            (engine.checkpoint.physic, engine.checkpoint.logics) = (plan.checkpoint.physic, plan.checkpoint.logics);
            // Synced with the next one: until then the disk says less.
            engine.storage.write_at(CHECKPOINT_PATH, 0, &engine.checkpoint.encode())?;
            engine.unsynced.insert(CHECKPOINT_PATH);
        }
        Ok(())
    }

    /// Says that the log is durable as far as it is, if that is `WATERMARK_EVERY_BYTES` more than was said last, or, with
    /// `now`, anything more. One plan at a time: the next one after [`Writer::watermarked`].
    pub fn plan_watermark(&mut self, now: bool) -> Option<WatermarkPlan<S>> {
        let engine = &mut *self.0;
        let said = engine.sidecar.running.map_or(engine.log.segments().min(), |running| running.durable);
        let enough = if now { said + 1 } else { said + WATERMARK_EVERY_BYTES };
        if engine.durable < enough || engine.checkpoint_in_flight || engine.sidecar.is_unusable() {
            return None;
        }
        let derived = engine.sidecar.running.and_then(|running| running.derived);
        engine.checkpoint_in_flight = true;
        Some(engine.watermark_plan(engine.checkpoint, derived))
    }

    /// A watermark was written.
    pub fn watermarked(&mut self, plan: WatermarkPlan<S>) {
        self.0.checkpoint_in_flight = false;
        self.0.said(&plan);
    }
}

impl<S: Storage, C: Clock> Engine<S, C> {
    fn watermark_plan(&self, checkpoint: Checkpoint, derived: Option<Derived>) -> WatermarkPlan<S> {
        let last = (self.durable_last < self.durable).then_some(self.durable_last);
        let running =
            Running { min: self.log.segments().min(), durable: self.durable, last: None, checkpoint, derived, session: self.session };
        let geometry = self.index.newest_geometry().or(self.sidecar.geometry);
        let watermark = Watermark {
            sequence: self.sidecar.next_sequence(),
            closed: None,
            running: Some(running),
            geometry,
            unindexed: self.unindexed(),
        };
        let slot = Slot { watermark, last, exists: self.sidecar.exists() };
        WatermarkPlan { slot, log: self.log.view(self.durable), written: None }
    }

    /// The watermark, if it counts, with `checkpoint` as it is about to be written.
    pub(super) fn say_checkpoint(&mut self) -> Result<(), IoError> {
        let Some(running) = self.sidecar.running else { return Ok(()) };
        let mut plan = self.watermark_plan(self.checkpoint, running.derived);
        plan.run(self.storage.as_ref())?;
        self.said(&plan);
        Ok(())
    }

    fn said(&mut self, plan: &WatermarkPlan<S>) {
        if let Some(running) = plan.written {
            self.sidecar.wrote(&Watermark { running: Some(running), ..plan.slot.watermark });
        }
    }

    fn holds_everything_below(&self, begun: &Begun) -> bool {
        self.durable >= begun.upto
            && self.queues.none_waits_below(begun.upto)
            && self.batches.none_waits_below(begun.upto)
            && begun.index.is_none_or(|mark| self.index.holds(&mark))
    }

    /// Before the log is taken back: what is said of it is true no more.
    pub(super) fn forget_watermark(&mut self) -> Result<(), IoError> {
        self.begun = None;
        if self.sidecar.running.is_none() {
            return Ok(());
        }
        self.sidecar.void(self.storage.as_ref(), self.unindexed())
    }
}
