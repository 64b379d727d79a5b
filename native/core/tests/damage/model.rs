//! What was put into a store that is damaged then.

use std::collections::BTreeSet;

/// Queues that messages are put to, and light queues.
pub const QUEUES: [(&str, i32); 7] = [("T", 0), ("T", 1), ("U", 0), ("B", 0), ("B", 2), ("%LMQ%a", 0), ("%LMQ%b", 0)];
/// Of these a message takes several offsets.
pub const BATCH_QUEUES: std::ops::Range<usize> = 3..5;
pub const LIGHT_QUEUES: std::ops::Range<usize> = 5..7;
pub const KEYS: [&str; 4] = ["k0", "k1", "k2", "all"];

/// A place in a queue.
#[derive(Clone, Copy, Debug)]
pub struct Place {
    pub queue: usize,
    pub offset: u64,
    /// Offsets taken.
    pub taken: u64,
}

#[derive(Clone, Debug)]
pub struct Message {
    pub physical: u64,
    pub bytes: Vec<u8>,
    pub time: i64,
    pub places: Vec<Place>,
    pub keys: Vec<usize>,
    /// Topic that the keys belong to.
    pub topic: &'static str,
}

impl Message {
    pub fn end(&self) -> u64 {
        self.physical + self.bytes.len() as u64
    }
}

#[derive(Clone, Debug, Default)]
pub struct Model {
    /// In the order of the log.
    pub messages: Vec<Message>,
    pub next: [u64; QUEUES.len()],
}

impl Model {
    pub fn at(&self, physical: u64) -> Option<usize> {
        self.messages.binary_search_by_key(&physical, |message| message.physical).ok()
    }

    /// Queue, offset and number of each message that has a place.
    pub fn places(&self) -> impl Iterator<Item = (usize, &Place)> {
        self.messages.iter().enumerate().flat_map(|(number, message)| message.places.iter().map(move |place| (number, place)))
    }

    /// The message at an offset of a queue.
    pub fn in_queue(&self, queue: usize, offset: u64) -> Option<(usize, &Place)> {
        self.places().find(|(_, place)| place.queue == queue && (place.offset..place.offset + place.taken).contains(&offset))
    }

    /// Next offsets, where some messages are lost, and nothing but their records tells of those from `in_files` on.
    pub fn next_without(&self, lost: &BTreeSet<usize>, in_files: usize) -> [u64; QUEUES.len()] {
        let mut next = [0; QUEUES.len()];
        for (_, place) in self.places().filter(|(number, _)| *number < in_files || !lost.contains(number)) {
            next[place.queue] = place.offset + place.taken;
        }
        next
    }

    /// Next offsets, where the messages from `first_lost` on are gone.
    pub fn next_before(&self, first_lost: usize) -> [u64; QUEUES.len()] {
        let mut next = [0; QUEUES.len()];
        for place in self.messages[..first_lost].iter().flat_map(|message| &message.places) {
            next[place.queue] = place.offset + place.taken;
        }
        next
    }
}
