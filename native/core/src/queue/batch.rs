//! The table of the batch queues: names to queues, counters, and the entries that wait for their files (store-format §3.7).
//!
//! An entry stands for a whole batch. Its **position** counts batches and says where it lies in the files; queue offsets
//! count messages.

use alloc::borrow::ToOwned;
use alloc::collections::{BTreeSet, VecDeque};
use alloc::vec::Vec;

use super::topics::{Topic, Topics};
use crate::format::batch_entry::BatchEntry;

/// Place of a batch queue in the table; never given to another one while the store is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BatchIndex(u32);

#[derive(Debug)]
pub struct BatchQueue {
    topic: u32,
    pub id: i32,
    /// Queue offset of the first message that the log still holds.
    pub min: u64,
    /// Position of the first entry in the files.
    pub(super) first: u64,
    /// Position of the first entry in memory; all below are in files.
    pub(super) held: u64,
    pub(super) tail: VecDeque<BatchEntry>,
    /// Queue offset behind the last message.
    pub(super) next: u64,
    /// It has no message and no files, and is not shown: only its next offset is known.
    pub absent: bool,
    /// Messages that are being written and have no entry yet.
    assigned: u64,
    waiting: bool,
}

impl BatchQueue {
    /// Queue offset behind the last message that its files lead to.
    pub fn next_held(&self) -> u64 {
        self.tail.front().map_or(self.next, |first| first.base)
    }

    /// Offset that the next message gets.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// Whether a message ever took a place in it, and it was not deleted since.
    pub fn is_shown(&self) -> bool {
        self.next > 0 && !self.absent
    }

    /// Position behind the last entry.
    pub fn end(&self) -> u64 {
        self.held + self.tail.len() as u64
    }

    pub fn is_empty(&self) -> bool {
        self.first == self.end()
    }

    /// Whether the log holds a message of it. Where all before one are gone, so may be those that no entry tells of.
    pub fn has_messages(&self) -> bool {
        self.min < self.next
    }

    /// What the files of the queue hold: entries at `first..held`, messages below `next`.
    pub(super) fn set_held(&mut self, first: u64, held: u64, next: u64) {
        (self.first, self.held, self.next) = (first, held, next);
        self.tail.clear();
    }

    /// The first entry that is in no file yet.
    pub fn first_waiting(&self) -> Option<&BatchEntry> {
        self.tail.front()
    }

    /// The files begin at this position now.
    pub fn set_begin(&mut self, first: u64) {
        self.first = first;
    }

    /// Positions of the entries that the files hold: the first, and behind the last.
    pub fn held(&self) -> (u64, u64) {
        (self.first, self.held)
    }

    /// Position of the first entry in memory whose record starts at or above `physical`.
    pub(super) fn first_at_or_above(&self, physical: u64) -> u64 {
        self.held + self.tail.partition_point(|entry| entry.physical < physical) as u64
    }

    pub(super) fn in_memory(&self, position: u64) -> Option<BatchEntry> {
        self.tail.get(usize::try_from(position.checked_sub(self.held)?).ok()?).copied()
    }
}

#[derive(Debug, Default)]
pub struct BatchTable {
    topics: Topics<BatchIndex>,
    queues: Vec<BatchQueue>,
    waiting: Vec<BatchIndex>,
    waiting_entries: usize,
    /// Topics that have queues of both kinds: RocketMQ does not start with them.
    mixed: BTreeSet<Vec<u8>>,
}

impl BatchTable {
    /// Whether the topic's queues are batch queues.
    pub fn holds(&self, topic: &[u8]) -> bool {
        self.topics.index(topic).is_some()
    }

    pub fn find(&self, topic: &[u8], id: i32) -> Option<BatchIndex> {
        self.topics.named(topic)?.place(id)
    }

    /// Makes the topic one of batch queues.
    pub fn add_topic(&mut self, name: &[u8]) {
        self.topics.index_or_add(name);
    }

    /// The queue, made if there is none, starting at offset 0. `topic` is valid UTF-8 (lossy otherwise).
    pub fn find_or_add(&mut self, topic: &[u8], id: i32) -> BatchIndex {
        let (topic, new) = (self.topics.index_or_add(topic), BatchIndex(self.queues.len() as u32));
        if let Ok(known) = self.topics.queue_or_add(topic, id, new) {
            return known;
        }
        let (first, held, next) = (0, 0, 0);
        let tail = VecDeque::new();
        self.queues.push(BatchQueue { topic, id, min: 0, first, held, tail, next, absent: false, assigned: 0, waiting: false });
        new
    }

    /// Sets what the files of a queue hold: entries at `first..held`, messages of the queue offsets `min..next`.
    pub fn load(&mut self, place: BatchIndex, first: u64, held: u64, next: u64, min: u64) {
        let queue = &mut self.queues[place.0 as usize];
        queue.set_held(first, held, next);
        queue.min = min;
    }

    /// The queue goes on at `next` at least.
    pub fn raise(&mut self, place: BatchIndex, next: u64) {
        let queue = &mut self.queues[place.0 as usize];
        queue.next = queue.next.max(next);
    }

    pub fn queue(&self, place: BatchIndex) -> &BatchQueue {
        &self.queues[place.0 as usize]
    }

    pub fn queue_mut(&mut self, place: BatchIndex) -> &mut BatchQueue {
        &mut self.queues[place.0 as usize]
    }

    pub fn topic_of(&self, place: BatchIndex) -> &Topic<BatchIndex> {
        self.topics.get(self.queues[place.0 as usize].topic)
    }

    pub fn topic(&self, name: &[u8]) -> Option<&Topic<BatchIndex>> {
        self.topics.named(name)
    }

    pub fn topics(&self) -> impl Iterator<Item = &Topic<BatchIndex>> {
        self.topics.iter()
    }

    /// Every queue, in the order in which they became known.
    pub fn places(&self) -> impl Iterator<Item = BatchIndex> + use<> {
        (0..self.queues.len() as u32).map(BatchIndex)
    }

    /// Whether no topic has batch queues.
    pub fn is_empty(&self) -> bool {
        self.topics.is_empty()
    }

    /// Marks a topic as one that has queues of both kinds.
    pub fn mark_mixed(&mut self, topic: &[u8]) {
        self.mixed.insert(topic.to_owned());
    }

    pub fn is_mixed(&self, topic: &[u8]) -> bool {
        !self.mixed.is_empty() && self.mixed.contains(topic)
    }

    /// Adds an entry at the queue's end; it waits for its file from here on.
    pub fn push(&mut self, place: BatchIndex, entry: BatchEntry) {
        let queue = &mut self.queues[place.0 as usize];
        queue.next = entry.next();
        queue.absent = false;
        queue.tail.push_back(entry);
        queue.assigned = queue.assigned.saturating_sub(u64::from(entry.messages));
        self.waiting_entries += 1;
        if !queue.waiting {
            queue.waiting = true;
            self.waiting.push(place);
        }
    }

    /// Gives the queue's next offsets to messages that are about to be written, and returns the first;
    /// [`BatchTable::push`] makes it final.
    pub fn assign(&mut self, place: BatchIndex, messages: u32) -> u64 {
        let queue = &mut self.queues[place.0 as usize];
        let base = queue.next + queue.assigned;
        queue.assigned += u64::from(messages);
        base
    }

    /// Takes assigned offsets back: their messages were not written.
    pub fn unassign(&mut self, place: BatchIndex, messages: u32) {
        let queue = &mut self.queues[place.0 as usize];
        queue.assigned = queue.assigned.saturating_sub(u64::from(messages));
    }

    /// Entries that are in no file yet.
    pub fn waiting_entries(&self) -> usize {
        self.waiting_entries
    }

    /// Whether all entries of records below `physical` are in files.
    pub fn none_waits_below(&self, physical: u64) -> bool {
        self.waiting.iter().all(|&place| self.queue(place).first_at_or_above(physical) == self.queue(place).held)
    }

    /// Queues with entries that are in no file yet.
    pub fn waiting(&self) -> &[BatchIndex] {
        &self.waiting
    }

    /// Forgets the entries in memory whose records start at or above `physical`; returns the queue offset of the first one
    /// that goes, if any does.
    pub(super) fn cut_tail(&mut self, place: BatchIndex, physical: u64) -> Option<u64> {
        let queue = &mut self.queues[place.0 as usize];
        let kept = queue.tail.iter().rposition(|entry| entry.physical < physical).map_or(0, |last| last + 1);
        let first_gone = queue.tail.get(kept)?.base;
        self.waiting_entries -= queue.tail.len() - kept;
        queue.tail.truncate(kept);
        if let Some(last) = queue.tail.back() {
            queue.next = last.next();
        }
        Some(first_gone)
    }

    /// The entries of a queue below `position` are in files now.
    pub fn written(&mut self, place: BatchIndex, position: u64) {
        let queue = &mut self.queues[place.0 as usize];
        let count = (position.saturating_sub(queue.held) as usize).min(queue.tail.len());
        queue.tail.drain(..count);
        queue.held += count as u64;
        self.waiting_entries -= count;
    }

    /// Forgets the entries in memory whose records start below `physical`, which go to no file: the queue begins behind
    /// them, without files, and goes on at the offset where it is.
    pub fn begin_anew(&mut self, place: BatchIndex, physical: u64) {
        let queue = &mut self.queues[place.0 as usize];
        let count = queue.tail.partition_point(|entry| entry.physical < physical);
        queue.tail.drain(..count);
        self.waiting_entries -= count;
        queue.set_begin(0);
        queue.held = 0;
        queue.min = queue.tail.front().map_or(queue.next, |entry| entry.base);
        queue.absent = queue.tail.is_empty();
    }

    /// As [`BatchTable::begin_anew`], unless messages at queue offset `next` or behind it are in files already: then the queue
    /// begins there and keeps its files (false).
    pub fn begin_anew_at(&mut self, place: BatchIndex, physical: u64, next: u64) -> bool {
        let queue = self.queue_mut(place);
        if queue.tail.front().map_or(queue.next, |entry| entry.base) > next {
            queue.min = next;
            return false;
        }
        self.begin_anew(place, physical);
        true
    }

    /// A queue without messages goes on at `next`.
    pub fn continue_at(&mut self, place: BatchIndex, next: u64) {
        let queue = &mut self.queues[place.0 as usize];
        (queue.min, queue.next) = (next, next);
    }

    /// Takes queues without waiting entries off the list.
    pub fn settle(&mut self) {
        let queues = &mut self.queues;
        self.waiting.retain(|place| {
            let queue = &mut queues[place.0 as usize];
            queue.waiting = !queue.tail.is_empty();
            queue.waiting
        });
    }
}
