//! What RocketMQ does with a log that we do not: it zeroes neither log nor queues when it takes a log back, and it does not look
//! at where a record says that it lies.

use crate::support::*;
use moraine_core::batch::BatchMessage;
use moraine_core::format::queue_entry::QueueEntry;
use moraine_core::memory::{MemoryClock, MemoryStorage};
use moraine_core::options::Options;

fn assert_complete(store: &Store, count: usize) {
    assert_eq!(all(store), numbered(0..count));
    for n in 0..count {
        assert_eq!(lookup(store, &format!("k{n}")), [format!("m{n}")], "key k{n}");
    }
}

#[test]
fn what_rocketmq_left_behind_the_log_that_it_took_back_is_no_message() {
    let (log, queue) = ("commitlog/00000000000000000000", "consumequeue/T/0/00000000000000000000");
    let options = Options { segment_bytes: 65_536, queue_file_entries: 200, ..small() };
    let older = MemoryStorage::default();
    let mut store = open(&older, options.clone()).unwrap();
    put_numbered(&mut store, 100);
    close(store);
    // 60 of them, and 10 that were put later.
    let storage = MemoryStorage::default();
    let clock = MemoryClock::at(NOW);
    let mut store = open_at(&storage, options.clone(), &clock).unwrap();
    put_numbered(&mut store, 60);
    clock.set(NOW + 60_000);
    (60..70).for_each(|n| {
        let body = format!("m{n}");
        let properties = format!("KEYS\u{1}k{n}\u{2}later\u{1}by a minute\u{2}");
        put(&mut store, &[message(body.as_bytes(), properties.as_bytes())]).unwrap();
    });
    let end = store.reader().positions().end as usize;
    close(store);
    for (path, from) in [(log, end), (queue, 70 * 20)] {
        let (mut bytes, old) = (storage.contents(path).unwrap(), older.contents(path).unwrap());
        bytes[from..].copy_from_slice(&old[from..]);
        storage.place(path, &bytes);
    }
    storage.remove_tree("moraine");
    let mut store = open(&storage, options.clone()).unwrap();
    assert_eq!(store.reader().positions().end, end as u64);
    assert_eq!(findings(&store), ["cut"]);
    assert_complete(&store, 70);
    assert_eq!(put_number(&mut store, 70).1, 70);
    close(store);
    assert!(storage.contents(queue).unwrap()[71 * 20..].iter().all(|&byte| byte == 0));
    assert_complete(&open(&storage, options).unwrap(), 71);
}

/// A power cut left pieces of records behind the log that RocketMQ took back, and entries that lead among them.
#[test]
fn what_is_left_of_torn_records_behind_such_a_log_is_none_either() {
    let (log, queue) = ("commitlog/00000000000000000000", "consumequeue/T/1/00000000000000000000");
    let options = Options { segment_bytes: 65_536, queue_file_entries: 200, ..small() };
    let storage = MemoryStorage::default();
    let mut store = open(&storage, options.clone()).unwrap();
    let put_to = |store: &mut Store, n: usize| {
        let (body, properties) = (format!("m{n}"), format!("KEYS\u{1}k{n}\u{2}"));
        put(store, &[BatchMessage { queue_id: 1, ..message(body.as_bytes(), properties.as_bytes()) }]).unwrap();
    };
    (0..5).for_each(|n| put_to(&mut store, n));
    put_numbered(&mut store, 20);
    let end = store.reader().positions().end;
    close(store);
    storage.remove_tree("moraine");
    for (leads_to, is_stale) in [(end + 30, true), (end, false)] {
        let storage = storage.snapshot();
        let mut bytes = storage.contents(log).unwrap();
        bytes[end as usize..][..150].fill(b'9');
        storage.place(log, &bytes);
        let mut entries = storage.contents(queue).unwrap();
        let stale = QueueEntry { physical: leads_to, size: 150 - (leads_to - end) as u32, tags_code: 0 };
        entries[5 * 20..6 * 20].copy_from_slice(&stale.encode());
        storage.place(queue, &entries);
        let mut store = open(&storage, options.clone()).unwrap();
        assert_eq!(all(&store), numbered(0..20));
        let (found, next) = (store.reader().positions().end, store.reader().offsets(b"T", 1).next);
        if is_stale {
            assert_eq!((found, next, findings(&store)), (end, 5, vec!["cut"]));
            put_to(&mut store, 5);
            assert_eq!(get(&store, "T", 1, 0, 9).unwrap().2, numbered(0..6));
        } else {
            assert_eq!((found, next), (end + 150, 6), "a damaged record, and not the end of the log");
        }
    }
}

#[test]
fn after_a_crash_a_record_that_says_it_lies_elsewhere_costs_itself_alone() {
    const PHYSICAL_OFFSET_AT: usize = 28;
    let log = "commitlog/00000000000000000000";
    let storage = MemoryStorage::default();
    let options = Options { record_crc: false, ..small() };
    let mut store = open(&storage, options.clone()).unwrap();
    let places: Vec<_> = (0..20).map(|n| put_number(&mut store, n)).collect();
    let crashed = storage.snapshot();
    crashed.remove_tree("moraine");
    let mut bytes = crashed.contents(log).unwrap();
    bytes[places[8].0 as usize + PHYSICAL_OFFSET_AT] ^= 1;
    crashed.place(log, &bytes);
    let store = open(&crashed, options.clone()).unwrap();
    assert_eq!(findings(&store), ["unclean", "damaged", "queue-gap"]);
    assert_eq!(store.reader().offsets(b"T", 0).next, 20);
    assert_eq!(get(&store, "T", 0, 9, 100).unwrap().2, numbered(9..20));
    drop(store);
    // The last one: nothing says that it was whole.
    let crashed = storage.snapshot();
    crashed.remove_tree("moraine");
    let mut bytes = crashed.contents(log).unwrap();
    bytes[places[19].0 as usize + PHYSICAL_OFFSET_AT] ^= 1;
    crashed.place(log, &bytes);
    let store = open(&crashed, options).unwrap();
    assert_eq!(findings(&store), ["unclean", "cut"]);
    assert_eq!(all(&store), numbered(0..19));
}
