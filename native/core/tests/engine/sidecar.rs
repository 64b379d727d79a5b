//! The sidecar: a clean open believes it, and anything that may have happened in between makes it void.

use crate::support::*;
use moraine_core::batch::BatchMessage;
use moraine_core::engine::sidecar::{LOCK_MARKER, LOCK_PATH, QUEUES_PATHS, WATERMARK_PATH};
use moraine_core::format::watermark::Watermark;
use moraine_core::memory::MemoryStorage;
use moraine_core::options::Options;

/// The queue table of a store that was closed once.
const QUEUES_PATH: &str = QUEUES_PATHS[1];

fn put_to(store: &mut Store, topic: &str, queue_id: i32, body: &str) -> u64 {
    let one = BatchMessage { topic: topic.as_bytes(), queue_id, ..message(body.as_bytes(), b"KEYS\x01k\x02") };
    put(store, &[one]).unwrap()[0].1
}

/// A closed store with 40 messages in queue 0 of `T` and 5 in each of two queues of the others, in several files.
fn closed() -> MemoryStorage {
    closed_with("m4")
}

/// The same, with another body of the last message.
fn closed_with(last: &str) -> MemoryStorage {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    put_numbered(&mut store, 40);
    for n in 0..5 {
        for (topic, queue) in [("U", 0), ("U", 3), ("%RETRY%g", 0), ("%RETRY%g", 1)] {
            let body = if (n, topic, queue) == (4, "%RETRY%g", 1) { String::from(last) } else { format!("m{n}") };
            put_to(&mut store, topic, queue, &body);
        }
    }
    close(store);
    storage
}

/// Everything that can be asked of the queues.
fn answers(store: &Store) -> Vec<(String, i32, u64, u64, Vec<String>)> {
    let reader = store.reader();
    let mut all = Vec::new();
    for topic in reader.topics() {
        for queue in reader.queues(topic.as_bytes()) {
            let range = reader.offsets(topic.as_bytes(), queue);
            let bodies = if range.min < range.next { get(store, &topic, queue, range.min, 1000).unwrap().2 } else { Vec::new() };
            all.push((topic.clone(), queue, range.min, range.next, bodies));
        }
    }
    all
}

/// Whether an open walked the directories of the queues.
fn walked(storage: &MemoryStorage, open: impl FnOnce()) -> bool {
    let before = storage.listed().len();
    open();
    storage.listed()[before..].iter().any(|dir| dir.starts_with("consumequeue/"))
}

/// Opens a store twice, by what is there and then after a clean close, and holds its answers against `expected`.
fn assert_same(storage: &MemoryStorage, expected: &[(String, i32, u64, u64, Vec<String>)], case: &str) {
    let read_only = open(&storage.snapshot(), Options { read_only: true, ..small() }).unwrap();
    assert_eq!(answers(&read_only), expected, "{case}, read-only");
    let store = open(storage, small()).unwrap();
    assert_eq!(answers(&store), expected, "{case}");
    assert_eq!(lookup(&store, "k39"), ["m39"], "{case}");
    close(store);
    let store = open(storage, small()).unwrap();
    assert_eq!(answers(&store), expected, "{case}, again");
    close(store);
}

#[test]
fn a_clean_open_walks_no_directories_and_answers_the_same() {
    let storage = closed();
    let expected = answers(&open(&storage.snapshot(), Options { read_only: true, ..small() }).unwrap());
    assert_eq!(expected.iter().map(|(topic, ..)| topic.as_str()).collect::<Vec<_>>(), ["%RETRY%g", "%RETRY%g", "T", "U", "U"]);
    assert!(!walked(&storage, || assert_same(&storage, &expected, "clean")));
    let plain = storage.snapshot();
    plain.remove_tree("moraine");
    assert!(walked(&plain, || assert_same(&plain, &expected, "without a sidecar")));
    let mut store = open(&storage, small()).unwrap();
    assert_eq!(findings(&store), [""; 0]);
    assert_eq!(put_to(&mut store, "U", 3, "next"), 5);
    assert_eq!(put_number(&mut store, 40).1, 40);
}

#[test]
fn a_read_only_open_believes_the_sidecar_and_leaves_it() {
    let storage = closed();
    let before = storage.contents(WATERMARK_PATH);
    assert!(!walked(&storage, || drop(open(&storage, Options { read_only: true, ..small() }).unwrap())));
    assert_eq!(storage.contents(WATERMARK_PATH), before);
}

#[test]
fn abort_and_the_word_that_the_store_is_open_are_synced_before_anything_else_changes() {
    let storage = closed();
    let (paths, log) = (storage.paths(), storage.syncs().len());
    let store = open(&storage, small()).unwrap();
    assert_eq!(storage.syncs()[log..log + 2], [String::from("sync-dir "), format!("sync {WATERMARK_PATH}")]);
    let newest = Watermark::newest(&storage.contents(WATERMARK_PATH).unwrap()).unwrap();
    assert_eq!(newest.closed, None);
    assert!(!paths.contains(&String::from("abort")));
    drop(store); // killed
    storage.remove_tree("abort"); // and somebody tidies up
    assert!(walked(&storage, || drop(open(&storage, small()).unwrap())));
}

#[test]
fn the_table_is_synced_before_the_slot_that_names_it_and_that_before_abort_goes() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    put_numbered(&mut store, 5);
    close(store);
    let syncs = storage.syncs();
    let last: Vec<&str> = syncs.iter().rev().take(6).map(String::as_str).collect();
    assert_eq!(last[..2], ["sync-dir ", "sync moraine/watermark"]);
    let position = |call: &str| syncs.iter().rposition(|sync| sync == call).unwrap();
    assert!(position("sync checkpoint") < position("sync moraine/queues-1"));
    assert!(position("sync moraine/queues-1") < position("sync moraine/watermark"));
}

/// What may happen to a closed store, and whether the next open tells that it does not believe the sidecar.
type Change = (&'static str, fn(&MemoryStorage), bool);

fn rewrite(storage: &MemoryStorage, path: &str, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = storage.contents(path).unwrap();
    change(&mut bytes);
    storage.place(path, &bytes);
}

const CHANGES: [Change; 17] = [
    ("abort is there", |storage| storage.place("abort", b"1"), false),
    ("RocketMQ was started", |storage| storage.place(LOCK_PATH, b"lock"), false),
    ("lock is gone", |storage| storage.remove_tree(LOCK_PATH), false),
    ("lock is cut short", |storage| storage.place(LOCK_PATH, &LOCK_MARKER[..3]), false),
    ("checkpoint says something else", |storage| storage.change("checkpoint", 7, |byte| *byte ^= 1), false),
    ("checkpoint has something behind its fields", |storage| storage.change("checkpoint", 100, |byte| *byte = 1), false),
    ("checkpoint is gone", |storage| storage.remove_tree("checkpoint"), false),
    ("a queue file is gone", |storage| storage.remove_tree("consumequeue/T/0/00000000000000000600"), false),
    ("a first queue file is gone", |storage| storage.remove_tree("consumequeue/T/0/00000000000000000000"), false),
    ("a queue is gone", |storage| storage.remove_tree("consumequeue/U/3"), false),
    ("a topic is gone", |storage| storage.remove_tree("consumequeue/U"), false),
    ("all queues are gone", |storage| storage.remove_tree("consumequeue"), false),
    ("the queue table is gone", |storage| storage.remove_tree(QUEUES_PATH), true),
    ("the queue table is cut short", |storage| rewrite(storage, QUEUES_PATH, |bytes| bytes.truncate(100)), true),
    ("the watermark is gone", |storage| storage.remove_tree(WATERMARK_PATH), false),
    ("the watermark is empty", |storage| storage.place(WATERMARK_PATH, b""), false),
    ("the watermark is noise", |storage| storage.place(WATERMARK_PATH, &[0x5a; 8192]), true),
];

#[test]
fn whatever_happens_to_a_closed_store_makes_the_sidecar_void_and_costs_nothing() {
    let original = closed();
    let expected = answers(&open(&original.snapshot(), Options { read_only: true, ..small() }).unwrap());
    for (case, change, told) in CHANGES {
        let storage = original.snapshot();
        change(&storage);
        let look = storage.snapshot();
        let mut seen = Vec::new();
        let none_left = !look.paths().iter().any(|path| path.starts_with("consumequeue/"));
        assert!(walked(&look, || seen = findings(&open(&look, small()).unwrap())) || none_left, "{case}");
        assert_eq!(seen.contains(&"sidecar"), told, "{case}: {seen:?}");
        assert_same(&storage, &expected, case);
    }
}

#[test]
fn another_record_of_the_same_length_in_place_of_the_last_is_not_taken_for_it() {
    let (storage, other) = (closed(), closed_with("xx"));
    let last = Watermark::newest(&storage.contents(WATERMARK_PATH).unwrap()).unwrap().closed.unwrap().last.unwrap();
    let (file, at) = (format!("commitlog/{:020}", last.at / 4096 * 4096), (last.at % 4096) as usize);
    let record = &other.contents(&file).unwrap()[at..at + last.size as usize];
    for (i, byte) in record.iter().enumerate() {
        storage.change(&file, at + i, |there| *there = *byte);
    }
    let store = open(&storage, small()).unwrap();
    assert_eq!(findings(&store), ["sidecar"]);
    assert_eq!(get(&store, "%RETRY%g", 1, 4, 1).unwrap().2, ["xx"]);
}

#[test]
fn a_record_behind_the_end_a_segment_more_or_one_less_makes_it_void() {
    let end = |storage: &MemoryStorage| Watermark::newest(&storage.contents(WATERMARK_PATH).unwrap()).unwrap().closed.unwrap().end;
    let appended = closed();
    let at = end(&appended);
    let (file, in_file) = (format!("commitlog/{:020}", at / 4096 * 4096), (at % 4096) as usize);
    appended.change(&file, in_file + 3, |byte| *byte = 1);
    let added = closed();
    added.place("commitlog/00000000000000999424", &[0; 4096]);
    let expired = closed();
    expired.remove_tree("commitlog/00000000000000000000");
    for (case, storage) in [("appended", appended), ("added", added), ("expired", expired)] {
        let store = open(&storage, small()).unwrap();
        assert!(findings(&store).contains(&"sidecar"), "{case}");
        assert_eq!(store.reader().offsets(b"T", 0).next, 40, "{case}");
        assert_eq!(store.reader().offsets(b"U", 3).next, 5, "{case}");
    }
}

#[test]
fn a_queue_that_lost_its_files_and_its_messages_goes_on_where_it_was() {
    // Messages of U are damaged in the log, and its queue directories removed: nothing is left but the table.
    let storage = closed();
    let slot = Watermark::newest(&storage.contents(WATERMARK_PATH).unwrap()).unwrap();
    let last = slot.closed.unwrap().last.unwrap().at;
    for path in storage.paths().into_iter().filter(|path| path.starts_with("commitlog/")) {
        let base: u64 = path["commitlog/".len()..].parse().unwrap();
        let bytes = storage.contents(&path).unwrap();
        for at in bytes.windows(3).enumerate().filter(|(_, three)| *three == b"\x01U\x00").map(|(at, _)| at + 1) {
            if base + (at as u64) < last {
                storage.change(&path, at, |byte| *byte ^= 0x40);
            }
        }
    }
    storage.remove_tree("consumequeue/U");
    let mut store = open(&storage, small()).unwrap();
    assert!(findings(&store).contains(&"queue-damaged"));
    assert_eq!(store.reader().offsets(b"U", 3).next, 5);
    close(store);
    store = open(&storage, small()).unwrap();
    assert_eq!(put_to(&mut store, "U", 3, "next"), 5);
    assert_eq!(put_to(&mut store, "U", 0, "next"), 5);
    assert_eq!(get(&store, "U", 3, 5, 1).unwrap().2, ["next"]);
    assert_eq!(store.reader().offsets(b"T", 0).next, 40);
}

#[test]
fn no_flipped_bit_of_the_watermark_is_believed() {
    let storage = closed();
    close(open(&storage, small()).unwrap());
    let bytes = storage.contents(WATERMARK_PATH).unwrap();
    let newest = Watermark::newest(&bytes).unwrap();
    let other = Watermark::decode(&bytes.as_chunks::<4096>().0[(1 - newest.sequence % 2) as usize]);
    assert!(newest.closed.is_some() && other.is_some_and(|other| other.closed.is_none()));
    for bit in 0..bytes.len() * 8 {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let found = Watermark::newest(&flipped);
        assert!(found == Some(newest) || found == other, "bit {bit}: {found:?}");
    }
    for len in 0..bytes.len() {
        let found = Watermark::newest(&bytes[..len]);
        assert!(found == Some(newest) || found == other || found.is_none(), "{len} bytes");
    }
}

#[test]
fn no_flipped_bit_and_no_missing_end_of_the_queue_table_is_believed() {
    let original = closed();
    let expected = answers(&open(&original.snapshot(), Options { read_only: true, ..small() }).unwrap());
    let bytes = original.contents(QUEUES_PATH).unwrap();
    let read_only = Options { read_only: true, ..small() };
    let holds = |storage: &MemoryStorage, case: &str| {
        let store = open(storage, read_only.clone()).unwrap();
        assert_eq!(answers(&store), expected, "{case}");
        assert_eq!(findings(&store), ["sidecar"], "{case}");
    };
    for bit in 0..bytes.len() * 8 {
        original.change(QUEUES_PATH, bit / 8, |byte| *byte ^= 1 << (bit % 8));
        holds(&original, &format!("bit {bit}"));
        original.change(QUEUES_PATH, bit / 8, |byte| *byte ^= 1 << (bit % 8));
    }
    for len in 0..bytes.len() {
        let storage = original.snapshot();
        storage.place(QUEUES_PATH, &bytes[..len]);
        holds(&storage, &format!("{len} bytes"));
    }
}

#[test]
fn hostile_tables_with_the_right_checksum_are_void() {
    use moraine_core::format::crc::crc32;
    let original = closed();
    let table = original.contents(QUEUES_PATH).unwrap();
    let slot = Watermark::newest(&original.contents(WATERMARK_PATH).unwrap()).unwrap();
    // Every field of the header and of the first topic, set to the greatest and to an odd value.
    for at in (0..table.len().min(140)).step_by(2) {
        for value in [[0xff, 0xff], [0x7f, 0x01]] {
            let mut hostile = table.clone();
            hostile[at..at + 2].copy_from_slice(&value);
            let storage = original.snapshot();
            let mut closed = slot.closed.unwrap();
            closed.queues.crc = crc32(&hostile);
            let forged = Watermark { closed: Some(closed), ..slot };
            storage.place(QUEUES_PATH, &hostile);
            rewrite(&storage, WATERMARK_PATH, |bytes| {
                bytes[forged.slot_at() as usize..][..4096].copy_from_slice(&forged.encode());
            });
            let store = open(&storage, small());
            assert!(store.is_ok(), "bytes {at}: {:?}", store.err());
        }
    }
}

#[test]
fn derived_files_and_sidecar_gone_in_any_combination_give_the_same_answers() {
    let original = closed();
    let expected = answers(&open(&original.snapshot(), Options { read_only: true, ..small() }).unwrap());
    let parts = ["consumequeue", "index", "checkpoint", "moraine"];
    for mask in 1..1 << parts.len() {
        let storage = original.snapshot();
        let gone: Vec<&str> = parts.iter().enumerate().filter(|(bit, _)| mask & (1 << bit) != 0).map(|(_, part)| *part).collect();
        gone.iter().for_each(|part| storage.remove_tree(part));
        assert_same(&storage, &expected, &format!("without {gone:?}"));
    }
}

#[test]
fn the_geometry_of_the_index_is_known_without_the_options() {
    let odd = Options { index_slots: 10, index_entries: 33, ..small() };
    let storage = MemoryStorage::default();
    let mut store = open(&storage, odd.clone()).unwrap();
    put_numbered(&mut store, 60);
    close(store);
    let store = open(&storage, Options { index_slots: 500, index_entries: 2000, ..small() }).unwrap();
    assert_eq!(findings(&store), [""; 0]);
    (0..60).for_each(|n| assert_eq!(lookup(&store, &format!("k{n}")), [format!("m{n}")]));
    close(store);
    // Without the sidecar nobody knows: the files are left out and made again.
    storage.remove_tree("moraine");
    let store = open(&storage, small()).unwrap();
    assert!(findings(&store).contains(&"index-geometry"));
    assert_eq!(lookup(&store, "k7"), ["m7"]);
}

#[test]
fn a_directory_in_place_of_a_file_of_the_sidecar_is_as_good_as_none() {
    for path in [WATERMARK_PATH, QUEUES_PATH] {
        let storage = closed();
        let expected = answers(&open(&storage.snapshot(), Options { read_only: true, ..small() }).unwrap());
        storage.remove_tree(path);
        storage.place(&format!("{path}/x"), b"");
        assert_same(&storage, &expected, path);
    }
}

#[test]
fn what_is_odd_about_the_queues_is_told_at_every_open() {
    let storage = closed();
    storage.place("consumequeue/T/0/notes.txt", b"x");
    for _ in 0..3 {
        let store = open(&storage, small()).unwrap();
        assert!(findings(&store).contains(&"stray-file"));
        close(store);
    }
}

#[test]
fn an_empty_store_that_was_closed_opens_again() {
    let storage = MemoryStorage::default();
    for _ in 0..3 {
        let store = open(&storage, small()).unwrap();
        assert_eq!((findings(&store), store.reader().positions().end), (vec![], 0));
        close(store);
    }
    let mut store = open(&storage, Options { queue_file_entries: 7, ..small() }).unwrap();
    put_numbered(&mut store, 8);
    close(store);
    assert!(storage.contents("consumequeue/T/0/00000000000000000140").is_some(), "the option holds while there is no file");
    assert_eq!(storage.contents("commitlog/00000000000000000000").unwrap().len(), 4096);
}

/// The newest entries of all queues lead to records that are gone, as does the close: it says all the same that the log went on.
#[test]
fn a_close_whose_last_record_is_damaged_still_says_that_the_log_went_on() {
    let storage = closed();
    let places = |store: &Store, topic: &str, queue: i32, offset: u64| {
        let entry = store.reader().entries(topic.as_bytes(), queue, offset, 1).unwrap().1[0];
        (entry.physical as usize, entry.size as usize)
    };
    let look = open(&storage.snapshot(), Options { read_only: true, ..small() }).unwrap();
    let last: Vec<_> = [("U", 0), ("U", 3), ("%RETRY%g", 0), ("%RETRY%g", 1)].map(|(topic, queue)| places(&look, topic, queue, 4)).into();
    let (middle, _) = places(&look, "U", 3, 1);
    let flip = |at: usize| storage.change(&format!("commitlog/{:020}", at / 4096 * 4096), at % 4096, |byte| *byte = !*byte);
    last.iter().for_each(|&(at, size)| (at..at + size).for_each(flip));
    flip(middle + 50);
    for read_only in [true, false] {
        let mut store = open(&storage, Options { read_only, ..small() }).unwrap();
        assert!(findings(&store).contains(&"sidecar") && findings(&store).contains(&"damaged"), "{:?}", findings(&store));
        assert_eq!(get(&store, "U", 3, 2, 9).unwrap().2, ["m2", "m3"]);
        assert_eq!(all(&store), numbered(0..40));
        if !read_only {
            put_to(&mut store, "U", 3, "more");
            close(store);
        }
    }
}
