//! The sidecar and batch queues: it knows how far each went, whatever became of its files.

use std::sync::Arc;

use crate::faulty::FaultyStorage;
use crate::support::batches::*;
use crate::support::*;
use moraine_core::batch::BatchMessage;
use moraine_core::engine::Engine;
use moraine_core::engine::sidecar::{QUEUES_PATHS, WATERMARK_PATH};
use moraine_core::format::crc::crc32;
use moraine_core::format::watermark::Watermark;
use moraine_core::memory::{MemoryClock, MemoryStorage};
use moraine_core::options::Options;

/// The queue table of a store that was closed once.
const QUEUES_PATH: &str = QUEUES_PATHS[1];

const ENTRY: usize = 46;

fn put_to(store: &mut Store, queue_id: i32, count: usize) -> u64 {
    let body = wire(count);
    let properties = format!("INNER_NUM\u{1}{count}\u{2}");
    let batch = BatchMessage { topic: b"B", queue_id, sys_flag: INNER, ..message(&body, properties.as_bytes()) };
    put(store, &[batch]).unwrap()[0].1
}

/// A closed store: 35 batches in queue 0 of `B`, 12 of three messages each in queue 1, a plain queue `T`, whose message is
/// the last of the log.
fn closed() -> MemoryStorage {
    let (storage, clock) = (with_topics(), MemoryClock::at(NOW));
    let mut store = open_at(&storage, small(), &clock).unwrap();
    fill(&mut store, &clock, 0..35);
    (0..12).for_each(|n| assert_eq!(put_to(&mut store, 1, 3), 3 * n));
    put_number(&mut store, 0);
    close(store);
    storage
}

fn listed_batches(storage: &MemoryStorage, open: impl FnOnce()) -> bool {
    let before = storage.listed().len();
    open();
    storage.listed()[before..].iter().any(|dir| dir.starts_with("batchconsumequeue"))
}

/// What is shown, and that no offset is given again.
fn assert_whole(storage: &MemoryStorage, case: &str) {
    let read_only = open(storage, Options { read_only: true, ..small() }).unwrap();
    assert_eq!(walk(&read_only), bases(35).0, "{case}, read-only");
    for round in 0..2 {
        let mut store = open(storage, small()).unwrap();
        assert_eq!(walk(&store)[..35], bases(35).0, "{case}, {round}");
        assert_eq!(put_to(&mut store, 0, 1), bases(35).1 + round, "{case}, {round}");
        assert_eq!(put_to(&mut store, 1, 3), 36 + 3 * round, "{case}, {round}");
        assert_eq!(get(&store, "B", 1, 0, 100).unwrap().2.len(), 13 + round as usize, "{case}, {round}");
        assert_eq!(get(&store, "T", 0, 0, 9).unwrap().2, ["m0"], "{case}, {round}");
        close(store);
    }
}

fn last_file(storage: &MemoryStorage, queue_id: i32) -> String {
    let dir = format!("batchconsumequeue/B/{queue_id}/");
    storage.paths().into_iter().rfind(|path| path.starts_with(&dir)).unwrap()
}

/// Zeroes an entry: the file is replaced.
fn zero_entry(storage: &MemoryStorage, path: &str, number: usize) {
    let mut file = storage.contents(path).unwrap();
    file[ENTRY * number..ENTRY * (number + 1)].fill(0);
    storage.place(path, &file);
}

#[test]
fn a_clean_open_walks_no_directories_of_batch_queues() {
    let storage = closed();
    assert!(!listed_batches(&storage, || assert_whole(&storage, "clean")));
    storage.remove_tree("moraine");
    assert!(listed_batches(&storage, || drop(open(&storage, small()).unwrap())));
}

#[test]
fn batch_queues_that_lost_files_or_entries_are_built_again() {
    type Damage = (&'static str, fn(&MemoryStorage), &'static [&'static str]);
    let damages: [Damage; 7] = [
        ("a queue is gone", |storage| storage.remove_tree("batchconsumequeue/B/1"), &["queue-damaged"]),
        ("all are gone", |storage| storage.remove_tree("batchconsumequeue"), &[]),
        ("a first file is gone", |storage| storage.remove_tree("batchconsumequeue/B/0/00000000000000000000"), &["queue-damaged"]),
        ("a last file is gone", |storage| storage.remove_tree(&last_file(storage, 1)), &["queue-damaged"]),
        ("an entry of the last file", |storage| zero_entry(storage, &last_file(storage, 0), 1), &["queue-damaged"]),
        ("the first entry of the last file", |storage| zero_entry(storage, &last_file(storage, 0), 0), &["queue-damaged"]),
        ("the last entry", |storage| zero_entry(storage, &last_file(storage, 1), 1), &["queue-damaged"]),
    ];
    for (case, damage, told) in damages {
        let storage = closed();
        damage(&storage);
        let look = open(&storage, Options { read_only: true, ..small() }).unwrap();
        assert_eq!(findings(&look), told, "{case}");
        assert_whole(&storage, case);
    }
}

#[test]
fn where_rocketmq_has_closed_the_store_an_entry_that_is_missing_within_a_file_is_found() {
    for (case, number) in [("first", 0), ("second", 1), ("last but one", 3)] {
        let storage = closed();
        storage.remove_tree("moraine");
        zero_entry(&storage, &last_file(&storage, 0), number);
        let look = open(&storage, Options { read_only: true, ..small() }).unwrap();
        assert_eq!(findings(&look), ["queue-damaged"], "{case}");
        assert_whole(&storage, case);
    }
}

#[test]
fn an_entry_that_is_missing_after_a_crash_is_found_too() {
    let storage = closed();
    let clock = MemoryClock::at(NOW + 1000);
    let mut store = open_at(&storage, small(), &clock).unwrap();
    (0..40).for_each(|_| _ = put_inner(&mut store, 5)); // segments behind those of queue 1
    clock.set(NOW + 60_000);
    (0..40).for_each(|_| _ = put_inner(&mut store, 5));
    let expected = walk(&store);
    close(store);
    // `checkpoint` says of records a minute old that they and their entries are on disk: those are not made again.
    storage.place("abort", b"1");
    zero_entry(&storage, &last_file(&storage, 1), 0);
    let mut store = open_at(&storage, small(), &clock).unwrap();
    assert_eq!(walk(&store), expected);
    assert_eq!(get(&store, "B", 1, 0, 100).unwrap().2.len(), 12);
    assert_eq!(put_to(&mut store, 1, 3), 36);
}

#[test]
fn an_entry_zeroed_in_place_hides_its_batch_and_nothing_else() {
    let storage = closed();
    let path = last_file(&storage, 0);
    (ENTRY..2 * ENTRY).for_each(|at| storage.change(&path, at, |byte| *byte = 0));
    let mut store = open(&storage, small()).unwrap();
    let (mut expected, next) = bases(35);
    expected.remove(31);
    assert_eq!(walk(&store), expected);
    assert_eq!(put_to(&mut store, 0, 1), next);
    close(store);
    // Its directory changes, and everything is right again.
    zero_entry(&storage, &path, 1);
    let store = open(&storage, small()).unwrap();
    assert_eq!(findings(&store), ["queue-damaged"]);
    assert_eq!(walk(&store)[..35], bases(35).0);
}

#[test]
fn a_batch_queue_that_lost_its_files_and_its_messages_goes_on_where_it_was() {
    let storage = closed();
    let mut damaged = 0;
    for entry in storage.contents(&last_file(&storage, 1)).unwrap().chunks(ENTRY).take(2) {
        let physical = u64::from_be_bytes(entry[..8].try_into().unwrap());
        storage.change(&format!("commitlog/{:020}", physical / 4096 * 4096), (physical % 4096) as usize + 100, |byte| *byte ^= 1);
        damaged += 1;
    }
    assert_eq!(damaged, 2);
    storage.remove_tree("batchconsumequeue/B/1");
    let store = open(&storage, small()).unwrap();
    assert!(findings(&store).contains(&"queue-damaged"));
    assert_eq!(store.reader().offsets(b"B", 1).next, 36);
    close(store);
    for round in 0..2 {
        let mut store = open(&storage, small()).unwrap();
        assert_eq!(put_to(&mut store, 1, 3), 36 + 3 * round);
        close(store);
    }
}

#[test]
fn a_batch_queue_that_only_the_sidecar_tells_of_is_built_again_whenever_the_open_is_killed() {
    let original = closed();
    original.remove_tree("batchconsumequeue/B/1");
    let mut bad = Vec::new();
    for dies_in in 0..200 {
        let memory = original.snapshot();
        let faulty = FaultyStorage { memory: memory.clone(), ..FaultyStorage::default() };
        faulty.full.dies_in.set(Some(dies_in));
        #[allow(clippy::arc_with_non_send_sync)]
        let opened = Engine::open(Arc::new(faulty.clone()), MemoryClock::at(NOW), small(), &mut |_| {});
        let done = opened.is_ok();
        drop(opened);
        let mut store = open(&memory, small()).unwrap();
        let given = put_to(&mut store, 1, 1);
        if given != 36 {
            bad.push((dies_in, given));
        }
        if done {
            break;
        }
    }
    assert_eq!(bad, [], "killed at call, given");
}

#[test]
fn hostile_rows_of_batch_queues_harm_nobody() {
    let original = closed();
    let table = original.contents(QUEUES_PATH).unwrap();
    let slot = Watermark::newest(&original.contents(WATERMARK_PATH).unwrap()).unwrap();
    for touched in [false, true] {
        for at in (0..table.len()).step_by(2) {
            for value in [[0xff, 0xff], [0x7f, 0x01], [0, 31]] {
                let mut hostile = table.clone();
                hostile[at..at + 2].copy_from_slice(&value);
                let storage = original.snapshot();
                let mut closed = slot.closed.unwrap();
                closed.queues.crc = crc32(&hostile);
                let forged = Watermark { closed: Some(closed), ..slot };
                let mut watermark = storage.contents(WATERMARK_PATH).unwrap();
                watermark[forged.slot_at() as usize..][..4096].copy_from_slice(&forged.encode());
                storage.place(QUEUES_PATH, &hostile);
                storage.place(WATERMARK_PATH, &watermark);
                if touched {
                    storage.remove_tree("batchconsumequeue/B/1");
                }
                let store = open(&storage, small());
                assert!(store.is_ok(), "bytes {at}: {:?}", store.err());
                let store = store.unwrap();
                store.reader().topics().iter().for_each(|topic| drop(get(&store, topic, 0, 0, 10)));
            }
        }
    }
}

#[test]
fn a_topic_that_became_one_of_batches_after_the_close_is_reported() {
    let storage = closed();
    storage.place("config/topics.json", br#"{"topicConfigTable":{"T":{"attributes":{"queue.type":"BatchCQ"}}}}"#);
    for _ in 0..2 {
        let store = open(&storage, small()).unwrap();
        assert_eq!(findings(&store), ["topic-kind"]);
        assert_eq!(walk(&store), bases(35).0);
        close(store);
    }
}

/// Seven bytes of a time with a zero behind them are another time: made up to its size, the file would vouch for queues that
/// were being made again when the process died.
#[test]
fn a_checkpoint_that_was_cut_vouches_for_no_queue_once_it_has_its_size() {
    let storage = closed();
    let clock = MemoryClock::at(NOW + 60_000);
    let mut store = open_at(&storage, small(), &clock).unwrap();
    (0..40).for_each(|_| _ = put_inner(&mut store, 5));
    let expected = walk(&store);
    close(store);
    storage.remove_tree("moraine");
    storage.place("lock", b"lock");
    storage.place("abort", b"1");
    let checkpoint = storage.contents("checkpoint").unwrap();
    storage.place("checkpoint", &checkpoint[..15]);
    drop(open_at(&storage, small(), &clock).unwrap());
    for _ in 0..2 {
        let store = open_at(&storage, small(), &clock).unwrap();
        assert_eq!(walk(&store), expected);
        close(store);
    }
}

#[test]
fn an_entry_that_says_that_it_begins_with_another_batch_hides_its_own_alone() {
    let storage = closed();
    storage.change("batchconsumequeue/B/0/00000000000000000000", 2 * ENTRY + 35, |byte| *byte ^= 2); // 3 is 1
    for gone in ["", "moraine"] {
        storage.remove_tree(gone);
        let store = open(&storage, Options { read_only: true, ..small() }).unwrap();
        let (all, _) = bases(35);
        assert_eq!(all[..4], [0, 1, 3, 6]);
        for base in all.into_iter().filter(|&base| base != 3) {
            assert_eq!(ask(&store, base, 1).2, [base], "without {gone:?}");
        }
    }
}
