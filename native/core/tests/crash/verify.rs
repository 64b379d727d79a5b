//! Every answer of a store, held against the model.

use std::fmt::Debug;

use moraine_core::engine::{Boundary, Engine, GetRequest, GetStatus, Positions, Resolved, ScanItem, Scanner};
use moraine_core::error::Error;
use moraine_core::format::record::Record;
use moraine_core::sim::{SimClock, SimDisk};
use moraine_core::storage::Segment;
use xxhash_rust::xxh64::xxh64;

use super::model::{Model, QUEUES, queue};
use super::workload::{BATCH, KEYS, OWN};

pub type Store = Engine<SimDisk, SimClock>;
/// What differed, as a sentence.
pub type Outcome = Result<(), String>;

/// Fails with both values unless they are the same.
pub fn same<T: PartialEq + Debug>(what: impl Fn() -> String, found: &T, expected: &T) -> Outcome {
    if found == expected { Ok(()) } else { Err(format!("{}\n   found: {found:?}\nexpected: {expected:?}", what())) }
}

/// The value of a call that has to go well.
pub fn well<T>(what: &str, outcome: Result<T, Error>) -> Result<T, String> {
    outcome.map_err(|error| format!("{what} failed: {error}"))
}

/// Asks a store that was just opened everything there is to know: it must hold the model, no more and no less.
pub fn verify(store: &Store, model: &Model) -> Outcome {
    let positions = Positions { min: model.min, end: model.end, durable: model.end, visible: model.end };
    same(|| String::from("positions"), &store.reader().positions(), &positions)?;
    scan(store, model)?;
    let mut buffers = Buffers::default();
    for number in 0..QUEUES {
        whole_queue(store, model, number, &mut buffers)?;
    }
    names(store, model)?;
    look_ups(store, model)?;
    seals(store, model)
}

/// A seal is of a finished segment, and of the bytes that stand there.
fn seals(store: &Store, model: &Model) -> Outcome {
    for seal in store.reader().seals() {
        let log = store.reader().log();
        let placed = log.segments().iter().find(|placed| placed.base == seal.base);
        let Some(placed) = placed.filter(|placed| seal.size == placed.segment.size() && seal.base + seal.size <= model.end) else {
            return Err(format!("a seal of {} bytes at {}, where no segment is finished", seal.size, seal.base));
        };
        let mut bytes = vec![0; seal.size as usize];
        placed.segment.read_at(0, &mut bytes).map_err(|failed| format!("segment at {}: {failed:?}", seal.base))?;
        same(|| format!("seal of the segment at {}", seal.base), &seal.digest, &xxh64(&bytes, 0))?;
    }
    Ok(())
}

/// The log holds these records, these blanks and nothing else.
fn scan(store: &Store, model: &Model) -> Outcome {
    let mut scanner = Scanner::new(store.reader().log(), model.min, u64::MAX);
    let (mut messages, mut blanks) = (model.held(), model.blanks.iter().filter(|blank| blank.0 >= model.min));
    while let Some(item) = well("scan", scanner.next_item())? {
        match item {
            ScanItem::Message { at, .. } => match messages.next() {
                Some(message) if message.physical == at && message.bytes == scanner.message() => {}
                expected => {
                    let expected = expected.map(|message| (message.physical, message.draft.number));
                    return Err(format!("scan: at {at} stands {:?}, want {expected:?}", scanner.message()));
                }
            },
            ScanItem::Blank { at, size } => same(|| String::from("scan: blank"), &Some(&(at, size)), &blanks.next())?,
            ScanItem::Damaged { at, size, reason } => return Err(format!("scan: {size} damaged bytes at {at}: {reason}")),
        }
    }
    match (messages.next(), blanks.next()) {
        (None, None) => Ok(()),
        (message, blank) => Err(format!("scan: {:?} and {blank:?} are missing", message.map(|message| message.physical))),
    }
}

#[derive(Default)]
struct Buffers {
    resolved: Resolved<moraine_core::sim::SimSegment>,
    out: Vec<u8>,
    offsets: Vec<f64>,
}

fn whole_queue(store: &Store, model: &Model, number: usize, buffers: &mut Buffers) -> Outcome {
    let (topic, id) = queue(number);
    let next = model.next[number];
    let expected: Vec<_> = model.in_queue(number).collect();
    let first = expected.first().map_or(next, |&(offset, _, _)| offset);
    let offsets = store.reader().offsets(topic.as_bytes(), id);
    same(|| format!("offsets of {topic} {id}"), &(offsets.min, offsets.max, offsets.next), &(first, next, next))?;
    let Buffers { resolved, out, offsets } = buffers;
    let request = GetRequest { topic: topic.as_bytes(), queue_id: id, offset: first, max: 4096, max_bytes: 1 << 20, filter: &[] };
    well("get", store.reader().resolve(&request, resolved))?;
    if expected.is_empty() {
        let status = if model.is_listed(number) { GetStatus::OffsetOverflowOne } else { GetStatus::NoMatchedLogicQueue };
        if model.is_forgotten(number) && matches!(resolved.status, GetStatus::NoMatchedLogicQueue | GetStatus::OffsetOverflowOne) {
            return Ok(());
        }
        return same(|| format!("get {topic} {id}"), &resolved.status, &status);
    }
    out.resize(expected.iter().map(|(_, _, message)| message.bytes.len()).sum(), 0);
    offsets.resize(expected.len() + 1, 0.0);
    let copied = well("get", resolved.copy(out, offsets))?;
    let found = (resolved.status, copied.messages, copied.next);
    same(|| format!("get {topic} {id}"), &found, &(GetStatus::Found, expected.len(), next))?;
    let mut rest = &out[..];
    for (&(offset, _, message), &found) in expected.iter().zip(offsets.iter()) {
        let (record, behind) = rest.split_at(message.bytes.len());
        if record != message.bytes || found as u64 != offset {
            return Err(format!("get {topic} {id}: at {offset} stands another record, at {found}: {record:?}, want {:?}", message.bytes));
        }
        rest = behind;
    }
    let (from, entries) = well("entries", store.reader().entries(topic.as_bytes(), id, first, 4096))?;
    let found = entries.iter().map(|entry| (entry.physical, u64::from(entry.size), entry.tags_code));
    let tags_code = |tagged: bool| if tagged { i64::from(b't') } else { 0 };
    let wanted = expected.iter().map(|(_, _, message)| (message.physical, message.bytes.len() as u64, tags_code(message.draft.tagged)));
    if from != first || !found.clone().eq(wanted.clone()) {
        return same(|| format!("entries of {topic} {id}"), &found.collect::<Vec<_>>(), &wanted.collect());
    }
    times(store, number, &expected)
}

/// Offsets by time, where the clock was not followed backwards.
fn times(store: &Store, number: usize, expected: &[(u64, u64, &super::model::Stored)]) -> Outcome {
    let (topic, id) = queue(number);
    for &(offset, _, message) in expected.iter().take(2).chain(expected.last()) {
        let found = well("time", store.reader().time_of(topic.as_bytes(), id, offset))?;
        same(|| format!("time of {topic} {id} {offset}"), &found, &Some(message.time))?;
        if number != BATCH && expected.is_sorted_by_key(|(_, _, message)| message.time) {
            let found = well("offset by time", store.reader().offset_by_time(topic.as_bytes(), id, message.time, Boundary::Lower))?;
            let first = expected.iter().find(|(_, _, other)| other.time == message.time).map(|&(offset, _, _)| offset);
            same(|| format!("offset of {topic} {id} by time {}", message.time), &Some(found), &first)?;
        }
    }
    Ok(())
}

fn names(store: &Store, model: &Model) -> Outcome {
    let mut expected: Vec<(&str, i32)> = (0..QUEUES).filter(|&number| model.is_listed(number)).map(queue).collect();
    expected.sort_unstable();
    let topics = store.reader().topics();
    let mut found: Vec<(&str, i32)> = Vec::new();
    for topic in &topics {
        found.extend(store.reader().queues(topic.as_bytes()).into_iter().map(|id| (topic.as_str(), id)));
    }
    for forgotten in (0..QUEUES).filter(|&number| model.is_forgotten(number)).map(queue) {
        expected.retain(|&each| each != forgotten);
        found.retain(|&each| each != forgotten);
    }
    same(|| String::from("topics and queues"), &found, &expected)
}

fn look_ups(store: &Store, model: &Model) -> Outcome {
    for topic in ["T", "U", "B"] {
        for (number, key) in KEYS.iter().enumerate() {
            let mut candidates = well("look-up", store.reader().lookup(topic.as_bytes(), key.as_bytes()))?;
            let mut expected = model.messages.iter().rev().filter(|message| {
                let is_shown = OWN[message.draft.queue].0 == topic && model.is_shown(message.draft.queue, message);
                is_shown && message.draft.keys.contains(&number) && message.draft.transaction != 3
            });
            while let Some(bytes) = well("look-up", candidates.next_record(i64::MIN, i64::MAX))? {
                if expected.next().is_none_or(|message| message.bytes != bytes) {
                    let found = Record::parse(bytes).map(|record| record.physical_offset());
                    return Err(format!("look-up of {topic} {key}: found {found:?}, which is not the next one"));
                }
            }
            if let Some(missing) = expected.next() {
                return Err(format!("look-up of {topic} {key}: the message at {} is missing", missing.physical));
            }
        }
    }
    Ok(())
}
