//! `config/moraine.json`: damaged, foreign, on a full disk, and after a death at any call.

use std::cell::RefCell;
use std::sync::Arc;

use crate::faulty::FaultyStorage;
use crate::support::{NOW, message, small};
use moraine_core::batch::{self, BatchMessage};
use moraine_core::engine::delete_topic::delete_topic;
use moraine_core::engine::expire::expire;
use moraine_core::engine::put::RESULT_HEADER;
use moraine_core::engine::reserve::RESERVE_PATH;
use moraine_core::engine::retention::Wish;
use moraine_core::engine::{Engine, GetStatus, Resolved};
use moraine_core::error::Code;
use moraine_core::format::kept::Kept;
use moraine_core::memory::{MemoryClock, MemoryStorage};
use moraine_core::options::{Options, RetentionPolicy};

type Store = Engine<FaultyStorage, MemoryClock>;

const KEPT: &str = "config/moraine.json";
const BACKUP: &str = "config/moraine.json.bak";
const EVERYTHING: Wish = Wish::Asked { before: None, max_bytes: Some(0) };

#[allow(clippy::arc_with_non_send_sync)] // one thread
fn open(storage: &FaultyStorage, options: Options) -> Store {
    Engine::open(Arc::new(storage.clone()), MemoryClock::at(NOW), options, &mut |_| {}).unwrap()
}

/// Puts to queue 0 of a topic; its queue offset.
fn put(store: &mut Store, topic: &str) -> u64 {
    let mut bytes = Vec::new();
    batch::encode(&BatchMessage { topic: topic.as_bytes(), ..message(&[b'x'; 60], b"") }, &mut bytes);
    let mut results = [0.0; RESULT_HEADER + 3];
    store.writer().unwrap().put(&bytes, &mut results).unwrap();
    results[RESULT_HEADER + 1] as u64
}

fn write_behind(store: &mut Store, storage: &FaultyStorage) {
    while let Some(plan) = store.writer().unwrap().plan_behind() {
        plan.run(storage).unwrap();
        store.writer().unwrap().wrote_behind(plan);
    }
}

/// Four files: first messages of `early`, then those of `T` and `D` in turn.
fn filled(storage: &FaultyStorage) -> Store {
    let mut store = open(storage, small());
    for _ in 0..10 {
        put(&mut store, "early");
    }
    while store.reader().positions().end < 3 * 4096 + 100 {
        put(&mut store, "T");
        put(&mut store, "D");
    }
    write_behind(&mut store, storage);
    store
}

/// Says on disk that everything is there: a queue checkpoint.
fn checkpoint(store: &mut Store, storage: &FaultyStorage) {
    store.writer().unwrap().begin_checkpoint();
    let plan = store.writer().unwrap().plan_flush().unwrap();
    plan.run(storage).unwrap();
    store.writer().unwrap().flushed(plan);
    write_behind(store, storage);
    let mut plan = store.writer().unwrap().plan_checkpoint().unwrap().unwrap();
    plan.run(storage, &mut || {}).unwrap();
    store.writer().unwrap().checkpointed(plan).unwrap();
}

fn next(store: &Store, topic: &str) -> u64 {
    store.reader().offsets(topic.as_bytes(), 0).next
}

fn kinds(store: &Store) -> Vec<&'static str> {
    store.reader().health().unwrap().findings.iter().map(|finding| finding.kind).collect()
}

/// Everything that a queue shows, which must be a run without a gap.
fn check_run(store: &Store, topic: &str, what: &str) {
    let range = store.reader().offsets(topic.as_bytes(), 0);
    let mut resolved = Resolved::default();
    let (mut out, mut offsets) = (vec![0; 1 << 20], vec![0.0; 500]);
    let request = moraine_core::engine::GetRequest {
        topic: topic.as_bytes(),
        queue_id: 0,
        offset: range.min,
        max: 500,
        max_bytes: 1 << 20,
        filter: &[],
    };
    store.reader().resolve(&request, &mut resolved).unwrap();
    let copied = resolved.copy(&mut out, &mut offsets).unwrap();
    if range.max > range.min {
        assert_eq!(resolved.status, GetStatus::Found, "{what}: {topic} {range:?}");
    }
    let found: Vec<u64> = offsets[..copied.messages].iter().map(|&offset| offset as u64).collect();
    assert_eq!(found, (range.min..range.max).collect::<Vec<_>>(), "{what}: {topic}");
}

#[test]
fn a_death_at_any_call_loses_nothing_and_brings_nothing_back() {
    let everything = &["consumequeue", "index", "checkpoint", "moraine"][..];
    for (gone, checkpointed) in [(&[][..], false), (&[], true), (everything, false)] {
        for delete_first in [false, true] {
            for dies_in in 0.. {
                let storage = FaultyStorage::default();
                let mut store = filled(&storage);
                if checkpointed {
                    checkpoint(&mut store, &storage);
                }
                let nexts = ["early", "T", "D"].map(|topic| (topic, next(&store, topic)));
                let cell = RefCell::new(store);
                storage.full.dies_in.set(Some(dies_in));
                let mut minimum = 0;
                let outcome = if delete_first {
                    delete_topic(&cell, &storage, b"D").map(|_| ())
                } else {
                    expire(&cell, &storage, Wish::Asked { before: None, max_bytes: Some(5000) }).map(|expired| minimum = expired.minimum)
                };
                minimum = minimum.max(cell.borrow().reader().positions().min);
                let survived = outcome.is_ok();
                storage.full.dies_in.set(None);
                let crashed = FaultyStorage { memory: storage.memory.snapshot(), ..FaultyStorage::default() };
                gone.iter().for_each(|gone| crashed.memory.remove_tree(gone));
                let what = format!("without {gone:?}, checkpoint {checkpointed}, deletion {delete_first}, death after {dies_in} changes");
                let mut store = open(&crashed, small());
                assert!(store.reader().positions().min >= minimum, "{what}: the minimum went back");
                assert!(!kinds(&store).iter().any(|kind| ["log-gap", "queue-gap", "kept"].contains(kind)), "{what}: {:?}", kinds(&store));
                for (topic, next_before) in nexts {
                    check_run(&store, topic, &what);
                    assert_eq!(next(&store, topic), next_before, "{what}: {topic}");
                }
                let hidden = store.reader().queues(b"D").is_empty();
                assert!(hidden || !(delete_first && survived), "{what}: a deleted topic came back");
                let min = store.reader().positions().min;
                let files = |storage: &MemoryStorage| storage.paths().iter().filter(|path| path.starts_with("commitlog/")).count() as u64;
                assert_eq!(files(&crashed.memory), 4 - min / 4096, "{what}: files below the minimum are left");
                for (topic, next_before) in nexts {
                    assert_eq!(put(&mut store, topic), next_before, "{what}: {topic}");
                }
                store.writer().unwrap().close().unwrap();
                let store = open(&crashed, small());
                assert_eq!((store.reader().positions().min, kinds(&store)), (min, vec![]), "{what}");
                if survived {
                    break;
                }
            }
        }
    }
}

#[test]
fn on_a_full_disk_files_go_all_the_same() {
    let storage = FaultyStorage::default();
    let options = Options { retention: Some(RetentionPolicy::default()), ..small() };
    drop(filled(&storage));
    let cell = RefCell::new(open(&storage, options));
    let kept = storage.memory.contents(KEPT).unwrap();
    assert_eq!(Kept::parse(&kept), Ok(Kept::default()));
    assert_eq!(storage.memory.contents(BACKUP), Some(kept.clone()));
    storage.full.new_files.set(true);
    let expired = expire(&cell, &storage, EVERYTHING).unwrap();
    assert_eq!(expired.files, 3);
    storage.full.new_files.set(false);
    drop(cell);
    assert_eq!(Kept::parse(&storage.memory.contents(KEPT).unwrap()).unwrap().minimum, 3 * 4096);
    assert_eq!(open(&storage, small()).reader().positions().min, 3 * 4096);
}

#[test]
fn without_room_for_the_first_version_nothing_goes() {
    let storage = FaultyStorage::default();
    let cell = RefCell::new(filled(&storage));
    storage.full.new_files.set(true);
    assert_eq!(expire(&cell, &storage, EVERYTHING).unwrap_err().code, Code::Full);
    assert_eq!(delete_topic(&cell, &storage, b"D").unwrap_err().code, Code::Full);
    assert_eq!(cell.borrow().reader().positions().min, 0);
    assert_eq!(cell.borrow().reader().topics(), ["D", "T", "early"]);
    storage.full.new_files.set(false);
    assert_eq!(expire(&cell, &storage, EVERYTHING).unwrap().files, 3);
    assert_eq!(delete_topic(&cell, &storage, b"D"), Ok(true));
}

#[test]
fn the_reserve_makes_room_for_the_first_version() {
    let storage = FaultyStorage::default();
    drop(filled(&storage));
    let cell = RefCell::new(open(&storage, Options { reserve_bytes: 10_000, ..small() }));
    cell.borrow_mut().writer().unwrap().close().unwrap();
    let cell = RefCell::new(open(&storage, Options { reserve_bytes: 10_000, ..small() }));
    assert_eq!(storage.memory.contents(RESERVE_PATH).map(|reserve| reserve.len()), Some(10_000));
    storage.full.new_files.set(true);
    assert_eq!(expire(&cell, &storage, EVERYTHING).unwrap().files, 3);
    let removed = format!("remove {RESERVE_PATH}");
    assert_eq!(storage.memory.calls().iter().filter(|call| **call == removed).count(), 1);
    assert_eq!(storage.memory.contents(RESERVE_PATH).map(|reserve| reserve.len()), Some(10_000), "there is room for it again");
}

#[test]
fn a_damaged_version_gives_way_to_the_one_before() {
    let storage = FaultyStorage::default();
    let cell = RefCell::new(filled(&storage));
    delete_topic(&cell, &storage, b"D").unwrap();
    expire(&cell, &storage, Wish::Asked { before: None, max_bytes: Some(9000) }).unwrap();
    let mut store = cell.into_inner();
    store.writer().unwrap().close().unwrap();
    let text = storage.memory.contents(KEPT).unwrap();
    // Every bit of it.
    for bit in 0..text.trim_ascii_end().len() * 8 {
        let copy = FaultyStorage { memory: storage.memory.snapshot(), ..FaultyStorage::default() };
        copy.memory.change(KEPT, bit / 8, |byte| *byte ^= 1 << (bit % 8));
        let store = open(&copy, small());
        assert_eq!(store.reader().topics(), ["T", "early"], "bit {bit}");
        assert_eq!(store.reader().positions().min, 4096, "bit {bit}");
    }
    let copy = FaultyStorage { memory: storage.memory.snapshot(), ..FaultyStorage::default() };
    for path in [KEPT, BACKUP] {
        copy.memory.place(path, b"{\"version\":2,\"minimum\":8192}");
    }
    copy.memory.remove_tree("consumequeue");
    let store = open(&copy, small());
    assert_eq!((store.reader().positions().min, kinds(&store).contains(&"kept")), (4096, true));
}

#[test]
fn what_speaks_of_a_longer_log_does_not_count() {
    let storage = FaultyStorage::default();
    let cell = RefCell::new(filled(&storage));
    delete_topic(&cell, &storage, b"D").unwrap();
    cell.borrow_mut().writer().unwrap().close().unwrap();
    let mut kept = Kept::parse(&storage.memory.contents(KEPT).unwrap()).unwrap();
    kept.minimum = 1 << 40;
    kept.topics.get_mut("D").unwrap().hidden_below = 1 << 40;
    storage.memory.place(KEPT, kept.encode().as_bytes());
    storage.memory.remove_tree("consumequeue");
    let store = open(&storage, small());
    assert_eq!(store.reader().positions().min, 0);
    assert_eq!(store.reader().topics(), ["D", "T", "early"]);
    assert!(kinds(&store).contains(&"kept"));
    drop(store);
    let kept = Kept::parse(&storage.memory.contents(KEPT).unwrap()).unwrap();
    assert_eq!((kept.minimum, kept.hidden_below("D")), (0, 0));
}

#[test]
fn a_read_only_open_changes_nothing() {
    let storage = FaultyStorage::default();
    let cell = RefCell::new(filled(&storage));
    storage.full.dies_in.set(Some(6));
    let _killed = expire(&cell, &storage, EVERYTHING);
    storage.full.dies_in.set(None);
    let before = storage.memory.paths();
    let store = open(&storage, Options { read_only: true, ..small() });
    let min = store.reader().positions().min;
    assert_eq!(storage.memory.paths(), before);
    drop(store);
    assert_eq!(open(&storage, small()).reader().positions().min, min);
}
