//! Batch queues in the engine: which topics have them, what may be put to them, what is asked of them.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Reader;
use super::check::Together;
use crate::batch::BatchMessage;
use crate::batch_dispatch::{count_wire_messages, parse_inner_num};
use crate::dispatch::takes_queue_entry;
use crate::error::{Code, Error, Finding};
use crate::format::properties::INNER_BASE_NAME;
use crate::format::queue_entry::QueueEntry;
use crate::format::record::{SYS_FLAG_COMPRESSED, SYS_FLAG_INNER_BATCH};
use crate::queue::batch::{BatchIndex, BatchTable};
use crate::queue::batch_lookup::{self, position_of};
use crate::queue::lookup::{Boundary, QueueOffsets};
use crate::queue::table::QueueTable;
use crate::queue::topics::Topic;
use crate::storage::{Clock, Storage};
use crate::topics::TopicTable;

/// Bytes that INNER_BASE takes at most: name, separator, the greatest offset in digits, end.
pub(super) const MAX_INNER_BASE_BYTES: usize = INNER_BASE_NAME.len() + 1 + 16 + 1;

/// Where it is known which topics have which queues, and what is learned of new ones: for one call.
pub(super) struct Learning<'a, S: Storage> {
    pub storage: &'a S,
    pub topics: &'a mut TopicTable,
    pub findings: &'a mut Vec<Finding>,
    pub simple: &'a QueueTable,
    pub batches: &'a mut BatchTable,
    /// The topic table was looked at in this call.
    pub is_fresh: bool,
}

impl<S: Storage> Learning<'_, S> {
    /// Learns whether the queues of a topic that has none yet are to be batch queues: the topic table may have been
    /// written since. Refuses topics that cannot be written: with queues of both kinds, and of the compaction store.
    pub fn topic(&mut self, topic: &[u8]) -> Result<(), Error> {
        if self.batches.is_mixed(topic) {
            let topic = String::from_utf8_lossy(topic);
            let message = format!("topic {topic} has plain and batch queues; correct config/topics.json or move the wrong ones away");
            return Err(Error::new(Code::UnsupportedFormat, message).text("argument", "topic"));
        }
        self.kind(topic)?;
        if self.topics.is_compaction(topic) {
            let topic = String::from_utf8_lossy(topic);
            let message =
                format!("topic {topic} is a compaction topic (cleanup.policy=COMPACTION in config/topics.json); put it with RocketMQ");
            return Err(Error::new(Code::UnsupportedFormat, message).text("argument", "topic"));
        }
        Ok(())
    }

    /// As [`Learning::topic`], for a light queue that a message names beside its own. RocketMQ never gets past a message
    /// that names a batch queue there: it is refused.
    pub fn light_queue(&mut self, name: &[u8]) -> Result<(), Error> {
        self.kind(name)?;
        if !self.batches.holds(name) && !self.batches.is_mixed(name) {
            return Ok(());
        }
        let name = String::from_utf8_lossy(name);
        let reason = format!("INNER_MULTI_DISPATCH names {name:?}, which has batch queues (queue.type=BatchCQ): none is a light queue");
        Err(Error::argument("properties", reason))
    }

    /// … without refusing anything.
    pub fn kind(&mut self, topic: &[u8]) -> Result<(), Error> {
        let simple = self.simple;
        if self.is_fresh || has_queue(simple, topic) || self.batches.holds(topic) {
            return Ok(());
        }
        self.is_fresh = true;
        if self.topics.refresh(self.storage, self.findings)? {
            for name in self.topics.kinds.batch.iter().filter(|name| !has_queue(simple, name.as_bytes())) {
                self.batches.add_topic(name.as_bytes());
                // Plain queues that were deleted: those of the other kind go on at their offsets.
                for place in simple.topic(name.as_bytes()).into_iter().flat_map(Topic::places) {
                    let batch = self.batches.find_or_add(name.as_bytes(), simple.queue(place).id);
                    self.batches.begin_anew(batch, u64::MAX);
                    self.batches.continue_at(batch, simple.queue(place).next());
                }
            }
        }
        Ok(())
    }
}

/// Whether the topic has plain queues other than deleted ones.
fn has_queue(simple: &QueueTable, topic: &[u8]) -> bool {
    simple.topic(topic).is_some_and(|topic| topic.places().any(|place| !simple.queue(place).absent))
}

/// Whether a message, what it says of an inner batch and its topic fit together; RocketMQ's MESSAGE_ILLEGAL otherwise.
/// Returns the messages of an inner batch, 0 for any other message.
pub(super) fn check_inner_batch(
    message: &BatchMessage<'_>,
    inner_num: Option<&[u8]>,
    batches: &BatchTable,
    together: Together,
) -> Result<u32, Error> {
    if message.sys_flag & SYS_FLAG_INNER_BATCH == 0 {
        return match inner_num {
            None => Ok(0),
            Some(_) => {
                let reason = "INNER_NUM stands on a message that is no inner batch (sysFlag bit 7); leave it out, or put an innerBatch";
                Err(Error::argument("properties", reason))
            }
        };
    }
    if together == Together::Group {
        return Err(Error::argument("sysFlag", "bit 7 marks an inner batch, which is one record: put it by itself, not in a group"));
    }
    if !batches.holds(message.topic) {
        let reason = "the message is an inner batch (sysFlag bit 7), its topic has plain queues; put its messages one by one, or give \
                      the topic the attribute queue.type=BatchCQ in config/topics.json before its first message";
        return Err(Error::argument("topic", reason));
    }
    if !takes_queue_entry(message.sys_flag) {
        return Err(Error::argument("sysFlag", "an inner batch cannot be a prepared or rolled back transaction"));
    }
    let Some(inner_num) = inner_num else {
        return Err(Error::argument("properties", "an inner batch needs the property INNER_NUM, the number of its messages"));
    };
    let Some(number) = parse_inner_num(inner_num) else {
        return Err(Error::argument("properties", "INNER_NUM must be a number from 1 to 32767"));
    };
    if message.sys_flag & SYS_FLAG_COMPRESSED != 0 {
        return Ok(number); // its messages cannot be counted here
    }
    match count_wire_messages(message.body) {
        Some(count) if count == number => Ok(number),
        Some(count) => Err(Error::argument("body", format!("the body holds {count} messages, INNER_NUM says {number}"))),
        None => Err(Error::argument("body", "the body is no wire batch of messages: the lengths in it do not add up")),
    }
}

impl<S: Storage, C: Clock> Reader<'_, S, C> {
    /// A batch queue that a message ever took a place in.
    pub(super) fn batch_queue(&self, topic: &[u8], queue_id: i32) -> Option<BatchIndex> {
        let batches = &self.0.batches;
        if batches.is_empty() { None } else { batches.find(topic, queue_id).filter(|&place| batches.queue(place).is_shown()) }
    }

    pub(super) fn batch_queues(&self) -> usize {
        let batches = &self.0.batches;
        batches.places().filter(|&place| batches.queue(place).is_shown()).count()
    }

    pub(super) fn batch_queue_ids(&self, topic: &[u8]) -> Vec<i32> {
        let ids = self.0.batches.topic(topic).into_iter().flat_map(Topic::queue_ids);
        ids.filter(|&id| self.batch_queue(topic, id).is_some()).collect()
    }

    pub(super) fn batch_topics(&self) -> impl Iterator<Item = String> {
        let topics = self.0.batches.topics().map(|topic| topic.name.clone());
        topics.filter(|topic| !self.batch_queue_ids(topic.as_bytes()).is_empty())
    }

    pub(super) fn batch_offsets(&self, place: BatchIndex) -> QueueOffsets {
        batch_lookup::offsets(&self.0.batches, place, self.0.visible())
    }

    pub(super) fn batch_offset_by_time(&self, place: BatchIndex, timestamp: i64, boundary: Boundary) -> Result<u64, Error> {
        let engine = self.0;
        let visible = engine.visible();
        batch_lookup::offset_by_time(&self.files(), &engine.batch_files, &engine.batches, place, visible, timestamp, boundary)
    }

    /// Store time of the batch that holds a queue offset.
    pub(super) fn batch_time_of(&self, place: BatchIndex, offset: u64) -> Result<Option<i64>, Error> {
        let engine = self.0;
        let range = self.batch_offsets(place);
        if !(range.min..range.max).contains(&offset) {
            return Ok(None);
        }
        let position = position_of(&self.files(), &engine.batch_files, &engine.batches, place, offset)?;
        match engine.batch_files.entry(&self.files(), &engine.batches, place, position)? {
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
            let storage = &self.files();
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
