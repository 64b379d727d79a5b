//! What was put, as a power cut may leave a prefix of it: records byte for byte, and their places in queues.

use std::rc::Rc;

use moraine_core::batch::BatchMessage;
use moraine_core::format::record::{Address, Host};

use super::workload::{Draft, KEYS, LIGHT, OWN};

/// Topic and id of each queue: those that messages are put to, and light queues.
pub fn queue(number: usize) -> (&'static str, i32) {
    if number < OWN.len() { OWN[number] } else { (LIGHT[number - OWN.len()], 0) }
}

pub const QUEUES: usize = OWN.len() + LIGHT.len();

/// A place in a queue: queue, offset, offsets taken.
pub type Place = (usize, u64, u64);

#[derive(Debug)]
pub struct Stored {
    pub physical: u64,
    pub bytes: Vec<u8>,
    pub time: i64,
    pub draft: Draft,
    pub places: Vec<Place>,
}

impl Stored {
    pub fn end(&self) -> u64 {
        self.physical + self.bytes.len() as u64
    }
}

#[derive(Clone, Debug, Default)]
pub struct Model {
    /// In the order of the log.
    pub messages: Vec<Rc<Stored>>,
    /// (position, bytes) of the unused ends of files.
    pub blanks: Vec<(u64, u64)>,
    pub end: u64,
    pub next: [u64; QUEUES],
    /// Below it the log holds nothing any more.
    pub min: u64,
    /// Below them no message is found in these queues, or by key: their topics were deleted there.
    pub hidden: [u64; QUEUES],
    /// Queues of deleted topics that messages were put to since, whatever has become of those.
    pub made_again: [bool; QUEUES],
}

impl Model {
    /// Whether a message is found in a queue, or by the keys of the queue's topic.
    pub fn is_shown(&self, queue: usize, message: &Stored) -> bool {
        message.physical >= self.min.max(self.hidden[queue])
    }

    /// The messages that the log still holds.
    pub fn held(&self) -> impl Iterator<Item = &Rc<Stored>> {
        self.messages.iter().filter(|message| message.physical >= self.min)
    }

    /// Whether a queue is among those of its topic: one that was deleted and not made again is not.
    pub fn is_listed(&self, queue: usize) -> bool {
        let mut in_it = self.messages.iter().filter(|message| message.places.iter().any(|place| place.0 == queue));
        in_it.any(|message| message.physical >= self.hidden[queue])
    }

    /// A queue that was made again after it was deleted, and has lost its messages since, expired or taken back: whether it is
    /// listed rests on its directory alone, which a crash may take.
    pub fn is_forgotten(&self, queue: usize) -> bool {
        self.made_again[queue] && self.in_queue(queue).next().is_none()
    }

    /// An end that the log may be taken back to without touching what was deleted: the number says which.
    pub fn possible_end(&self, number: u64) -> Option<u64> {
        let least = self.hidden.iter().copied().max().unwrap_or(0).max(self.min);
        let ends = std::iter::once(0).chain(self.messages.iter().map(|message| message.end()));
        let possible: Vec<u64> = ends.filter(|&end| end >= least).collect();
        possible.get((number % possible.len().max(1) as u64) as usize).copied()
    }

    /// The queues that go with one of the names that are deleted.
    pub fn delete(&mut self, name: &str) {
        for number in (0..QUEUES).filter(|&number| queue(number).0 == name) {
            (self.hidden[number], self.made_again[number]) = (self.end, false);
        }
    }

    /// What is left of it in a log that ends at `end`; `None`: neither a message nor a blank ends there.
    pub fn cut(&self, end: u64) -> Option<Self> {
        let kept = self.messages.partition_point(|message| message.end() <= end);
        let messages = self.messages[..kept].to_vec();
        let blanks: Vec<(u64, u64)> = self.blanks.iter().copied().filter(|&(at, size)| at + size <= end).collect();
        let last = messages.last().map_or(0, |last| last.end()).max(blanks.last().map_or(0, |&(at, size)| at + size));
        let mut next = [0; QUEUES];
        for &(queue, offset, taken) in messages.iter().flat_map(|message| &message.places) {
            next[queue] = offset + taken;
        }
        let hidden = self.hidden.map(|below| below.min(end));
        (last == end && end >= self.min).then_some(Self { messages, blanks, end, next, min: self.min, hidden, made_again: self.made_again })
    }

    /// Takes a message over that was put at `physical`.
    pub fn append(&mut self, draft: &Draft, physical: u64, bytes: Vec<u8>, time: i64) {
        if physical > self.end {
            self.blanks.push((self.end, physical - self.end));
        }
        let mut places = Vec::new();
        if draft.takes_place() {
            let taken = u64::from(draft.inner.max(1));
            places.push((draft.queue, self.next[draft.queue], taken));
            places.extend(draft.light.iter().map(|&light| (OWN.len() + light, self.next[OWN.len() + light], 1)));
        }
        for &(queue, _, taken) in &places {
            self.next[queue] += taken;
            self.made_again[queue] |= self.hidden[queue] > 0;
        }
        self.end = physical + bytes.len() as u64;
        self.messages.push(Rc::new(Stored { physical, bytes, time, draft: draft.clone(), places }));
    }

    /// The messages of a queue: offset, offsets taken, message.
    pub fn in_queue(&self, queue: usize) -> impl Iterator<Item = (u64, u64, &Stored)> {
        self.messages.iter().filter(move |message| self.is_shown(queue, message)).filter_map(move |message| {
            let place = message.places.iter().find(|place| place.0 == queue);
            place.map(|&(_, offset, taken)| (offset, taken, &**message))
        })
    }
}

/// A draft as it is handed over: body and property string.
pub fn body_and_properties(draft: &Draft) -> (Vec<u8>, String) {
    let mut properties = String::new();
    if draft.tagged {
        properties.push_str("TAGS\u{1}t\u{2}");
    }
    if !draft.keys.is_empty() {
        let keys: Vec<&str> = draft.keys.iter().map(|&key| KEYS[key]).collect();
        properties.push_str(&format!("KEYS\u{1}{}\u{2}", keys.join(" ")));
    }
    if !draft.light.is_empty() {
        let names: Vec<&str> = draft.light.iter().map(|&light| LIGHT[light]).collect();
        properties.push_str(&format!("INNER_MULTI_DISPATCH\u{1}{}\u{2}", names.join(",")));
    }
    let body = if draft.inner > 0 {
        properties.push_str(&format!("INNER_NUM\u{1}{}\u{2}", draft.inner));
        // So many messages in RocketMQ's wire form.
        (0..draft.inner).flat_map(|n| [&23_i32.to_be_bytes()[..], &[0; 12], &1_i32.to_be_bytes(), &[n], &[0; 2]].concat()).collect()
    } else {
        (0..draft.body).map(|at| (draft.number as usize).wrapping_mul(31).wrapping_add(at * 7) as u8).collect()
    };
    (body, properties)
}

pub fn message<'a>(draft: &Draft, body: &'a [u8], properties: &'a str) -> BatchMessage<'a> {
    let host = Host { address: Address::V4([127, 0, 0, 1]), port: 10911 };
    let (topic, queue_id) = OWN[draft.queue];
    BatchMessage {
        topic: topic.as_bytes(),
        queue_id,
        flag: draft.number as i32,
        sys_flag: if draft.inner > 0 { 0xC0 } else { draft.transaction << 2 },
        reconsume_times: 0,
        born_timestamp: 1_699_999_999_999,
        prepared_transaction_offset: 0,
        born_host: host,
        store_host: host,
        body,
        properties: properties.as_bytes(),
    }
}
