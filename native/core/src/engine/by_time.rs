//! The queue offset for a time: under the lock, or by whoever asks, who takes it for what is in memory only.

use super::Reader;
use crate::error::Error;
use crate::format::queue_entry::QueueEntry;
use crate::log::view::LogView;
use crate::queue::files::HeldEntries;
use crate::queue::lookup::{self, Boundary, QueueOffsets};
use crate::queue::table::QueueIndex;
use crate::storage::{Clock, ReadMode, Segment, Storage};

/// A queue and the log as they were when a search for a time began that goes on without the lock.
#[derive(Debug)]
pub struct TimeSearch<G> {
    queue: QueueIndex,
    range: QueueOffsets,
    log: LogView<G>,
    /// How often the end of the log had been moved back.
    cuts: u64,
}

/// Where the entry at a queue offset is.
#[derive(Clone, Debug)]
pub enum EntryPlace {
    /// In memory; `None` where there is none.
    Memory(Option<QueueEntry>),
    /// Among these, in a file.
    File(HeldEntries),
}

impl<S: Storage, C: Clock> Reader<'_, S, C> {
    /// The queue offset for a time; 0 for a queue that does not exist.
    pub fn offset_by_time(&self, topic: &[u8], queue_id: i32, timestamp: i64, boundary: Boundary) -> Result<u64, Error> {
        let engine = self.0;
        if let Some(place) = self.batch_queue(topic, queue_id) {
            return self.batch_offset_by_time(place, timestamp, boundary);
        }
        let Some(queue) = engine.queues.find(topic, queue_id) else { return Ok(0) };
        let (log, files) = (self.log(), self.files());
        let range = lookup::offsets(&engine.queues, queue, log.end());
        lookup::offset_by_time(&log, range, timestamp, boundary, |offset| engine.queue_files.entry(&files, &engine.queues, queue, offset))
    }

    /// Begins a search for a time that goes on without the lock; `None` where [`Reader::offset_by_time`] has to answer: for a batch
    /// queue, or none.
    pub fn search_time(&self, topic: &[u8], queue_id: i32) -> Option<TimeSearch<S::Segment>> {
        if self.batch_queue(topic, queue_id).is_some() {
            return None;
        }
        let queue = self.0.queues.find(topic, queue_id)?;
        let log = self.log().by(ReadMode::Usual);
        let range = lookup::offsets(&self.0.queues, queue, log.end());
        Some(TimeSearch { queue, range, log, cuts: self.0.cuts })
    }

    /// Where an entry that a search asks for is.
    pub fn entry_place<G>(&self, search: &TimeSearch<G>, offset: u64) -> EntryPlace {
        let (files, queues) = (&self.0.queue_files, &self.0.queues);
        match files.held(queues, search.queue, offset) {
            Some(held) => EntryPlace::File(held),
            None => EntryPlace::Memory(queues.queue(search.queue).tail.get(offset)),
        }
    }

    /// Whether what a search has found holds: since it began the end of the log was not moved back, and nothing was removed from
    /// the front of the queue.
    pub fn holds<G>(&self, search: &TimeSearch<G>) -> bool {
        search.cuts == self.0.cuts && search.range.min == self.0.queues.queue(search.queue).min.min(search.range.max)
    }
}

impl<G: Segment> TimeSearch<G> {
    /// The queue offset for a time; see [`lookup::offset_by_time`].
    pub fn offset_by_time(
        &self,
        timestamp: i64,
        boundary: Boundary,
        entry_at: impl FnMut(u64) -> Result<Option<QueueEntry>, Error>,
    ) -> Result<u64, Error> {
        lookup::offset_by_time(&self.log, self.range, timestamp, boundary, entry_at)
    }
}
