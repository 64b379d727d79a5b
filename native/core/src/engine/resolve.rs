//! Reading from a queue in two halves: resolving (under the lock) and copying (without it).

use alloc::format;
use alloc::vec::Vec;

use super::Reader;
use crate::error::{Code, Error};
use crate::format::properties;
use crate::format::record::Record;
use crate::limits::MAX_GET_MESSAGES;
use crate::log::segments::Segments;
use crate::log::view::LogView;
use crate::queue::lookup::{self, QueueOffsets};
use crate::storage::{Clock, Segment, Storage};

/// Entries looked at for one answer at least, while none of them leads to a message.
const MIN_SCANNED_ENTRIES: u64 = 800;

/// RocketMQ's GetMessageStatus, by ordinal (store-format §8.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum GetStatus {
    Found = 0,
    NoMatchedMessage = 1,
    MessageWasRemoving = 2,
    OffsetFoundNull = 3,
    OffsetOverflowBadly = 4,
    OffsetOverflowOne = 5,
    OffsetTooSmall = 6,
    #[default]
    NoMatchedLogicQueue = 7,
    NoMessageInQueue = 8,
    OffsetReset = 9,
}

#[derive(Clone, Copy, Debug)]
struct Part {
    physical: u64,
    size: u32,
    queue_offset: u64,
}

/// Where the messages of an answer lie. Reused between calls, so that nothing is allocated after warm-up.
#[derive(Debug)]
pub struct Resolved<G> {
    pub status: GetStatus,
    /// Offset to ask for next.
    pub next: u64,
    pub min: u64,
    pub max: u64,
    /// Bytes of the log between the last message of the answer and the visible end.
    pub bytes_behind: u64,
    log: LogView<G>,
    topic: Vec<u8>,
    queue_id: i32,
    parts: Vec<Part>,
}

/// What [`Resolved::copy`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    pub messages: usize,
    pub bytes: usize,
    /// Offset to ask for next: behind the last message copied.
    pub next: u64,
    /// Bytes that the first message needs, when the buffer is too small for it.
    pub needed: usize,
}

impl<G: Segment> Default for Resolved<G> {
    fn default() -> Self {
        Self {
            status: GetStatus::default(),
            next: 0,
            min: 0,
            max: 0,
            bytes_behind: 0,
            log: LogView::new(Segments::empty(1), 0),
            topic: Vec::new(),
            queue_id: 0,
            parts: Vec::new(),
        }
    }
}

impl<S: Storage, C: Clock> Reader<'_, S, C> {
    /// Finds up to `max` messages of a queue from `offset` on, `max_bytes` at most but always one (store-format §8.1).
    ///
    /// RocketMQ's own cuts (8 messages or 64 KiB of what is not in memory, the border of a queue file) do not apply.
    pub fn resolve(
        &self,
        topic: &[u8],
        queue_id: i32,
        offset: u64,
        max: usize,
        max_bytes: usize,
        into: &mut Resolved<S::Segment>,
    ) -> Result<(), Error> {
        into.parts.clear();
        into.topic.clear();
        into.topic.extend_from_slice(topic);
        into.queue_id = queue_id;
        into.log = self.log();
        (into.min, into.max, into.bytes_behind) = (0, 0, 0);
        let engine = self.0;
        let Some(place) = engine.queues.find(topic, queue_id) else {
            (into.status, into.next) = (GetStatus::NoMatchedLogicQueue, 0);
            return Ok(());
        };
        let QueueOffsets { min, max: end, .. } = lookup::offsets(&engine.queues, place, into.log.end());
        (into.min, into.max) = (min, end);
        (into.status, into.next) = match () {
            () if end == 0 => (GetStatus::NoMessageInQueue, 0),
            () if offset < min => (GetStatus::OffsetTooSmall, min),
            () if offset == end => (GetStatus::OffsetOverflowOne, offset),
            () if offset > end => (GetStatus::OffsetOverflowBadly, end),
            () => (GetStatus::NoMatchedMessage, offset),
        };
        if into.status != GetStatus::NoMatchedMessage {
            return Ok(());
        }
        let max = max.clamp(1, MAX_GET_MESSAGES);
        let scan = (end - offset).min(MIN_SCANNED_ENTRIES.max(max as u64));
        let mut bytes = 0;
        engine.queue_files.read(engine.storage.as_ref(), &engine.queues, place, offset, scan, |queue_offset, entry| {
            if entry.is_some_and(|entry| !entry.is_blank() && entry.physical >= into.log.end()) {
                return false; // written behind, and then the sync of its message failed
            }
            let found = entry.filter(|entry| !entry.is_blank() && entry.physical >= into.log.min());
            if let Some(entry) = found {
                if into.parts.len() >= max || (!into.parts.is_empty() && bytes + entry.size as usize > max_bytes) {
                    return false;
                }
                bytes += entry.size as usize;
                into.parts.push(Part { physical: entry.physical, size: entry.size, queue_offset });
                into.status = GetStatus::Found;
            } else if into.parts.is_empty() {
                into.status = GetStatus::MessageWasRemoving;
            }
            into.next = queue_offset + 1;
            true
        })?;
        if let Some(last) = into.parts.last() {
            into.bytes_behind = into.log.end().saturating_sub(last.physical + u64::from(last.size));
        }
        Ok(())
    }

    /// The log as it is visible now, pinned.
    pub fn log(&self) -> LogView<S::Segment> {
        self.0.log.view(self.0.visible())
    }
}

impl<G: Segment> Resolved<G> {
    /// Copies the records back to back into `out` and checks each; `queue_offsets` gets theirs.
    ///
    /// Stops in front of a record that does not fit, or is damaged. When it is the first: `needed` says its size, or
    /// STORE_CORRUPT is returned, with `nextOffset`.
    pub fn copy(&mut self, out: &mut [u8], queue_offsets: &mut [f64]) -> Result<Copied, Error> {
        let mut copied = Copied { next: self.next, ..Copied::default() };
        for part in &self.parts {
            let size = part.size as usize;
            if out.len() - copied.bytes < size || copied.messages == queue_offsets.len() {
                copied.next = part.queue_offset;
                if copied.messages == 0 {
                    // Before anybody makes room for what the entry says.
                    if !self.log.starts_record(part.physical, part.size)? {
                        let reason = format!("the queue entry leads to a record of {size} bytes, there is none");
                        return Err(self.log.corrupt(part.physical, &reason).number("nextOffset", part.queue_offset as i64 + 1));
                    }
                    copied.needed = size;
                }
                break;
            }
            let record = &mut out[copied.bytes..copied.bytes + size];
            let read = self.log.read_record(part.physical, record).and_then(|()| self.belongs(record, part));
            if let Err(error) = read {
                if copied.messages == 0 && error.code == Code::Corrupt {
                    return Err(error.number("nextOffset", part.queue_offset as i64 + 1));
                }
                if copied.messages == 0 {
                    return Err(error);
                }
                copied.next = part.queue_offset;
                break;
            }
            queue_offsets[copied.messages] = part.queue_offset as f64;
            copied.messages += 1;
            copied.bytes += size;
        }
        Ok(copied)
    }

    /// A queue entry may be damaged too: it never shows a message of another queue. A light queue's entry leads to
    /// the record of the queue it was put to, which names it.
    fn belongs(&self, bytes: &[u8], part: &Part) -> Result<(), Error> {
        let Ok(record) = Record::parse(bytes) else {
            return Ok(()); // read_record has parsed it
        };
        if record.topic() == self.topic && record.queue_id() == self.queue_id {
            return Ok(());
        }
        if properties::dispatched(record.properties()).multi_dispatch.is_some() {
            return Ok(());
        }
        Err(self.log.corrupt(part.physical, "the queue entry leads to a message of another queue"))
    }
}
