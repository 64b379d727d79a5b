//! What stands in the page cache after a call has failed need not be on the disk: who opens the store next makes it so, or a
//! power cut after that would take it back. And what a power cut brings back of files that no sync covered.

use std::cell::RefCell;
use std::sync::Arc;

use crate::support::{NOW, message, small};
use moraine_core::batch::{self, BatchMessage};
use moraine_core::engine::Engine;
use moraine_core::engine::expire::expire;
use moraine_core::engine::remake::{Derived, rebuild};
use moraine_core::engine::retention::Wish;
use moraine_core::error::{Code, Error, IoKind};
use moraine_core::queue::lookup::QueueOffsets;
use moraine_core::sim::{Affected, AllChoices, Failure, SimClock, SimDisk};
use moraine_core::storage::Storage as _;

type Store = Engine<SimDisk, SimClock>;

#[allow(clippy::arc_with_non_send_sync)] // one thread
fn try_open(disk: &SimDisk) -> Result<Store, Error> {
    Engine::open(Arc::new(disk.clone()), SimClock::at(NOW), small(), &mut |_| {})
}

fn open(disk: &SimDisk) -> Store {
    try_open(disk).unwrap()
}

fn put(store: &mut Store, queue_id: i32, body: &[u8]) -> Result<(), Error> {
    let mut bytes = Vec::new();
    batch::encode(&BatchMessage { queue_id, ..message(body, b"KEYS\x01k\x02") }, &mut bytes);
    store.writer().unwrap().put(&bytes, &mut [0.0; 6]).map(|_| ()).map_err(|(_, error)| error)
}

fn flush(store: &mut Store, disk: &SimDisk) {
    let plan = store.writer().unwrap().plan_flush().unwrap();
    plan.run(disk).unwrap();
    store.writer().unwrap().flushed(plan);
}

fn close(mut store: Store) {
    store.writer().unwrap().close().unwrap();
}

/// Removes all files of the log but the newest.
fn expire_all(store: Store, disk: &SimDisk) -> u64 {
    expire(&RefCell::new(store), disk, Wish::Asked { before: None, max_bytes: Some(0) }).unwrap().minimum
}

/// A power cut that leaves everything that no sync covers as it was.
fn cut_off(disk: &SimDisk) -> SimDisk {
    SimDisk::over(disk.state().power_cut(&mut AllChoices::new(usize::MAX)), 1)
}

/// Lets one sync after the other fail: those that `attempt` makes, until it passes. What it leaves goes to `then`.
fn with_each_sync_failing(prepared: impl Fn() -> SimDisk, attempt: impl Fn(&SimDisk) -> Result<(), Error>, then: impl Fn(u64, &SimDisk)) {
    for call in 0.. {
        let disk = prepared();
        disk.fail(Some(Failure { call, always: false, kind: IoKind::Other, affected: Affected::Syncs }));
        let outcome = attempt(&disk);
        let failed = disk.failed();
        disk.fail(None);
        then(call, &disk);
        if failed == 0 {
            outcome.unwrap();
            assert!(call > 1, "no sync at all");
            return;
        }
    }
}

#[test]
fn a_log_found_shorter_after_a_failed_truncation_stays_so() {
    let prepared = || {
        let disk = SimDisk::new(1);
        let mut store = open(&disk);
        (0..3).for_each(|_| put(&mut store, 0, &[1; 1000]).unwrap());
        flush(&mut store, &disk);
        disk
    };
    with_each_sync_failing(
        prepared,
        |disk| try_open(disk)?.writer()?.truncate(0),
        |call, disk| {
            let found = open(disk).reader().positions().end;
            assert_eq!(open(&cut_off(disk)).reader().positions().end, found, "sync {call} failed");
        },
    );
}

#[test]
fn a_rebuild_that_failed_at_its_end_is_not_carried_out_again_later() {
    let prepared = || {
        let disk = SimDisk::new(1);
        let mut store = open(&disk);
        put(&mut store, 0, b"first").unwrap();
        close(store);
        disk
    };
    let index = Derived { queues: false, index: true };
    with_each_sync_failing(
        prepared,
        |disk| rebuild(disk, &SimClock::at(NOW), &small(), index, &mut |_| {}).map(|_| ()),
        |call, disk| {
            let mut store = open(disk);
            put(&mut store, 0, b"second").unwrap();
            put(&mut store, 7, b"third").unwrap();
            flush(&mut store, disk);
            let left = cut_off(disk);
            assert_eq!(left.len("moraine/rebuild").unwrap(), None, "the note is back; sync {call} failed");
            let store = open(&left);
            let next = [0, 7].map(|queue| store.reader().offsets(b"T", queue).next);
            assert_eq!(next, [2, 1], "sync {call} failed");
        },
    );
}

#[test]
fn an_index_file_that_was_not_synced_is_not_believed_because_another_of_its_millisecond_was() {
    const MESSAGES: usize = 100; // three index files full, and one more
    let prepared = || {
        let disk = SimDisk::new(1);
        let mut store = open(&disk);
        (0..MESSAGES).for_each(|_| put(&mut store, 0, b"m").unwrap());
        disk
    };
    let found = |store: &Store| {
        let mut candidates = store.reader().lookup(b"T", b"k").unwrap();
        std::iter::from_fn(|| candidates.next_record(i64::MIN, i64::MAX).unwrap().map(<[u8]>::len)).count()
    };
    with_each_sync_failing(
        prepared,
        |disk| try_open(disk)?.writer()?.close(),
        |call, disk| {
            let store = open(disk);
            assert_eq!(found(&store), MESSAGES, "sync {call} failed");
            close(store);
            assert_eq!(found(&open(&cut_off(disk))), MESSAGES, "sync {call} failed, and the power");
        },
    );
}

#[test]
fn entries_that_a_truncation_took_back_do_not_pass_for_messages_that_have_expired() {
    let disk = SimDisk::new(1);
    let mut store = open(&disk);
    (0..3).for_each(|_| put(&mut store, 0, b"taken back").unwrap());
    (0..2).for_each(|_| put(&mut store, 3, b"taken back").unwrap());
    close(store);
    let mut store = open(&disk);
    store.writer().unwrap().truncate(0).unwrap();
    put(&mut store, 3, b"the only one").unwrap();
    while store.reader().positions().end < 4096 {
        put(&mut store, 1, &[1; 1000]).unwrap();
    }
    put(&mut store, 0, b"the first of its queue").unwrap();
    assert_eq!(expire_all(store, &disk), 4096);
    let store = open(&cut_off(&disk));
    assert_eq!(store.reader().offsets(b"T", 0), QueueOffsets { min: 0, max: 1, next: 1 });
    assert_eq!(store.reader().offsets(b"T", 3), QueueOffsets { min: 1, max: 1, next: 1 });
}

/// No failure: but nothing else is there that says so.
#[test]
fn a_queue_of_which_expiry_and_a_truncation_leave_nothing_goes_on_where_it_was() {
    let disk = SimDisk::new(1);
    disk.place("config/topics.json", br#"{"topicConfigTable":{"B":{"attributes":{"queue.type":"BatchCQ"}}}}"#);
    let mut store = open(&disk);
    (0..12).for_each(|_| put(&mut store, 0, b"expires").unwrap());
    put_to_b(&mut store);
    while store.reader().positions().end < 4096 {
        put(&mut store, 1, &[1; 1000]).unwrap();
    }
    let to = store.reader().positions().end;
    put(&mut store, 0, b"taken back").unwrap();
    put_to_b(&mut store);
    let cell = RefCell::new(store);
    assert_eq!(expire(&cell, &disk, Wish::Asked { before: None, max_bytes: Some(0) }).unwrap().minimum, 4096);
    let mut store = cell.into_inner();
    store.writer().unwrap().truncate(to).unwrap();
    let next = |store: &Store| [(&b"T"[..], 0), (b"B", 0)].map(|(topic, id)| store.reader().offsets(topic, id).next);
    assert_eq!(next(&store), [12, 1]);
    drop(store);
    for disk in [disk.kill(), cut_off(&disk)] {
        drop(open(&disk));
        let disk = disk.kill();
        assert_eq!(next(&open(&disk)), [12, 1]);
        let disk = disk.kill();
        rebuild(&disk, &SimClock::at(NOW), &small(), Derived { queues: true, index: true }, &mut |_| {}).unwrap();
        assert_eq!(next(&open(&disk)), [12, 1], "also when the queues were built again");
    }
}

fn put_to_b(store: &mut Store) {
    let mut bytes = Vec::new();
    batch::encode(&BatchMessage { topic: b"B", ..message(b"b", b"") }, &mut bytes);
    store.writer().unwrap().put(&bytes, &mut [0.0; 6]).unwrap();
}

#[test]
fn a_file_that_nothing_was_put_into_yet_is_there_when_those_in_front_of_it_have_expired() {
    let disk = SimDisk::new(1);
    let mut store = open(&disk);
    put(&mut store, 0, &[1; 3000]).unwrap();
    flush(&mut store, &disk);
    disk.set_room(Some(0));
    assert_eq!(put(&mut store, 0, &[1; 3000]).unwrap_err().code, Code::Full);
    assert_eq!(store.reader().positions().end, 4096, "the next file is there");
    disk.set_room(None);
    assert_eq!(expire_all(store, &disk), 4096);
    let mut store = open(&cut_off(&disk));
    assert_eq!((store.reader().positions().min, store.reader().positions().end), (4096, 4096));
    put(&mut store, 0, b"goes on").unwrap();
    assert_eq!(store.reader().offsets(b"T", 0), QueueOffsets { min: 1, max: 2, next: 2 });
}
