//! The index file that takes entries: slots in memory, entries on their way to disk.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::DIRECTORY;
use super::files::SealedFile;
use crate::error::Error;
use crate::format::index_file::{Geometry, Header, IndexEntry, decode_slot};
use crate::limits::{INDEX_ENTRY_BYTES, INDEX_HEADER_BYTES, INDEX_SLOT_BYTES};
use crate::storage::Storage;
use crate::writes::Writes;

/// Slots written together: a page of the file.
const PAGE_SLOTS: usize = 1024;
/// Slots read at once when a file is opened.
const LOAD_SLOTS: usize = 16 * PAGE_SLOTS;

/// Entries read at once when slots are made from them.
const LOAD_ENTRIES: usize = 1 << 15;

/// An index file with room, or one that is full and not yet sealed on disk.
#[derive(Debug)]
pub struct ActiveFile {
    pub name: String,
    pub geometry: Geometry,
    pub header: Header,
    slots: Vec<u32>,
    /// Which pages of slots differ from the file.
    dirty_pages: Vec<bool>,
    /// Encoded entries from number `pending_from` on, not in the file yet.
    pending: Vec<u8>,
    pending_from: u32,
    /// The header that the file has on disk; `None`: there is no file yet.
    on_disk: Option<Header>,
}

impl ActiveFile {
    /// A new file that follows one with the header `before` (§4.3: its last positions are carried over).
    pub fn new(name: String, geometry: Geometry, before: Option<&Header>) -> Self {
        let header = before.map_or_else(Header::default, Header::following);
        Self::with_slots(name, geometry, header, vec![0; geometry.slots as usize], None)
    }

    /// Takes up a file that was closed cleanly.
    pub fn load<S: Storage>(storage: &S, name: String, geometry: Geometry, header: Header) -> Result<Self, Error> {
        let path = format!("{DIRECTORY}/{name}");
        let mut slots = vec![0; geometry.slots as usize];
        let mut raw = vec![0; LOAD_SLOTS * INDEX_SLOT_BYTES as usize];
        for (i, chunk) in slots.chunks_mut(LOAD_SLOTS).enumerate() {
            let raw = &mut raw[..chunk.len() * INDEX_SLOT_BYTES as usize];
            let read = storage.read_at(&path, geometry.slot_at((i * LOAD_SLOTS) as u32), raw)?;
            raw[read..].fill(0);
            for (slot, bytes) in chunk.iter_mut().zip(raw.as_chunks::<{ INDEX_SLOT_BYTES as usize }>().0) {
                let value = decode_slot(bytes, header.count);
                // Memory of slots never used stays untouched.
                if value != 0 {
                    *slot = value;
                }
            }
        }
        Ok(Self::with_slots(name, geometry, header, slots, Some(header)))
    }

    /// Takes up a file of which only the entries that `header` counts are known to be whole: what the slots were is told
    /// by them. Reads all of them.
    pub fn rebuild<S: Storage>(storage: &S, file: SealedFile, header: Header) -> Result<Self, Error> {
        let path = file.path();
        let SealedFile { name, geometry, header: on_disk } = file;
        let mut slots = vec![0; geometry.slots as usize];
        let mut raw = vec![0; LOAD_ENTRIES.min(header.count as usize) * INDEX_ENTRY_BYTES as usize];
        let (mut number, mut slots_used) = (1, 0);
        while number < header.count {
            let wanted = ((header.count - number) as usize).min(LOAD_ENTRIES);
            let raw = &mut raw[..wanted * INDEX_ENTRY_BYTES as usize];
            let read = storage.read_at(&path, geometry.entry_at(number), raw)?;
            raw[read..].fill(0);
            for bytes in raw.as_chunks::<{ INDEX_ENTRY_BYTES as usize }>().0 {
                let slot = &mut slots[geometry.slot_of(IndexEntry::decode(bytes).key_hash) as usize];
                slots_used += u32::from(*slot == 0);
                *slot = number;
                number += 1;
            }
        }
        let mut file = Self::with_slots(name, geometry, Header { slots_used, ..header }, slots, Some(on_disk));
        file.dirty_pages.fill(true);
        Ok(file)
    }

    fn with_slots(name: String, geometry: Geometry, header: Header, slots: Vec<u32>, on_disk: Option<Header>) -> Self {
        let pages = slots.len().div_ceil(PAGE_SLOTS);
        let pending_from = header.count;
        Self { name, geometry, header, slots, dirty_pages: vec![false; pages], pending: Vec::new(), pending_from, on_disk }
    }

    pub fn path(&self) -> String {
        [DIRECTORY, "/", &self.name].concat()
    }

    /// Entry 0 is never used, so a file takes one fewer than it has room for (§4.1).
    pub fn is_full(&self) -> bool {
        self.header.count >= self.geometry.entries
    }

    /// Adds a key of the message at `physical` (§4.2). The file must not be full.
    pub fn put(&mut self, key_hash: u32, physical: u64, store_timestamp: i64) {
        let slot = self.geometry.slot_of(key_hash) as usize;
        let number = self.header.count;
        let old = self.slots[slot];
        let previous = if old >= number { 0 } else { old };
        let entry = self.header.add(key_hash, physical as i64, store_timestamp, previous);
        self.pending.extend_from_slice(&entry.encode());
        self.slots[slot] = number;
        self.dirty_pages[slot / PAGE_SLOTS] = true;
    }

    pub fn slot(&self, key_hash: u32) -> u32 {
        self.slots[self.geometry.slot_of(key_hash) as usize]
    }

    /// An entry that is still in memory; `None`: it is in the file.
    pub fn pending_entry(&self, number: u32) -> Option<IndexEntry> {
        let at = number.checked_sub(self.pending_from)? as usize * INDEX_ENTRY_BYTES as usize;
        let raw = self.pending.get(at..)?.first_chunk::<{ INDEX_ENTRY_BYTES as usize }>()?;
        Some(IndexEntry::decode(raw))
    }

    /// Number up to which (exclusive) the file holds entries.
    pub(super) fn written_entries(&self) -> u32 {
        self.pending_from
    }

    /// Takes the newest entry back, which is `entry`: its slot leads to the one before it again.
    pub(super) fn undo(&mut self, entry: &IndexEntry) {
        let slot = self.geometry.slot_of(entry.key_hash) as usize;
        let number = self.header.count - 1;
        let previous = if entry.previous < number { entry.previous } else { 0 };
        self.slots[slot] = previous;
        self.dirty_pages[slot / PAGE_SLOTS] = true;
        self.header.count = number;
        if previous == 0 {
            self.header.slots_used = self.header.slots_used.saturating_sub(1);
        }
        self.pending_from = self.pending_from.min(number);
        self.pending.truncate((number - self.pending_from) as usize * INDEX_ENTRY_BYTES as usize);
    }

    /// Entries not in the file yet.
    pub fn waiting(&self) -> usize {
        self.pending.len() / INDEX_ENTRY_BYTES as usize
    }

    /// Whether there may be a file.
    pub fn is_on_disk(&self) -> bool {
        self.on_disk.is_some()
    }

    /// Plans to write what the file's header says until it is sealed or the store closed: that nothing is in it, and that all
    /// up to the end of `before`, the newest sealed file, is in others. After a kill RocketMQ believes a file that says
    /// so, and enters there what comes behind; without a header it would enter again what others have (§4.3, §5.2).
    pub fn plan_beginning(&self, before: Option<&Header>, writes: &mut Writes) {
        if let Some(beginning) = self.beginning(before) {
            writes.push(self.path(), self.geometry.file_bytes(), 0, |out| out.extend_from_slice(&beginning.encode()));
        }
    }

    /// What [`ActiveFile::plan_beginning`] planned for the same `before` is in the file.
    pub fn wrote_beginning(&mut self, before: Option<&Header>) {
        self.on_disk = Some(self.beginning(before).or(self.on_disk).unwrap_or_default());
    }

    /// The header to begin with, unless the file has it or tells of entries already.
    fn beginning(&self, before: Option<&Header>) -> Option<Header> {
        let beginning = Header::following(before?);
        let is_needed = self.on_disk.is_none_or(|there| there.count <= 1 && there != beginning);
        is_needed.then_some(beginning)
    }

    /// Plans to write waiting entries; returns the number up to which (exclusive) the file will hold them.
    pub fn plan_entries(&self, limit: usize, writes: &mut Writes) -> u32 {
        let room = (limit.saturating_sub(writes.len()) / INDEX_ENTRY_BYTES as usize).max(1);
        let count = self.waiting().min(room);
        if count > 0 {
            let bytes = &self.pending[..count * INDEX_ENTRY_BYTES as usize];
            writes.push(self.path(), self.geometry.file_bytes(), self.geometry.entry_at(self.pending_from), |out| {
                out.extend_from_slice(bytes)
            });
        }
        self.pending_from + count as u32
    }

    /// The file holds the entries below `number`.
    pub fn wrote_entries(&mut self, number: u32) {
        let count = (number.saturating_sub(self.pending_from) as usize).min(self.waiting());
        self.pending.drain(..count * INDEX_ENTRY_BYTES as usize);
        self.pending_from += count as u32;
    }

    /// Plans to write slots that differ from the file, as many as a plan holds, and the header with the last of them: before it is
    /// sealed or the store closed. Returns the page up to which (exclusive) the file will hold them.
    pub fn plan_slots(&self, writes: &mut Writes) -> usize {
        for (page, _) in self.dirty_pages.iter().enumerate().filter(|&(_, &dirty)| dirty) {
            if writes.is_full() {
                return page;
            }
            let first = page * PAGE_SLOTS;
            let slots = &self.slots[first..self.slots.len().min(first + PAGE_SLOTS)];
            writes.push(self.path(), self.geometry.file_bytes(), self.geometry.slot_at(first as u32), |out| {
                slots.iter().for_each(|slot| out.extend_from_slice(&slot.to_be_bytes()));
            });
        }
        if self.on_disk != Some(self.header) {
            writes.push(self.path(), self.geometry.file_bytes(), 0, |out| out.extend_from_slice(&self.header.encode()));
        }
        self.pages()
    }

    /// The file holds the slots of the pages below `upto`, and with all of them the header.
    pub fn wrote_slots(&mut self, upto: usize) {
        self.dirty_pages[..upto].fill(false);
        if upto == self.pages() {
            self.on_disk = Some(self.header);
        }
    }

    /// Pages of slots.
    pub fn pages(&self) -> usize {
        self.dirty_pages.len()
    }

    /// Writes the slots and the header that differ from the file, a plan at a time; `run` carries a plan out.
    pub fn write_slots<E>(&mut self, mut run: impl FnMut(&Writes) -> Result<(), E>) -> Result<(), E> {
        loop {
            let mut writes = Writes::default();
            let upto = self.plan_slots(&mut writes);
            run(&writes)?;
            self.wrote_slots(upto);
            if upto == self.pages() {
                return Ok(());
            }
        }
    }
}

const _: () = assert!(PAGE_SLOTS as u64 * INDEX_SLOT_BYTES == 4096 && INDEX_HEADER_BYTES == 40);
