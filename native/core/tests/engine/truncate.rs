//! A log that is taken back: from then on the store is one that never held what lay behind.

use std::cell::RefCell;
use std::sync::Arc;

use crate::faulty::FaultyStorage;
use crate::support::store_files::{assert_same_files, lasting_files};
use crate::support::*;
use moraine_core::batch::BatchMessage;
use moraine_core::engine::delete_topic::delete_topic;
use moraine_core::engine::put::{RESULT_HEADER, RESULT_STRIDE};
use moraine_core::engine::{Engine, GetRequest, Resolved};
use moraine_core::error::{Code, Detail};
use moraine_core::memory::{MemoryClock, MemoryStorage};
use moraine_core::options::{FlushMode, Options};

const MESSAGES: usize = 90;

/// What has happened to a store before it is truncated.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Before {
    Nothing,
    WrittenBehind,
    /// Half of its entries are in files.
    HalfWrittenBehind,
    Reopened,
    Recovered,
}

const BEFORE: [Before; 5] = [Before::Nothing, Before::WrittenBehind, Before::HalfWrittenBehind, Before::Reopened, Before::Recovered];

/// Message `n`, stored a second after the one before, in one of four queues, of which the last comes late.
fn put_nth(store: &mut Store, clock: &MemoryClock, n: usize) -> u64 {
    clock.set(NOW + 1000 * n as i64);
    let body = format!("{n:.<width$}", width = 40 + n * 37 % 400);
    let properties = format!("TAGS\u{1}t\u{2}KEYS\u{1}all k{n}\u{2}");
    let mut message = message(body.as_bytes(), properties.as_bytes());
    message.queue_id = if n < 60 { n as i32 % 3 } else { n as i32 % 4 };
    put(store, &[message]).unwrap()[0].0
}

/// A store with the first `count` messages, and where each begins.
fn store_of(count: usize, before: Before) -> (MemoryStorage, MemoryClock, Store, Vec<u64>) {
    let (mut storage, clock) = (MemoryStorage::default(), MemoryClock::at(NOW));
    let mut store = open_at(&storage, small(), &clock).unwrap();
    let mut starts = Vec::new();
    for n in 0..count {
        starts.push(put_nth(&mut store, &clock, n));
        if before == Before::HalfWrittenBehind && n == count / 2 {
            flush(&mut store, &storage);
            write_behind(&mut store, &storage);
        }
    }
    match before {
        Before::Nothing | Before::HalfWrittenBehind => {}
        Before::WrittenBehind => {
            flush(&mut store, &storage);
            write_behind(&mut store, &storage);
        }
        Before::Reopened => {
            close(store);
            store = open_at(&storage, small(), &clock).unwrap();
        }
        Before::Recovered => {
            storage = storage.snapshot();
            store = open_at(&storage, small(), &clock).unwrap();
        }
    }
    (storage, clock, store, starts)
}

/// All that can be asked of a store: log, queues, keys.
fn answers(store: &Store) -> Vec<String> {
    let mut answers = vec![format!("{:?}", store.reader().positions().end)];
    for queue in 0..4 {
        let range = store.reader().offsets(b"T", queue);
        // Whether a queue of which nothing is left is still known does not matter.
        let messages = (range.next > 0).then(|| get(store, "T", queue, range.min, 1000).unwrap());
        answers.push(format!("{range:?} {messages:?}"));
    }
    answers.push(format!("{:?}", lookup(store, "all")));
    answers.extend((0..MESSAGES).map(|n| format!("{:?}", lookup(store, &format!("k{n}")))));
    answers
}

#[test]
fn at_every_boundary_it_becomes_a_store_that_never_held_the_rest() {
    for before in BEFORE {
        let every = if matches!(before, Before::Nothing | Before::WrittenBehind) { 1 } else { 4 };
        for kept in (0..=MESSAGES).step_by(every) {
            let what = format!("{before:?}, {kept} of {MESSAGES}");
            let (storage, clock, mut store, starts) = store_of(MESSAGES, before);
            let to = starts.get(kept).copied().unwrap_or(store.reader().positions().end);
            store.writer().unwrap().truncate(to).unwrap();
            let (plain_storage, plain_clock, mut plain, _) = store_of(kept, Before::Nothing);

            assert_eq!(store.reader().positions().end, to, "{what}");
            assert!(store.reader().positions().durable <= to, "{what}");
            let mut here = answers(&store);
            let mut there = answers(&plain);
            if to.is_multiple_of(4096) {
                // The segment that begins there stays, as after a roll.
                there[0].clone_from(&here[0]);
            }
            assert_eq!(here, there, "{what}");

            store.writer().unwrap().truncate(to).unwrap();
            assert_eq!(answers(&store), here, "{what}: again");
            for n in kept..kept + 30 {
                put_nth(&mut store, &clock, n);
                put_nth(&mut plain, &plain_clock, n);
            }
            here = answers(&store);
            assert_eq!(here, answers(&plain), "{what}: put again");
            let crashed = open(&storage.snapshot(), small()).unwrap();
            assert_eq!(answers(&crashed), here, "{what}: crashed");
            close(store);
            close(plain);
            assert_same_files(&lasting_files(&storage), &lasting_files(&plain_storage), &what);
            assert_eq!(answers(&open(&storage, small()).unwrap()), here, "{what}: opened again");
        }
    }
}

#[test]
fn a_place_within_a_record_is_refused_with_the_boundaries_around_it() {
    let (_, _, mut store, starts) = store_of(40, Before::Nothing);
    let before = answers(&store);
    for pair in starts.windows(2) {
        for to in [pair[0] + 1, pair[0] + 8, pair[1] - 1] {
            let error = store.writer().unwrap().truncate(to).unwrap_err();
            assert_eq!(error.code, Code::InvalidArgument, "{error}");
            let number = |name| error.details.iter().find(|(found, _)| *found == name).map(|(_, value)| value.clone());
            let (Some(Detail::Number(below)), Some(Detail::Number(above))) = (number("below"), number("above")) else {
                panic!("{error:?}");
            };
            assert!(below >= pair[0] as i64 && below < to as i64 && above > to as i64 && above <= pair[1] as i64, "{error}");
        }
    }
    assert_eq!(answers(&store), before);
    for to in [store.reader().positions().end + 1, u64::MAX] {
        let error = store.writer().unwrap().truncate(to).unwrap_err();
        assert_eq!(error.code, Code::OffsetOutOfRange, "{error}");
    }
}

#[test]
fn while_entries_are_being_written_it_has_to_wait() {
    let (storage, _, mut store, starts) = store_of(40, Before::Nothing);
    let plan = store.writer().unwrap().plan_behind().unwrap();
    assert_eq!(store.writer().unwrap().truncate(starts[20]).unwrap_err().code, Code::Busy);
    plan.run(&storage).unwrap();
    store.writer().unwrap().wrote_behind(plan);
    store.writer().unwrap().truncate(starts[20]).unwrap();
    assert_eq!(answers(&store)[1..], answers(&store_of(20, Before::Nothing).2)[1..]);
}

#[test]
fn a_sync_that_began_before_says_nothing_about_what_is_put_after() {
    let (storage, clock, mut store, starts) = store_of(40, Before::Nothing);
    let plan = store.writer().unwrap().plan_flush().unwrap();
    store.writer().unwrap().truncate(starts[20]).unwrap();
    (20..60).for_each(|n| _ = put_nth(&mut store, &clock, n));
    plan.run(&storage).unwrap();
    store.writer().unwrap().flushed(plan);
    assert!(store.reader().positions().durable <= starts[20]);
    flush(&mut store, &storage);
    assert_eq!(store.reader().positions().durable, store.reader().positions().end);
}

#[test]
fn positions_come_down_with_the_log() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, Options { flush: FlushMode::Sync, ..small() }).unwrap();
    let puts = put_numbered(&mut store, 20);
    flush(&mut store, &storage);
    store.writer().unwrap().confirm(puts[15].0).unwrap();
    assert_eq!(all(&store), numbered(0..15));
    store.writer().unwrap().truncate(puts[10].0).unwrap();
    let positions = store.reader().positions();
    assert_eq!((positions.durable, positions.visible, positions.end), (puts[10].0, puts[10].0, puts[10].0));
    put_number(&mut store, 10);
    flush(&mut store, &storage);
    assert_eq!(all(&store), numbered(0..10), "what comes instead is to be confirmed");
    store.writer().unwrap().confirm(u64::MAX).unwrap();
    assert_eq!(all(&store), numbered(0..11));
}

#[test]
fn store_times_go_on_from_the_last_record_that_stays() {
    let (_, clock, mut store, starts) = store_of(40, Before::Nothing);
    store.writer().unwrap().truncate(starts[10]).unwrap();
    clock.set(NOW + 5);
    let mut results = [0.0; RESULT_HEADER + RESULT_STRIDE];
    let mut batch = Vec::new();
    moraine_core::batch::encode(&message(b"x", b""), &mut batch);
    store.writer().unwrap().put(&batch, &mut results).unwrap();
    assert_eq!(results[0] as i64, NOW + 9000);
}

#[test]
fn an_answer_that_is_under_way_is_an_error_or_as_it_was() {
    let (_, clock, mut store, starts) = store_of(40, Before::Nothing);
    let mut resolved = Resolved::default();
    let request = GetRequest { topic: b"T", offset: 0, max: 100, max_bytes: 1 << 20, ..GetRequest::default() };
    store.reader().resolve(&request, &mut resolved).unwrap();
    store.writer().unwrap().truncate(starts[3]).unwrap();
    (3..40).for_each(|n| _ = put_nth(&mut store, &clock, n + 100));
    let copied = resolved.copy(&mut vec![0; 1 << 20], &mut [0.0; 100]).unwrap();
    assert_eq!((copied.messages, copied.next), (1, 1), "only message 0 of queue 0 lies below message 3");
}

/// The process dies at every change that truncating makes on disk: opened again, the store holds a front part of what it
/// held, with everything that was to stay, and truncating once more brings it where it was to go.
#[test]
fn a_crash_at_any_step_leaves_a_store() {
    #[allow(clippy::arc_with_non_send_sync)] // one thread
    let start = |storage: &FaultyStorage, clock: &MemoryClock| {
        Engine::open(Arc::new(storage.clone()), clock.clone(), small(), &mut |_| {}).unwrap()
    };
    let mut deaths = 0;
    for before in [Before::Reopened, Before::Recovered] {
        for kept in [0, 1, 5, 20, 33, 60, 61, 89] {
            for dies_in in 0.. {
                let (memory, clock, store, starts) = store_of(MESSAGES, before);
                drop(store);
                let storage = FaultyStorage { memory, ..FaultyStorage::default() };
                let mut store = start(&storage, &clock);
                while let Some(plan) = store.writer().unwrap().plan_behind() {
                    plan.run(&storage).unwrap();
                    store.writer().unwrap().wrote_behind(plan);
                }
                storage.full.dies_in.set(Some(dies_in));
                let outcome = store.writer().unwrap().truncate(starts[kept]);
                let crashed = storage.memory.snapshot();
                let what = format!("{before:?}, {kept} kept, death after {dies_in} changes");
                if outcome.is_err() {
                    deaths += 1;
                    assert_eq!(store.writer().err().map(|error| error.code), Some(Code::Poisoned), "{what}");
                }
                let mut again = open_at(&crashed, small(), &clock).unwrap();
                let end = again.reader().positions().end;
                assert!(end >= starts[kept], "{what}");
                let left = starts.iter().filter(|&&start| start < end).count();
                let plain = store_of(left, Before::Nothing).2;
                assert_eq!(answers(&again)[1..], answers(&plain)[1..], "{what}");
                again.writer().unwrap().truncate(starts[kept]).unwrap();
                assert_eq!(answers(&again)[1..], answers(&store_of(kept, Before::Nothing).2)[1..], "{what}: again");
                if outcome.is_ok() {
                    break;
                }
            }
        }
    }
    assert!(deaths > 100, "{deaths} deaths are too few to have met every step");
}

/// Entries that stand in a file although they wait in memory: a plan that was put off wrote them, or they were hidden.
#[test]
fn entries_in_files_that_are_not_known_to_hold_them_go_too() {
    for hidden in [false, true] {
        let (storage, clock) = (MemoryStorage::default(), MemoryClock::at(NOW));
        let mut store = open_at(&storage, small(), &clock).unwrap();
        let mut other = message(b"other", b"");
        other.queue_id = 7;
        let from = put(&mut store, &[message(b"stays", b"")]).unwrap()[0].2;
        put(&mut store, &[message(b"goes", b""), other]).unwrap();
        if hidden {
            write_behind(&mut store, &storage);
            store.writer().unwrap().confirm(from).unwrap();
        } else {
            let plan = store.writer().unwrap().plan_behind().unwrap();
            plan.run(&storage).unwrap();
            store.writer().unwrap().put_off_behind(plan);
        }
        store.writer().unwrap().truncate(from).unwrap();
        put(&mut store, &[message(b"comes", b"")]).unwrap();
        close(store);

        let plain_storage = MemoryStorage::default();
        let mut plain = open_at(&plain_storage, small(), &clock).unwrap();
        put(&mut plain, &[message(b"stays", b"")]).unwrap();
        put(&mut plain, &[message(b"comes", b"")]).unwrap();
        close(plain);
        assert_same_files(&lasting_files(&storage), &lasting_files(&plain_storage), if hidden { "hidden" } else { "put off" });
    }
}

#[test]
fn a_queue_that_lost_all_its_messages_is_no_queue_also_when_opened_again() {
    for began in [0, 25] {
        for behind in [false, true] {
            let storage = MemoryStorage::default();
            let mut store = open(&storage, small()).unwrap();
            put_numbered(&mut store, 10);
            let other = |n: usize| format!("x{n}");
            let put_other = |store: &mut Store, n: usize| {
                let body = other(n);
                put(store, &[BatchMessage { topic: b"U", ..message(body.as_bytes(), b"") }]).unwrap()[0].0
            };
            if began > 0 {
                (0..began).for_each(|n| {
                    put_other(&mut store, n);
                });
                let cell = RefCell::new(store);
                assert!(delete_topic(&cell, &storage, b"U").unwrap());
                store = cell.into_inner();
            }
            let to = put_other(&mut store, 0);
            (1..30).for_each(|n| {
                put_other(&mut store, n);
            });
            if behind {
                flush(&mut store, &storage);
                write_behind(&mut store, &storage);
            }
            store.writer().unwrap().truncate(to).unwrap();
            let case = format!("began at {began}, written behind: {behind}");
            assert_eq!(store.reader().topics(), ["T"], "{case}");
            let crashed = storage.snapshot();
            close(store);
            for storage in [storage, crashed] {
                for gone in [&[][..], &["moraine"], &["moraine", "consumequeue", "checkpoint"]] {
                    let storage = storage.snapshot();
                    gone.iter().for_each(|name| storage.remove_tree(name));
                    let mut store = open(&storage, small()).unwrap();
                    assert_eq!(store.reader().topics(), ["T"], "{case}, opened again, without {gone:?}");
                    assert_eq!(store.reader().queues(b"U"), [0; 0], "{case}");
                    put_other(&mut store, 7);
                    assert_eq!(store.reader().offsets(b"U", 0).max, began as u64 + 1, "{case}");
                }
            }
        }
    }
}
