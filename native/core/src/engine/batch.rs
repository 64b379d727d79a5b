//! Batch queues in the engine: what is asked of them.

use alloc::vec::Vec;

use super::Reader;
use crate::error::Error;
use crate::format::queue_entry::QueueEntry;
use crate::queue::batch::BatchIndex;
use crate::queue::batch_lookup::{self, position_of};
use crate::queue::lookup::{Boundary, QueueOffsets};
use crate::storage::{Clock, Storage};

impl<S: Storage, C: Clock> Reader<'_, S, C> {
    pub(super) fn batch_queue(&self, topic: &[u8], queue_id: i32) -> Option<BatchIndex> {
        if self.0.batches.is_empty() { None } else { self.0.batches.find(topic, queue_id) }
    }

    pub(super) fn batch_offsets(&self, place: BatchIndex) -> QueueOffsets {
        batch_lookup::offsets(&self.0.batches, place, self.0.visible())
    }

    pub(super) fn batch_offset_by_time(&self, place: BatchIndex, timestamp: i64, boundary: Boundary) -> Result<u64, Error> {
        let engine = self.0;
        let visible = engine.visible();
        batch_lookup::offset_by_time(engine.storage.as_ref(), &engine.batch_files, &engine.batches, place, visible, timestamp, boundary)
    }

    /// Store time of the batch that holds a queue offset.
    pub(super) fn batch_time_of(&self, place: BatchIndex, offset: u64) -> Result<Option<i64>, Error> {
        let engine = self.0;
        let range = self.batch_offsets(place);
        if !(range.min..range.max).contains(&offset) {
            return Ok(None);
        }
        let position = position_of(engine.storage.as_ref(), &engine.batch_files, &engine.batches, place, offset)?;
        match engine.batch_files.entry(engine.storage.as_ref(), &engine.batches, place, position)? {
            Some(entry) if entry.base <= offset => self.log().store_timestamp(entry.physical),
            _ => Ok(None),
        }
    }

    /// Entries of a batch queue, one for each batch, with the queue offset at which the first begins.
    pub(super) fn batch_entries(&self, place: BatchIndex, from: u64, max: usize) -> Result<(u64, Vec<QueueEntry>), Error> {
        let engine = self.0;
        let range = self.batch_offsets(place);
        let start = from.clamp(range.min, range.max);
        let (mut first, mut entries) = (start, Vec::new());
        if start < range.max {
            let storage = engine.storage.as_ref();
            let position = position_of(storage, &engine.batch_files, &engine.batches, place, start)?;
            engine.batch_files.read(storage, &engine.batches, place, position, max as u64, |_, entry| {
                if entry.is_some_and(|entry| entry.base >= range.max) {
                    return false;
                }
                if let (true, Some(entry)) = (entries.is_empty(), &entry) {
                    first = entry.base;
                }
                entries.push(entry.map_or(QueueEntry::BLANK, |entry| QueueEntry {
                    physical: entry.physical,
                    size: entry.size,
                    tags_code: entry.tags_code,
                }));
                true
            })?;
        }
        Ok((first, entries))
    }
}
