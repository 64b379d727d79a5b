//! What an open of hostile files allocates, and a put of hostile tables: bounded, whatever sizes they state. A program of its own, which counts.

#[path = "../support/faulty.rs"]
#[allow(dead_code)]
mod faulty;
#[path = "../support/mod.rs"]
mod support;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use moraine_core::columns::Columns;
use moraine_core::engine::sidecar::WATERMARK_PATH;
use moraine_core::format::watermark::{Closed, LastRecord, Watermark};
use moraine_core::memory::MemoryStorage;
use moraine_core::options::Options;

use support::*;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

struct Counting;

// SAFETY: everything is the system's allocator; numbers are added up beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        MOST.fetch_max(HELD.fetch_add(layout.size(), Relaxed) + layout.size(), Relaxed);
        // SAFETY: the caller's promises are those of the system's allocator.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        HELD.fetch_sub(layout.size(), Relaxed);
        // SAFETY: as above; the pointer came from it.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const SEGMENT_BYTES: u64 = 64 << 20;
/// What an open may take for itself: windows into the log and tables, not what a file says.
const BOUND: usize = 8 << 20;

/// The most that was held at a time, beside what was held before.
fn most_held(what: impl FnOnce()) -> usize {
    let before = HELD.load(Relaxed);
    MOST.store(before, Relaxed);
    what();
    MOST.load(Relaxed) - before
}

#[test]
fn sizes_that_are_stated_are_not_allocated() {
    let options = Options { segment_bytes: SEGMENT_BYTES, ..small() };
    let storage = MemoryStorage::default();
    let mut store = open(&storage, options.clone()).unwrap();
    put_numbered(&mut store, 20);
    close(store);
    let read_only = || Options { read_only: true, create: false, ..options.clone() };
    let asked = |storage: &MemoryStorage| {
        let store = open(storage, read_only()).unwrap();
        assert_eq!(all(&store).len(), 20);
    };
    let first = "commitlog/00000000000000000000";

    // A watermark that names a record as long as the file.
    let newest = Watermark::newest(&storage.contents(WATERMARK_PATH).unwrap()).unwrap();
    let last = Some(LastRecord { at: 0, size: SEGMENT_BYTES as u32, crc: 1, store_timestamp: NOW });
    let hostile = Watermark { closed: newest.closed.map(|closed| Closed { last, end: SEGMENT_BYTES, ..closed }), ..newest };
    for (at, &byte) in hostile.encode().iter().enumerate() {
        storage.change(WATERMARK_PATH, hostile.slot_at() as usize + at, |old| *old = byte);
    }
    let held = most_held(|| asked(&storage));
    assert!(held < BOUND, "{held} bytes for a watermark");

    // A record behind the last one that says that it is as long as the rest, with lengths that do not add up.
    let used = storage.contents(first).unwrap().iter().rposition(|&byte| byte != 0).unwrap() + 1;
    let rest = (SEGMENT_BYTES as u32 - used as u32).to_be_bytes();
    let head = [&rest[..], &0xDAA3_20A7_u32.to_be_bytes()].concat();
    head.iter().enumerate().for_each(|(at, &byte)| storage.change(first, used + at, |old| *old = byte));
    storage.place("abort", b"");
    let held = most_held(|| asked(&storage));
    assert!(held < BOUND, "{held} bytes for a record");

    // Tables of columns that state as many topics and hosts as there are numbers.
    for (topics, hosts) in [(u32::MAX, 1_u32), (1, u32::MAX), (u32::MAX, u32::MAX)] {
        let tables = [&topics.to_le_bytes()[..], &hosts.to_le_bytes(), &[0; 100]].concat();
        let columns = Columns { tables: &tables, bytes: b"m", bodies: &[0, 1], queue_ids: &[0], ..Columns::default() };
        let held = most_held(|| assert!(columns.read(&mut Vec::new()).is_err()));
        assert!(held < 1 << 16, "{held} bytes for {topics} topics and {hosts} hosts");
    }
}
