//! Reading from a batch queue: one record for each batch, offsets and counts in messages (store-format §3.7, §8.1).

use super::Reader;
use super::resolve::{GetRequest, GetStatus, MIN_FILTERED_ENTRIES, MIN_SCANNED_ENTRIES, Part, Resolved, range_status};
use crate::dispatch::SCHEDULE_TOPIC;
use crate::error::Error;
use crate::queue::batch::BatchIndex;
use crate::queue::batch_lookup::position_of;
use crate::queue::lookup::QueueOffsets;
use crate::storage::{Clock, Storage};

impl<S: Storage, C: Clock> Reader<'_, S, C> {
    /// The second half of [`Reader::resolve`] for a batch queue: whole batches from the one that holds the offset on, with
    /// `max` messages at most in all of them, but always one batch.
    pub(super) fn resolve_batches(
        &self,
        place: BatchIndex,
        request: &GetRequest<'_>,
        into: &mut Resolved<S::Segment>,
    ) -> Result<(), Error> {
        let engine = self.0;
        let QueueOffsets { min, max: end, .. } = self.batch_offsets(place);
        (into.min, into.max) = (min, end);
        into.is_batch_queue = true;
        (into.status, into.next) = range_status(request.offset, min, end);
        if into.status != GetStatus::NoMatchedMessage {
            return Ok(());
        }
        let by_hash = !into.filter.is_all() && request.topic != SCHEDULE_TOPIC;
        let least = if by_hash { MIN_FILTERED_ENTRIES } else { MIN_SCANNED_ENTRIES };
        let (mut bytes, mut messages, mut left) = (0, 0, least.max(into.most as u64));
        let mut passed = into.log.end();
        let mut ended = true;
        let storage = &self.files();
        let position = position_of(storage, &engine.batch_files, &engine.batches, place, request.offset)?;
        // Where the next entry should begin.
        let mut at = request.offset;
        engine.batch_files.read(storage, &engine.batches, place, position, u64::MAX, |_, entry| {
            let Some(entry) = entry else {
                if into.parts.is_empty() {
                    into.status = GetStatus::MessageWasRemoving;
                }
                return true; // a hole: what it led to is not shown
            };
            if let Some(last) = into.parts.last_mut()
                && entry.base < last.behind
            {
                let is_behind = entry.base > if last.queue_offset > last.asked { last.asked } else { last.queue_offset };
                if !is_behind {
                    return true; // damaged: as good as none
                }
                // The one in front says too much of itself.
                (last.behind, at) = (entry.base, entry.base);
            }
            let (size, count) = (entry.size as usize, u64::from(entry.messages));
            let is_full = !into.parts.is_empty() && (messages + count > into.most as u64 || bytes + size > request.max_bytes);
            // Behind the visible end: written behind, and then the sync of its message failed.
            let is_hidden = (into.log.end()..engine.log.end()).contains(&entry.physical);
            if left == 0 || is_hidden || is_full {
                ended = false;
                return false;
            }
            left -= 1;
            let asked = at.max(request.offset);
            at = entry.next().min(end);
            passed = entry.end();
            let is_wanted = !by_hash || into.filter.may_match(entry.tags_code);
            if entry.physical < into.log.min() {
                if into.parts.is_empty() {
                    into.status = GetStatus::MessageWasRemoving;
                }
            } else if is_wanted {
                (bytes, messages) = (bytes + size, messages + count);
                let (physical, size, queue_offset, behind) = (entry.physical, entry.size, entry.base, at);
                into.parts.push(Part { physical, size, queue_offset, behind, asked, is_doubtful: false });
                into.status = GetStatus::Found;
            }
            true
        })?;
        into.next = at.max(request.offset);
        if ended {
            into.next = end; // also over holes that nothing stands behind
        }
        into.bytes_behind = into.log.end().saturating_sub(passed);
        Ok(())
    }
}
