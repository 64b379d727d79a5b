//! Deleted topics: nothing of them is shown, nothing brings them back, and one made again goes on at its offsets.

use std::cell::RefCell;
use std::collections::BTreeSet;

use crate::support::batches::{put_inner, with_topics};
use crate::support::*;
use moraine_core::batch::BatchMessage;
use moraine_core::engine::GetStatus;
use moraine_core::engine::delete_topic::delete_topic;
use moraine_core::engine::expire::expire;
use moraine_core::engine::retention::Wish;
use moraine_core::error::{Code, Error};
use moraine_core::memory::MemoryStorage;
use moraine_core::queue::lookup::QueueOffsets;

const MESSAGES: u64 = 25;

fn put_to(store: &mut Store, topic: &str, queue_id: i32, n: usize) -> Put {
    let (body, properties) = (format!("m{n}"), format!("KEYS\u{1}k{n}\u{2}"));
    put(store, &[BatchMessage { topic: topic.as_bytes(), queue_id, ..message(body.as_bytes(), properties.as_bytes()) }]).unwrap()[0]
}

fn delete(store: Store, storage: &MemoryStorage, topic: &str) -> (Store, Result<bool, Error>) {
    let cell = RefCell::new(store);
    let outcome = delete_topic(&cell, storage, topic.as_bytes());
    (cell.into_inner(), outcome)
}

/// A store with topics `T`, of two queues, and `U`.
fn filled(storage: &MemoryStorage) -> Store {
    let mut store = open(storage, small()).unwrap();
    for n in 0..MESSAGES as usize {
        put_to(&mut store, "T", 0, n);
        put_to(&mut store, "T", 3, n);
        put_to(&mut store, "U", 0, n);
    }
    store
}

fn topics(store: &Store) -> Vec<String> {
    store.reader().topics()
}

fn is_gone(store: &Store, what: &str) {
    assert_eq!(topics(store), ["U"], "{what}");
    assert_eq!(store.reader().queues(b"T"), [0; 0], "{what}");
    assert_eq!(get(store, "T", 0, 0, 10).unwrap().0, GetStatus::NoMatchedLogicQueue, "{what}");
    assert_eq!(lookup(store, "k3"), [""; 0], "{what}");
    let next = QueueOffsets { min: MESSAGES, max: MESSAGES, next: MESSAGES };
    assert_eq!([0, 3].map(|id| store.reader().offsets(b"T", id)), [next; 2], "{what}");
    assert_eq!(get(store, "U", 0, 0, 100).unwrap().2, numbered(0..MESSAGES as usize), "{what}");
}

#[test]
fn a_deleted_topic_is_gone_and_stays_gone() {
    for behind in [false, true] {
        let storage = MemoryStorage::default();
        let mut store = filled(&storage);
        if behind {
            write_behind(&mut store, &storage);
        }
        let (store, outcome) = delete(store, &storage, "T");
        assert!(outcome.unwrap());
        is_gone(&store, "at once");
        assert_eq!(storage.paths().iter().filter(|path| path.starts_with("consumequeue/T")).count(), 0);
        let (store, outcome) = delete(store, &storage, "T");
        assert!(!outcome.unwrap(), "twice");
        let crashed = storage.snapshot();
        close(store);
        for storage in [storage, crashed] {
            assert_eq!(storage.paths().iter().filter(|path| path.starts_with("consumequeue/T")).count(), 0);
            for gone in [&[][..], &["consumequeue"], &["index"], &["consumequeue", "index", "checkpoint", "moraine"]] {
                let storage = storage.snapshot();
                gone.iter().for_each(|gone| storage.remove_tree(gone));
                let store = open(&storage, small()).unwrap();
                is_gone(&store, &format!("without {gone:?}, behind {behind}"));
                // The log still has its messages.
                assert!(store.reader().log().record_at(0, &mut Vec::new()).unwrap().is_some());
                close(store);
                let store = open(&storage, small()).unwrap();
                is_gone(&store, &format!("and opened again, without {gone:?}, behind {behind}"));
                assert!(store.reader().health().unwrap().clean);
            }
        }
    }
}

#[test]
fn a_topic_made_again_goes_on_at_its_offsets() {
    let storage = MemoryStorage::default();
    let (mut store, outcome) = delete(filled(&storage), &storage, "T");
    assert!(outcome.unwrap());
    let count = MESSAGES as usize;
    assert_eq!(put_to(&mut store, "T", 3, count).1, MESSAGES);
    assert_eq!(topics(&store), ["T", "U"]);
    assert_eq!(store.reader().queues(b"T"), [3]);
    let crashed = storage.snapshot();
    close(store);
    for storage in [storage, crashed] {
        for gone in [&[][..], &["consumequeue"], &["consumequeue", "index", "checkpoint", "moraine"]] {
            let storage = storage.snapshot();
            gone.iter().for_each(|gone| storage.remove_tree(gone));
            let mut store = open(&storage, small()).unwrap();
            assert_eq!(get(&store, "T", 3, MESSAGES, 10).unwrap().2, [format!("m{count}")], "without {gone:?}");
            assert_eq!(store.reader().offsets(b"T", 3), QueueOffsets { min: MESSAGES, max: MESSAGES + 1, next: MESSAGES + 1 });
            assert_eq!(get(&store, "T", 3, 0, 10).unwrap().0, GetStatus::OffsetTooSmall);
            assert_eq!(lookup(&store, &format!("k{count}")), [format!("m{count}")]);
            assert_eq!(put_to(&mut store, "T", 0, 0).1, MESSAGES);
            // Deleted again, it goes on above.
            let (mut store, outcome) = delete(store, &storage, "T");
            assert!(outcome.unwrap());
            assert_eq!(put_to(&mut store, "T", 3, 0).1, MESSAGES + 1);
            close(store);
            let store = open(&storage, small()).unwrap();
            assert!(store.reader().health().unwrap().findings.is_empty());
        }
    }
}

#[test]
fn offsets_outlive_the_messages_and_the_files() {
    let storage = MemoryStorage::default();
    let (store, outcome) = delete(filled(&storage), &storage, "T");
    assert!(outcome.unwrap());
    let cell = RefCell::new(store);
    // `U` loses its first messages, too; then everything but a few of a later topic.
    let mut topics = Vec::new();
    for n in 0..200 {
        topics.push(put_to(&mut cell.borrow_mut(), "later", 0, n).1);
    }
    let expired = expire(&cell, &storage, Wish::Asked { before: None, max_bytes: Some(0) }).unwrap();
    assert!(expired.minimum > 0);
    let store = cell.into_inner();
    assert_eq!(store.reader().offsets(b"U", 0), QueueOffsets { min: MESSAGES, max: MESSAGES, next: MESSAGES });
    close(store);
    for gone in [&[][..], &["consumequeue"], &["consumequeue", "index", "checkpoint", "moraine"]] {
        let storage = storage.snapshot();
        gone.iter().for_each(|gone| storage.remove_tree(gone));
        let mut store = open(&storage, small()).unwrap();
        assert_eq!(store.reader().topics(), ["U", "later"], "without {gone:?}");
        assert_eq!(get(&store, "U", 0, 0, 1).unwrap().0, GetStatus::OffsetTooSmall);
        assert_eq!([("T", 0), ("T", 3), ("U", 0)].map(|(topic, id)| put_to(&mut store, topic, id, 0).1), [MESSAGES; 3], "without {gone:?}");
        assert_eq!(put_to(&mut store, "later", 0, 0).1, 200);
    }
}

#[test]
fn a_batch_topic_made_again_begins_behind_what_has_expired_of_it() {
    let storage = with_topics();
    let mut store = open(&storage, small()).unwrap();
    put_inner(&mut store, 3);
    let (mut store, outcome) = delete(store, &storage, "B");
    assert!(outcome.unwrap());
    assert_eq!(put_inner(&mut store, 2).1, 3);
    for n in 0..60 {
        put_to(&mut store, "later", 0, n);
    }
    let cell = RefCell::new(store);
    assert!(expire(&cell, &storage, Wish::Asked { before: None, max_bytes: Some(0) }).unwrap().minimum > 0);
    let store = cell.into_inner();
    assert_eq!(store.reader().offsets(b"B", 0), QueueOffsets { min: 5, max: 5, next: 5 });
    let crashed = storage.snapshot();
    close(store);
    for storage in [storage, crashed] {
        let store = open(&storage, small()).unwrap();
        assert_eq!(store.reader().offsets(b"B", 0), QueueOffsets { min: 5, max: 5, next: 5 });
    }
}

#[test]
fn batch_and_light_queues_go_by_their_names() {
    let storage = with_topics();
    let mut store = open(&storage, small()).unwrap();
    for _ in 0..3 {
        put_inner(&mut store, 4);
        put(&mut store, &[message(b"x", b"INNER_MULTI_DISPATCH\x01%LMQ%a,%LMQ%b\x02")]).unwrap();
    }
    write_behind(&mut store, &storage);
    assert_eq!(store.reader().topics(), ["%LMQ%a", "%LMQ%b", "B", "T"]);
    for topic in ["B", "%LMQ%a"] {
        let (after, outcome) = delete(store, &storage, topic);
        assert!(outcome.unwrap());
        store = after;
    }
    close(store);
    for gone in [&[][..], &["consumequeue", "batchconsumequeue"], &["consumequeue", "batchconsumequeue", "checkpoint", "moraine", "index"]]
    {
        let storage = storage.snapshot();
        gone.iter().for_each(|gone| storage.remove_tree(gone));
        let mut store = open(&storage, small()).unwrap();
        assert_eq!(store.reader().topics(), ["%LMQ%b", "T"], "without {gone:?}");
        assert_eq!(store.reader().offsets(b"B", 0), QueueOffsets { min: 12, max: 12, next: 12 });
        assert_eq!(put_inner(&mut store, 2).1, 12);
        put(&mut store, &[message(b"y", b"INNER_MULTI_DISPATCH\x01%LMQ%a,%LMQ%b\x02")]).unwrap();
        for topic in ["%LMQ%a", "%LMQ%b"] {
            assert_eq!(store.reader().offsets(topic.as_bytes(), 0).next, 4, "{topic}");
            assert_eq!(get(&store, topic, 0, 3, 10).unwrap().2, ["y"]);
        }
        assert_eq!(get(&store, "%LMQ%a", 0, 0, 10).unwrap().0, GetStatus::OffsetTooSmall);
        close(store);
        let store = open(&storage, small()).unwrap();
        assert_eq!(store.reader().offsets(b"B", 0), QueueOffsets { min: 12, max: 14, next: 14 });
        assert_eq!(store.reader().offsets(b"%LMQ%a", 0), QueueOffsets { min: 3, max: 4, next: 4 });
    }
}

#[test]
fn what_another_program_begins_anew_counts() {
    let storage = MemoryStorage::default();
    let (store, outcome) = delete(filled(&storage), &storage, "T");
    assert!(outcome.unwrap());
    close(store);
    // RocketMQ knows no next offset of a topic that it does not find: it begins at 0.
    let kept = storage.contents("config/moraine.json").unwrap();
    for path in ["config/moraine.json", "config/moraine.json.bak", "moraine/watermark"] {
        storage.place(path, b"");
    }
    let mut store = open(&storage, small()).unwrap();
    assert_eq!(put_to(&mut store, "T", 0, 7).1, 0);
    close(store);
    storage.place("config/moraine.json", &kept);
    let mut store = open(&storage, small()).unwrap();
    assert_eq!(get(&store, "T", 0, 0, 10).unwrap().2, ["m7"]);
    assert_eq!(put_to(&mut store, "T", 0, 8).1, 1);
    assert_eq!(put_to(&mut store, "T", 3, 8).1, MESSAGES);
    let kinds: Vec<_> = store.reader().health().unwrap().findings.iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, ["kept"]);
    close(store);
    let store = open(&storage, small()).unwrap();
    assert_eq!(store.reader().health().unwrap().findings, []);
}

#[test]
fn what_is_put_behind_a_cut_log_is_not_hidden() {
    let storage = MemoryStorage::default();
    let mut store = filled(&storage);
    flush(&mut store, &storage);
    let (mut store, outcome) = delete(store, &storage, "T");
    assert!(outcome.unwrap());
    let second = lookup_position(&store, 1);
    store.writer().unwrap().truncate(second).unwrap();
    let put = put_to(&mut store, "T", 0, 99);
    assert_eq!(put.0, second);
    close(store);
    storage.remove_tree("consumequeue");
    let store = open(&storage, small()).unwrap();
    assert_eq!(get(&store, "T", 0, put.1, 10).unwrap().2, ["m99"]);
}

/// Where the n-th record of the log starts.
fn lookup_position(store: &Store, n: usize) -> u64 {
    let log = store.reader().log();
    (0..n).fold(0, |at, _| at + log.record_at(at, &mut Vec::new()).unwrap().unwrap() as u64)
}

#[test]
fn names_that_are_none_are_refused() {
    let storage = MemoryStorage::default();
    let mut store = filled(&storage);
    for topic in ["", ".", "..", "a/b", "a\u{1}", &"x".repeat(256)] {
        let (after, outcome) = delete(store, &storage, topic);
        assert_eq!(outcome.unwrap_err().code, Code::InvalidArgument, "{topic:?}");
        store = after;
    }
    let (store, outcome) = delete(store, &storage, "V");
    assert!(!outcome.unwrap());
    assert_eq!(storage.contents("config/moraine.json"), None, "nothing was to be kept");
    drop(store);
    let listed: BTreeSet<_> = storage.paths().into_iter().filter(|path| path.starts_with("config")).collect();
    assert!(listed.is_empty());
}
