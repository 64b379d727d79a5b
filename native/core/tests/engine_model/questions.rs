//! Questions to a store, their answers held against the model's.

use std::fmt::Debug;

use moraine_core::engine::{Boundary, Engine, GetRequest, GetStatus, Positions, Resolved, ScanItem, Scanner};
use moraine_core::error::{Code, Error};
use moraine_core::format::record::Record;
use moraine_core::memory::MemoryClock;

use super::faulty::FaultyStorage;
use super::model::{Message, Model};
use super::operations::{BATCHES, KEYS, Place, Question, SCHEDULE, TAGS, queues};

pub type Store = Engine<FaultyStorage, MemoryClock>;
/// What differed, as a sentence.
pub type Outcome = Result<(), String>;

/// Fails with both values unless they are the same.
pub fn same<T: PartialEq + Debug>(what: &str, found: &T, expected: &T) -> Outcome {
    if found == expected { Ok(()) } else { Err(format!("{what}\n   found: {found:?}\nexpected: {expected:?}")) }
}

/// The value of a call that has to go well.
pub fn well<T>(what: &str, outcome: Result<T, Error>) -> Result<T, String> {
    outcome.map_err(|error| format!("{what} failed: {error}"))
}

/// Asks one question.
pub fn ask(store: &Store, model: &Model, question: &Question) -> Outcome {
    let named = queues();
    match *question {
        Question::Get { queue, at, max, bytes } => get(store, model, &named[queue], at, max, bytes),
        Question::GetTags { queue, at, max, bytes, ref tags } => get_tags(store, model, &named[queue], (at, max, bytes), tags),
        Question::Entries { queue, from, max } => entries(store, model, &named[queue], from, max),
        Question::Offsets { queue } => offsets(store, model, &named[queue]),
        Question::ByTime { queue, at, later, upper } => by_time(store, model, &named[queue], at, later, upper),
        Question::TimeOf { queue, at } => time_of(store, model, &named[queue], at),
        Question::Lookup { queue, key, range } => lookup(store, model, &named[queue].0, KEYS[key], range),
        Question::Scan { from, to } => scan(store, model, from, to),
        Question::At { record, further } => at(store, model, record, further),
        Question::Names => names(store, model),
        Question::Positions => positions(store, model),
        Question::Stats => stats(store, model),
        Question::Health => health(store, model),
    }
}

/// Asks everything there is to know.
pub fn ask_everything(store: &Store, model: &Model) -> Outcome {
    names(store, model)?;
    positions(store, model)?;
    stats(store, model)?;
    health(store, model)?;
    scan(store, model, 0, Place::Behind(0))?;
    for queue in &queues() {
        offsets(store, model, queue)?;
        entries(store, model, queue, Place::In(0), 100_000)?;
        let count = model.visible_in(queue).into_iter().map(Message::offsets).sum::<u64>();
        for from in (0..=count).step_by(7) {
            get(store, model, queue, Place::In(from as u16), 7, 1 << 20)?;
        }
        for offset in 0..count {
            time_of(store, model, queue, Place::In(offset as u16))?;
        }
        for pick in (0..count as u16).step_by(3) {
            by_time(store, model, queue, pick, 0, false)?;
            by_time(store, model, queue, pick, 0, true)?;
        }
        for key in KEYS {
            lookup(store, model, &queue.0, key, None)?;
        }
    }
    (0..model.log.len() as u16).try_for_each(|record| at(store, model, record, 0))
}

/// Whether queue entries may be in files that lead above what is visible: an asynchronous store writes them before the sync
/// of their messages, and then that sync failed. Their offsets count, their messages are not shown.
fn is_cut_short(model: &Model) -> bool {
    model.poisoned && !model.kind.sync
}

pub fn sys_flag(message: &Message) -> i32 {
    let inner = if message.inner > 0 { 0xC0 } else { 0 };
    message.transaction << 2 | i32::from(message.v6) << 4 | inner
}

/// Holds the bytes of a record against the message that it must be.
fn check_record(bytes: &[u8], message: &Message) -> Outcome {
    let record = Record::parse(bytes).map_err(|flaw| format!("record at {}: {flaw}", message.physical))?;
    let found = (record.topic(), record.queue_id(), record.queue_offset(), record.physical_offset(), record.store_timestamp());
    let (offset, physical) = (message.queue_offset.unwrap_or(0) as i64, message.physical as i64);
    same("record", &found, &(message.topic.as_bytes(), message.queue_id, offset, physical, message.time))?;
    same("sysFlag", &record.sys_flag(), &sys_flag(message))?;
    same("body", &record.body(), &&message.body[..])?;
    same("size", &u64::from(record.size()), &message.size)?;
    let properties = record.properties();
    let stored = if message.record_crc { &properties[..properties.len().saturating_sub(20)] } else { properties };
    let end: &[u8] = if message.record_crc && message.properties.last().is_some_and(|&last| last != 2) { &[2] } else { &[] };
    same("properties", &stored, &&[&message.properties, end].concat()[..])?;
    record.check().map_err(|flaw| format!("record at {}: {flaw}", message.physical))
}

fn get(store: &Store, model: &Model, queue: &(String, i32), at: Place, max: usize, max_bytes: usize) -> Outcome {
    let messages = model.with_offsets(queue);
    let end = messages.last().map_or(0, |(base, last)| base + last.offsets());
    let offset = at.within(end);
    let what = format!("get {queue:?} from {offset} max {max} bytes {max_bytes}");
    let mut resolved = Resolved::default();
    let request = GetRequest { topic: queue.0.as_bytes(), queue_id: queue.1, offset, max, max_bytes, filter: &[] };
    well(&what, store.reader().resolve(&request, &mut resolved))?;
    let mut out = vec![0; messages.iter().map(|(_, message)| message.size as usize).sum()];
    let mut offsets = vec![0.0; messages.len()];
    let copied = well(&what, resolved.copy(&mut out, &mut offsets))?;

    let (status, next) = match () {
        () if model.next(queue) == 0 => (GetStatus::NoMatchedLogicQueue, 0),
        () if end == 0 => (GetStatus::NoMessageInQueue, 0),
        () if offset == end => (GetStatus::OffsetOverflowOne, offset),
        () if offset > end => (GetStatus::OffsetOverflowBadly, end),
        () => (GetStatus::Found, offset),
    };
    let mut expected: Vec<(u64, &Message)> = Vec::new();
    if status == GetStatus::Found {
        let (mut bytes, mut count) = (0, 0);
        for &(base, message) in messages.iter().filter(|(base, message)| base + message.offsets() > offset) {
            bytes += message.size as usize;
            count += message.offsets() as usize;
            if (bytes > max_bytes || count > max) && !expected.is_empty() {
                break;
            }
            expected.push((base, message));
        }
    }
    let next = expected.last().map_or(next, |(base, last)| base + last.offsets());
    let behind = expected.last().map_or(0, |(_, last)| model.visible() - last.end());
    if is_cut_short(model) {
        same(&what, &copied.messages, &expected.len())?;
    } else {
        let found = (resolved.status, copied.messages, copied.next, resolved.min, resolved.max, resolved.bytes_behind);
        same(&what, &found, &(status, expected.len(), next, 0, end, behind))?;
    }
    let mut rest = &out[..copied.bytes];
    for (&(base, message), &found) in expected.iter().zip(&offsets) {
        same("queue offset", &(found as u64), &base)?;
        let (record, behind) = rest.split_at_checked(message.size as usize).ok_or_else(|| format!("{what}: too few bytes"))?;
        check_record(record, message).map_err(|flaw| format!("{what}: {flaw}"))?;
        rest = behind;
    }
    same("bytes behind the last record", &rest.len(), &0)
}

/// A filter lets through messages with one of the tags, all of them up to where the answer says that reading goes on.
fn get_tags(store: &Store, model: &Model, queue: &(String, i32), (at, max, max_bytes): (Place, usize, usize), tags: &[usize]) -> Outcome {
    if queue.0 == BATCHES {
        return Ok(()); // what a filter makes of whole batches has tests of its own
    }
    let messages = model.visible_in(queue);
    let end = messages.len() as u64;
    let offset = at.within(end);
    let tags: Vec<&str> = tags.iter().map(|&tags| TAGS[tags]).collect();
    let what = format!("get {tags:?} of {queue:?} from {offset} max {max} bytes {max_bytes}");
    let filter: Vec<u8> = tags.iter().flat_map(|tags| [&(tags.len() as u16).to_be_bytes(), tags.as_bytes()].concat()).collect();
    let request = GetRequest { topic: queue.0.as_bytes(), queue_id: queue.1, offset, max, max_bytes, filter: &filter };
    let mut resolved = Resolved::default();
    well(&what, store.reader().resolve(&request, &mut resolved))?;
    let mut out = vec![0; messages.iter().map(|message| message.size as usize).sum()];
    let mut offsets = vec![0.0; messages.len()];
    let copied = well(&what, resolved.copy(&mut out, &mut offsets))?;
    if offset >= end {
        return same(&what, &copied.messages, &0);
    }
    let passed = messages.get(offset as usize..copied.next as usize).ok_or_else(|| format!("{what}: goes on at {}", copied.next))?;
    let wanted = |message: &&Message| message.tags.is_some_and(|found| tags.contains(&found));
    let expected: Vec<(u64, &Message)> = (offset..).zip(passed.iter().copied()).filter(|(_, message)| wanted(message)).collect();
    let found: Vec<u64> = offsets[..copied.messages].iter().map(|&offset| offset as u64).collect();
    same(&what, &found, &expected.iter().map(|&(offset, _)| offset).collect())?;
    let status = if expected.is_empty() { GetStatus::NoMatchedMessage } else { GetStatus::Found };
    same(&what, &resolved.status, &status)?;
    let mut rest = &out[..copied.bytes];
    for (_, message) in expected {
        let (record, behind) = rest.split_at_checked(message.size as usize).ok_or_else(|| format!("{what}: too few bytes"))?;
        check_record(record, message).map_err(|flaw| format!("{what}: {flaw}"))?;
        rest = behind;
    }
    // Entries whose hash alone fits, or that have none, may fill an answer, but something is always passed.
    let full = copied.messages == max.max(1) || copied.next == end || copied.bytes + resolved_bytes(&messages, copied.next) > max_bytes;
    same(
        &format!("{what}: room for more, or none"),
        &(copied.next > offset, full || has_hash_twin(&tags) || queue.0 == SCHEDULE),
        &(true, true),
    )
}

fn resolved_bytes(messages: &[&Message], next: u64) -> usize {
    messages.get(next as usize).map_or(0, |message| message.size as usize)
}

/// `Aa` and `BB` have one hash.
fn has_hash_twin(tags: &[&str]) -> bool {
    tags.iter().any(|&tags| tags == "Aa" || tags == "BB")
}

fn entries(store: &Store, model: &Model, queue: &(String, i32), from: Place, max: usize) -> Outcome {
    if is_cut_short(model) {
        return Ok(());
    }
    let messages = model.with_offsets(queue);
    let end = messages.last().map_or(0, |(base, last)| base + last.offsets());
    let from = from.within(end);
    let what = format!("entries of {queue:?} from {from} max {max}");
    let (start, found) = well(&what, store.reader().entries(queue.0.as_bytes(), queue.1, from, max))?;
    let found: Vec<_> = found.iter().map(|entry| (entry.physical, u64::from(entry.size), entry.tags_code)).collect();
    let expected: Vec<_> = messages.iter().filter(|(base, message)| base + message.offsets() > from).take(max).collect();
    let expected_start = expected.first().map_or(end, |(base, _)| *base);
    let expected = expected.into_iter().map(|(_, message)| (message.physical, message.size, message.tags_code));
    same(&what, &(start, found), &(expected_start, expected.collect()))
}

fn offsets(store: &Store, model: &Model, queue: &(String, i32)) -> Outcome {
    if is_cut_short(model) {
        return Ok(());
    }
    let found = store.reader().offsets(queue.0.as_bytes(), queue.1);
    let visible = model.visible_in(queue).into_iter().map(Message::offsets).sum();
    same(&format!("offsets of {queue:?}"), &(found.min, found.max, found.next), &(0, visible, model.next(queue)))
}

fn by_time(store: &Store, model: &Model, queue: &(String, i32), at: u16, later: i64, upper: bool) -> Outcome {
    if is_cut_short(model) {
        return Ok(());
    }
    let times: Vec<i64> = model.visible_in(queue).iter().map(|message| message.time).collect();
    let Some(&time) = times.get(usize::from(at) % times.len().max(1)) else {
        return same("offset by time", &store.reader().offset_by_time(queue.0.as_bytes(), queue.1, 5, Boundary::Lower).ok(), &Some(0));
    };
    let time = time + later;
    let boundary = if upper { Boundary::Upper } else { Boundary::Lower };
    let what = format!("offset of {queue:?} by time {time} {boundary:?}");
    let found = well(&what, store.reader().offset_by_time(queue.0.as_bytes(), queue.1, time, boundary))?;
    if queue.0 == BATCHES {
        return Ok(()); // RocketMQ's own bisection: its answers are golden vectors
    }
    if !times.is_sorted() {
        // A clock that was followed backwards: any place in the queue is as good as another.
        return if found <= times.len() as u64 { Ok(()) } else { Err(format!("{what}: {found} is behind the queue")) };
    }
    let expected = match boundary {
        Boundary::Lower => times.iter().position(|&stored| stored >= time).unwrap_or(times.len()),
        Boundary::Upper => times.iter().rposition(|&stored| stored <= time).unwrap_or(0),
    };
    same(&what, &found, &(expected as u64))
}

fn time_of(store: &Store, model: &Model, queue: &(String, i32), at: Place) -> Outcome {
    if is_cut_short(model) {
        return Ok(());
    }
    let messages = model.with_offsets(queue);
    let offset = at.within(messages.last().map_or(0, |(base, last)| base + last.offsets()));
    let what = format!("time of {queue:?} at {offset}");
    let found = well(&what, store.reader().time_of(queue.0.as_bytes(), queue.1, offset))?;
    let holds = |(base, message): &&(u64, &Message)| (*base..base + message.offsets()).contains(&offset);
    same(&what, &found, &messages.iter().find(holds).map(|(_, message)| message.time))
}

fn lookup(store: &Store, model: &Model, topic: &str, key: &str, range: Option<(u16, u16)>) -> Outcome {
    let time = |pick: u16| model.log.get(usize::from(pick) % model.log.len().max(1)).map_or(0, |message| message.time);
    let (begin, end) = range.map_or((0, i64::MAX), |(a, b)| (time(a), time(b)));
    let what = format!("look-up of {topic} {key} from {begin} to {end}");
    let mut candidates = well(&what, store.reader().lookup(topic.as_bytes(), key.as_bytes()))?;
    let mut found: Vec<u64> = Vec::new();
    while let Some(bytes) = well(&what, candidates.next_record(begin, end))? {
        let physical = Record::parse(bytes).map_err(|flaw| format!("{what}: {flaw}"))?.physical_offset() as u64;
        let message = model
            .log
            .iter()
            .find(|message| message.physical == physical)
            .ok_or_else(|| format!("{what}: nothing was put at {physical}"))?;
        check_record(bytes, message).map_err(|flaw| format!("{what}: {flaw}"))?;
        found.push(physical);
    }
    let matching = model.log.iter().rev().filter(|message| {
        message.topic == topic && message.has_key(key) && message.physical < model.visible() && (begin..=end).contains(&message.time)
    });
    // What was put, or is asked for, while the store kept no index may be found or not.
    let expected = matching.filter(|message| (model.kind.index && message.indexed) || found.contains(&message.physical));
    same(&what, &found, &expected.map(|message| message.physical).collect())
}

fn scan(store: &Store, model: &Model, from: u16, to: Place) -> Outcome {
    let borders = model.borders();
    let from = borders[usize::from(from) % borders.len()];
    let to = borders[to.within(borders.len() as u64).min(borders.len() as u64 - 1) as usize].min(model.visible());
    let what = format!("scan from {from} to {to}");
    let mut scanner = Scanner::new(store.reader().log(), from, to);
    let mut expected: Vec<ScanItem> = Vec::new();
    let within = |at: u64| (from..to).contains(&at);
    expected.extend(model.blanks.iter().filter(|blank| within(blank.0)).map(|&(at, size)| ScanItem::Blank { at, size }));
    let messages = model.log.iter().filter(|message| within(message.physical));
    expected.extend(messages.map(|message| ScanItem::Message { at: message.physical, size: message.size as u32 }));
    expected.sort_unstable_by_key(|item| match *item {
        ScanItem::Message { at, .. } | ScanItem::Blank { at, .. } | ScanItem::Damaged { at, .. } => at,
    });
    let mut found = Vec::new();
    while let Some(item) = well(&what, scanner.next_item())? {
        if let ScanItem::Message { at, .. } = item {
            let message =
                model.log.iter().find(|message| message.physical == at).ok_or_else(|| format!("{what}: nothing was put at {at}"))?;
            check_record(scanner.message(), message).map_err(|flaw| format!("{what}: {flaw}"))?;
        }
        found.push(item);
    }
    same(&what, &found, &expected)
}

fn at(store: &Store, model: &Model, record: u16, further: i8) -> Outcome {
    let borders = model.borders();
    let place = borders[usize::from(record) % borders.len()].saturating_add_signed(i64::from(further));
    let mut bytes = Vec::new();
    let found = store.reader().log().record_at(place, &mut bytes);
    match (model.log.iter().find(|message| message.physical == place && place < model.visible()), found) {
        (Some(message), Ok(Some(_))) => check_record(&bytes, message),
        (None, Ok(None)) => Ok(()),
        // A body may hold what looks like the start of a record.
        (None, Err(error)) if error.code == Code::Corrupt && !borders.contains(&place) => Ok(()),
        (message, found) => Err(format!("at {place}: {found:?} instead of {message:?}")),
    }
}

fn names(store: &Store, model: &Model) -> Outcome {
    same("topics", &store.reader().topics(), &model.topics())?;
    for topic in model.topics() {
        let expected = model.queues.keys().filter(|(name, _)| *name == topic).map(|&(_, id)| id).collect();
        same(&format!("queues of {topic}"), &store.reader().queues(topic.as_bytes()), &expected)?;
    }
    Ok(())
}

fn positions(store: &Store, model: &Model) -> Outcome {
    let expected = Positions { min: 0, end: model.end, durable: model.durable, visible: model.visible() };
    same("positions", &store.reader().positions(), &expected)
}

fn stats(store: &Store, model: &Model) -> Outcome {
    let stats = store.reader().stats();
    let found = (stats.messages_put, stats.bytes_put, stats.queues, stats.segments);
    let last = model.log.last().map_or(0, |last| last.physical / model.segment_bytes + 1);
    // Behind a blank a file may be there that holds no record yet, as may the first file of a log.
    let segments = stats.segments.clamp(last, (model.end / model.segment_bytes + 1).max(last));
    same("stats", &found, &(model.put.0, model.put.1, model.queues.len() as u64, segments))
}

fn health(store: &Store, model: &Model) -> Outcome {
    let health = well("health", store.reader().health())?;
    let kinds: Vec<&str> = health.findings.iter().map(|finding| finding.kind).collect();
    let unexpected: Vec<_> = health.findings.iter().filter(|finding| !model.findings.contains(&finding.kind)).collect();
    same("findings", &unexpected, &vec![])?;
    same("clock among the findings", &kinds.contains(&"clock"), &model.clock_went_back)?;
    same("clean", &health.clean, &model.clean)
}
