//! Files of the log that go by age, bytes and room: whole ones, the oldest first, and nothing that is held.

use std::cell::RefCell;

use crate::support::*;
use crate::vectors::{number, text, vector};
use moraine_core::batch::BatchMessage;
use moraine_core::engine::expire::{Expired, expire};
use moraine_core::engine::retention::{MAX_FILES_PER_RUN, Wish};
use moraine_core::engine::{GetRequest, GetStatus, Resolved};
use moraine_core::error::{Code, Error};
use moraine_core::memory::{MemoryClock, MemoryStorage};
use moraine_core::options::{Options, RetentionPolicy};
use moraine_core::storage::Space;

const SEGMENT: u64 = 4096;
const KEPT: &str = "config/moraine.json";

fn segment_path(number: u64) -> String {
    format!("commitlog/{:020}", number * SEGMENT)
}

/// A store of `files` whole files and one more, all messages in queue 0 of `T`, one second apart; its clock.
fn filled(storage: &MemoryStorage, options: Options, files: u64) -> (Store, MemoryClock) {
    let clock = MemoryClock::at(NOW);
    let mut store = open_at(storage, options, &clock).unwrap();
    let mut n = 0;
    while store.reader().positions().end <= files * SEGMENT {
        clock.set(NOW + 1000 * n as i64);
        put_number(&mut store, n);
        n += 1;
    }
    flush(&mut store, storage);
    write_behind(&mut store, storage);
    (store, clock)
}

fn run(store: Store, storage: &MemoryStorage, wish: Wish) -> (Store, Result<Expired, Error>) {
    let cell = RefCell::new(store);
    let outcome = expire(&cell, storage, wish);
    (cell.into_inner(), outcome)
}

fn keep(bytes: u64) -> Wish {
    Wish::Asked { before: None, max_bytes: Some(bytes) }
}

fn before(time: i64) -> Wish {
    Wish::Asked { before: Some(time), max_bytes: None }
}

fn due(elapsed_ms: u64) -> Wish {
    Wish::Due { elapsed_ms }
}

/// A policy that no hour, disk or number of bytes takes part in.
fn aged(max_age_ms: u64) -> Options {
    Options { retention: Some(RetentionPolicy { max_age_ms: Some(max_age_ms), ..Default::default() }), ..small() }
}

fn log_files(storage: &MemoryStorage) -> usize {
    storage.paths().iter().filter(|path| path.starts_with("commitlog/")).count()
}

#[test]
fn one_file_goes_as_in_rocketmq() {
    let golden = vector("delete.oneCommitLogFile");
    assert!(text(&golden.inputs["puts"]).starts_with("60 x TopicA queue 0, body 'body-<i>'"));
    let storage = MemoryStorage::default();
    let mut store = open(&storage, Options { record_crc: false, ..small() }).unwrap();
    for i in 0..60 {
        let body = format!("body-{i}");
        put(&mut store, &[BatchMessage { topic: b"TopicA", ..message(body.as_bytes(), b"TAGS\x01TagA\x02") }]).unwrap();
    }
    flush(&mut store, &storage);
    write_behind(&mut store, &storage);
    let expected = &golden.expected;
    let queue_files = || storage.paths().iter().filter(|path| path.starts_with("consumequeue/")).count() as i64;
    let end = number(&expected["maxPhyOffset"]) as u64;
    assert_eq!(store.reader().positions().end, end);
    assert_eq!(store.reader().offsets(b"TopicA", 0).min as i64, number(&expected["cqMinOffsetBefore"]));
    let files_before = queue_files();

    let (store, outcome) = run(store, &storage, keep(end - number(&expected["minPhyOffset"]) as u64));
    let expired = outcome.unwrap();
    assert_eq!(expired.files as i64, number(&expected["commitLogFilesDeleted"]));
    assert_eq!(store.reader().positions().min as i64, number(&expected["minPhyOffset"]));
    assert_eq!(store.reader().offsets(b"TopicA", 0).min as i64, number(&expected["cqMinOffsetAfter"]));
    assert_eq!(files_before - queue_files(), number(&expected["cqFilesDeleted"]));
    let answer = &expected["getMessageOffset0"];
    assert_eq!(text(&answer["status"]), "OFFSET_TOO_SMALL");
    let mut resolved = Resolved::default();
    let request = GetRequest { topic: b"TopicA", queue_id: 0, offset: 0, max: 32, max_bytes: 1 << 20, filter: &[] };
    store.reader().resolve(&request, &mut resolved).unwrap();
    assert_eq!(resolved.status, GetStatus::OffsetTooSmall);
    let (next, min, max) = (resolved.next as i64, resolved.min as i64, resolved.max as i64);
    assert_eq!([next, min, max], ["nextBeginOffset", "minOffset", "maxOffset"].map(|name| number(&answer[name])));
}

#[test]
fn bytes_are_counted_from_the_end_of_the_log() {
    let storage = MemoryStorage::default();
    let (store, _) = filled(&storage, small(), 4);
    let end = store.reader().positions().end;
    let (store, outcome) = run(store, &storage, keep(end - 2 * SEGMENT));
    assert_eq!(outcome.unwrap(), Expired { files: 2, bytes: 2 * SEGMENT, minimum: 2 * SEGMENT, more: false });
    let (store, outcome) = run(store, &storage, keep(end - 2 * SEGMENT));
    assert_eq!(outcome.unwrap(), Expired { files: 0, bytes: 0, minimum: 2 * SEGMENT, more: false });
    // The active one stays, whatever is asked for.
    let (store, outcome) = run(store, &storage, keep(0));
    assert_eq!(outcome.unwrap().minimum, 4 * SEGMENT);
    assert_eq!(log_files(&storage), 1);
    assert_eq!(store.reader().positions().min, 4 * SEGMENT);
}

#[test]
fn what_is_left_answers_as_before_and_nothing_else_is_shown() {
    let storage = MemoryStorage::default();
    let (store, clock) = filled(&storage, small(), 5);
    let count = store.reader().offsets(b"T", 0).max;
    let (store, outcome) = run(store, &storage, keep(2 * SEGMENT));
    let minimum = outcome.unwrap().minimum;
    let check = |store: &Store| {
        let range = store.reader().offsets(b"T", 0);
        assert_eq!((range.max, range.next), (count, count));
        assert!(range.min > 0);
        assert_eq!(all(store), numbered(range.min as usize..count as usize));
        assert_eq!(get(store, "T", 0, 0, 10).unwrap().0, GetStatus::OffsetTooSmall);
        assert_eq!(lookup(store, "k0"), [""; 0]);
        assert_eq!(lookup(store, &format!("k{}", range.min)), [format!("m{}", range.min)]);
        assert_eq!(store.reader().positions().min, minimum);
        assert_eq!(store.reader().log().record_at(0, &mut Vec::new()).unwrap(), None);
        range.min
    };
    let min = check(&store);
    let crashed = storage.snapshot();
    close(store);
    for storage in [storage, crashed] {
        for gone in [&[][..], &["consumequeue"], &["index"], &["consumequeue", "index", "checkpoint", "moraine"]] {
            let storage = storage.snapshot();
            gone.iter().for_each(|gone| storage.remove_tree(gone));
            let store = open_at(&storage, small(), &clock).unwrap();
            assert_eq!(check(&store), min, "without {gone:?}");
        }
    }
}

#[test]
fn entries_that_waited_in_memory_leave_no_files_either() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    while store.reader().positions().end <= 3 * SEGMENT {
        put_number(&mut store, 0);
    }
    let (store, outcome) = run(store, &storage, keep(0));
    assert_eq!(outcome.unwrap().files, 3);
    let min = store.reader().offsets(b"T", 0).min;
    close(store);
    let first = storage.paths().into_iter().find(|path| path.starts_with("consumequeue/")).unwrap();
    assert_eq!(first, format!("consumequeue/T/0/{:020}", min / 10 * 10 * 20));
}

#[test]
fn readers_keep_what_they_hold() {
    let storage = MemoryStorage::default();
    let (store, _) = filled(&storage, small(), 3);
    let view = store.reader().log();
    let mut resolved = Resolved::default();
    let request = GetRequest { topic: b"T", queue_id: 0, offset: 0, max: 5, max_bytes: 1 << 20, filter: &[] };
    store.reader().resolve(&request, &mut resolved).unwrap();
    let (store, outcome) = run(store, &storage, keep(0));
    assert_eq!(outcome.unwrap().files, 3);
    drop(store);
    let (mut out, mut offsets) = (vec![0; 1 << 20], vec![0.0; 5]);
    assert_eq!(resolved.copy(&mut out, &mut offsets).unwrap().messages, 5);
    assert!(view.record_at(0, &mut Vec::new()).unwrap().is_some());
}

#[test]
fn what_is_held_stays_until_the_last_hold_is_given_up() {
    let storage = MemoryStorage::default();
    let (mut store, _) = filled(&storage, small(), 4);
    let holds = [SEGMENT, SEGMENT + 1].map(|from| store.writer().unwrap().retain(from));
    let (mut store, outcome) = run(store, &storage, keep(0));
    assert_eq!(outcome.unwrap().minimum, SEGMENT);
    store.release(holds[0]);
    store.release(holds[0]);
    let (mut store, outcome) = run(store, &storage, keep(0));
    assert_eq!(outcome.unwrap().files, 0, "its last byte but {SEGMENT} is held");
    store.release(holds[1]);
    let (store, outcome) = run(store, &storage, keep(0));
    assert_eq!(outcome.unwrap().minimum, 4 * SEGMENT);
    drop(store);
}

#[test]
fn a_file_is_as_old_as_its_newest_message_and_its_last_change() {
    let storage = MemoryStorage::default();
    let (store, _) = filled(&storage, small(), 3);
    let newest = |store: &Store, segment: u64| {
        let view = store.reader().log();
        let mut at = segment * SEGMENT;
        let mut time = 0;
        while at < (segment + 1) * SEGMENT
            && let Some(size) = view.record_at(at, &mut Vec::new()).unwrap()
        {
            time = view.store_timestamp(at).unwrap().unwrap();
            at += size as u64;
        }
        time
    };
    let last = newest(&store, 0);
    let (store, outcome) = run(store, &storage, before(last));
    assert_eq!(outcome.unwrap().files, 0, "its newest message is not older");
    storage.set_modified(&segment_path(0), last + 1);
    let (store, outcome) = run(store, &storage, before(last + 1));
    assert_eq!(outcome.unwrap().files, 0, "it was changed later");
    let (store, outcome) = run(store, &storage, before(last + 2));
    assert_eq!(outcome.unwrap().files, 1);
    // Changed late, the second one keeps those behind it.
    let late = 2 * NOW;
    storage.set_modified(&segment_path(1), late);
    let (_, outcome) = run(store, &storage, before(late));
    assert_eq!(outcome.unwrap().files, 0);
}

#[test]
fn age_counts_at_the_hour_of_local_time() {
    let policy = RetentionPolicy { max_age_ms: Some(1000), delete_hour: Some(4), ..Default::default() };
    let storage = MemoryStorage::default();
    let options = Options { retention: Some(policy), ..small() };
    let (store, _) = filled(&storage, options.clone(), 2);
    close(store);
    // NOW is 22:13:20 UTC.
    for (zone_hours, goes) in [(0, false), (6, true), (5, false), (-18, true), (7, false)] {
        let storage = storage.snapshot();
        let clock = MemoryClock::at(NOW + 600_000).with_zone_offset(zone_hours * 3_600_000);
        let store = open_at(&storage, options.clone(), &clock).unwrap();
        let (store, outcome) = run(store, &storage, due(0));
        assert_eq!(outcome.unwrap().files > 0, goes, "{zone_hours} h");
        // Who asks does not wait for the hour.
        let (store, outcome) = run(store, &storage, Wish::Asked { before: None, max_bytes: None });
        assert_eq!(outcome.unwrap().minimum, 2 * SEGMENT);
        drop(store);
    }
}

#[test]
fn a_disk_that_is_too_full_costs_as_many_files_as_it_takes() {
    let policy = RetentionPolicy { disk_ratio: Some(0.5), max_age_ms: Some(u64::MAX), ..Default::default() };
    let storage = MemoryStorage::default();
    let (store, _) = filled(&storage, Options { retention: Some(policy), ..small() }, 4);
    let (store, outcome) = run(store, &storage, due(0));
    assert_eq!(outcome.unwrap().files, 0, "nobody knows");
    storage.set_space(Some(Space { used: 50_000, free: 50_000 }));
    let (store, outcome) = run(store, &storage, due(0));
    assert_eq!(outcome.unwrap().files, 0);
    storage.set_space(Some(Space { used: 50_000 + SEGMENT, free: 50_000 - SEGMENT }));
    let (store, outcome) = run(store, &storage, due(0));
    assert_eq!(outcome.unwrap().files, 1);
    storage.set_space(Some(Space { used: u64::MAX, free: u64::MAX }));
    let (store, outcome) = run(store, &storage, due(0));
    assert_eq!(outcome.unwrap().files, 0);
    storage.set_space(Some(Space { used: u64::MAX, free: 0 }));
    let (_, outcome) = run(store, &storage, due(0));
    assert_eq!(outcome.unwrap().minimum, 4 * SEGMENT);
}

#[test]
fn a_clock_that_jumps_costs_one_batch_and_is_reported() {
    let files = 3 * MAX_FILES_PER_RUN as u64 - 1;
    let storage = MemoryStorage::default();
    let (store, clock) = filled(&storage, aged(86_400_000), files);
    let newest = store.reader().positions();
    let (store, outcome) = run(store, &storage, due(0));
    assert_eq!((outcome.unwrap().files, newest.min), (0, 0));
    clock.set(NOW + 365 * 86_400_000);
    let (store, outcome) = run(store, &storage, due(10_000));
    assert_eq!(
        outcome.unwrap(),
        Expired {
            files: MAX_FILES_PER_RUN as u64,
            bytes: MAX_FILES_PER_RUN as u64 * SEGMENT,
            minimum: MAX_FILES_PER_RUN as u64 * SEGMENT,
            more: true
        }
    );
    let findings = store.reader().health().unwrap().findings;
    assert_eq!(findings.iter().filter(|finding| finding.kind == "clock").count(), 1, "{findings:?}");
    assert!(findings[0].message.contains("jumped"), "{findings:?}");
    let mut store = store;
    for _ in 0..359 {
        let (after, outcome) = run(store, &storage, due(10_000));
        assert_eq!(outcome.unwrap().files, 0, "somebody has to read it first");
        store = after;
    }
    let (store, outcome) = run(store, &storage, due(10_000));
    assert_eq!(outcome.unwrap().files, MAX_FILES_PER_RUN as u64);
    assert_eq!(store.reader().health().unwrap().findings.len(), 2, "by then the whole log looks old");
}

#[test]
fn a_clock_that_goes_back_costs_nothing() {
    let storage = MemoryStorage::default();
    let (store, clock) = filled(&storage, aged(1000), 2);
    clock.set(0);
    let (store, outcome) = run(store, &storage, due(0));
    assert_eq!(outcome.unwrap().files, 0);
    clock.set(i64::MIN);
    let (_, outcome) = run(store, &storage, due(u64::MAX));
    assert_eq!(outcome.unwrap().files, 0);
}

#[test]
fn what_no_log_gives_back_is_safe_before_the_first_file_goes() {
    let storage = MemoryStorage::default();
    let (store, _) = filled(&storage, small(), 4);
    let before = storage.calls().len();
    let (_, outcome) = run(store, &storage, keep(0));
    assert_eq!(outcome.unwrap().files, 4);
    let calls = storage.calls().split_off(before);
    let at = |call: &str| calls.iter().position(|each| each == call).unwrap_or_else(|| panic!("{call} in {calls:?}"));
    let first = at(&format!("remove {}", segment_path(0)));
    assert!(at("sync config/moraine.json.tmp") < at(&format!("rename {KEPT}")));
    assert!(at(&format!("rename {KEPT}")) < at("sync-dir config") && at("sync-dir config") < first, "{calls:?}");
    let removed: Vec<_> = calls.iter().filter(|call| call.starts_with("remove commitlog/")).cloned().collect();
    assert_eq!(removed, (0..4).map(|number| format!("remove {}", segment_path(number))).collect::<Vec<_>>());
    assert!(calls[first..].contains(&String::from("sync-dir commitlog")));
}

#[test]
fn of_files_that_are_gone_no_seal_is_left() {
    let storage = MemoryStorage::default();
    let (mut store, _) = filled(&storage, small(), 4);
    while let Some(mut plan) = store.writer().unwrap().plan_seal() {
        while !plan.step().unwrap() {}
        // One whose file goes before it is sealed.
        if store.reader().seals().len() == 3 {
            let (after, outcome) = run(store, &storage, keep(0));
            assert_eq!((outcome.unwrap().files, after.reader().seals().len()), (4, 0));
            store = after;
        }
        store.writer().unwrap().sealed(plan, false).unwrap();
    }
    assert!(store.reader().seals().is_empty());
    close(store);
    assert!(open(&storage, small()).unwrap().reader().seals().is_empty());
}

#[test]
fn seals_of_the_files_that_stay_are_told_after_the_others_are_gone() {
    let storage = MemoryStorage::default();
    let (mut store, _) = filled(&storage, small(), 4);
    while let Some(mut plan) = store.writer().unwrap().plan_seal() {
        while !plan.step().unwrap() {}
        store.writer().unwrap().sealed(plan, false).unwrap();
    }
    let seals = store.reader().seals();
    let (store, outcome) = run(store, &storage, keep(2 * SEGMENT));
    let minimum = outcome.unwrap().minimum;
    assert!(minimum > 0 && minimum < 4 * SEGMENT);
    let kept: Vec<_> = seals.into_iter().filter(|seal| seal.base >= minimum).collect();
    assert_eq!(store.reader().seals(), kept);
    close(store);
    let store = open(&storage, small()).unwrap();
    assert_eq!(store.reader().seals(), kept, "they are read again without those of files that are gone");
}

#[test]
fn nothing_to_go_by_is_refused() {
    let storage = MemoryStorage::default();
    let (store, _) = filled(&storage, small(), 1);
    let (store, outcome) = run(store, &storage, Wish::Asked { before: None, max_bytes: None });
    assert_eq!(outcome.unwrap_err().code, Code::InvalidArgument);
    let (mut store, outcome) = run(store, &storage, due(0));
    assert_eq!(outcome.unwrap().files, 0);
    put_number(&mut store, 0);
    let _in_flight = store.writer().unwrap().plan_behind().unwrap();
    let (_, outcome) = run(store, &storage, keep(0));
    assert_eq!(outcome.unwrap_err().code, Code::Busy);
}
