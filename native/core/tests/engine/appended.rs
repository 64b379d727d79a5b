//! What was appended is read back as columns, without bodies, and damage is said where it is.

use crate::support::*;
use moraine_core::batch::BatchMessage;
use moraine_core::engine::Appended;
use moraine_core::error::{Code, Detail};
use moraine_core::format::hash::tags_code;
use moraine_core::format::record::{Address, Host};
use moraine_core::memory::MemoryStorage;
use moraine_core::options::{DEFAULT_DELAY_LEVELS_MS, FlushMode, Options};

/// Everything from `from` on, in pieces of `max`: (physical offset, queue offset, size).
fn rows(store: &Store, from: u64, max: usize) -> Vec<(u64, f64, u64)> {
    let (log, mut appended) = (store.reader().log(), Appended::default());
    let (mut at, mut found) = (from, Vec::new());
    while at < log.end() {
        let next = appended.read(&log, &DEFAULT_DELAY_LEVELS_MS, at, u64::MAX, max).unwrap();
        assert!(next > at && appended.len() <= max);
        found.extend(
            (0..appended.len()).map(|i| (appended.physical_offsets[i] as u64, appended.queue_offsets[i], appended.sizes[i] as u64)),
        );
        at = next;
    }
    found
}

#[test]
fn rows_are_the_messages_put_over_rolls_in_pieces_of_any_size() {
    let mut store = open(&MemoryStorage::default(), small()).unwrap();
    let put: Vec<_> = put_numbered(&mut store, 100).into_iter().map(|(at, offset, size)| (at, offset as f64, size)).collect();
    for max in [1, 7, 1000] {
        assert_eq!(rows(&store, 0, max), put);
    }
    assert_eq!(rows(&store, put[40].0, 9), put[40..]);
    let mut appended = Appended::default();
    assert_eq!(appended.read(&store.reader().log(), &DEFAULT_DELAY_LEVELS_MS, 0, put[3].0, 100).unwrap(), put[3].0, "ends at `to`");
    assert_eq!(appended.len(), 3);
}

#[test]
fn a_row_has_all_facts_whatever_the_hosts_and_the_body() {
    let mut store = open(&MemoryStorage::default(), Options { segment_bytes: 1 << 20, ..small() }).unwrap();
    let long = vec![7; 300_000];
    let v6 = Host { address: Address::V6([9; 16]), port: 1 };
    let messages = [
        BatchMessage { topic: b"A", queue_id: 3, ..message(&long, b"TAGS\x01paid\x02") },
        BatchMessage { topic: b"B", born_host: v6, store_host: v6, sys_flag: 0x30, ..message(b"", b"") },
        BatchMessage { topic: b"A", sys_flag: 0x4, ..message(b"x", b"") },
        BatchMessage { topic: b"A", sys_flag: 0x8, queue_id: 3, ..message(b"x", b"TAGS\x01\xe5\xba\x97\x02") },
    ];
    put(&mut store, &messages).unwrap();
    let mut appended = Appended::default();
    appended.read(&store.reader().log(), &DEFAULT_DELAY_LEVELS_MS, 0, u64::MAX, 100).unwrap();
    assert_eq!(appended.topics, ["A", "B"]);
    assert_eq!(appended.topic_indexes, [0, 1, 0, 0]);
    assert_eq!(appended.queue_ids, [3, 0, 0, 3]);
    assert_eq!(appended.queue_offsets, [0.0, 0.0, -1.0, 1.0], "a prepared message stands in no queue");
    assert_eq!(appended.store_timestamps, [NOW as f64; 4]);
    assert_eq!(appended.tags_codes, [tags_code(b"paid") as f64, 0.0, 0.0, tags_code("店".as_bytes()) as f64]);
}

#[test]
fn only_what_is_visible_is_read() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, Options { flush: FlushMode::Sync, ..small() }).unwrap();
    put_numbered(&mut store, 3);
    assert_eq!(rows(&store, 0, 10), []);
    flush(&mut store, &storage);
    assert_eq!(rows(&store, 0, 10).len(), 3);
}

#[test]
fn bytes_that_are_no_record_end_a_piece_and_are_an_error_with_the_way_on() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    let put = put_numbered(&mut store, 6);
    // Total size, magic, physical offset, body length.
    for (at, bytes) in [(0, [0, 0, 0, 91]), (0, [127, 0, 0, 0]), (4, [1, 2, 3, 4]), (32, [0, 0, 1, 1]), (84, [0, 0, 9, 9]), (84, [255; 4])]
    {
        let mut before = [0; 4];
        let place = put[2].0 + at;
        let (segment, log) = (store.reader().log().segments().find(place).unwrap().segment.clone(), store.reader().log());
        moraine_core::storage::Segment::read_at(segment.as_ref(), place, &mut before).unwrap();
        moraine_core::storage::Segment::fill(segment.as_ref(), place, 4, |out| out.copy_from_slice(&bytes)).unwrap();
        let mut appended = Appended::default();
        assert_eq!(appended.read(&log, &DEFAULT_DELAY_LEVELS_MS, 0, u64::MAX, 100).unwrap(), put[2].0);
        assert_eq!(appended.len(), 2);
        let error = appended.read(&log, &DEFAULT_DELAY_LEVELS_MS, put[2].0, u64::MAX, 100).unwrap_err();
        assert_eq!(error.code, Code::Corrupt);
        let next = error.details.iter().find(|(name, _)| *name == "nextOffset").map(|(_, detail)| detail.clone());
        assert_eq!(next, Some(Detail::Number(put[3].0 as i64)), "{bytes:?} at {at}: {error}");
        assert_eq!(appended.read(&log, &DEFAULT_DELAY_LEVELS_MS, put[3].0, u64::MAX, 100).unwrap(), log.end());
        moraine_core::storage::Segment::fill(segment.as_ref(), place, 4, |out| out.copy_from_slice(&before)).unwrap();
    }
}

#[test]
fn the_tags_code_of_a_delayed_message_is_the_time_of_its_delivery() {
    let mut store = open(&MemoryStorage::default(), small()).unwrap();
    put(&mut store, &[BatchMessage { topic: b"SCHEDULE_TOPIC_XXXX", queue_id: 1, ..message(b"m", b"DELAY\x012\x02") }]).unwrap();
    let mut appended = Appended::default();
    appended.read(&store.reader().log(), &DEFAULT_DELAY_LEVELS_MS, 0, u64::MAX, 10).unwrap();
    let (_, entries) = store.reader().entries(b"SCHEDULE_TOPIC_XXXX", 1, 0, 1).unwrap();
    assert_eq!(appended.tags_codes, [(NOW + 5_000) as f64]);
    assert_eq!(entries[0].tags_code, NOW + 5_000);
}
