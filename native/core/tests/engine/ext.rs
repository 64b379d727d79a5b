//! Extension files: entries lead to their tags codes there, whoever wrote them, and go on doing so.

use crate::support::*;
use moraine_core::format::ext_unit::{ExtUnit, is_address, offset_of};
use moraine_core::format::hash::tags_code;
use moraine_core::format::queue_entry::QueueEntry;
use moraine_core::memory::{MemoryClock, MemoryStorage};

/// Three units of 20 bytes, the mark and two bytes.
const FILE_BYTES: u64 = 66;
const TAGS: [&str; 3] = ["TagA", "", "order-created"];

/// A store whose topic T has extension files.
fn with_ext() -> MemoryStorage {
    let storage = MemoryStorage::default();
    storage.place("consumequeue_ext/T/0/00000000000000000000", &[0; FILE_BYTES as usize]);
    storage
}

fn put_tagged(store: &mut Store, clock: &MemoryClock, range: std::ops::Range<usize>) {
    for n in range {
        clock.set(NOW + n as i64);
        let tags = TAGS[n % 3];
        let properties = if tags.is_empty() { String::new() } else { format!("TAGS\u{1}{tags}\u{2}") };
        put(store, &[message(format!("m{n}").as_bytes(), properties.as_bytes())]).unwrap();
    }
}

fn code(n: usize) -> i64 {
    let tags = TAGS[n % 3];
    if tags.is_empty() { 0 } else { tags_code(tags.as_bytes()) }
}

fn shown(store: &Store) -> Vec<i64> {
    store.reader().entries(b"T", 0, 0, 1000).unwrap().1.iter().map(|entry| entry.tags_code).collect()
}

/// Tags code and store time of every entry in the queue's files, by way of its unit; the plain tags code without one.
fn in_files(storage: &MemoryStorage) -> Vec<(i64, Option<i64>)> {
    let all = |dir: &str| {
        let paths = storage.paths().into_iter().filter(move |path| path.starts_with(dir));
        paths.flat_map(|path| storage.contents(&path).unwrap()).collect::<Vec<u8>>()
    };
    let (queue, ext) = (all("consumequeue/T/0/"), all("consumequeue_ext/T/0/"));
    let entries = queue.as_chunks::<{ QueueEntry::BYTES }>().0.iter().map_while(QueueEntry::decode);
    let mut last = None;
    entries
        .map(|entry| match offset_of(entry.tags_code) {
            Some(offset) => {
                assert!(last < Some(offset), "addresses ascend");
                last = Some(offset);
                assert!(offset % FILE_BYTES + 20 + 4 <= FILE_BYTES, "four bytes stay free at the end of a file");
                let unit = ExtUnit::decode(&ext[offset as usize..]).expect("a unit");
                (unit.tags_code, Some(unit.store_timestamp))
            }
            None => (entry.tags_code, None),
        })
        .collect()
}

fn expected(range: std::ops::Range<usize>) -> Vec<(i64, Option<i64>)> {
    range.map(|n| (code(n), Some(NOW + n as i64))).collect()
}

fn codes(range: std::ops::Range<usize>) -> Vec<i64> {
    range.map(code).collect()
}

#[test]
fn a_queue_goes_on_being_written_with_units() {
    let (storage, clock) = (with_ext(), MemoryClock::at(NOW));
    let mut store = open_at(&storage, small(), &clock).unwrap();
    put_tagged(&mut store, &clock, 0..10);
    assert_eq!(shown(&store), codes(0..10), "from memory");
    write_behind(&mut store, &storage);
    assert_eq!(shown(&store), codes(0..10), "from files");
    put_tagged(&mut store, &clock, 10..25);
    close(store);
    assert_eq!(in_files(&storage), expected(0..25));
    let first = storage.contents("consumequeue_ext/T/0/00000000000000000000").unwrap();
    assert_eq!(first.len() as u64, FILE_BYTES);
    assert_eq!(first[60..], [0xFF, 0xFF, 0, 0, 0, 0], "the mark behind three units");

    let mut store = open_at(&storage, small(), &clock).unwrap();
    assert_eq!(shown(&store), codes(0..25));
    put_tagged(&mut store, &clock, 25..40);
    close(store);
    assert_eq!(in_files(&storage), expected(0..40));
    let ext = storage.paths().iter().filter(|path| path.starts_with("consumequeue_ext/T/0/")).count();
    assert_eq!(ext, 14, "three units a file, no file too many");
}

#[test]
fn what_a_crash_left_of_the_units_is_brought_in_line() {
    let (storage, clock) = (with_ext(), MemoryClock::at(NOW));
    let mut store = open_at(&storage, small(), &clock).unwrap();
    put_tagged(&mut store, &clock, 0..20);
    write_behind(&mut store, &storage);
    put_tagged(&mut store, &clock, 20..30);
    let crashed = storage.snapshot();
    // The queue's file lost its last entries, their units stayed.
    let path = "consumequeue/T/0/00000000000000000200";
    let mut file = crashed.contents(path).unwrap();
    file[100..].fill(0);
    crashed.place(path, &file);

    let store = open_at(&crashed, small(), &clock).unwrap();
    assert_eq!(shown(&store), codes(0..30));
    assert_eq!(all(&store), numbered(0..30));
    close(store);
    assert_eq!(in_files(&crashed), expected(0..30));
    let store = open_at(&crashed, small(), &clock).unwrap();
    assert_eq!(shown(&store), codes(0..30));
}

#[test]
fn deleted_queues_are_built_again_with_new_units() {
    let (storage, clock) = (with_ext(), MemoryClock::at(NOW));
    let mut store = open_at(&storage, small(), &clock).unwrap();
    put_tagged(&mut store, &clock, 0..20);
    close(store);
    storage.remove_tree("consumequeue");
    let store = open_at(&storage, small(), &clock).unwrap();
    assert_eq!(shown(&store), codes(0..20));
    close(store);
    assert_eq!(in_files(&storage), expected(0..20));
    assert_eq!(storage.paths().iter().filter(|path| path.starts_with("consumequeue_ext/T/0/")).count(), 7);
}

#[test]
fn without_its_unit_an_entry_shows_the_tags_code_of_its_record_and_passes_filters() {
    let (storage, clock) = (with_ext(), MemoryClock::at(NOW));
    let mut store = open_at(&storage, small(), &clock).unwrap();
    put_tagged(&mut store, &clock, 0..12);
    close(store);
    storage.remove_tree("consumequeue_ext");
    let read_only = moraine_core::options::Options { read_only: true, ..small() };
    for options in [read_only, small()] {
        let mut store = open_at(&storage, options.clone(), &clock).unwrap();
        assert_eq!(shown(&store), codes(0..12));
        assert!(shown(&store).iter().all(|&code| !is_address(code)));
        assert_eq!(all(&store), numbered(0..12));
        if !options.read_only {
            put_tagged(&mut store, &clock, 12..14);
            close(store);
        }
    }
    let store = open_at(&storage, small(), &clock).unwrap();
    assert_eq!(shown(&store), codes(0..14), "what came later has its tags code in the entry");
}

#[test]
fn damaged_units_hide_nothing() {
    let (storage, clock) = (with_ext(), MemoryClock::at(NOW));
    let mut store = open_at(&storage, small(), &clock).unwrap();
    put_tagged(&mut store, &clock, 0..12);
    close(store);
    for spoilt in [vec![0xFF; FILE_BYTES as usize], vec![0; FILE_BYTES as usize], vec![0x7F; FILE_BYTES as usize], Vec::new()] {
        let copy = storage.snapshot();
        let last = "consumequeue_ext/T/0/00000000000000000198";
        assert!(copy.contents(last).is_some());
        copy.place(last, &spoilt);
        let mut store = open_at(&copy, small(), &clock).unwrap();
        assert_eq!(shown(&store), codes(0..12));
        put_tagged(&mut store, &clock, 12..20);
        close(store);
        let store = open_at(&copy, small(), &clock).unwrap();
        assert_eq!(shown(&store), codes(0..20));
        assert_eq!(all(&store), numbered(0..20));
    }
}

#[test]
fn a_size_that_no_unit_fits_into_is_refused() {
    let storage = MemoryStorage::default();
    storage.place("consumequeue_ext/T/0/00000000000000000000", &[0; 40]);
    let error = open(&storage, small()).err().expect("refused");
    assert!(error.message.contains("40 bytes are no size for extension files"), "{error}");
}

#[test]
fn a_damaged_newest_address_makes_no_new_unit_overwrite_an_old_one() {
    for leads_to in [0, 20, 66 * 3, 66 * 7] {
        let (storage, clock) = (with_ext(), MemoryClock::at(NOW));
        let mut store = open_at(&storage, small(), &clock).unwrap();
        put_tagged(&mut store, &clock, 0..25);
        close(store);
        let address = moraine_core::format::ext_unit::address_of(leads_to).to_be_bytes();
        for (at, byte) in address.iter().enumerate() {
            storage.change("consumequeue/T/0/00000000000000000400", 4 * 20 + 12 + at, |there| *there = *byte);
        }
        let mut store = open_at(&storage, small(), &clock).unwrap();
        put_tagged(&mut store, &clock, 25..40);
        close(store);
        let store = open_at(&storage, small(), &clock).unwrap();
        let mut shown = shown(&store);
        shown[24] = code(24); // the damaged one
        assert_eq!(shown, codes(0..40), "{leads_to}");
        assert_eq!(all(&store), numbered(0..40), "{leads_to}");
    }
}
