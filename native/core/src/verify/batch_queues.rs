//! Files of batch queues: every entry held against the record of its batch.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::log::batch_range;
use super::places::QueuePlace;
use super::queues::entries_in_hole;
use super::{Halt, Verifier};
use crate::batch_dispatch::batch_entry;
use crate::dispatch::{Dispatch, takes_queue_entry};
use crate::format::batch_entry::BatchEntry;
use crate::format::record::Record;
use crate::limits::{BATCH_ENTRY_BYTES, MAX_SEGMENT_BYTES};
use crate::log::view::LogView;
use crate::storage::Storage;

/// Entries read at once.
const CHUNK_ENTRIES: u64 = 2048;
const SAMPLES: u64 = 16;

impl<S: Storage> Verifier<'_, S> {
    pub(super) fn verify_batch_queues(&mut self) -> Result<(), Halt> {
        let total = self.places.batch.len() as u64;
        for n in 0..self.places.batch.len() {
            let place = self.places.batch[n].clone();
            self.verify_batch_queue(&place)?;
            self.tell("queues", n as u64, total)?;
        }
        let known: BTreeSet<(&str, i32)> = self.places.batch.iter().map(|place| (place.topic.as_str(), place.id)).collect();
        let missing: Vec<(String, i32, u64, u64)> = self
            .walked
            .batch
            .iter()
            .map(|(topic, id, seen)| (String::from_utf8_lossy(topic).to_string(), id, seen.first, seen.next))
            .filter(|(topic, id, ..)| !known.contains(&(topic.as_str(), *id)))
            .collect();
        for (topic, id, first, next) in missing {
            let dir = format!("{}/{topic}/{id}", crate::queue::BATCH_DIRECTORY);
            self.missing_batches(&dir, first, next);
        }
        Ok(())
    }

    fn verify_batch_queue(&mut self, place: &QueuePlace) -> Result<(), Halt> {
        let view = self.view();
        let seen = self.walked.batch.get(&place.topic, place.id);
        let mut buffer = vec![0; (CHUNK_ENTRIES * BATCH_ENTRY_BYTES) as usize];
        let (mut record, mut next, mut first, mut ended) = (Vec::new(), None::<u64>, None::<u64>, false);
        for &(base, len) in &place.files {
            let path = place.path(base);
            let capacity = len.min(MAX_SEGMENT_BYTES) / BATCH_ENTRY_BYTES;
            let stride = if self.options.deep { 1 } else { (capacity / SAMPLES).max(1) };
            let mut number = 0;
            while number < capacity {
                let count = (capacity - number).min(CHUNK_ENTRIES);
                let bytes = &mut buffer[..(count * BATCH_ENTRY_BYTES) as usize];
                let skipped = entries_in_hole(self.storage, &path, number, capacity, BATCH_ENTRY_BYTES);
                if let Ok(skipped @ 1..) = skipped {
                    ended = true;
                    number += skipped;
                    self.tell("queues", 0, 0)?;
                    continue;
                }
                let read = match skipped.and_then(|_| self.storage.read_at(&path, number * BATCH_ENTRY_BYTES, bytes)) {
                    Ok(read) => read,
                    Err(_) if self.options.live.is_some() => return Ok(()),
                    Err(error) => {
                        self.report.unreadable(&path, &error.into(), self.remedy_of_queues());
                        break;
                    }
                };
                bytes[read..].fill(0);
                for (raw, at) in bytes.as_chunks::<{ BatchEntry::BYTES }>().0.iter().zip(number..) {
                    let at_byte = at * BATCH_ENTRY_BYTES;
                    let remedy = self.remedy_of_queues();
                    let Some(entry) = BatchEntry::decode(raw) else {
                        ended = true;
                        if raw.iter().any(|&byte| byte != 0) && self.options.live.is_none() {
                            self.report.push("queue-entry", &path, at_byte, BATCH_ENTRY_BYTES, remedy, || {
                                String::from("is no entry, and not empty either")
                            });
                        }
                        continue;
                    };
                    let before = next.replace(entry.next());
                    if core::mem::take(&mut ended) || before.is_some_and(|before| before != entry.base) {
                        self.report.push("queue-gap", &path, at_byte, BATCH_ENTRY_BYTES, remedy, || {
                            format!("the entry begins at queue offset {}, the one before ends at {}", entry.base, before.unwrap_or(0))
                        });
                    }
                    if entry.physical < view.min() {
                        continue; // its messages have expired
                    }
                    first = first.or(Some(entry.base));
                    if self.options.live.as_ref().is_some_and(|live| entry.physical >= live.queues_below) || at % stride != 0 {
                        continue;
                    }
                    if let Err(reason) = self.follow_batch(&view, &entry, raw, place, &mut record)
                        && !self.report.is_damaged(entry.physical)
                        && self.is_still_there(entry.physical)
                    {
                        self.report.push("queue-entry", &path, at_byte, BATCH_ENTRY_BYTES, remedy, || {
                            format!("the entry of the batch at queue offset {} {reason}", entry.base)
                        });
                    }
                }
                number += count;
                self.tell("queues", 0, 0)?;
            }
        }
        let Some(seen) = seen.filter(|seen| self.is_still_there(seen.last_at)) else { return Ok(()) };
        let first = first.unwrap_or(seen.next);
        if self.options.deep && self.options.live.is_none() && first > seen.first {
            self.missing_batches(&place.dir, seen.first, first);
        } else if next.unwrap_or(0).max(seen.first) < seen.next {
            self.missing_batches(&place.dir, next.unwrap_or(0).max(seen.first), seen.next);
        }
        Ok(())
    }

    fn missing_batches(&mut self, dir: &str, first: u64, next: u64) {
        let remedy = self.remedy_of_queues();
        let kind = if self.clean || self.options.live.is_some() { "queue-missing" } else { "queue-behind" };
        self.report
            .push(kind, dir, 0, 0, remedy, || format!("the batch queue has no entries for the queue offsets {first} to {}", next - 1));
    }

    fn follow_batch(
        &self,
        view: &LogView<S::Segment>,
        entry: &BatchEntry,
        raw: &[u8; BatchEntry::BYTES],
        place: &QueuePlace,
        into: &mut Vec<u8>,
    ) -> Result<(), String> {
        let BatchEntry { physical, size, .. } = *entry;
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
        let is_own = record.topic() == place.topic.as_bytes() && record.queue_id() == place.id && takes_queue_entry(record.sys_flag());
        match batch_range(&record, &dispatch).filter(|_| is_own) {
            Some((base, messages)) if batch_entry(&dispatch, base, messages).encode() == *raw => Ok(()),
            Some(_) => Err(String::from("does not say what its record says")),
            None => Err(format!("leads to the message at {physical}, which is of another queue")),
        }
    }
}
