//! What follows from the log can go, whether the store was closed or killed: stores of every kind answer the same.

use moraine_core::memory::{MemoryClock, MemoryStorage};
use moraine_core::options::Options;

use crate::kinds::*;
use crate::support::killed::checkpoint;
use crate::support::*;

const DISPOSABLE: [&str; 5] = ["consumequeue", "batchconsumequeue", "index", "checkpoint", "moraine"];

/// A store of a kind, killed some messages after a queue checkpoint, of which a part is in files.
fn killed(kind: &str) -> MemoryStorage {
    let storage = closed(kind);
    let clock = MemoryClock::at(NOW);
    let mut store = open_at(&storage, options(kind), &clock).unwrap();
    put_more(&mut store, &clock, kind, 100..140);
    checkpoint(&mut store, &storage);
    put_more(&mut store, &clock, kind, 140..160);
    write_behind(&mut store, &storage);
    put_more(&mut store, &clock, kind, 160..180);
    storage.snapshot()
}

/// Opens a store as it is, to be read and then to be written, and once more after it was closed.
fn assert_answers(storage: &MemoryStorage, kind: &str, expected: &[String], case: &str) {
    let read_only = open(storage, Options { read_only: true, ..options(kind) }).unwrap();
    assert_eq!(answers_of(&read_only), expected, "{case}, read-only");
    for round in ["opened", "opened again"] {
        let store = open(storage, options(kind)).unwrap();
        assert_eq!(answers_of(&store), expected, "{case}, {round}");
        close(store);
    }
    assert_eq!(faults(storage, true), [], "{case}");
}

fn without_any_of_them(original: &MemoryStorage, kind: &str, how: &str) {
    let expected = answers_of(&open(&original.snapshot(), Options { read_only: true, ..options(kind) }).unwrap());
    for gone in 0..1 << DISPOSABLE.len() {
        let names: Vec<&str> = (0..DISPOSABLE.len()).filter(|n| gone & (1 << n) != 0).map(|n| DISPOSABLE[n]).collect();
        let storage = original.snapshot();
        names.iter().for_each(|name| storage.remove_tree(name));
        assert_answers(&storage, kind, &expected, &format!("{kind}, {how}, without {names:?}"));
    }
}

#[test]
fn a_closed_store_of_any_kind_answers_the_same_without_them() {
    KINDS.iter().for_each(|kind| without_any_of_them(&closed(kind), kind, "closed"));
}

#[test]
fn a_killed_store_of_any_kind_answers_the_same_without_them() {
    KINDS.iter().for_each(|kind| without_any_of_them(&killed(kind), kind, "killed"));
}

/// That directory says that there are such files: without it the tags codes stand in the entries.
#[test]
fn extension_files_may_go_with_the_queues() {
    let kind = "extension files";
    for (original, how) in [(closed(kind), "closed"), (killed(kind), "killed")] {
        let expected = answers_of(&open(&original.snapshot(), Options { read_only: true, ..options(kind) }).unwrap());
        original.remove_tree("consumequeue_ext");
        original.remove_tree("consumequeue");
        without_any_of_them(&original, kind, how);
        assert_answers(&original, kind, &expected, how);
    }
}
