//! A search for a time that goes on without the lock finds what the look under the lock does, or knows that it does not hold.

use std::cell::{Cell, RefCell};

use crate::support::batches::{put_inner, with_topics};
use crate::support::*;
use moraine_core::engine::Boundary;
use moraine_core::engine::by_time::{EntryPlace, TimeSearch};
use moraine_core::engine::delete_topic::delete_topic;
use moraine_core::engine::expire::expire;
use moraine_core::engine::retention::Wish;
use moraine_core::format::queue_entry::QueueEntry;
use moraine_core::memory::{MemoryClock, MemorySegment, MemoryStorage};
use moraine_core::storage::Storage;

const ENTRY_BYTES: usize = 20;
const BOUNDARIES: [Boundary; 2] = [Boundary::Lower, Boundary::Upper];

/// How many entries searches have found in memory and in files.
#[derive(Default)]
struct Asked {
    memory: Cell<usize>,
    files: Cell<usize>,
}

impl Asked {
    /// The entry that a search asks for, in a file as a caller without the lock reads it.
    fn entry(&self, store: &Store, storage: &MemoryStorage, search: &TimeSearch<MemorySegment>, offset: u64) -> Option<QueueEntry> {
        let held = match store.reader().entry_place(search, offset) {
            EntryPlace::Memory(entry) => {
                self.memory.set(self.memory.get() + 1);
                return entry;
            }
            EntryPlace::File(held) => held,
        };
        assert!(held.offsets.contains(&offset), "{offset} is none of {:?}", held.offsets);
        self.files.set(self.files.get() + 1);
        let mut raw = [0; ENTRY_BYTES];
        let at = (offset - held.offsets.start) * ENTRY_BYTES as u64;
        let read = storage.read_at(&held.path, at, &mut raw).unwrap();
        QueueEntry::decode(&raw).filter(|_| read == raw.len())
    }

    /// Holds both ways against each other, for every time up to `last` ms behind the first.
    fn compare(&self, store: &Store, storage: &MemoryStorage, last: i64, what: &str) {
        for time in -1..=last + 1 {
            for boundary in BOUNDARIES {
                let search = store.reader().search_time(b"T", 0).unwrap();
                let entry_at = |offset| Ok(self.entry(store, storage, &search, offset));
                let found = search.offset_by_time(NOW + time, boundary, entry_at).unwrap();
                assert!(store.reader().holds(&search));
                let under = store.reader().offset_by_time(b"T", 0, NOW + time, boundary).unwrap();
                assert_eq!(found, under, "{boundary:?} of {time} {what}");
            }
        }
    }
}

/// Puts messages three of which share a time, 2 ms before the next three; returns the time of the last.
fn put_timed(store: &mut Store, clock: &MemoryClock, numbers: std::ops::Range<usize>) -> i64 {
    let time = |n: usize| n as i64 / 3 * 2;
    for n in numbers.clone() {
        clock.set(NOW + time(n));
        put_number(store, n);
    }
    time(numbers.end - 1)
}

#[test]
fn it_finds_what_the_look_under_the_lock_does() {
    let (storage, clock) = (MemoryStorage::default(), MemoryClock::at(NOW));
    let mut store = open_at(&storage, small(), &clock).unwrap();
    let asked = Asked::default();
    let last = put_timed(&mut store, &clock, 0..37);
    asked.compare(&store, &storage, last, "all in memory");
    assert_eq!(asked.files.get(), 0);
    write_behind(&mut store, &storage);
    asked.memory.set(0);
    asked.compare(&store, &storage, last, "all in files");
    assert_eq!(asked.memory.get(), 0);
    let last = put_timed(&mut store, &clock, 37..64);
    asked.files.set(0);
    asked.compare(&store, &storage, last, "in both");
    assert!(asked.memory.get() > 200 && asked.files.get() > 200, "{} in memory, {} in files", asked.memory.get(), asked.files.get());
    // The clock jumps back: where a bisection goes then depends on each step.
    clock.set(NOW - 86_400_000);
    for n in 64..90 {
        put_number(&mut store, n);
    }
    asked.compare(&store, &storage, last, "after a jump of the clock");
    write_behind(&mut store, &storage);
    asked.compare(&store, &storage, last, "after a jump of the clock, all in files");
}

#[test]
fn damaged_entries_lead_it_where_they_lead_the_look_under_the_lock() {
    let (storage, clock) = (MemoryStorage::default(), MemoryClock::at(NOW));
    let mut store = open_at(&storage, small(), &clock).unwrap();
    let last = put_timed(&mut store, &clock, 0..25);
    write_behind(&mut store, &storage);
    let asked = Asked::default();
    let path = "consumequeue/T/0/00000000000000000200";
    for entry in [2, 6] {
        for bit in 0..ENTRY_BYTES * 8 {
            let flip = || storage.change(path, entry * ENTRY_BYTES + bit / 8, |byte| *byte ^= 1 << (bit % 8));
            flip();
            asked.compare(&store, &storage, last, &format!("with bit {bit} of entry {entry} flipped"));
            flip();
        }
    }
    for byte in 0..10 * ENTRY_BYTES {
        storage.change(path, byte, |byte| *byte = 0);
    }
    asked.compare(&store, &storage, last, "with a file of zeros");
}

#[test]
fn it_holds_while_messages_come_and_entries_go_to_files() {
    let (storage, clock) = (MemoryStorage::default(), MemoryClock::at(NOW));
    let mut store = open_at(&storage, small(), &clock).unwrap();
    put_timed(&mut store, &clock, 0..37);
    let search = store.reader().search_time(b"T", 0).unwrap();
    let under = store.reader().offset_by_time(b"T", 0, NOW + 9, Boundary::Lower).unwrap();
    put_timed(&mut store, &clock, 37..50);
    write_behind(&mut store, &storage);
    let asked = Asked::default();
    let found = search.offset_by_time(NOW + 9, Boundary::Lower, |offset| Ok(asked.entry(&store, &storage, &search, offset))).unwrap();
    assert_eq!((found, under), (15, 15));
    assert!(store.reader().holds(&search) && asked.memory.get() == 0);
}

#[test]
fn it_does_not_hold_once_the_end_of_the_log_was_moved_back_or_its_front_removed_or_the_topic_deleted() {
    let filled = || {
        let (storage, clock) = (MemoryStorage::default(), MemoryClock::at(NOW));
        let mut store = open_at(&storage, small(), &clock).unwrap();
        put_timed(&mut store, &clock, 0..90);
        flush(&mut store, &storage);
        write_behind(&mut store, &storage);
        let search = store.reader().search_time(b"T", 0).unwrap();
        assert!(store.reader().holds(&search));
        (storage, store, search)
    };

    let (_, mut store, search) = filled();
    let (_, entries) = store.reader().entries(b"T", 0, 60, 1).unwrap();
    store.writer().unwrap().truncate(entries[0].physical).unwrap();
    for n in 60..90 {
        put_number(&mut store, n);
    }
    assert!(!store.reader().holds(&search), "messages behind the cut are others");

    let (storage, store, search) = filled();
    let cell = RefCell::new(store);
    assert!(expire(&cell, &storage, Wish::Asked { before: None, max_bytes: Some(8192) }).unwrap().files > 0);
    assert!(!cell.borrow().reader().holds(&search));

    let (storage, store, search) = filled();
    let cell = RefCell::new(store);
    assert!(delete_topic(&cell, &storage, b"T").unwrap());
    assert!(!cell.borrow().reader().holds(&search));
}

#[test]
fn batch_queues_and_those_that_nobody_put_to_are_not_searched_so() {
    let storage = with_topics();
    let mut store = open(&storage, small()).unwrap();
    put_inner(&mut store, 3);
    put_number(&mut store, 0);
    assert!(store.reader().search_time(b"T", 0).is_some());
    for (topic, queue_id) in [(&b"B"[..], 0), (b"T", 1), (b"U", 0)] {
        assert!(store.reader().search_time(topic, queue_id).is_none(), "{topic:?} {queue_id}");
    }
}
