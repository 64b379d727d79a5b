//! Index files: header, slots and chains, as entering the same keys again would make them.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::report::{Remedy, Report};
use super::{Halt, Verifier, VerifyOptions};
use crate::engine::sidecar::WATERMARK_PATH;
use crate::error::Error;
use crate::format::checkpoint::Checkpoint;
use crate::format::index_file::IndexEntry;
use crate::format::watermark::Watermark;
use crate::index::files::{self, SealedFile};
use crate::limits::{INDEX_ENTRY_BYTES, INDEX_SLOT_BYTES};
use crate::storage::Storage;

/// Entries read at once.
const CHUNK_ENTRIES: u32 = 8192;
/// Slots whose chains are followed in one pass over the entries: 32 MiB of memory.
const PASS_SLOTS: u32 = 8 << 20;
/// Without `deep`, so many entries of each file are looked at.
const SAMPLES: u32 = 64;
/// Where fields of the header stand.
const END_TIMESTAMP_AT: u64 = 8;
const BEGIN_PHYSICAL_AT: u64 = 16;
const END_PHYSICAL_AT: u64 = 24;
const SLOTS_USED_AT: u64 = 32;

/// The index files that count, oldest first.
#[derive(Debug, Default)]
pub(super) struct IndexFiles {
    pub files: Vec<SealedFile>,
    /// Messages from here on need not be in them.
    pub complete_below: u64,
}

impl IndexFiles {
    /// Lists them. In a store that is open, or was not closed, only those count that were complete and synced.
    pub(super) fn find<S: Storage>(
        storage: &S,
        options: &VerifyOptions,
        clean: bool,
        checkpoint: &Checkpoint,
        report: &mut Report,
    ) -> Result<Self, Error> {
        let mut slots = vec![0; 2 * Watermark::BYTES];
        let read = storage.read_at(WATERMARK_PATH, 0, &mut slots).unwrap_or(0);
        let newest = Watermark::newest(&slots[..read]);
        let known = newest.and_then(|newest| newest.geometry);
        // The store was kept without an index for a time.
        let lacks_from = newest.and_then(|newest| newest.unindexed).unwrap_or(u64::MAX);
        let candidates: Vec<_> = known.into_iter().chain([options.geometry]).collect();
        let mut noticed = Vec::new();
        let mut files = files::load(storage, &candidates, false, &mut noticed)?;
        noticed.into_iter().for_each(|finding| report.noticed(finding, clean));
        if let Some(live) = &options.live {
            files.truncate(files.iter().take_while(|file| live.index_open_from.as_ref().is_none_or(|name| file.name < *name)).count());
        } else if !clean {
            let complete = |file: &&SealedFile| file.header.count >= file.geometry.entries && file.header.end_timestamp <= checkpoint.index;
            files.truncate(files.iter().take_while(complete).count());
        }
        let complete_below = match files.last() {
            None => 0,
            Some(_) if clean => u64::MAX,
            Some(last) => u64::try_from(last.header.end_physical).unwrap_or(0),
        };
        Ok(Self { files, complete_below: complete_below.min(lacks_from) })
    }

    /// Where the newest record starts that they name; −1 without any.
    pub(super) fn newest_end(&self) -> i64 {
        self.files.last().map_or(-1, |last| last.header.end_physical)
    }
}

impl<S: Storage> Verifier<'_, S> {
    pub(super) fn verify_index(&mut self) -> Result<(), Halt> {
        let total = self.index.files.len() as u64;
        for n in 0..self.index.files.len() {
            let file = self.index.files[n].clone();
            self.verify_header(&file)?;
            let outcome = if self.options.deep { self.replay(&file) } else { self.sample_chains(&file) };
            match outcome {
                Err(Halt::Failed(_)) if self.options.live.is_some() => {} // retention was here
                Err(Halt::Failed(error)) => self.report.unreadable(&file.path(), &error, Remedy::RebuildIndex),
                other => other?,
            }
            self.tell("index", n as u64 + 1, total)?;
        }
        Ok(())
    }

    fn flaw(&mut self, file: &SealedFile, at: u64, length: u64, message: impl FnOnce() -> String) {
        self.report.push("index", &file.path(), at, length, Remedy::RebuildIndex, message);
    }

    /// First and last position and time against the entries and their records.
    fn verify_header(&mut self, file: &SealedFile) -> Result<(), Halt> {
        let header = file.header;
        if header.count <= 1 {
            return Ok(());
        }
        let view = self.view();
        let ends = [
            (1, header.begin_physical, BEGIN_PHYSICAL_AT, header.begin_timestamp, 0),
            (header.count - 1, header.end_physical, END_PHYSICAL_AT, header.end_timestamp, END_TIMESTAMP_AT),
        ];
        for (number, physical, physical_at, timestamp, timestamp_at) in ends {
            let Ok(Some(entry)) = files::entry(self.storage, &file.path(), &file.geometry, number) else { continue };
            if entry.physical != physical {
                self.flaw(file, physical_at, 8, || format!("the header says position {physical}, entry {number} says {}", entry.physical));
            }
            let there = u64::try_from(entry.physical).ok().filter(|&at| at >= view.min() && !self.report.is_damaged(at));
            let time = there.and_then(|at| view.store_timestamp(at).ok().flatten());
            if let Some(time) = time.filter(|&time| time != timestamp) {
                self.flaw(file, timestamp_at, 8, || format!("the header says the time {timestamp}, the message of entry {number} {time}"));
            }
        }
        Ok(())
    }

    /// Enters the keys of all entries again, and compares each chain and each slot with what is in the file.
    fn replay(&mut self, file: &SealedFile) -> Result<(), Halt> {
        let (geometry, header, path) = (file.geometry, file.header, file.path());
        let mut used = 0;
        let mut from = 0;
        while from < geometry.slots {
            let to = geometry.slots.min(from.saturating_add(PASS_SLOTS));
            let mut newest = vec![0_u32; (to - from) as usize];
            let mut number = 1;
            while number < header.count {
                let count = (header.count - number).min(CHUNK_ENTRIES);
                let mut raw = vec![0; count as usize * IndexEntry::BYTES];
                let read = self.storage.read_at(&path, geometry.entry_at(number), &mut raw)?;
                raw[read..].fill(0);
                for (bytes, n) in raw.as_chunks::<{ IndexEntry::BYTES }>().0.iter().zip(number..) {
                    let slot = geometry.slot_of(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
                    if slot < from || slot >= to {
                        continue;
                    }
                    let before = core::mem::replace(&mut newest[(slot - from) as usize], n);
                    let said = u32::from_be_bytes([bytes[16], bytes[17], bytes[18], bytes[19]]);
                    if said != before {
                        self.flaw(file, geometry.entry_at(n), INDEX_ENTRY_BYTES, || {
                            format!("entry {n} says that entry {said} is before it in its chain, it is {before}")
                        });
                    }
                }
                number += count;
                self.tell("index", 0, 0)?;
            }
            used += newest.iter().filter(|&&number| number != 0).count() as u32;
            self.verify_slots(file, from, &newest)?;
            from = to;
        }
        if used != header.slots_used {
            self.flaw(file, SLOTS_USED_AT, 4, || format!("the header says that {} slots are used, {used} are", header.slots_used));
        }
        self.verify_room(file)
    }

    fn verify_slots(&mut self, file: &SealedFile, from: u32, newest: &[u32]) -> Result<(), Halt> {
        let path = file.path();
        let mut raw = vec![0; CHUNK_ENTRIES as usize * INDEX_SLOT_BYTES as usize];
        for (chunk, n) in newest.chunks(CHUNK_ENTRIES as usize).zip(0..) {
            let first = from + n * CHUNK_ENTRIES;
            let raw = &mut raw[..chunk.len() * INDEX_SLOT_BYTES as usize];
            let read = self.storage.read_at(&path, file.geometry.slot_at(first), raw)?;
            raw[read..].fill(0);
            for ((bytes, &number), slot) in raw.as_chunks::<4>().0.iter().zip(chunk).zip(first..) {
                let said = i32::from_be_bytes(*bytes);
                if said != number as i32 {
                    self.flaw(file, file.geometry.slot_at(slot), INDEX_SLOT_BYTES, || {
                        format!("slot {slot} leads to entry {said}, the newest of its chain is {number}")
                    });
                }
            }
        }
        Ok(())
    }

    /// Behind the last entry there is nothing but zeros.
    fn verify_room(&mut self, file: &SealedFile) -> Result<(), Halt> {
        let path = file.path();
        let (mut at, end) = (file.geometry.entry_at(file.header.count), file.geometry.file_bytes());
        let mut raw = vec![0; 1 << 20];
        while at < end {
            at = match self.storage.next_data(&path, at)? {
                Some(data) if data < end => data,
                _ => return Ok(()),
            };
            let len = (end - at).min(raw.len() as u64) as usize;
            let read = self.storage.read_at(&path, at, &mut raw[..len])?;
            if let Some(found) = raw[..read].iter().position(|&byte| byte != 0) {
                let place = at + found as u64;
                let remedy = Remedy::RebuildIndex;
                self.report.push("index", &path, place, 0, remedy, || String::from("bytes behind the last entry that are not zero"));
                return Ok(());
            }
            if read == 0 {
                return Ok(());
            }
            at += len as u64;
            self.tell("index", 0, 0)?;
        }
        Ok(())
    }

    /// A few chains, as far as they lead.
    fn sample_chains(&mut self, file: &SealedFile) -> Result<(), Halt> {
        let (geometry, count, path) = (file.geometry, file.header.count, file.path());
        let stride = (count / SAMPLES).max(1);
        let mut number = 1;
        while number < count {
            if let Some(entry) = files::entry(self.storage, &path, &geometry, number)? {
                let before = match entry.previous {
                    0 => None,
                    previous if previous < number => files::entry(self.storage, &path, &geometry, previous)?,
                    previous => {
                        self.flaw(file, geometry.entry_at(number), INDEX_ENTRY_BYTES, || {
                            format!("entry {number} says that entry {previous} is before it in its chain")
                        });
                        None
                    }
                };
                if let Some(before) = before.filter(|before| geometry.slot_of(before.key_hash) != geometry.slot_of(entry.key_hash)) {
                    self.flaw(file, geometry.entry_at(number), INDEX_ENTRY_BYTES, || {
                        format!("entry {number} leads to entry {}, whose hash {} is of another slot", entry.previous, before.key_hash)
                    });
                }
            }
            number = number.saturating_add(stride);
        }
        Ok(())
    }
}
