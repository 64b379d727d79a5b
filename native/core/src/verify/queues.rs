//! Queue files: every entry held against the record that it leads to, and against what the records say of the queue.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::log::Seen;
use super::places::QueuePlace;
use super::report::Remedy;
use super::{Halt, Verifier};
use crate::dispatch::{Dispatch, SCHEDULE_TOPIC, takes_queue_entry};
use crate::error::IoError;
use crate::format::ext_unit;
use crate::format::names;
use crate::format::queue_entry::QueueEntry;
use crate::format::record::Record;
use crate::limits::{BATCH_ENTRY_BYTES, MAX_SAFE_INTEGER, MAX_SEGMENT_BYTES, QUEUE_ENTRY_BYTES};
use crate::log::view::LogView;
use crate::queue::DIRECTORY;
use crate::queue::ext::{ExtFiles, ExtReader};
use crate::queue::extent::FileEntry;
use crate::storage::Storage;

/// Entries read at once.
const CHUNK_ENTRIES: u64 = 4096;
/// Without `deep`, so many entries of each file are held against their records.
const SAMPLES: u64 = 16;
/// Bytes of a unit of extension files without a bit map.
const MIN_UNIT_BYTES: u64 = 20;

/// What has come of a queue so far.
#[derive(Default)]
struct Course {
    /// Offset of the first entry that leads to a record of the log.
    first: Option<u64>,
    /// Offset behind the last entry.
    next: u64,
    /// Where places without an entry begin.
    hole: Option<u64>,
    /// The last unit of extension files, and where it ends.
    ext_at: u64,
    ext_end: u64,
}

impl<S: Storage> Verifier<'_, S> {
    pub(super) fn verify_queues(&mut self) -> Result<(), Halt> {
        if self.places.is_rocksdb {
            return Ok(());
        }
        let total = self.places.simple.len() as u64;
        for n in 0..self.places.simple.len() {
            let place = self.places.simple[n].clone();
            self.verify_queue(&place)?;
            self.tell("queues", n as u64, total)?;
        }
        self.verify_missing_queues();
        Ok(())
    }

    /// The newest entry of a queue of either kind, by its files.
    pub(super) fn last_entry<E: FileEntry>(&self, place: &QueuePlace) -> Option<E> {
        let mut buffer = [0; BATCH_ENTRY_BYTES as usize]; // the longer kind
        let raw = &mut buffer[..E::BYTES as usize];
        for &(base, len) in place.files.iter().rev() {
            let path = place.path(base);
            let (mut low, mut high, mut last) = (0, len / E::BYTES, None);
            while low < high {
                let middle = low + (high - low) / 2;
                let read = self.storage.read_at(&path, middle * E::BYTES, raw).unwrap_or(0);
                match E::parse(raw).filter(|_| read == raw.len()) {
                    Some(entry) => (low, last) = (middle + 1, Some(entry)),
                    None => high = middle,
                }
            }
            if last.is_some() {
                return last;
            }
        }
        None
    }

    fn verify_queue(&mut self, place: &QueuePlace) -> Result<(), Halt> {
        let view = self.view();
        let seen = self.walked.simple.get(&place.topic, place.id);
        let storage = self.storage;
        let ext_dir = format!("{}/{}/{}", crate::queue::EXT_DIRECTORY, place.topic, place.id);
        let ext_files = self.places.ext_file_bytes.filter(|&bytes| bytes > 0).map(|file_bytes| ExtFiles { file_bytes });
        let mut ext = ext_files.map(|files| (files.file_bytes, ExtReader::new(storage, files, &ext_dir)));
        let mut course = Course::default();
        let mut buffer = vec![0; (CHUNK_ENTRIES * QUEUE_ENTRY_BYTES) as usize];
        let mut record = Vec::new();
        for &(base, len) in &place.files {
            let path = place.path(base);
            let (capacity, first) = (len.min(MAX_SEGMENT_BYTES) / QUEUE_ENTRY_BYTES, base / QUEUE_ENTRY_BYTES);
            let stride = if self.options.deep { 1 } else { (capacity / SAMPLES).max(1) };
            let mut number = 0;
            while number < capacity {
                let count = (capacity - number).min(CHUNK_ENTRIES);
                let bytes = &mut buffer[..(count * QUEUE_ENTRY_BYTES) as usize];
                let skipped = entries_in_hole(storage, &path, number, capacity, QUEUE_ENTRY_BYTES);
                if let Ok(skipped @ 1..) = skipped {
                    course.hole = course.hole.or(Some(first + number));
                    number += skipped;
                    self.tell("queues", 0, 0)?;
                    continue;
                }
                let read = match skipped.and_then(|_| storage.read_at(&path, number * QUEUE_ENTRY_BYTES, bytes)) {
                    Ok(read) => read,
                    Err(_) if self.options.live.is_some() => return Ok(()), // retention was here
                    Err(error) => {
                        self.report.unreadable(&path, &error.into(), self.remedy_of_queues());
                        break;
                    }
                };
                bytes[read..].fill(0);
                for (raw, at) in bytes.as_chunks::<{ QueueEntry::BYTES }>().0.iter().zip(number..) {
                    let offset = first + at;
                    let place_of = (path.as_str(), at * QUEUE_ENTRY_BYTES);
                    let Some(entry) = QueueEntry::decode(raw) else {
                        self.empty_place(raw, place_of, offset, seen, &mut course);
                        continue;
                    };
                    self.close_hole(place, offset, &mut course);
                    course.next = offset + 1;
                    if entry.is_blank() {
                        if course.first.is_some() {
                            self.report.push("queue-gap", &path, place_of.1, QUEUE_ENTRY_BYTES, Remedy::None, || {
                                format!("queue offset {offset} has no message, by a blank entry")
                            });
                        }
                        continue;
                    }
                    if entry.physical < view.min() {
                        continue; // its message has expired
                    }
                    course.first = course.first.or(Some(offset));
                    if self.options.live.as_ref().is_some_and(|live| entry.physical >= live.queues_below) {
                        continue;
                    }
                    if at % stride == 0 || at + 1 == capacity {
                        let found = self.follow(&view, &entry, place, offset, &mut record, (&ext_dir, ext.as_mut()), &mut course);
                        if let Err(reason) = found
                            && !self.report.is_damaged(entry.physical)
                            && self.is_still_there(entry.physical)
                        {
                            let remedy = self.remedy_of_queues();
                            self.report.push("queue-entry", &path, place_of.1, QUEUE_ENTRY_BYTES, remedy, || {
                                format!("the entry of queue offset {offset} {reason}")
                            });
                        }
                    }
                }
                number += count;
                self.tell("queues", 0, 0)?;
            }
        }
        if let Some(seen) = seen {
            self.verify_reach(place, seen, &course);
        }
        Ok(())
    }

    /// A place without an entry: behind the last one it holds zeros, and no record's message belongs there.
    fn empty_place(
        &mut self,
        raw: &[u8; QueueEntry::BYTES],
        (path, at): (&str, u64),
        offset: u64,
        seen: Option<Seen>,
        course: &mut Course,
    ) {
        course.hole = course.hole.or(Some(offset));
        if raw.iter().all(|&byte| byte == 0) || self.options.live.is_some() {
            return;
        }
        let remedy = self.remedy_of_queues();
        if seen.is_some_and(|seen| offset < seen.next) {
            self.report.push("queue-entry", path, at, QUEUE_ENTRY_BYTES, remedy, || {
                format!("the entry of queue offset {offset} is none: its position is negative, or its size not positive")
            });
        } else {
            self.report
                .push("stale", path, at, QUEUE_ENTRY_BYTES, remedy, || String::from("bytes behind the last entry that are not zero"));
        }
    }

    /// Places without an entry are in front of one that has one. Those of a file that reaches into the next one need not be.
    fn close_hole(&mut self, place: &QueuePlace, offset: u64, course: &mut Course) {
        let Some(hole) = course.hole.take().filter(|&hole| course.first.is_some() && hole < offset) else { return };
        self.missing(place, hole, offset);
    }

    /// Queue offsets `from..to` have no entry in the files.
    fn missing(&mut self, place: &QueuePlace, from: u64, to: u64) {
        let file_entries = (self.places.file_bytes / QUEUE_ENTRY_BYTES).max(1);
        let in_file = from % file_entries;
        let file = format!("{}/{}", place.dir, names::file_name((from - in_file) * QUEUE_ENTRY_BYTES));
        let remedy = self.remedy_of_queues();
        let kind = if self.clean || self.options.live.is_some() { "queue-missing" } else { "queue-behind" };
        self.report.push(kind, &file, in_file * QUEUE_ENTRY_BYTES, (to - from) * QUEUE_ENTRY_BYTES, remedy, || {
            format!("queue {} of {} has no entries for the queue offsets {from} to {}", place.id, place.topic, to - 1)
        });
    }

    /// Both ends of a queue against those of its messages.
    fn verify_reach(&mut self, place: &QueuePlace, seen: Seen, course: &Course) {
        if !self.is_still_there(seen.last_at) {
            return;
        }
        let first = course.first.unwrap_or(seen.next).min(seen.next);
        if self.options.deep && first > seen.first && self.options.live.is_none() {
            self.missing(place, seen.first, first);
        }
        let from = course.next.max(seen.first);
        if course.first.is_some() && from < seen.next {
            self.missing(place, from, seen.next);
        }
        if !self.options.deep && course.first.is_none() {
            self.missing(place, seen.first, seen.next);
        }
    }

    /// Queues that have messages in the log, and no directory.
    fn verify_missing_queues(&mut self) {
        let known: alloc::collections::BTreeSet<(&str, i32)> =
            self.places.simple.iter().map(|place| (place.topic.as_str(), place.id)).collect();
        let missing: Vec<(QueuePlace, Seen)> = self
            .walked
            .simple
            .iter()
            .filter_map(|(topic, id, seen)| {
                let topic = core::str::from_utf8(topic).ok()?;
                let dir = format!("{DIRECTORY}/{topic}/{id}");
                let place = QueuePlace { topic: topic.to_string(), id, dir, files: Vec::new() };
                (!known.contains(&(topic, id))).then_some((place, seen))
            })
            .collect();
        for (place, seen) in missing {
            if self.is_still_there(seen.last_at) {
                self.missing(&place, seen.first, seen.next);
            }
        }
    }

    /// Holds an entry against the record that it leads to. `Err`: what is wrong, behind "the entry of queue offset N".
    #[allow(clippy::too_many_arguments)] // all of them are the state of one walk
    fn follow(
        &mut self,
        view: &LogView<S::Segment>,
        entry: &QueueEntry,
        place: &QueuePlace,
        offset: u64,
        into: &mut Vec<u8>,
        (dir, ext): (&str, Option<&mut (u64, ExtReader<'_, S>)>),
        course: &mut Course,
    ) -> Result<(), String> {
        let QueueEntry { physical, size, tags_code } = *entry;
        if view.rest(physical) < u64::from(size) {
            return Err(format!("leads to {size} bytes at {physical}, which the log has not"));
        }
        into.clear();
        into.resize(size as usize, 0);
        if !view.read(physical, into).unwrap_or(false) {
            return Ok(()); // told with the log
        }
        let record = Record::parse(into).map_err(|flaw| format!("leads to {size} bytes at {physical} that are no record: {flaw}"))?;
        let dispatch = Dispatch::of(&record, physical, &self.options.delay_levels);
        let is_own = record.topic() == place.topic.as_bytes() && record.queue_id() == place.id;
        let is_beside = || dispatch.beside(record.queue_id()).any(|named| named == (place.topic.as_bytes(), place.id, offset));
        if !takes_queue_entry(record.sys_flag()) || !((is_own && record.queue_offset() == offset as i64) || is_beside()) {
            let topic = String::from_utf8_lossy(record.topic()).to_string();
            let (queue, at) = (record.queue_id(), record.queue_offset());
            return Err(format!("leads to the message at {physical}, which is of queue {queue} of {topic} with queue offset {at}"));
        }
        let expected = dispatch.queue_entry().tags_code;
        let (found, unit_at) = match (ext_unit::offset_of(tags_code).filter(|&at| at <= MAX_SAFE_INTEGER), ext) {
            (Some(at), Some((file_bytes, reader))) => {
                let place = (at, *file_bytes);
                // Units stand one behind the other: the one that has its turn is to blame itself, else the address is.
                let has_its_turn = at == ext_unit::place(course.ext_end, MIN_UNIT_BYTES, *file_bytes).0;
                let unit = reader.unit(at).map_err(|error| error.message)?;
                let Some(unit) = unit.filter(|unit| unit.store_timestamp == record.store_timestamp()) else {
                    if !has_its_turn {
                        return Err(format!("has its tags code at {at} of the extension files, where its unit is not"));
                    }
                    (course.ext_at, course.ext_end) = (at, at + MIN_UNIT_BYTES);
                    self.unit_fault(dir, place, format!("no unit, or none with the store time of the message at {physical}"));
                    return Ok(());
                };
                if at < course.ext_end {
                    self.unit_fault(dir, (course.ext_at, *file_bytes), format!("the unit runs into the one at {at}"));
                }
                (course.ext_at, course.ext_end) = (at, at + unit.size());
                (unit.tags_code, Some(place))
            }
            _ => (tags_code, None),
        };
        if found == expected || (record.topic() == SCHEDULE_TOPIC && is_delivery_time(found, record.store_timestamp())) {
            return Ok(());
        }
        match unit_at {
            Some(place) => {
                self.unit_fault(dir, place, format!("the tags code is {found}, that of the message at {physical} is {expected}"));
                Ok(())
            }
            None => Err(format!("has the tags code {found}, its message {expected}")),
        }
    }

    /// A unit of extension files does not fit its entry.
    fn unit_fault(&mut self, dir: &str, (at, file_bytes): (u64, u64), message: String) {
        let in_file = at % file_bytes;
        let path = format!("{dir}/{}", names::file_name(at - in_file));
        let remedy = self.remedy_of_queues();
        self.report.push("ext-unit", &path, in_file, MIN_UNIT_BYTES, remedy, || message);
    }
}

/// How many entries from `number` on lie in a hole of the file, where nothing was ever written.
pub(super) fn entries_in_hole<S: Storage>(storage: &S, path: &str, number: u64, capacity: u64, entry: u64) -> Result<u64, IoError> {
    let data = storage.next_data(path, number * entry)?.map_or(capacity, |data| capacity.min(data / entry));
    Ok(data.saturating_sub(number))
}

/// Whether a delivery time is one that some table of delay levels gives.
fn is_delivery_time(time: i64, stored: i64) -> bool {
    let delay = time.saturating_sub(stored);
    (0..=400 * 86_400_000).contains(&delay) && delay % 1000 == 0
}
