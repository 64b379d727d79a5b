//! A watch becomes ready once its queue has got a message that can be read, and never otherwise.

use crate::support::*;
use moraine_core::batch;
use moraine_core::engine::put::RESULT_HEADER;
use moraine_core::error::{Code, Error};
use moraine_core::memory::MemoryStorage;
use moraine_core::options::{FlushMode, Options};

/// Everything that is ready: (watch, maximum), in the order of the watches.
fn take(store: &mut Store) -> Vec<(u32, u64)> {
    let mut found = Vec::new();
    let mut pairs = [0.0; 4];
    loop {
        let taken = store.take_arrivals(0, &mut pairs);
        found.extend(pairs[..2 * taken].chunks(2).map(|pair| (pair[0] as u32, pair[1] as u64)));
        if taken == 0 {
            found.sort_unstable();
            return found;
        }
    }
}

/// Puts messages to queues of topic `T`; returns the third number of the results.
fn put_to(store: &mut Store, queues: &[i32]) -> usize {
    let mut bytes = Vec::new();
    queues.iter().for_each(|&queue_id| batch::encode(&batch::BatchMessage { queue_id, ..message(b"m", b"") }, &mut bytes));
    let mut results = vec![0.0; RESULT_HEADER + 3 * queues.len()];
    store.writer().unwrap().put(&bytes, &mut results).unwrap();
    results[2] as usize
}

fn sync() -> Options {
    Options { flush: FlushMode::Sync, ..small() }
}

#[test]
fn a_put_makes_the_watches_of_its_queues_ready_once() {
    let mut store = open(&MemoryStorage::default(), small()).unwrap();
    put_to(&mut store, &[0, 0]);
    let (zero, max) = store.watch(0, b"T", 0).unwrap();
    assert_eq!(max, 2);
    let (one, max) = store.watch(0, b"T", 1).unwrap();
    assert_eq!(max, 0);
    assert_eq!(take(&mut store), []);
    assert_eq!(put_to(&mut store, &[2, 0, 0, 1, 0]), 2);
    assert_eq!(take(&mut store), [(zero, 5), (one, 1)]);
    assert_eq!(take(&mut store), []);
    assert_eq!(put_to(&mut store, &[1]), 1, "ready again");
    assert_eq!(put_to(&mut store, &[1]), 1, "and not taken yet");
    assert_eq!(take(&mut store), [(one, 3)]);
    assert_eq!(put_to(&mut store, &[3]), 0);
}

#[test]
fn a_watched_queue_is_not_made() {
    let mut store = open(&MemoryStorage::default(), small()).unwrap();
    store.watch(0, b"none", 3).unwrap();
    assert!(store.reader().topics().is_empty());
    assert!(store.reader().queues(b"none").is_empty());
    let (watch, _) = store.watch(0, b"T", 7).unwrap();
    assert_eq!(put_to(&mut store, &[7]), 1);
    assert_eq!(take(&mut store), [(watch, 1)]);
}

#[test]
fn a_queue_has_one_watch_and_a_dropped_one_is_never_ready() {
    let mut store = open(&MemoryStorage::default(), small()).unwrap();
    let (watch, _) = store.watch(0, b"T", 0).unwrap();
    assert_eq!(store.watch(0, b"T", 0).unwrap(), (watch, 0));
    assert_eq!(put_to(&mut store, &[0]), 1);
    store.unwatch(0, watch).unwrap();
    assert_eq!(take(&mut store), []);
    assert_eq!(put_to(&mut store, &[0]), 0);
    let refused = |outcome: Result<(), Error>| outcome.unwrap_err().code == Code::InvalidArgument;
    assert!(refused(store.unwatch(0, watch)) && refused(store.unwatch(0, u32::MAX)));
    let (again, max) = store.watch(0, b"T", 0).unwrap();
    assert_eq!((again, max), (watch, 2), "its number is free");
    assert_eq!(put_to(&mut store, &[0]), 1);
    assert_eq!(take(&mut store), [(again, 3)]);
}

#[test]
fn in_a_synchronous_store_a_watch_is_ready_when_the_message_is_durable() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, sync()).unwrap();
    let (zero, _) = store.watch(0, b"T", 0).unwrap();
    assert_eq!(put_to(&mut store, &[0]), 0);
    let plan = store.writer().unwrap().plan_flush().unwrap();
    // Both come behind the plan: they are hidden when it has been carried out.
    assert_eq!(put_to(&mut store, &[0, 1]), 0);
    let (one, max) = store.watch(0, b"T", 1).unwrap();
    assert_eq!(max, 0, "watched when the message was there and could not be read");
    plan.run(&storage).unwrap();
    store.writer().unwrap().flushed(plan);
    assert_eq!(take(&mut store).first(), Some(&(zero, 1)));
    flush(&mut store, &storage);
    assert_eq!(take(&mut store), [(zero, 2), (one, 1)]);
    flush(&mut store, &storage);
    assert_eq!(take(&mut store), []);
}

#[test]
fn a_dropped_watch_takes_what_it_waited_for_along() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, sync()).unwrap();
    let (zero, _) = store.watch(0, b"T", 0).unwrap();
    let (one, _) = store.watch(0, b"T", 1).unwrap();
    put_to(&mut store, &[0, 1]);
    store.unwatch(0, zero).unwrap();
    let (other, _) = store.watch(0, b"T", 9).unwrap();
    assert_eq!(other, zero, "the number of another queue now");
    flush(&mut store, &storage);
    assert_eq!(take(&mut store), [(one, 1)]);
}

#[test]
fn prepared_messages_make_nothing_ready() {
    let mut store = open(&MemoryStorage::default(), small()).unwrap();
    store.watch(0, b"T", 0).unwrap();
    put(&mut store, &[batch::BatchMessage { sys_flag: 4, ..message(b"m", b"") }]).unwrap();
    assert_eq!(take(&mut store), []);
}

#[test]
fn ten_thousand_watches_are_told_apart() {
    let mut store = open(&MemoryStorage::default(), Options { segment_bytes: 1 << 22, ..small() }).unwrap();
    let watches: Vec<u32> = (0..10_000).map(|queue_id| store.watch(0, b"T", queue_id).unwrap().0).collect();
    let queues: Vec<i32> = (0..10_000).step_by(3).collect();
    assert_eq!(put_to(&mut store, &queues), queues.len());
    let ready = take(&mut store);
    assert_eq!(ready, queues.iter().map(|&queue_id| (watches[queue_id as usize], 1)).collect::<Vec<_>>());
    watches.iter().for_each(|&watch| store.unwatch(0, watch).unwrap());
    assert_eq!(put_to(&mut store, &queues), 0);
}

#[test]
fn a_light_queue_is_watched_like_any_other() {
    let mut store = open(&MemoryStorage::default(), small()).unwrap();
    let (light, _) = store.watch(0, b"%LMQ%a", 0).unwrap();
    let (other, _) = store.watch(0, b"%LMQ%b", 0).unwrap();
    put(&mut store, &[message(b"m", b"INNER_MULTI_DISPATCH\x01%LMQ%a,%LMQ%c\x02")]).unwrap();
    assert_eq!(take(&mut store), [(light, 1)]);
    put(&mut store, &[message(b"m", b"INNER_MULTI_DISPATCH\x01%LMQ%b,%LMQ%a\x02")]).unwrap();
    assert_eq!(take(&mut store), [(light, 2), (other, 1)]);
}
