//! Closing: everything to its file, synced, and only then the sign that the store was closed cleanly.

use super::Writer;
use super::plans::CHECKPOINT_PATH;
use crate::error::Error;
use crate::storage::{Clock, Storage};
use crate::writes::Writes;

/// Its presence says that the store is open, or was not closed.
pub const ABORT_PATH: &str = "abort";
/// RocketMQ 5 leaves this empty file beside it (store-format §1), and so do we. Its presence says nothing.
pub const ABORT_BACKUP_PATH: &str = "abort.bak";

impl<S: Storage, C: Clock> Writer<'_, S, C> {
    /// Closes the store as RocketMQ does: log synced, queue and index files complete and synced, `checkpoint` written,
    /// `abort` removed last. A failure leaves `abort` in place and the store poisoned.
    pub fn close(&mut self) -> Result<(), Error> {
        self.0.confirmed = None; // the files are to hold everything
        let outcome = self.settle();
        match &outcome {
            Ok(()) => self.0.closed = true,
            Err(error) => self.0.poison(error.clone()),
        }
        outcome
    }

    fn settle(&mut self) -> Result<(), Error> {
        let storage = alloc::sync::Arc::clone(&self.0.storage);
        self.0.begun = None; // everything goes to its file
        if let Some(plan) = self.plan_flush() {
            plan.run(storage.as_ref())?;
            self.flushed(plan);
        }
        while let Some(plan) = self.plan_behind() {
            self.with_reserve(|storage| plan.run(storage))?;
            self.wrote_behind(plan);
        }
        self.write_index_slots()?;
        let engine = &mut *self.0;
        engine.unsynced.sync(storage.as_ref())?;
        if engine.last_store_timestamp > 0 {
            // Not the greatest ever: a clock that was ahead once would vouch for everything written since.
            engine.checkpoint.physic = engine.last_store_timestamp;
            engine.checkpoint.logics = engine.last_store_timestamp;
        }
        // Before `checkpoint`, which would say more than the watermark knows of, and so make it void, should this be its end.
        engine.say_checkpoint()?;
        storage.write_at(CHECKPOINT_PATH, 0, &engine.checkpoint.encode())?;
        storage.sync(CHECKPOINT_PATH)?;
        engine.write_sidecar()?;
        engine.fill_reserve()?;
        storage.remove(ABORT_PATH)?;
        storage.sync_dir("")?;
        Ok(())
    }

    fn write_index_slots(&mut self) -> Result<(), Error> {
        while let Some(active) = &self.0.index.active {
            let mut writes = Writes::default();
            let upto = active.plan_slots(&mut writes);
            let is_all = upto == active.pages();
            self.with_reserve(|storage| writes.run(storage))?;
            if let Some(active) = &mut self.0.index.active {
                active.wrote_slots(upto);
            }
            self.0.unsynced.extend(writes.paths());
            if is_all {
                break;
            }
        }
        Ok(())
    }
}
