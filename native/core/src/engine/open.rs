//! Opening: load what is there, find the end of the log, build what queues and index lack, and only then change files.

use alloc::sync::Arc;

use super::found::Found;
use super::remake;
use super::replicate::Incoming;
use super::retention::Retention;
use super::rows::Queues;
use super::run::Run;
use super::salvage;
use super::{Engine, Stats};
use crate::error::Error;
use crate::log::append::LogWriter;
use crate::options::Options;
use crate::queue::ext::ExtEnds;
use crate::recovery;
use crate::storage::{Clock, Storage};
use crate::writes::Unsynced;

/// How far an open has come, in bytes of the log.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// `log`: scanning and dispatching.
    pub phase: &'static str,
    pub done: u64,
    pub total: u64,
}

impl<S: Storage, C: Clock> Engine<S, C> {
    /// Opens the store in `storage`, recovering what an abrupt end left (durability: recovery, without a watermark).
    ///
    /// To write, the caller holds the store's lock already. Read-only, nothing is changed: what queues and index lack
    /// is built in memory. STORE_UNSUPPORTED_FORMAT for kinds of stores that may only be read, STORE_CORRUPT for
    /// directories that cannot be one store.
    pub fn open(storage: Arc<S>, clock: C, options: Options, progress: &mut dyn FnMut(Progress)) -> Result<Self, Error> {
        salvage::refuse_cut_off(storage.as_ref())?;
        Self::open_any(storage, clock, options, progress)
    }

    /// Also one that is being filled.
    pub(super) fn open_any(storage: Arc<S>, clock: C, options: Options, progress: &mut dyn FnMut(Progress)) -> Result<Self, Error> {
        if !options.read_only {
            remake::finish_pending(storage.as_ref(), &clock, &options, progress)?;
        }
        // What is there.
        let mut found = Found::load(storage.as_ref(), &options)?;
        // What of it counts.
        let counts = found.counts(storage.as_ref())?;
        // Where the log ends, and what its records give back to queues and index.
        let rebuilt = found.rebuild(storage.as_ref(), &clock, &options, &counts, progress)?;
        // From here on it is ours.
        let vouched = recovery::start_segment(&found.segments, found.checkpoint.min_timestamp());
        let running = found.running(counts.lost);
        let mut engine = Self::new(storage, clock, options, found, rebuilt.log_end.end, rebuilt.last);
        if !engine.options.read_only {
            if counts.complete.least() < vouched {
                engine.take_back_queues()?;
            }
            engine.take_over(&rebuilt, running)?;
        }
        if engine.last_store_timestamp > 0 {
            // As RocketMQ does it: recovery sets it, and a close leaves it (store-format §5.1).
            engine.checkpoint.confirm_offset = engine.last_record as i64;
        }
        Ok(engine)
    }

    fn new(storage: Arc<S>, clock: C, mut options: Options, found: Found<S>, end: u64, last: (u64, i64)) -> Self {
        let Found { clean, topics, segments, checkpoint, sidecar, sidecar_withheld, queues, index, kept, findings, seals, .. } = found;
        let Queues { plain: queues, files: queue_files, batches, batch_files } = queues;
        let (last_record, last_store_timestamp) = last;
        options.segment_bytes = segments.segment_bytes();
        options.queue_file_entries = queue_files.file_entries as u32;
        Self {
            log: LogWriter::new(segments, end),
            durable: end,
            durable_last: last_record,
            storage,
            clock,
            options,
            queues,
            queue_files,
            ext_ends: ExtEnds::default(),
            batches,
            batch_files,
            topics,
            watches: Default::default(),
            index,
            last_record,
            last_store_timestamp,
            steps_back: 0,
            confirmed: None,
            incoming: Incoming::default(),
            cuts: 0,
            checkpoint,
            unsynced: Unsynced::default(),
            behind_in_flight: false,
            disk_full: false,
            begun: None,
            checkpoint_in_flight: false,
            session: 0,
            live: None,
            seals,
            clean,
            sidecar,
            sidecar_withheld,
            kept,
            retention: Retention::default(),
            findings,
            poison: None,
            closed: false,
            stats: Stats::default(),
            run: Run::default(),
        }
    }
}
