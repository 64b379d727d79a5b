//! Truncating: the log is taken back to an earlier end, with everything that was derived from what lay behind.
//!
//! The log goes first. A crash on the way leaves a store that was not closed: opening ends the log where it ends by then,
//! and brings queues and index down to it.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::kept;
use super::plans::CHECKPOINT_PATH;
use super::replicate::{Incoming, outside};
use super::{Engine, Writer};
use crate::error::{Code, Error};
use crate::format::record::Record;
use crate::log::scan::{Scanner, Step};
use crate::log::segments;
use crate::queue::batch::BatchIndex;
use crate::queue::table::QueueIndex;
use crate::storage::{Clock, Segment, Storage};
use crate::{index, log};

/// A place in the log between two records.
struct Boundary {
    /// Position and store time of the last record in front of it.
    last: Option<(u64, i64)>,
}

impl<S: Storage, C: Clock> Writer<'_, S, C> {
    /// Ends the log at `to`, where a record, a blank or the end is: what lies behind is gone from the log, the queues and
    /// the index, on disk too, and what is put or appended next stands there. A record that is not whole yet goes, too.
    ///
    /// STORE_INVALID_ARGUMENT for a place within a record, with the boundaries around it (`below`, `above`);
    /// STORE_OFFSET_OUT_OF_RANGE outside of the log; STORE_BUSY while queue entries are being written. Answers that are
    /// being copied from what is taken back fail with STORE_CORRUPT. Any other failure ends writing: opening again
    /// recovers, after which the call may be repeated.
    ///
    /// Cost: the segment around `to` is read, what lies behind it there zeroed, each index entry behind it taken back.
    pub fn truncate(&mut self, to: u64) -> Result<(), Error> {
        let (min, end) = (self.0.log.segments().min(), self.0.log.end());
        if to > end || to < min {
            return Err(outside("to", to, min, end));
        }
        self.refuse_while_writing_behind()?;
        let boundary = self.boundary(to)?;
        let outcome = self.cut_back(to, &boundary);
        outcome.inspect_err(|error| self.0.poison(error.clone()))
    }

    /// Queue and index files must not be written by a plan that knows nothing of a cut.
    pub(super) fn refuse_while_writing_behind(&self) -> Result<(), Error> {
        if self.0.behind_in_flight || self.0.checkpoint_in_flight {
            return Err(Error::new(Code::Busy, "queue and index entries are being written; try again when that is done"));
        }
        Ok(())
    }

    /// Makes sure that `to` is a boundary, and finds the last record in front of it.
    fn boundary(&self, to: u64) -> Result<Boundary, Error> {
        let view = self.0.log.view(self.0.log.end());
        let mut last = None;
        // The segment that ends at `to` or goes over it; before it, others only if it holds no record in front of `to`.
        for placed in view.segments().iter().rev().filter(|placed| placed.base < to) {
            let mut scanner = Scanner::new(view.clone(), placed.base, (placed.base + placed.segment.size()).min(view.end()));
            while scanner.position() < to {
                let below = scanner.position();
                match scanner.step()? {
                    Step::Message { at, bytes } if at + (bytes.len() as u64) <= to => {
                        last = Record::parse(bytes).ok().map(|record| (at, record.store_timestamp()));
                    }
                    Step::Message { .. } | Step::Blank { .. } => {}
                    Step::End => break,
                    Step::Bad { .. } => {
                        let next = scanner.resync()?.unwrap_or((placed.base + placed.segment.size()).min(view.end()));
                        scanner.seek(next);
                    }
                }
                let above = scanner.position();
                if above > to {
                    let message = format!("to is {to}, which is no boundary of records; those next to it are {below} and {above}");
                    return Err(Error::argument("to", message).number("below", below as i64).number("above", above as i64));
                }
            }
            if last.is_some() {
                break;
            }
        }
        Ok(Boundary { last })
    }

    fn cut_back(&mut self, to: u64, boundary: &Boundary) -> Result<(), Error> {
        self.0.incoming = Incoming::Nothing;
        if to == self.0.log.end() {
            return Ok(self.0.log.clear_ahead()?); // of a blank that was not whole
        }
        let engine = &mut *self.0;
        engine.unhide_from(to)?;
        engine.keep_emptied(to)?;
        engine.forget_watermark()?;
        engine.take_back_written(to)?;
        engine.break_seals(to)?;
        engine.lower_checkpoint(to, boundary.last.map_or(0, |(_, time)| time))?;
        engine.cut_log_back(to)?;
        engine.cuts += 1;
        if to < engine.durable {
            (engine.durable, engine.durable_last) = (to, boundary.last.map_or(engine.log.segments().min(), |(at, _)| at));
        }
        engine.confirmed = engine.confirmed.map(|confirmed| confirmed.min(to));
        (engine.last_record, engine.last_store_timestamp) = boundary.last.unwrap_or((engine.log.segments().min(), 0));
        engine.watches.cut(to);
        let (touched, touched_batches) = self.cut_queues(to)?;
        let engine = &mut *self.0;
        let storage = Arc::clone(&engine.storage);
        for place in touched {
            engine.queue_files.clear_behind(storage.as_ref(), &engine.queues, place, &mut engine.unsynced)?;
        }
        if let Some(ext) = engine.queue_files.ext {
            engine.ext_ends = ext.take_over(storage.as_ref(), &engine.queue_files, &engine.queues, &mut engine.unsynced)?;
        }
        for place in touched_batches {
            engine.batch_files.clear_behind(storage.as_ref(), &engine.batches, place, &mut engine.unsynced)?;
        }
        engine.cut_index(to)?;
        Ok(engine.unsynced.forget_missing(storage.as_ref())?)
    }

    /// Forgets the queue entries whose records start at or above `to`. Returns the queues that had such entries: their files
    /// may hold them even if they wait in memory, written by a plan that was put off or before they were hidden.
    pub(super) fn cut_queues(&mut self, to: u64) -> Result<(Vec<QueueIndex>, Vec<BatchIndex>), Error> {
        let engine = &mut *self.0;
        let (mut touched, mut touched_batches) = (Vec::new(), Vec::new());
        for place in engine.queues.places() {
            let before = engine.queues.queue(place).next();
            if engine.queues.cut_tail(place, to) {
                engine.queue_files.cut(engine.storage.as_ref(), &mut engine.queues, place, to)?;
            }
            let queue = engine.queues.queue(place);
            if queue.next() != before {
                touched.push(place);
                // A deleted topic that was made again is as it was before.
                if queue.min >= queue.next() && engine.queues.hidden_below(engine.queues.topic_of(place).name.as_bytes()) > 0 {
                    engine.queues.queue_mut(place).absent = true;
                }
            }
        }
        for place in engine.batches.places() {
            let before = engine.batches.queue(place).next();
            let in_files = engine.batch_files.cut_all(engine.storage.as_ref(), &mut engine.batches, place, to)?;
            if in_files || engine.batches.queue(place).next() != before {
                touched_batches.push(place);
                if engine.batches.queue(place).is_empty() && engine.queues.hidden_below(engine.batches.topic_of(place).name.as_bytes()) > 0
                {
                    engine.batches.queue_mut(place).absent = true;
                }
            }
        }
        engine.queues.settle();
        engine.batches.settle();
        Ok((touched, touched_batches))
    }
}

impl<S: Storage, C: Clock> Engine<S, C> {
    /// Of a queue whose older messages have expired, and that loses all others, the log does not say where it goes on: that is
    /// kept before they go.
    fn keep_emptied(&mut self, to: u64) -> Result<(), Error> {
        let storage = Arc::clone(&self.storage);
        let mut kept = self.kept.kept.clone();
        for place in self.queues.places() {
            let (queue, topic) = (self.queues.queue(place), &self.queues.topic_of(place).name);
            let is_emptied = match queue.min {
                0 => false,
                min if min >= queue.next() => true,
                min => self.queue_files.entry(storage.as_ref(), &self.queues, place, min)?.is_some_and(|first| first.physical >= to),
            };
            if is_emptied {
                kept.topics.entry(topic.clone()).or_default().next.insert(queue.id, queue.min.min(queue.next()));
            }
        }
        for place in self.batches.places().filter(|&place| self.batches.queue(place).min > 0) {
            let (queue, topic) = (self.batches.queue(place), &self.batches.topic_of(place).name);
            let (first, _) = self.batch_files.first_at_or_above(storage.as_ref(), &self.batches, place, to)?;
            if first <= queue.min {
                kept.topics.entry(topic.clone()).or_default().next.insert(queue.id, first);
            }
        }
        if kept != self.kept.kept {
            kept::write_with_reserve(storage.as_ref(), &kept)?;
            self.kept.kept = kept;
        }
        Ok(())
    }

    /// Nothing that is about to go may be taken for safe by the next opening, should this one not come to its end.
    fn lower_checkpoint(&mut self, to: u64, last_store_timestamp: i64) -> Result<(), Error> {
        let checkpoint = &mut self.checkpoint;
        checkpoint.physic = checkpoint.physic.min(last_store_timestamp);
        checkpoint.logics = checkpoint.logics.min(last_store_timestamp);
        let mut whole = self.index.sealed.iter().rev().filter(|file| (file.header.end_physical as u64) < to);
        checkpoint.index = checkpoint.index.min(whole.next().map_or(0, |file| file.header.end_timestamp));
        self.storage.write_at(CHECKPOINT_PATH, 0, &checkpoint.encode())?;
        Ok(self.storage.sync(CHECKPOINT_PATH)?)
    }

    /// Later segments go, the newest first; the one around `to` is zeroed. What a crash leaves of that is a log that ends
    /// somewhere from `to` on: no evidence says that more was there.
    fn cut_log_back(&mut self, to: u64) -> Result<(), Error> {
        let mut segments = self.log.segments().clone();
        for placed in segments.split_off(to + 1).iter().rev() {
            self.storage.remove(&segments::path(placed.base))?;
        }
        self.storage.sync_dir(log::DIRECTORY)?;
        if let Some(active) = segments.last() {
            if to < active.base + active.segment.size() {
                active.segment.zero_from(to - active.base)?;
            }
            active.segment.sync(0, active.segment.size())?;
        }
        self.log.cut(segments, to);
        Ok(())
    }

    fn cut_index(&mut self, to: u64) -> Result<(), Error> {
        let storage = Arc::clone(&self.storage);
        let view = self.log.view(to);
        let removed = self.index.cut(storage.as_ref(), to, &mut self.unsynced, |physical| view.store_timestamp(physical))?;
        for name in &removed {
            let path: String = format!("{}/{name}", index::DIRECTORY);
            storage.remove(&path)?;
        }
        // What was never written has no directory either.
        if !removed.is_empty() && storage.list(index::DIRECTORY)?.is_some() {
            storage.sync_dir(index::DIRECTORY)?;
        }
        Ok(())
    }
}
