//! The table of all queues: names to queues, counters, and which have entries that wait for their files.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use super::tail::{Tail, TailBuffers};
use super::topics::{Topic, Topics};
use crate::format::queue_entry::QueueEntry;

/// Place of a queue in the table; never given to another queue while the store is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct QueueIndex(u32);

#[derive(Debug)]
pub struct Queue {
    topic: u32,
    pub id: i32,
    /// Smallest queue offset whose message the log still holds.
    pub min: u64,
    pub tail: Tail,
    /// The queue's files begin in the middle of one: blank entries go from its start to the first real one (store-format §3.3.3).
    pub fill_from: Option<u64>,
    /// There are files of the queue.
    pub in_files: bool,
    /// It has no message and no files, and is not shown: only its next offset is known.
    pub absent: bool,
    /// Offsets given to messages that are being written and have no entry yet.
    assigned: u64,
    /// Has entries that wait: it stands in the table's list, or in a plan that is being carried out.
    waiting: bool,
}

impl Queue {
    /// Offset that the next message gets.
    pub fn next(&self) -> u64 {
        self.tail.next()
    }
}

#[derive(Debug, Default)]
pub struct QueueTable {
    topics: Topics<QueueIndex>,
    queues: Vec<Queue>,
    buffers: TailBuffers,
    /// Queues with entries in no file and in no plan, those that waited longest first.
    waiting: VecDeque<QueueIndex>,
    waiting_entries: usize,
    /// Blank entries that gaps have cost so far.
    blanks: u64,
    /// Deleted topics: the physical offset below which their messages are hidden, also those of batch queues.
    hidden: BTreeMap<Vec<u8>, u64>,
}

/// Blank entries that all gaps of a store may cost: they stand in memory until they are in files.
const MAX_BLANKS: u64 = 4_000_000;

impl QueueTable {
    pub fn find(&self, topic: &[u8], id: i32) -> Option<QueueIndex> {
        self.topics.named(topic)?.place(id)
    }

    /// The queue, made if there is none, starting at offset 0. `topic` is valid UTF-8 (lossy otherwise).
    pub fn find_or_add(&mut self, topic: &[u8], id: i32) -> QueueIndex {
        let (topic, new) = (self.topics.index_or_add(topic), QueueIndex(self.queues.len() as u32));
        if let Ok(known) = self.topics.queue_or_add(topic, id, new) {
            return known;
        }
        let (min, tail) = (0, Tail::default());
        self.queues.push(Queue { topic, id, min, tail, fill_from: None, in_files: false, absent: false, assigned: 0, waiting: false });
        new
    }

    pub fn queue(&self, place: QueueIndex) -> &Queue {
        &self.queues[place.0 as usize]
    }

    pub fn queue_mut(&mut self, place: QueueIndex) -> &mut Queue {
        &mut self.queues[place.0 as usize]
    }

    pub fn topic_of(&self, place: QueueIndex) -> &Topic<QueueIndex> {
        self.topics.get(self.queues[place.0 as usize].topic)
    }

    pub fn topic(&self, name: &[u8]) -> Option<&Topic<QueueIndex>> {
        self.topics.named(name)
    }

    pub fn topics(&self) -> impl Iterator<Item = &Topic<QueueIndex>> {
        self.topics.iter()
    }

    /// Every queue, in the order in which they became known.
    pub fn places(&self) -> impl Iterator<Item = QueueIndex> + use<> {
        (0..self.queues.len() as u32).map(QueueIndex)
    }

    pub fn len(&self) -> usize {
        self.queues.len()
    }

    pub fn is_empty(&self) -> bool {
        self.queues.is_empty()
    }

    /// Adds an entry at the queue's next offset; it waits for its file from here on.
    pub fn push(&mut self, place: QueueIndex, entry: QueueEntry) {
        let queue = &mut self.queues[place.0 as usize];
        queue.tail.push(entry, &mut self.buffers);
        queue.absent = false;
        queue.assigned = queue.assigned.saturating_sub(1);
        self.waiting_entries += 1;
        if !queue.waiting {
            queue.waiting = true;
            self.waiting.push_back(place);
        }
    }

    /// Adds blank entries, up to the offset `to`; false, and nothing is added, where all gaps together have cost too much.
    pub fn push_blanks(&mut self, place: QueueIndex, to: u64) -> bool {
        let gap = to.saturating_sub(self.queue(place).next());
        if self.blanks.saturating_add(gap) > MAX_BLANKS {
            return false;
        }
        self.blanks += gap;
        (0..gap).for_each(|_| self.push(place, QueueEntry::BLANK));
        true
    }

    /// Gives the queue's next offset to a message that is about to be written; [`QueueTable::push`] makes it final.
    pub fn assign(&mut self, place: QueueIndex) -> u64 {
        let queue = &mut self.queues[place.0 as usize];
        queue.assigned += 1;
        queue.tail.next() + queue.assigned - 1
    }

    /// The offset that was assigned last and is not final yet.
    pub fn last_assigned(&self, place: QueueIndex) -> u64 {
        let queue = &self.queues[place.0 as usize];
        (queue.tail.next() + queue.assigned).saturating_sub(1)
    }

    /// Takes an assigned offset back: its message was not written.
    pub fn unassign(&mut self, place: QueueIndex) {
        let queue = &mut self.queues[place.0 as usize];
        queue.assigned = queue.assigned.saturating_sub(1);
    }

    /// Entries that are in no file yet.
    pub fn waiting_entries(&self) -> usize {
        self.waiting_entries
    }

    /// Whether all entries of records below `physical` are in files. Looks at each queue that waits.
    pub fn none_waits_below(&self, physical: u64) -> bool {
        self.waiting.iter().all(|&place| {
            let tail = &self.queue(place).tail;
            tail.first_at_or_above(physical) == tail.first()
        })
    }

    /// Number of queues with entries that are in no file and in no plan.
    pub fn waiting_queues(&self) -> usize {
        self.waiting.len()
    }

    /// Takes the queue that has waited longest off the list; [`QueueTable::written`] or [`QueueTable::wait_again`] follows.
    pub fn next_waiting(&mut self) -> Option<QueueIndex> {
        self.waiting.pop_front()
    }

    /// The entries of a queue go on waiting.
    pub fn wait_again(&mut self, place: QueueIndex) {
        self.waiting.push_back(place);
    }

    /// Forgets the entries in memory whose records start at or above `physical`; says whether its files may hold some, too.
    pub fn cut_tail(&mut self, place: QueueIndex, physical: u64) -> bool {
        let queue = &mut self.queues[place.0 as usize];
        self.waiting_entries -= queue.tail.drop_at_or_above(physical, &mut self.buffers);
        queue.tail.is_empty()
    }

    /// Forgets the entries in memory below `offset`, which go to no file: the queue begins there, without files.
    pub fn begin_anew(&mut self, place: QueueIndex, offset: u64, file_entries: u64) {
        let queue = &mut self.queues[place.0 as usize];
        let before = queue.tail.first();
        queue.tail.drop_below(offset, &mut self.buffers);
        self.waiting_entries -= (queue.tail.first().saturating_sub(before)) as usize;
        let file_start = offset - offset % file_entries;
        (queue.min, queue.in_files) = (offset, false);
        queue.fill_from = (file_start != offset).then_some(file_start);
        queue.absent = queue.tail.is_empty();
    }

    /// From now on messages below these physical offsets are in no queue of these names.
    pub fn hide(&mut self, topic: &str, below: u64) {
        self.hidden.insert(topic.into(), below);
    }

    /// Physical offset below which messages are in no queue of a name.
    pub fn hidden_below(&self, topic: &[u8]) -> u64 {
        if self.hidden.is_empty() { 0 } else { self.hidden.get(topic).copied().unwrap_or(0) }
    }

    /// Takes queues that have nothing left to wait off the list.
    pub fn settle(&mut self) {
        let queues = &mut self.queues;
        self.waiting.retain(|place| {
            let queue = &mut queues[place.0 as usize];
            queue.waiting = !queue.tail.is_empty();
            queue.waiting
        });
    }

    /// The entries of a queue below `offset` are in files now.
    pub fn written(&mut self, place: QueueIndex, offset: u64) {
        let queue = &mut self.queues[place.0 as usize];
        let before = queue.tail.first();
        queue.tail.drop_below(offset, &mut self.buffers);
        queue.fill_from = None;
        queue.in_files = true;
        self.waiting_entries -= (queue.tail.first() - before) as usize;
        queue.waiting = !queue.tail.is_empty();
        if queue.waiting {
            self.waiting.push_back(place);
        }
    }
}
