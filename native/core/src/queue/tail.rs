//! The newest entries of a queue, in memory until they are in its files.

use alloc::collections::VecDeque;

use crate::format::queue_entry::QueueEntry;

/// Entries kept in memory at least, so that the next messages do not allocate again.
const KEPT_CAPACITY: usize = 16;

/// A run of entries that ends at the queue's next offset.
#[derive(Debug, Default)]
pub struct Tail {
    /// Queue offset of the first entry here.
    first: u64,
    entries: VecDeque<QueueEntry>,
}

impl Tail {
    pub fn starting_at(first: u64) -> Self {
        Self { first, entries: VecDeque::new() }
    }

    /// Queue offset of the first entry in memory; all below are in files.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// Queue offset that the next entry gets.
    pub fn next(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub fn push(&mut self, entry: QueueEntry) {
        self.entries.push_back(entry);
    }

    pub fn get(&self, offset: u64) -> Option<QueueEntry> {
        self.entries.get(usize::try_from(offset.checked_sub(self.first)?).ok()?).copied()
    }

    /// The entries with queue offsets `from..`, `from` within the tail.
    pub fn from(&self, from: u64) -> impl Iterator<Item = &QueueEntry> {
        self.entries.iter().skip(from.saturating_sub(self.first) as usize)
    }

    /// Queue offset of the first entry in memory whose record starts at or above `physical`.
    pub fn first_at_or_above(&self, physical: u64) -> u64 {
        self.first + self.entries.partition_point(|entry| entry.physical < physical) as u64
    }

    /// Forgets the entries whose records start at or above `physical`; returns how many.
    pub fn drop_at_or_above(&mut self, physical: u64) -> usize {
        let kept = self.entries.iter().rposition(|entry| !entry.is_blank() && entry.physical < physical).map_or(0, |last| last + 1);
        let dropped = self.entries.len() - kept;
        self.entries.truncate(kept);
        dropped
    }

    /// Forgets the entries below queue offset `offset`: they are in files now.
    pub fn drop_below(&mut self, offset: u64) {
        let count = (offset.saturating_sub(self.first) as usize).min(self.entries.len());
        self.entries.drain(..count);
        self.first += count as u64;
        if self.entries.is_empty() && self.entries.capacity() > 64 * KEPT_CAPACITY {
            self.entries.shrink_to(KEPT_CAPACITY);
        }
    }
}
