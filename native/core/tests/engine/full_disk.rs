//! A disk that fills up: what failed has left nothing behind, and goes through when there is room again.

use std::sync::Arc;

use crate::faulty::FaultyStorage;
use crate::support::{NOW, all, lookup, message, small};
use moraine_core::batch;
use moraine_core::engine::Engine;
use moraine_core::engine::put::RESULT_HEADER;
use moraine_core::error::Code;
use moraine_core::format::checkpoint::Checkpoint;
use moraine_core::memory::MemoryClock;

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
