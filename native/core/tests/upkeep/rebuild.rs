//! Derived files made again from the log: the same bytes, the same answers, whenever it is ended in the middle.

use std::sync::Arc;

use moraine_core::batch::BatchMessage;
use moraine_core::engine::Engine;
use moraine_core::engine::remake::{Derived, NOTE_PATH, Rebuilt, rebuild};
use moraine_core::error::{Code, Error};
use moraine_core::format::rebuild_note::RebuildNote;
use moraine_core::memory::{MemoryClock, MemoryStorage};
use moraine_core::storage::Storage;

use crate::faulty::FaultyStorage;
use crate::kinds::*;
use crate::support::*;

const ALL: Derived = Derived { queues: true, index: true };
const DERIVED: [&str; 5] = ["consumequeue", "batchconsumequeue", "consumequeue_ext", "index", "moraine"];

fn run<S: Storage>(storage: &S, kind: &str, what: Derived) -> Result<Rebuilt, Error> {
    rebuild(storage, &MemoryClock::at(NOW + 1_000_000), &options(kind), what, &mut |_| {})
}

fn is_queue_file(path: &str) -> bool {
    ["consumequeue/", "batchconsumequeue/", "consumequeue_ext/"].iter().any(|root| path.starts_with(root))
}

/// Queue files, and everything else that has to be the same.
fn same_files(storage: &MemoryStorage, original: &MemoryStorage, what: &str) {
    let paths = |storage: &MemoryStorage| -> Vec<String> {
        let kept = |path: &String| is_queue_file(path) || path.starts_with("commitlog/") || path == "checkpoint" || path == "abort";
        storage.paths().into_iter().filter(kept).collect()
    };
    assert_eq!(paths(storage), paths(original), "{what}");
    for path in paths(original) {
        assert_eq!(storage.contents(&path), original.contents(&path), "{what}: {path}");
    }
}

fn answers(storage: &MemoryStorage, kind: &str) -> Vec<String> {
    answers_of(&open(&storage.snapshot(), options(kind)).unwrap())
}

#[test]
fn whatever_was_deleted_the_files_are_the_same_again() {
    for kind in KINDS {
        let original = closed(kind);
        let expected = answers(&original, kind);
        for deleted in 0..1 << DERIVED.len() {
            let storage = original.snapshot();
            let names: Vec<&str> = (0..DERIVED.len()).filter(|n| deleted & (1 << n) != 0).map(|n| DERIVED[n]).collect();
            if kind == "extension files" && names.contains(&"consumequeue_ext") {
                continue; // that directory says that there are such files
            }
            names.iter().for_each(|name| storage.remove_tree(name));
            let rebuilt = run(&storage, kind, ALL).unwrap();
            let messages = if kind == "batch queues" { 200 } else { 100 };
            assert_eq!((rebuilt.messages, rebuilt.findings), (messages, vec![]), "{kind} without {names:?}");
            same_files(&storage, &original, &format!("{kind} without {names:?}"));
            assert_eq!(answers(&storage, kind), expected, "{kind} without {names:?}");
            assert_eq!(verified(&storage, true).faults, [], "{kind} without {names:?}");
        }
    }
}

/// The only record that a queue leads to is rotten, and no queue leads to the one behind it: the watermark says that both were written.
#[test]
fn a_rebuild_does_not_make_damage_the_end_of_the_log() {
    const PREPARED: i32 = 4;
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    put_number(&mut store, 0);
    put(&mut store, &[BatchMessage { sys_flag: PREPARED, ..message(b"half", b"") }]).unwrap();
    let end = store.reader().positions().end;
    close(store);
    storage.change("commitlog/00000000000000000000", 90, |byte| *byte ^= 1);
    rebuild(&storage, &MemoryClock::at(NOW), &small(), ALL, &mut |_| {}).unwrap();
    let store = open(&storage, small()).unwrap();
    assert_eq!((store.reader().positions().end, findings(&store)), (end, vec!["damaged"]));
}

#[test]
fn only_what_was_asked_for_is_made_again() {
    let original = closed("plain");
    for what in [Derived { queues: true, index: false }, Derived { queues: false, index: true }] {
        let storage = original.snapshot();
        let queue = "consumequeue/T/0/00000000000000000000";
        let index = original.paths().into_iter().find(|path| path.starts_with("index/")).unwrap();
        storage.change(queue, 3, |byte| *byte ^= 1);
        storage.change(&index, 200, |byte| *byte ^= 1);
        run(&storage, "plain", what).unwrap();
        assert_eq!(storage.contents(queue) == original.contents(queue), what.queues);
        assert_eq!(storage.contents(&index).is_none(), what.index, "a new index has a new name");
    }
}

/// A closed store that was opened and closed once more: its checkpoint names the last record.
fn closed_twice(kind: &str) -> MemoryStorage {
    let storage = closed(kind);
    close(open(&storage, options(kind)).unwrap());
    storage
}

#[test]
fn a_rebuild_that_is_killed_at_any_call_is_ended_by_the_next_open() {
    for kind in ["plain", "batch queues", "extension files"] {
        let original = closed_twice(kind);
        let expected = answers(&original, kind);
        for dies_in in 0.. {
            let memory = original.snapshot();
            let faulty = FaultyStorage { memory: memory.clone(), ..FaultyStorage::default() };
            faulty.full.dies_in.set(Some(dies_in));
            let done = run(&faulty, kind, ALL).is_ok();
            assert_no_queue_lacks_its_first_files(&memory, &original);
            let seen = open(&memory, moraine_core::options::Options { read_only: true, create: false, ..options(kind) }).unwrap();
            assert_eq!(seen.reader().topics(), open(&original.snapshot(), options(kind)).unwrap().reader().topics());
            assert_eq!(answers(&memory, kind), expected, "{kind}, killed at change {dies_in}");
            close(open(&memory, options(kind)).unwrap());
            same_files(&memory, &original, &format!("{kind}, killed at change {dies_in}"));
            assert!(memory.contents(NOTE_PATH).is_none());
            if done {
                assert!(dies_in > 20, "{dies_in}");
                break;
            }
        }
    }
}

/// RocketMQ, should it be the next to open the store, makes up for what is missing at the end of a queue, and for nothing else.
fn assert_no_queue_lacks_its_first_files(memory: &MemoryStorage, original: &MemoryStorage) {
    let is_queue_file = |path: &&String| path.contains("consumequeue/") && path.ends_with(|last: char| last.is_ascii_digit());
    let directory = |path: &str| path.rsplit_once('/').map_or(String::new(), |(dir, _)| dir.to_string());
    let there = memory.paths();
    for path in there.iter().filter(is_queue_file) {
        let before = original.paths();
        let before = before.iter().filter(|other| directory(other) == directory(path) && *other < path);
        assert_eq!(before.filter(|other| !there.contains(other)).collect::<Vec<_>>(), [""; 0], "in front of {path}");
    }
}

#[test]
fn the_end_of_a_pending_rebuild_can_be_killed_too() {
    let original = closed_twice("plain");
    let half = original.snapshot();
    let faulty = FaultyStorage { memory: half.clone(), ..FaultyStorage::default() };
    faulty.full.dies_in.set(Some(30));
    run(&faulty, "plain", ALL).unwrap_err();
    assert!(half.contents(NOTE_PATH).is_some());
    for dies_in in 0.. {
        let memory = half.snapshot();
        let faulty = FaultyStorage { memory: memory.clone(), ..FaultyStorage::default() };
        faulty.full.dies_in.set(Some(dies_in));
        #[allow(clippy::arc_with_non_send_sync)] // one thread
        let opened = Engine::open(Arc::new(faulty), MemoryClock::at(NOW), options("plain"), &mut |_| {});
        let done = opened.is_ok();
        drop(opened);
        close(open(&memory, options("plain")).unwrap());
        same_files(&memory, &original, &format!("killed at change {dies_in}"));
        if done {
            break;
        }
    }
}

#[test]
fn a_note_of_a_store_that_rocketmq_has_used_since_is_void() {
    let storage = closed("plain");
    let faulty = FaultyStorage { memory: storage.clone(), ..FaultyStorage::default() };
    faulty.full.dies_in.set(Some(30));
    run(&faulty, "plain", ALL).unwrap_err();
    storage.place("lock", b"lock");
    close(open(&storage, options("plain")).unwrap());
    assert!(storage.contents(NOTE_PATH).is_none());
    assert_eq!(verified(&storage, true).faults, []);
}

#[test]
fn damage_in_the_log_costs_the_messages_there_and_no_offset_is_given_twice() {
    let storage = closed("many queues");
    let first = "commitlog/00000000000000000000";
    let log = storage.contents(first).unwrap();
    let size = |at: usize| u32::from_be_bytes(log[at..at + 4].try_into().unwrap()) as usize;
    let fifth = (0..4).fold(0, |at, _| at + size(at));
    storage.change(first, fifth + 90, |byte| *byte ^= 1);
    let last = storage.paths().into_iter().filter(|path| path.starts_with("commitlog/")).max().unwrap();
    let used = storage.contents(&last).unwrap().iter().rposition(|&byte| byte != 0).unwrap();
    storage.change(&last, used - 30, |byte| *byte ^= 1);
    let rebuilt = run(&storage, "many queues", ALL).unwrap();
    assert_eq!(rebuilt.messages, 98);
    let kinds: Vec<_> = rebuilt.findings.iter().map(|finding| (finding.kind, finding.file.as_str())).collect();
    assert_eq!(kinds, [("sidecar", "moraine/watermark"), ("damaged", first), ("damaged", &last), ("queue-gap", first)]);
    let mut store = open(&storage, options("many queues")).unwrap();
    assert_eq!(store.reader().offsets(b"T", 0).next, 34, "messages 0, 3 … 99, the last of which is lost");
    assert_eq!(put_number(&mut store, 100).1, 34);
}

#[test]
fn a_store_that_was_not_closed_is_opened_as_one() {
    let storage = closed("plain");
    let clock = MemoryClock::at(NOW + 100_000);
    let mut store = open_at(&storage, options("plain"), &clock).unwrap();
    put_more(&mut store, &clock, "plain", 100..130);
    let crashed = storage.snapshot();
    let expected = answers(&crashed, "plain");
    let rebuilt = run(&crashed, "plain", ALL).unwrap();
    assert_eq!(rebuilt.messages, 130);
    assert!(crashed.contents("abort").is_some(), "opening it recovers the log");
    assert_eq!(answers(&crashed, "plain"), expected);
    close(open(&crashed, options("plain")).unwrap());
    assert_eq!(verified(&crashed, true).faults, []);
}

#[test]
fn queues_beside_no_log_are_left_alone() {
    let storage = closed("plain");
    storage.remove_tree("commitlog");
    let before = storage.snapshot();
    assert_eq!(run(&storage, "plain", ALL).unwrap_err().code, Code::Corrupt);
    assert_eq!(storage.paths(), before.paths());
}

#[test]
fn no_other_bytes_are_taken_for_a_note() {
    let storage = closed("many queues");
    let faulty = FaultyStorage { memory: storage.clone(), ..FaultyStorage::default() };
    faulty.full.dies_in.set(Some(30));
    run(&faulty, "many queues", ALL).unwrap_err();
    let bytes = storage.contents(NOTE_PATH).unwrap();
    let note = RebuildNote::decode(&bytes).unwrap();
    assert_eq!(note.encode(), bytes);
    assert_eq!(note.rows.len(), 3);
    for at in 0..bytes.len() {
        let mut other = bytes.clone();
        other[at] ^= 4;
        assert_eq!(RebuildNote::decode(&other), None, "byte {at}");
        assert_eq!(RebuildNote::decode(&bytes[..at]), None, "{at} bytes");
    }
}

/// A file that holds what belongs to another queue makes none longer: the table of a store that was closed knows better.
#[test]
fn entries_of_another_queue_do_not_make_a_queue_longer() {
    let original = MemoryStorage::default();
    let mut store = open(&original, small()).unwrap();
    put_numbered(&mut store, 10);
    (0..3).for_each(|_| _ = put(&mut store, &[BatchMessage { topic: b"U", ..message(b"u", b"") }]).unwrap());
    close(store);
    let storage = original.snapshot();
    let entries = original.contents("consumequeue/T/0/00000000000000000000").unwrap();
    for (at, &byte) in entries.iter().enumerate().skip(3 * 20) {
        storage.change("consumequeue/U/0/00000000000000000000", at, |there| *there = byte);
    }
    rebuild(&storage, &MemoryClock::at(NOW + 1), &small(), ALL, &mut |_| {}).unwrap();
    same_files(&storage, &original, "entries of another queue");
}
