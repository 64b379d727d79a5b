//! Many queues: what they cost while they wait, when they are written, and how they are synced.

use crate::support::*;
use moraine_core::engine::Behind;
use moraine_core::memory::MemoryStorage;
use moraine_core::options::{FlushMode, Options};

/// Puts a message `m{round}` into each of `queues` queues, eight to a topic.
fn put_round(store: &mut Store, queues: usize, round: usize) {
    let body = format!("m{round}");
    for queue in 0..queues {
        let topic = format!("T{}", queue / 8);
        let one = moraine_core::batch::BatchMessage {
            topic: topic.as_bytes(),
            queue_id: (queue % 8) as i32,
            ..message(body.as_bytes(), b"KEYS\x01k\x02")
        };
        put(store, &[one]).unwrap();
    }
}

fn assert_rounds(store: &Store, queues: usize, rounds: usize) {
    for queue in 0..queues {
        let (topic, id) = (format!("T{}", queue / 8), (queue % 8) as i32);
        assert_eq!(get(store, &topic, id, 0, 100).unwrap().2, numbered(0..rounds), "queue {id} of {topic}");
    }
}

fn options() -> Options {
    Options { segment_bytes: 1 << 20, ..small() }
}

#[test]
fn the_files_of_many_queues_are_synced_by_one_call_those_of_few_one_by_one() {
    for (queues, all_at_once) in [(2000, true), (20, false)] {
        let storage = MemoryStorage::default();
        let mut store = open(&storage, options()).unwrap();
        put_round(&mut store, queues, 0);
        close(store);
        let syncs = storage.syncs();
        let position = |call: &str| syncs.iter().position(|sync| sync == call);
        assert_eq!(position("sync-all").is_some(), all_at_once);
        assert_eq!(syncs.iter().any(|sync| sync.starts_with("sync consumequeue")), !all_at_once);
        assert!(position("sync-all") < position("sync checkpoint"));
        assert_rounds(&open(&storage, options()).unwrap(), queues, 1);
    }
}

#[test]
fn entries_of_many_queues_are_worth_writing_when_they_are_dense() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, options()).unwrap();
    put_round(&mut store, 100, 0);
    assert!(store.writer().unwrap().queues_are_worth_writing(), "few queues");
    put_round(&mut store, 300, 1);
    assert!(!store.writer().unwrap().queues_are_worth_writing(), "one or two entries for each of 300");
    (2..16).for_each(|round| put_round(&mut store, 300, round));
    assert!(!store.writer().unwrap().queues_are_worth_writing());
    put_round(&mut store, 300, 16);
    assert!(store.writer().unwrap().queues_are_worth_writing());
}

#[test]
fn index_entries_are_written_while_queue_entries_wait() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, options()).unwrap();
    put_round(&mut store, 40, 0);
    assert_eq!(store.writer().unwrap().pending_entries(), 80);
    while let Some(plan) = store.writer().unwrap().plan_behind_of(Behind::Index) {
        plan.run(&storage).unwrap();
        store.writer().unwrap().wrote_behind(plan);
    }
    // The last index file has room: its entries are in it. A full one waits until the log is durable.
    assert_eq!(store.writer().unwrap().pending_entries(), 40);
    assert!(storage.contents("consumequeue/T0/0/00000000000000000000").is_none());
    write_behind(&mut store, &storage);
    assert_eq!(store.writer().unwrap().pending_entries(), 0);
    assert_rounds(&store, 40, 1);
}

#[test]
fn a_plan_makes_a_bounded_number_of_files_and_the_next_goes_on() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, Options { index: false, ..options() }).unwrap();
    put_round(&mut store, 5000, 0);
    let mut written = Vec::new();
    while let Some(plan) = store.writer().unwrap().plan_behind() {
        let before = storage.paths().len();
        plan.run(&storage).unwrap();
        store.writer().unwrap().wrote_behind(plan);
        written.push(storage.paths().len() - before);
    }
    assert!(written.len() == 3 && written.iter().all(|&files| files <= 2048), "{written:?}");
    assert_rounds(&store, 5000, 1);
}

#[test]
fn a_plan_that_was_put_off_is_planned_again() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, options()).unwrap();
    put_round(&mut store, 300, 0);
    let plan = store.writer().unwrap().plan_behind().unwrap();
    put_round(&mut store, 300, 1);
    store.writer().unwrap().put_off_behind(plan);
    write_behind(&mut store, &storage);
    assert_eq!(store.reader().stats().waiting_entries, 0);
    close(store);
    assert_rounds(&open(&storage, options()).unwrap(), 300, 2);
}

#[test]
fn in_a_synchronous_store_the_entries_of_many_queues_wait_for_their_sync() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, Options { flush: FlushMode::Sync, index: false, ..options() }).unwrap();
    put_round(&mut store, 200, 0);
    flush(&mut store, &storage);
    put_round(&mut store, 400, 1);
    write_behind(&mut store, &storage);
    assert_eq!(store.writer().unwrap().pending_entries(), 400);
    flush(&mut store, &storage);
    write_behind(&mut store, &storage);
    assert_eq!(store.writer().unwrap().pending_entries(), 0);
    assert_rounds(&store, 200, 2);
}
