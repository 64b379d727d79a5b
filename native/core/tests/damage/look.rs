//! Everything that can be asked of an open store, held against what was put: what is there must be right.

use std::collections::BTreeSet;

use moraine_core::engine::{Boundary, GetRequest, GetStatus, Resolved, ScanItem, Scanner};
use moraine_core::error::{Code, Detail, Error};
use moraine_core::format::record::Record;
use moraine_core::memory::MemorySegment;

use crate::model::*;
use crate::support::*;

/// What is not found of what was put. All else is served.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Messages whose records the log does not give.
    pub lost: BTreeSet<usize>,
    /// Queue and offset of messages that their queues do not give.
    pub hidden: BTreeSet<(usize, u64)>,
    /// Message and key that does not find it.
    pub unfound: BTreeSet<(usize, usize)>,
    pub next: [u64; QUEUES.len()],
    pub end: u64,
}

impl Seen {
    pub fn is_whole(&self) -> bool {
        self.lost.is_empty() && self.hidden.is_empty() && self.unfound.is_empty()
    }
}

/// A message that was damaged where no checksum sees it, as it may be shown.
pub type Altered<'a> = Option<(usize, &'a [u8])>;

/// The tag `a`.
const FILTER: &[u8] = b"\x00\x01a";

struct Looking<'a> {
    store: &'a Store,
    model: &'a Model,
    altered: Altered<'a>,
    seen: Seen,
    out: Vec<u8>,
    resolved: Resolved<MemorySegment>,
}

/// Asks for everything. What is shown and was never put is an error, and so is a question that goes on and on.
pub fn look(store: &Store, model: &Model, altered: Altered<'_>) -> Result<Seen, String> {
    let end = store.reader().positions().end;
    let seen = Seen { end, ..Seen::default() };
    let mut looking = Looking { store, model, altered, seen, out: vec![0; 1 << 14], resolved: Resolved::default() };
    looking.log()?;
    looking.scan()?;
    for queue in 0..QUEUES.len() {
        looking.queue(queue)?;
        looking.filtered(queue)?;
    }
    looking.keys()?;
    Ok(looking.seen)
}

impl Looking<'_> {
    /// Whether bytes are those of a message.
    fn is(&self, number: usize, bytes: &[u8]) -> bool {
        bytes == self.model.messages[number].bytes || self.altered.is_some_and(|altered| altered == (number, bytes))
    }

    /// Which message is shown; an error: none that was put.
    fn known(&self, bytes: &[u8], what: &str) -> Result<usize, String> {
        let record = Record::parse(bytes).map_err(|flaw| format!("{what}: shows what is no record: {flaw}"))?;
        let number = self.model.at(record.physical_offset() as u64);
        number.filter(|&number| self.is(number, bytes)).ok_or_else(|| format!("{what}: shows other bytes than were put"))
    }

    fn log(&mut self) -> Result<(), String> {
        let log = self.store.reader().log();
        let mut bytes = Vec::new();
        for (number, message) in self.model.messages.iter().enumerate() {
            match log.record_at(message.physical, &mut bytes) {
                Ok(Some(size)) if self.is(number, &bytes[..size]) => {}
                Ok(Some(_)) => return Err(String::from("the log: shows other bytes than were put")),
                Ok(None) => _ = self.seen.lost.insert(number),
                Err(error) if error.code == Code::Corrupt => _ = self.seen.lost.insert(number),
                Err(error) => return Err(format!("the log: {error}")),
            }
        }
        Ok(())
    }

    fn scan(&mut self) -> Result<(), String> {
        let mut scanner = Scanner::new(self.store.reader().log(), 0, u64::MAX);
        let (mut shown, mut steps) = (BTreeSet::new(), 0);
        while let Some(item) = scanner.next_item().map_err(|error| format!("a scan: {error}"))? {
            if let ScanItem::Message { .. } = item {
                shown.insert(self.known(scanner.message(), "a scan")?);
            }
            steps += 1;
            if steps > 5000 {
                return Err(String::from("a scan: goes on and on"));
            }
        }
        match (0..self.model.messages.len()).find(|number| shown.contains(number) == self.seen.lost.contains(number)) {
            None => Ok(()),
            Some(number) => Err(format!("a scan and the log do not agree about message {number}")),
        }
    }

    /// One answer of a queue: status, (queue offset, message) of each, offset to go on at.
    #[allow(clippy::type_complexity)]
    fn get(
        &mut self,
        queue: usize,
        offset: u64,
        max: usize,
        filter: &[u8],
    ) -> Result<Result<(GetStatus, Vec<(u64, usize)>, u64), u64>, String> {
        let (topic, queue_id) = QUEUES[queue];
        let what = || format!("get from {topic}/{queue_id}");
        let request = GetRequest { topic: topic.as_bytes(), queue_id, offset, max, max_bytes: 1 << 14, filter };
        let mut offsets = [0.0; 16];
        let outcome = self.store.reader().resolve(&request, &mut self.resolved);
        let copied = match outcome.and_then(|()| self.resolved.copy(&mut self.out, &mut offsets[..max])) {
            Ok(copied) => copied,
            Err(error) if error.code == Code::Corrupt => {
                return next_of(&error).map(Err).ok_or_else(|| format!("{}: {error}, and no nextOffset", what()));
            }
            Err(error) => return Err(format!("{} at {offset}: {error}", what())),
        };
        if copied.needed > self.out.len() {
            return Err(format!("{} at {offset}: asks for a buffer of {} bytes", what(), copied.needed));
        }
        let (mut rest, mut messages) = (&self.out[..copied.bytes], Vec::new());
        for &offset in &offsets[..copied.messages] {
            let size = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
            let number = self.known(&rest[..size], &what())?;
            let place = self.model.messages[number].places.iter().find(|place| place.queue == queue);
            if place.is_none_or(|place| place.offset != offset as u64) && self.altered.is_none() {
                return Err(format!("{}: shows message {number} at offset {offset}, where it does not belong", what()));
            }
            messages.push((offset as u64, number));
            rest = &rest[size..];
        }
        Ok(Ok((self.resolved.status, messages, copied.next)))
    }

    fn queue(&mut self, queue: usize) -> Result<(), String> {
        let (topic, id) = QUEUES[queue];
        let range = self.store.reader().offsets(topic.as_bytes(), id);
        self.seen.next[queue] = range.next;
        if range.min > range.max || range.max > range.next {
            return Err(format!("{topic}/{id}: {range:?}"));
        }
        let places: Vec<(usize, Place)> =
            self.model.places().filter(|(_, place)| place.queue == queue).map(|(n, place)| (n, *place)).collect();
        for (number, place) in places {
            let found = self.get(queue, place.offset, 1, &[])?;
            if !found.is_ok_and(|(_, messages, _)| messages == [(place.offset, number)]) {
                self.seen.hidden.insert((queue, place.offset));
            }
        }
        let walked = self.walk(queue, &[])?;
        let missing = self
            .model
            .places()
            .find(|(number, place)| place.queue == queue && !self.seen.hidden.contains(&(queue, place.offset)) && !walked.contains(number));
        if let Some((number, _)) = missing {
            return Err(format!("{topic}/{id}: message {number} is there, but who reads from the start on does not come by it"));
        }
        for time in [0, NOW + 3000, i64::MAX] {
            for boundary in [Boundary::Lower, Boundary::Upper] {
                match self.store.reader().offset_by_time(topic.as_bytes(), id, time, boundary) {
                    Ok(offset) if offset <= range.next => {}
                    Ok(offset) => return Err(format!("{topic}/{id} by time: {offset} of {range:?}")),
                    Err(error) if error.code == Code::Corrupt => {}
                    Err(error) => return Err(format!("{topic}/{id} by time: {error}")),
                }
            }
        }
        self.store.reader().entries(topic.as_bytes(), id, 0, 1000).map_err(|error| format!("entries of {topic}/{id}: {error}"))?;
        Ok(())
    }

    /// Reads a queue as a consumer does.
    fn walk(&mut self, queue: usize, filter: &[u8]) -> Result<BTreeSet<usize>, String> {
        let (topic, id) = QUEUES[queue];
        let mut offset = self.store.reader().offsets(topic.as_bytes(), id).min;
        let mut walked = BTreeSet::new();
        for _ in 0..2000 {
            let next = match self.get(queue, offset, 3, filter)? {
                Ok((_, messages, next)) => {
                    walked.extend(messages.iter().map(|&(_, number)| number));
                    next
                }
                Err(next) => next,
            };
            if next <= offset {
                return Ok(walked);
            }
            offset = next;
        }
        Err(format!("{topic}/{id}: reading it goes on and on"))
    }

    fn filtered(&mut self, queue: usize) -> Result<(), String> {
        for number in self.walk(queue, FILTER)? {
            let record = Record::parse(&self.model.messages[number].bytes).map_err(|flaw| format!("{flaw}"))?;
            if !record.properties().windows(7).any(|part| part == b"TAGS\x01a\x02")
                && self.altered.is_none_or(|(altered, _)| altered != number)
            {
                return Err(format!("get with a filter: shows message {number}, which does not match"));
            }
        }
        Ok(())
    }

    fn keys(&mut self) -> Result<(), String> {
        for topic in ["T", "U", "B"] {
            for (key, name) in KEYS.iter().enumerate() {
                let mut found = BTreeSet::new();
                let lookup = |error: Error| format!("looking {name} of {topic} up: {error}");
                let mut candidates = self.store.reader().lookup(topic.as_bytes(), name.as_bytes()).map_err(lookup)?;
                while let Some(bytes) = candidates.next_record(0, i64::MAX).map_err(lookup)? {
                    let number = self.known(bytes, "a look-up")?;
                    let has = self.model.messages[number].keys.contains(&key) && self.model.messages[number].topic == topic;
                    if !has && self.altered.is_none_or(|(altered, _)| altered != number) {
                        return Err(format!("looking {name} of {topic} up: shows message {number}, which has not that key"));
                    }
                    if !found.insert(number) {
                        return Err(format!("looking {name} of {topic} up: shows message {number} twice"));
                    }
                }
                let want = |message: &Message| message.topic == topic && message.keys.contains(&key);
                let missing = self.model.messages.iter().enumerate().filter(|(number, message)| want(message) && !found.contains(number));
                self.seen.unfound.extend(missing.map(|(number, _)| (number, key)));
            }
        }
        Ok(())
    }
}

/// Where to go on behind what is damaged.
fn next_of(error: &Error) -> Option<u64> {
    error.details.iter().find_map(|(name, detail)| match detail {
        Detail::Number(number) if *name == "nextOffset" => u64::try_from(*number).ok(),
        _ => None,
    })
}
