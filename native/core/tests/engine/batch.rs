//! Batch queues: an entry stands for several messages, whose offsets the store gives all at once.

use crate::support::batches::*;
use crate::support::*;
use moraine_core::batch::BatchMessage;
use moraine_core::engine::{Boundary, GetStatus};
use moraine_core::error::Code;
use moraine_core::format::record::Record;
use moraine_core::memory::MemoryClock;
use moraine_core::options::{FlushMode, Options};

#[test]
fn an_inner_batch_takes_as_many_offsets_as_it_has_messages() {
    let storage = with_topics();
    let mut store = open(&storage, Options { record_crc: false, ..small() }).unwrap();
    assert_eq!(put_inner(&mut store, 2).1, 0);
    assert_eq!(put(&mut store, &[plain(b"single")]).unwrap()[0].1, 2);
    let (physical, base, size) = put_inner(&mut store, 2);
    assert_eq!(base, 3);
    assert_eq!(store.reader().offsets(b"B", 0).max, 5);
    // The whole batch is returned for an offset inside it.
    assert_eq!(ask(&store, 1, 32), (GetStatus::Found, 5, vec![0, 2, 3]));
    let mut bytes = vec![0; size as usize];
    store.reader().log().read_record(physical, &mut bytes).unwrap();
    let record = Record::parse(&bytes).unwrap();
    assert_eq!(record.properties(), b"INNER_BASE\x013\x02UNIQ_KEY\x01key2\x02INNER_NUM\x012\x02");
    assert_eq!((record.queue_offset(), record.sys_flag()), (3, INNER));

    write_behind(&mut store, &storage);
    let entry = units(&storage)[2];
    assert_eq!((entry.physical, entry.base, entry.messages, entry.store_timestamp), (physical, 3, 2, NOW));
    assert!(storage.paths().iter().all(|path| !path.starts_with("consumequeue/B")), "RocketMQ would not start with both");
    assert_eq!(store.reader().topics(), ["B"]);
    assert_eq!(store.reader().queues(b"B"), [0]);
}

#[test]
fn get_counts_messages_and_answers_with_the_statuses_of_rocketmq() {
    let storage = with_topics();
    let mut store = open(&storage, small()).unwrap();
    assert_eq!(ask(&store, 0, 8), (GetStatus::NoMatchedLogicQueue, 0, vec![]));
    for _ in 0..4 {
        put_inner(&mut store, 5);
    }
    write_behind(&mut store, &storage);
    put_inner(&mut store, 5);
    assert_eq!(ask(&store, 0, 1), (GetStatus::Found, 5, vec![0]), "always one batch");
    assert_eq!(ask(&store, 0, 9), (GetStatus::Found, 5, vec![0]));
    assert_eq!(ask(&store, 0, 10), (GetStatus::Found, 10, vec![0, 5]));
    assert_eq!(ask(&store, 14, 11), (GetStatus::Found, 20, vec![10, 15]));
    assert_eq!(ask(&store, 24, 100), (GetStatus::Found, 25, vec![20]));
    assert_eq!(ask(&store, 25, 8), (GetStatus::OffsetOverflowOne, 25, vec![]));
    assert_eq!(ask(&store, 26, 8), (GetStatus::OffsetOverflowBadly, 25, vec![]));
    let (first, entries) = store.reader().entries(b"B", 0, 7, 2).unwrap();
    assert_eq!((first, entries.len()), (5, 2));
}

#[test]
fn a_synchronous_store_shows_a_batch_when_it_is_durable() {
    let storage = with_topics();
    let mut store = open(&storage, Options { flush: FlushMode::Sync, ..small() }).unwrap();
    put_inner(&mut store, 3);
    flush(&mut store, &storage);
    put_inner(&mut store, 4);
    write_behind(&mut store, &storage);
    assert_eq!(units(&storage).len(), 1, "only what is durable leaves memory");
    let offsets = store.reader().offsets(b"B", 0);
    assert_eq!((offsets.max, offsets.next), (3, 7));
    assert_eq!(ask(&store, 0, 32), (GetStatus::Found, 3, vec![0]));
    assert_eq!(ask(&store, 3, 32), (GetStatus::OffsetOverflowOne, 3, vec![]));
    flush(&mut store, &storage);
    assert_eq!(ask(&store, 3, 32), (GetStatus::Found, 7, vec![3]));
}

#[test]
fn times_are_found_in_the_file_that_begins_before_them() {
    let (storage, clock) = (with_topics(), MemoryClock::at(NOW));
    let mut store = open_at(&storage, small(), &clock).unwrap();
    for n in 0..15 {
        clock.set(NOW + 10 * n);
        put_inner(&mut store, 2);
    }
    let by = |store: &Store, time: i64, boundary| store.reader().offset_by_time(b"B", 0, NOW + time, boundary).unwrap();
    for written in [false, true] {
        if written {
            write_behind(&mut store, &storage);
        }
        assert_eq!([-1, 0, 5, 50, 85].map(|time| by(&store, time, Boundary::Lower)), [0, 0, 2, 10, 18]);
        assert_eq!(by(&store, 95, Boundary::Lower), 18, "behind the last batch of its file: that batch");
        assert_eq!(by(&store, 1000, Boundary::Lower), 28);
        assert_eq!(store.reader().time_of(b"B", 0, 3).unwrap(), Some(NOW + 10));
        assert_eq!(store.reader().time_of(b"B", 0, 30).unwrap(), None);
    }
    assert_eq!(store.reader().offset_by_time(b"B", 9, NOW, Boundary::Lower).unwrap(), 0);
}

#[test]
fn what_rocketmq_calls_illegal_is_refused() {
    let storage = with_topics();
    let mut store = open(&storage, small()).unwrap();
    let body = wire(2);
    let inner = |properties: &'static [u8]| BatchMessage { topic: b"B", sys_flag: INNER, ..message(&body, properties) };
    let cases = [
        (BatchMessage { sys_flag: 0, ..inner(b"INNER_NUM\x012\x02") }, "properties", "leave it out"),
        (BatchMessage { topic: b"T", sys_flag: 0, ..inner(b"INNER_NUM\x012\x02") }, "properties", "leave it out"),
        (BatchMessage { topic: b"T", ..inner(b"INNER_NUM\x012\x02") }, "topic", "queue.type=BatchCQ"),
        (inner(b"TAGS\x01a\x02"), "properties", "needs the property INNER_NUM"),
        (inner(b"INNER_NUM\x01two\x02"), "properties", "from 1 to 32767"),
        (inner(b"INNER_NUM\x010\x02"), "properties", "from 1 to 32767"),
        (inner(b"INNER_NUM\x0132768\x02"), "properties", "from 1 to 32767"),
        (inner(b"INNER_NUM\x013\x02"), "body", "the body holds 2 messages, INNER_NUM says 3"),
        (BatchMessage { body: &body[..40], ..inner(b"INNER_NUM\x011\x02") }, "body", "lengths in it do not add up"),
        (BatchMessage { body: b"", ..inner(b"INNER_NUM\x011\x02") }, "body", "holds 0 messages"),
        (BatchMessage { sys_flag: INNER | 0x4, ..inner(b"INNER_NUM\x012\x02") }, "sysFlag", "transaction"),
    ];
    for (message, argument, words) in cases {
        let error = refusal(&mut store, message);
        assert_eq!(error.code, Code::InvalidArgument);
        assert!(error.message.contains(words), "{error}");
        assert!(error.details.contains(&("argument", moraine_core::error::Detail::Text(argument.into()))), "{error:?}");
    }
    assert_eq!(store.reader().positions().end, 0);
    assert_eq!(put_inner(&mut store, 2).1, 0, "nothing was taken by those");
}

#[test]
fn the_messages_of_a_compressed_batch_are_taken_for_what_inner_num_says() {
    let storage = with_topics();
    let mut store = open(&storage, small()).unwrap();
    let batch = BatchMessage { topic: b"B", sys_flag: INNER | 1, ..message(b"compressed", b"INNER_NUM\x017\x02") };
    put(&mut store, &[batch]).unwrap();
    assert_eq!(store.reader().offsets(b"B", 0).max, 7);
}

#[test]
fn an_inner_base_of_the_caller_is_replaced() {
    let storage = with_topics();
    let mut store = open(&storage, Options { record_crc: false, ..small() }).unwrap();
    let body = wire(1);
    let properties = b"INNER_BASE\x01999\x02KEYS\x01k\x02INNER_NUM\x011\x02INNER_BASE\x017";
    let batch = BatchMessage { topic: b"B", sys_flag: INNER, ..message(&body, properties) };
    let (physical, _, size) = put(&mut store, &[batch]).unwrap()[0];
    let mut bytes = vec![0; size as usize];
    store.reader().log().read_record(physical, &mut bytes).unwrap();
    assert_eq!(Record::parse(&bytes).unwrap().properties(), b"INNER_BASE\x010\x02KEYS\x01k\x02INNER_NUM\x011\x02");
    let mut found = store.reader().lookup(b"B", b"k").unwrap();
    assert!(found.next_record(0, i64::MAX).unwrap().is_some(), "its keys are found where they stand now");
}

#[test]
fn a_batch_goes_to_light_queues_too() {
    let storage = with_topics();
    let mut store = open(&storage, Options { record_crc: false, ..small() }).unwrap();
    put(&mut store, &[plain(b"m0")]).unwrap();
    let body = wire(2);
    let properties = b"INNER_MULTI_DISPATCH\x01%LMQ%x\x02INNER_NUM\x012\x02";
    let batch = BatchMessage { topic: b"B", sys_flag: INNER, ..message(&body, properties) };
    let (physical, base, size) = put(&mut store, &[batch]).unwrap()[0];
    assert_eq!(base, 1);
    let mut bytes = vec![0; size as usize];
    store.reader().log().read_record(physical, &mut bytes).unwrap();
    let expected = [&b"INNER_BASE\x011\x02"[..], properties, b"INNER_MULTI_QUEUE_OFFSET\x010\x02"].concat();
    assert_eq!(Record::parse(&bytes).unwrap().properties(), expected);
    let crashed = storage.snapshot();
    close(store);
    for copy in [storage, crashed] {
        let store = open(&copy, small()).unwrap();
        let light = store.reader().entries(b"%LMQ%x", 0, 0, 9).unwrap().1;
        assert_eq!(light.iter().map(|entry| entry.physical).collect::<Vec<_>>(), [physical]);
        assert_eq!(walk(&store), [0, 1]);
        assert_eq!(store.reader().topics(), ["%LMQ%x", "B"]);
    }
}

#[test]
fn a_group_for_a_batch_topic_is_plain_messages() {
    let storage = with_topics();
    let mut store = open(&storage, small()).unwrap();
    put_inner(&mut store, 3);
    let mut batch = Vec::new();
    [plain(b"a"), plain(b"b")].iter().for_each(|message| moraine_core::batch::encode(message, &mut batch));
    let mut results = vec![0.0; 64];
    assert_eq!(store.writer().unwrap().put_group(&batch, &mut results), Ok(2));
    assert_eq!(walk(&store), [0, 3, 4]);
    let body = wire(2);
    let inner = BatchMessage { topic: b"B", sys_flag: INNER, ..message(&body, b"INNER_NUM\x012\x02") };
    batch.clear();
    moraine_core::batch::encode(&inner, &mut batch);
    let (stored, error) = store.writer().unwrap().put_group(&batch, &mut results).unwrap_err();
    assert_eq!(stored, 0);
    assert!(error.message.contains("not in a group"), "{error}");
}
