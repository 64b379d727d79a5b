//! A disk that fills up: what failed has left nothing behind, and goes through when there is room again.

use std::sync::Arc;

use crate::faulty::FaultyStorage;
use crate::support::{NOW, all, lookup, message, small};
use moraine_core::batch;
use moraine_core::engine::Engine;
use moraine_core::engine::put::RESULT_HEADER;
use moraine_core::engine::reserve::RESERVE_PATH;
use moraine_core::error::Code;
use moraine_core::format::checkpoint::Checkpoint;
use moraine_core::memory::MemoryClock;
use moraine_core::options::Options;

type Store = Engine<FaultyStorage, MemoryClock>;

fn open(storage: &FaultyStorage) -> Store {
    open_at(storage, &MemoryClock::at(NOW))
}

#[allow(clippy::arc_with_non_send_sync)] // one thread
fn open_at(storage: &FaultyStorage, clock: &MemoryClock) -> Store {
    Engine::open(Arc::new(storage.clone()), clock.clone(), small(), &mut |_| {}).unwrap()
}

fn put_keyed(store: &mut Store, key: &str) {
    let (mut bytes, mut results) = (Vec::new(), [0.0; RESULT_HEADER + 3]);
    batch::encode(&message(b"keyed", format!("KEYS\u{1}{key}\u{2}").as_bytes()), &mut bytes);
    store.writer().unwrap().put(&bytes, &mut results).unwrap();
}

fn put(store: &mut Store, bodies: &[&str]) -> Result<usize, Code> {
    let mut bytes = Vec::new();
    bodies.iter().for_each(|body| batch::encode(&message(body.as_bytes(), b""), &mut bytes));
    let mut results = vec![0.0; RESULT_HEADER + 3 * bodies.len()];
    store.writer().map_err(|error| error.code)?.put(&bytes, &mut results).map_err(|(_, error)| error.code)
}

#[test]
fn a_put_that_met_a_full_disk_leaves_no_message_behind() {
    let storage = FaultyStorage::default();
    let mut store = open(&storage);
    put(&mut store, &["a"]).unwrap();
    storage.full.log.set(true);
    assert_eq!(put(&mut store, &["b", "c", "d"]), Err(Code::Full));
    storage.full.log.set(false);
    put(&mut store, &["e"]).unwrap();
    let crashed = storage.memory.snapshot();
    store.writer().unwrap().close().unwrap();
    for memory in [storage.memory, crashed] {
        assert_eq!(all(&crate::support::open(&memory, small()).unwrap()), ["a", "e"]);
    }
}

#[test]
fn a_roll_that_met_a_full_disk_can_be_repeated() {
    let storage = FaultyStorage::default();
    let mut store = open(&storage);
    let body = "x".repeat(2000);
    put(&mut store, &[&body]).unwrap();
    storage.full.log.set(true);
    assert_eq!(put(&mut store, &[&body]), Err(Code::Full));
    assert_eq!(put(&mut store, &[&body]), Err(Code::Full));
    storage.full.log.set(false);
    assert_eq!(put(&mut store, &[&body]), Ok(1));
    store.writer().unwrap().close().unwrap();
    assert_eq!(all(&crate::support::open(&storage.memory, small()).unwrap()), [body.clone(), body]);
}

#[test]
fn queue_entries_that_met_a_full_disk_are_written_when_there_is_room() {
    let storage = FaultyStorage::default();
    let mut store = open(&storage);
    put(&mut store, &["a", "b"]).unwrap();
    storage.full.files.set(true);
    let plan = store.writer().unwrap().plan_behind().unwrap();
    plan.run(&storage).unwrap_err();
    store.writer().unwrap().put_off_behind(plan);
    put(&mut store, &["c"]).unwrap();
    storage.full.files.set(false);
    store.writer().unwrap().close().unwrap();
    assert_eq!(all(&crate::support::open(&storage.memory, small()).unwrap()), ["a", "b", "c"]);
}

/// The time in `checkpoint` up to which index files are complete and synced.
fn indexed(storage: &FaultyStorage) -> i64 {
    Checkpoint::decode(&storage.memory.contents("checkpoint").unwrap()).index
}

#[test]
fn the_checkpoint_vouches_for_no_index_file_that_met_a_full_disk() {
    let storage = FaultyStorage::default();
    let mut store = open(&storage);
    put(&mut store, &["a"]).unwrap();
    store.writer().unwrap().close().unwrap();

    let clock = MemoryClock::at(NOW);
    let mut store = open_at(&storage, &clock);
    for n in 0..40 {
        put_keyed(&mut store, &format!("k{n}"));
    }
    let flush = store.writer().unwrap().plan_flush().unwrap();
    flush.run(&storage).unwrap();
    store.writer().unwrap().flushed(flush);
    storage.full.files.set(true);
    let plan = store.writer().unwrap().plan_behind().unwrap();
    plan.run(&storage).unwrap_err();
    store.writer().unwrap().put_off_behind(plan);
    storage.full.files.set(false);
    // A clock that goes back has the checkpoint written, which says of the index what it said before.
    clock.set(NOW - 3_600_000);
    put_keyed(&mut store, "k40");
    assert_eq!(indexed(&storage), 0, "no index file is synced");
    let crashed = storage.memory.snapshot();
    store.writer().unwrap().close().unwrap();
    assert_eq!(indexed(&storage), NOW, "one is complete, and synced");
    for memory in [storage.memory, crashed] {
        let store = crate::support::open(&memory, small()).unwrap();
        assert!((0..41).all(|n| lookup(&store, &format!("k{n}")) == ["keyed"]));
    }
}

#[test]
fn a_clock_that_goes_back_behind_a_sealed_index_file_takes_its_time_back() {
    let storage = FaultyStorage::default();
    let clock = MemoryClock::at(NOW);
    let mut store = open_at(&storage, &clock);
    put_keyed(&mut store, "k");
    clock.set(NOW + 7_200_000);
    for n in 0..40 {
        put_keyed(&mut store, &format!("k{n}"));
    }
    let flush = store.writer().unwrap().plan_flush().unwrap();
    flush.run(&storage).unwrap();
    store.writer().unwrap().flushed(flush);
    while let Some(plan) = store.writer().unwrap().plan_behind() {
        plan.run(&storage).unwrap();
        store.writer().unwrap().wrote_behind(plan);
    }
    assert_eq!(indexed(&storage), NOW + 7_200_000);
    // Later than all that is known of log and queues, and earlier than what is sealed.
    clock.set(NOW + 3_600_000);
    put_keyed(&mut store, "late");
    assert_eq!(indexed(&storage), NOW + 3_600_000);
}

/// As the host has it: with room for a clean close.
#[allow(clippy::arc_with_non_send_sync)] // one thread
fn open_with_reserve(storage: &FaultyStorage) -> Store {
    let options = Options { reserve_bytes: 100_000, ..small() };
    Engine::open(Arc::new(storage.clone()), MemoryClock::at(NOW), options, &mut |_| {}).unwrap()
}

#[test]
fn a_full_disk_does_not_keep_a_store_from_closing_cleanly() {
    let storage = FaultyStorage::default();
    let mut store = open_with_reserve(&storage);
    put(&mut store, &["a", "b"]).unwrap();
    assert_eq!(storage.memory.contents(RESERVE_PATH).unwrap().len(), 100_000);
    storage.full.files.set(true);
    store.writer().unwrap().close().unwrap();
    assert_eq!(all(&crate::support::open(&storage.memory, small()).unwrap()), ["a", "b"]);
    // With room again there is a reserve again, and without it a store opens without one.
    let store = open_with_reserve(&storage);
    assert_eq!(storage.memory.contents(RESERVE_PATH).unwrap().len(), 100_000);
    drop(store);
    storage.memory.remove_tree(RESERVE_PATH);
    storage.full.files_left.set(Some(2));
    assert!(put(&mut open_with_reserve(&storage), &["c"]).is_ok());
}

#[test]
fn on_a_full_disk_no_more_entries_wait_than_a_close_can_write() {
    let storage = FaultyStorage::default();
    let mut store = open_with_reserve(&storage);
    put(&mut store, &["a"]).unwrap();
    storage.full.files.set(true);
    let plan = store.writer().unwrap().plan_behind().unwrap();
    plan.run(&storage).unwrap_err();
    store.writer().unwrap().put_off_behind(plan);
    let stored = (0..10_000).take_while(|_| put(&mut store, &["b"]).is_ok()).count();
    assert!((1_000..3_000).contains(&stored), "{stored}");
    assert_eq!(put(&mut store, &["b"]), Err(Code::Full));
    storage.full.files.set(false);
    put(&mut store, &["c"]).unwrap();
    assert_eq!(store.reader().offsets(b"T", 0).next, stored as u64 + 2);
}
