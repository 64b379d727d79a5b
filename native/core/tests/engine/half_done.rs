//! What a process that died, or a power cut, left half done: nothing of it misleads those that come later.

use std::cell::RefCell;
use std::sync::Arc;

use crate::support::batches::*;
use crate::support::killed::*;
use crate::support::*;
use moraine_core::batch::{self, BatchMessage};
use moraine_core::engine::Engine;
use moraine_core::engine::expire::expire;
use moraine_core::engine::remake::{Derived, NOTE_PATH, rebuild};
use moraine_core::engine::retention::Wish;
use moraine_core::memory::{MemoryClock, MemoryStorage};
use moraine_core::options::Options;
use moraine_core::sim::{SimClock, SimDisk};

const ALL: Derived = Derived { queues: true, index: true };

fn rebuilt(storage: &MemoryStorage) {
    rebuild(storage, &MemoryClock::at(NOW), &small(), ALL, &mut |_| {}).unwrap();
}

fn put_to(store: &mut Store, topic: &str, body: &str) -> Put {
    put(store, &[BatchMessage { topic: topic.as_bytes(), ..message(body.as_bytes(), b"") }]).unwrap()[0]
}

/// Older records behind a bad one are what RocketMQ leaves when it takes a log back; in one that we have written they are not.
#[test]
fn a_clock_that_went_back_ends_no_log_that_a_rebuild_has_closed() {
    let (storage, clock) = (MemoryStorage::default(), MemoryClock::at(NOW));
    let mut store = open_at(&storage, small(), &clock).unwrap();
    let bad = (put_number(&mut store, 0), put_number(&mut store, 1)).1;
    clock.set(NOW - 700_000);
    put_number(&mut store, 2);
    put_number(&mut store, 3);
    let end = store.reader().positions().end;
    close(store);
    rebuilt(&storage);
    storage.change("commitlog/00000000000000000000", bad.0 as usize + 90, |byte| *byte ^= 1);
    let store = open_at(&storage, small(), &clock).unwrap();
    assert_eq!(store.reader().positions().end, end);
    assert_eq!(get(&store, "T", 0, 2, 9).unwrap().2, ["m2", "m3"]);
}

/// The size at the front of a record is wrong, and leads into the last bytes of the segment, or to the start of a later record.
#[test]
fn a_size_that_leads_over_whole_records_costs_its_own_alone() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    let puts = put_numbered(&mut store, 60);
    assert!(puts[59].0 > 4096);
    watermark(&mut store, &storage);
    drop(store);
    for size in [4093, 4096, puts[2].0 as u32, puts[7].0 as u32] {
        let storage = storage.snapshot();
        size.to_be_bytes()
            .iter()
            .enumerate()
            .for_each(|(at, &new)| storage.change("commitlog/00000000000000000000", at, |byte| *byte = new));
        let store = open(&storage, small()).unwrap();
        assert_eq!((all(&store), findings(&store)), (numbered(1..60), vec!["unclean", "damaged"]), "{size}");
    }
}

/// A truncation has cleared the files of a queue, and the process died before they were synced.
#[test]
fn what_a_dead_process_has_cleared_is_synced_by_the_next_close() {
    let storage = with_topics();
    let mut store = open(&storage, small()).unwrap();
    put_numbered(&mut store, 3);
    let to = put_to(&mut store, "U", "u").0;
    put_inner(&mut store, 2);
    flush(&mut store, &storage);
    write_behind(&mut store, &storage);
    store.writer().unwrap().truncate(to).unwrap();
    drop(store);
    let store = open(&storage, small()).unwrap();
    let before = storage.syncs().len();
    close(store);
    let syncs = storage.syncs()[before..].to_vec();
    for queue in ["consumequeue/U/0", "batchconsumequeue/B/0"] {
        let sync = format!("sync {queue}/{:020}", 0);
        assert!(syncs.contains(&sync), "{sync} in {syncs:?}");
    }
}

/// The process dies within a write that clears entries of messages; those in front of them have expired.
#[test]
#[allow(clippy::arc_with_non_send_sync)] // one thread
fn half_cleared_entries_are_none() {
    let (disk, options) = (SimDisk::new(1), Options { segment_bytes: 1024, ..small() });
    disk.place("config/topics.json", TOPICS.as_bytes());
    let open = |disk: &SimDisk| Engine::open(Arc::new(disk.clone()), SimClock::at(NOW), options.clone(), &mut |_| {}).unwrap();
    let mut store = open(&disk);
    for body in [vec![0; 600], vec![1; 600], vec![2; 200]] {
        let mut bytes = Vec::new();
        batch::encode(&message(&body, b""), &mut bytes);
        batch::encode(&plain(&body[..20]), &mut bytes);
        store.writer().unwrap().put(&bytes, &mut [0.0; 16]).unwrap();
    }
    while let Some(plan) = store.writer().unwrap().plan_behind() {
        plan.run(&disk).unwrap();
        store.writer().unwrap().wrote_behind(plan);
    }
    let store = RefCell::new(store);
    let minimum = expire(&store, &disk, Wish::Asked { before: None, max_bytes: Some(1) }).unwrap().minimum;
    assert_eq!(minimum, 2048);
    disk.record();
    store.borrow_mut().writer().unwrap().truncate(minimum).unwrap();
    let points = disk.take_points();
    let mut within = 0;
    for pair in points.windows(2) {
        for count in 0..=pair[0].written_bytes() {
            let left = SimDisk::over(pair[0].killed_within(&pair[1].state, |byte| byte < count), 1);
            let store = open(&left);
            let gone = u64::from(store.reader().positions().end == minimum);
            for topic in [&b"T"[..], b"B"] {
                let next = store.reader().offsets(topic, 0).next;
                assert_eq!(next, 3 - gone, "{count} bytes of {:?}, {topic:?}", pair[0].kind);
            }
            within += 1;
        }
    }
    assert!(within > 100, "{within}");
}

/// Of a batch queue the power cut has left entries of messages that have expired, and those that are gone were in between.
#[test]
fn batches_that_have_expired_are_no_gap() {
    let storage = with_topics();
    let mut store = open(&storage, small()).unwrap();
    let puts: Vec<Put> = (0..60).map(|_| put_inner(&mut store, 2)).collect();
    flush(&mut store, &storage);
    write_behind(&mut store, &storage);
    let store = RefCell::new(store);
    let minimum = expire(&store, &storage, Wish::Asked { before: None, max_bytes: Some(4096) }).unwrap().minimum;
    let first = puts.iter().find(|put| put.0 >= minimum).unwrap().1;
    drop(store);
    let left = storage.paths().into_iter().filter(|path| path.starts_with("batchconsumequeue/")).collect::<Vec<_>>();
    let entries = storage.contents(&left[0]).unwrap();
    storage.remove_tree("batchconsumequeue");
    storage.place(&left[0], &entries.iter().enumerate().map(|(at, &byte)| if at < 46 { byte } else { 0 }).collect::<Vec<_>>());
    storage.remove_tree("moraine");
    let store = open(&storage, small()).unwrap();
    assert_eq!(findings(&store), ["unclean"]);
    let offsets = store.reader().offsets(b"B", 0);
    assert_eq!((offsets.min, offsets.next), (first, 120));
}

/// The clock went back: newer index files have older times. An opening that does not believe them dies as it removes them.
#[test]
fn index_files_that_are_left_of_several_are_not_taken_for_all() {
    let (storage, clock) = (MemoryStorage::default(), MemoryClock::at(NOW));
    let options = Options { index_entries: 8, ..small() };
    let mut store = open_at(&storage, options.clone(), &clock).unwrap();
    for n in 0..40 {
        clock.set(NOW - 700_000 * n as i64);
        put_number(&mut store, n);
        flush(&mut store, &storage);
        write_behind(&mut store, &storage);
    }
    drop(store);
    storage.remove_tree("moraine");
    opens_that_die(&storage, &clock, &options, &mut |dies_in, left| {
        let store = open_at(left, options.clone(), &clock).unwrap();
        (0..40).for_each(|n| assert_eq!(lookup(&store, &format!("k{n}")), [format!("m{n}")], "died after {dies_in} changes"));
    });
}

/// A file in the middle that the power cut took was never synced, and what it held is made again.
#[test]
fn a_queue_file_that_is_made_again_is_not_missing() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    put_numbered(&mut store, 40);
    write_behind(&mut store, &storage);
    drop(store);
    storage.remove_tree("moraine");
    storage.remove_tree("consumequeue/T/0/00000000000000000200");
    let store = open(&storage, small()).unwrap();
    assert_eq!((all(&store), findings(&store)), (numbered(0..40), vec!["unclean"]));
}

#[test]
fn seals_of_files_that_have_expired_are_told_no_more() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    put_numbered(&mut store, 100);
    flush(&mut store, &storage);
    while let Some(mut plan) = store.writer().unwrap().plan_seal() {
        while !plan.step().unwrap() {}
        store.writer().unwrap().sealed(plan, false).unwrap();
    }
    let store = RefCell::new(store);
    let minimum = expire(&store, &storage, Wish::Asked { before: None, max_bytes: Some(6000) }).unwrap().minimum;
    let store = store.into_inner();
    let seals = store.reader().seals();
    assert!(minimum > 0 && !seals.is_empty() && seals.iter().all(|seal| seal.base >= minimum), "{seals:?}");
    close(store);
    assert_eq!(open(&storage, small()).unwrap().reader().seals(), seals);
}

/// What a rebuild notes of a store that was killed is to hold after a power cut: that its log goes so far, and its queues.
#[test]
fn a_rebuild_makes_the_log_of_a_killed_store_durable_before_it_notes_anything() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    let last = put_numbered(&mut store, 60)[59].0;
    drop(store);
    let before = storage.syncs().len();
    rebuilt(&storage);
    let syncs = storage.syncs()[before..].to_vec();
    let at = |call: String| syncs.iter().position(|sync| sync.starts_with(&call)).unwrap_or_else(|| panic!("{call} in {syncs:?}"));
    let noted = at(format!("sync {NOTE_PATH}"));
    for base in [0, last - last % 4096] {
        assert!(at(format!("sync commitlog/{base:020}")) < noted);
    }
    assert!(at(String::from("sync-dir commitlog")) < noted);
}
