//! The newest entries of a queue, in memory until they are in its files.
//!
//! The memory belongs to all queues together: a tail takes a buffer for its first entry, a larger one when that is full,
//! and gives it back when its entries are in files. So what is held follows the entries that wait, not the number of
//! queues, and once the buffers are there nothing is allocated any more.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::format::queue_entry::QueueEntry;

/// Entries of the smallest buffer.
const SMALLEST: usize = 8;
/// Sizes of buffers that are kept: each holds twice as many entries as the one before.
const SIZES: usize = 18;
/// Entries that buffers nobody uses may hold together: 24 MiB.
const MAX_SPARE_ENTRIES: usize = 1 << 20;

/// A run of entries that ends at the queue's next offset.
#[derive(Debug, Default)]
pub struct Tail {
    /// Queue offset of the first entry here.
    first: u64,
    entries: VecDeque<QueueEntry>,
}

/// Buffers that no tail uses at the moment.
#[derive(Debug, Default)]
pub struct TailBuffers {
    /// By size: place n has buffers of `SMALLEST << n` entries.
    spare: [Vec<VecDeque<QueueEntry>>; SIZES],
    spare_entries: usize,
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

    pub fn push(&mut self, entry: QueueEntry, buffers: &mut TailBuffers) {
        if self.entries.len() == self.entries.capacity() {
            self.move_to(buffers.take(self.entries.len() + 1), buffers);
        }
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
        let (mut low, mut high) = (0, self.entries.len());
        while low < high {
            let middle = low + (high - low) / 2;
            // A blank has no place of its own: what stands in front of it decides.
            let mut at = middle;
            while at > low && self.entries[at].is_blank() {
                at -= 1;
            }
            let entry = &self.entries[at];
            if !entry.is_blank() && entry.physical >= physical { high = at } else { low = middle + 1 }
        }
        self.first + low as u64
    }

    /// Forgets the entries whose records start at or above `physical`; returns how many.
    pub fn drop_at_or_above(&mut self, physical: u64, buffers: &mut TailBuffers) -> usize {
        let kept = self.entries.iter().rposition(|entry| !entry.is_blank() && entry.physical < physical).map_or(0, |last| last + 1);
        let dropped = self.entries.len() - kept;
        self.entries.truncate(kept);
        if kept == 0 {
            buffers.give(core::mem::take(&mut self.entries));
        }
        dropped
    }

    /// Forgets the entries below queue offset `offset`: they are in files now.
    pub fn drop_below(&mut self, offset: u64, buffers: &mut TailBuffers) {
        let count = (offset.saturating_sub(self.first) as usize).min(self.entries.len());
        self.entries.drain(..count);
        self.first += count as u64;
        let left = self.entries.len();
        if left == 0 {
            buffers.give(core::mem::take(&mut self.entries));
        } else if left * 4 <= self.entries.capacity() && self.entries.capacity() > SMALLEST {
            self.move_to(buffers.take(left), buffers);
        }
    }

    fn move_to(&mut self, mut buffer: VecDeque<QueueEntry>, buffers: &mut TailBuffers) {
        let (front, back) = self.entries.as_slices();
        buffer.extend(front);
        buffer.extend(back);
        self.entries.clear();
        buffers.give(core::mem::replace(&mut self.entries, buffer));
    }
}

impl TailBuffers {
    /// An empty buffer for `entries` entries.
    fn take(&mut self, entries: usize) -> VecDeque<QueueEntry> {
        let capacity = entries.next_power_of_two().max(SMALLEST);
        match self.spare.get_mut(place_of(capacity)).and_then(Vec::pop) {
            Some(buffer) => {
                self.spare_entries -= buffer.capacity();
                buffer
            }
            None => VecDeque::with_capacity(capacity),
        }
    }

    /// Keeps an empty buffer, unless enough lie here already.
    fn give(&mut self, buffer: VecDeque<QueueEntry>) {
        let capacity = buffer.capacity();
        if capacity.is_power_of_two()
            && capacity >= SMALLEST
            && self.spare_entries + capacity <= MAX_SPARE_ENTRIES
            && let Some(spare) = self.spare.get_mut(place_of(capacity))
        {
            self.spare_entries += capacity;
            spare.push(buffer);
        }
    }
}

/// Where buffers of a capacity, a power of two, are kept.
fn place_of(capacity: usize) -> usize {
    (capacity / SMALLEST).ilog2() as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(physical: u64) -> QueueEntry {
        QueueEntry { physical, size: 1, tags_code: 0 }
    }

    #[test]
    fn entries_keep_their_offsets_while_buffers_change() {
        let mut buffers = TailBuffers::default();
        let mut tail = Tail::starting_at(100);
        for n in 0..1000 {
            tail.push(entry(n), &mut buffers);
            if n % 7 == 0 {
                tail.drop_below(100 + n / 2, &mut buffers);
            }
            assert_eq!(tail.next(), 101 + n);
            assert_eq!(tail.get(100 + n), Some(entry(n)));
        }
        tail.drop_below(1095, &mut buffers);
        assert!(tail.from(1095).copied().eq((995..1000).map(entry)));
        assert!(tail.entries.capacity() <= 4 * SMALLEST, "5 entries hold {}", tail.entries.capacity());
    }

    #[test]
    fn blanks_go_with_what_stands_in_front_of_them() {
        let mut buffers = TailBuffers::default();
        let mut tail = Tail::starting_at(7);
        let entries = [1, 0, 0, 2, 3, 0, 4, 0, 0, 0, 5, 0].map(|n| if n == 0 { QueueEntry::BLANK } else { entry(n * 100) });
        entries.into_iter().for_each(|entry| tail.push(entry, &mut buffers));
        let places: Vec<_> = (0..7).map(|n| tail.first_at_or_above(n * 100) - 7).collect();
        assert_eq!(places, [0, 0, 3, 4, 6, 10, 12]);
    }

    #[test]
    fn an_empty_tail_has_given_its_buffer_to_the_next() {
        let mut buffers = TailBuffers::default();
        let mut tails: Vec<Tail> = (0..1000).map(|_| Tail::default()).collect();
        for round in 0..3 {
            for tail in &mut tails {
                (0..20).for_each(|n| tail.push(entry(n), &mut buffers));
                tail.drop_below(tail.next(), &mut buffers);
                assert_eq!((tail.entries.capacity(), tail.next()), (0, 20 * (round + 1)));
            }
        }
        assert_eq!(buffers.spare_entries, 8 + 16 + 32, "one of each size served them all");
    }

    #[test]
    fn buffers_that_nobody_uses_are_bounded() {
        let mut buffers = TailBuffers::default();
        let mut tails: Vec<Tail> = (0..3).map(|_| Tail::default()).collect();
        for tail in &mut tails {
            (0..MAX_SPARE_ENTRIES as u64).for_each(|n| tail.push(entry(n), &mut buffers));
        }
        tails.iter_mut().for_each(|tail| tail.drop_below(u64::MAX, &mut buffers));
        assert!(buffers.spare_entries <= MAX_SPARE_ENTRIES);
    }
}
