//! What is put is read back: by offset, by key, by time, over rolls of every kind of file.

use crate::support::*;
use moraine_core::batch::BatchMessage;
use moraine_core::engine::{Boundary, GetRequest, GetStatus, ScanItem, Scanner};
use moraine_core::error::Code;
use moraine_core::memory::{MemoryClock, MemoryStorage};
use moraine_core::options::{Compat, FlushMode, Options};
use moraine_core::storage::Storage;

#[test]
fn messages_are_read_back_in_order_over_rolls_of_log_queue_and_index() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    let put = put_numbered(&mut store, 100);
    assert_eq!(put.iter().map(|&(_, queue_offset, _)| queue_offset).collect::<Vec<_>>(), (0..100).collect::<Vec<_>>());
    assert!(store.reader().stats().segments_rolled > 2);
    assert_eq!(all(&store), numbered(0..100));
    for n in 0..100 {
        assert_eq!(lookup(&store, &format!("k{n}")), [format!("m{n}")]);
    }
    write_behind(&mut store, &storage);
    assert_eq!(store.reader().stats().waiting_entries, 0);
    assert!(store.reader().stats().index_files > 2);
    assert_eq!(all(&store), numbered(0..100));
    for n in 0..100 {
        assert_eq!(lookup(&store, &format!("k{n}")), [format!("m{n}")], "key k{n} from files");
    }
}

#[test]
fn a_batch_goes_over_the_end_of_a_segment() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    let bodies: Vec<String> = (0..60).map(|n| format!("m{n}")).collect();
    let messages: Vec<_> = bodies.iter().map(|body| message(body.as_bytes(), b"")).collect();
    let put = put(&mut store, &messages).unwrap();
    assert_eq!(put.len(), 60);
    assert_eq!(all(&store), bodies);
    let view = store.reader().log();
    let mut scanner = Scanner::new(view, 0, u64::MAX);
    let mut seen = Vec::new();
    while let Some(item) = scanner.next_item().unwrap() {
        seen.push(item);
    }
    let found: Vec<u64> = seen.iter().filter_map(|item| if let ScanItem::Message { at, .. } = item { Some(*at) } else { None }).collect();
    assert_eq!(found, put.iter().map(|&(physical, _, _)| physical).collect::<Vec<_>>());
    let blanks: Vec<u64> =
        seen.iter().filter_map(|item| if let ScanItem::Blank { at, size } = item { Some(at + size) } else { None }).collect();
    assert_eq!(blanks, [4096, 8192][..blanks.len()]);
    assert!(!blanks.is_empty());
}

#[test]
fn get_answers_with_the_statuses_of_rocketmq() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    assert_eq!(get(&store, "T", 0, 5, 8).unwrap(), (GetStatus::NoMatchedLogicQueue, 0, vec![]));
    put_numbered(&mut store, 3);
    assert_eq!(get(&store, "T", 0, 0, 2).unwrap(), (GetStatus::Found, 2, numbered(0..2)));
    assert_eq!(get(&store, "T", 0, 2, 8).unwrap(), (GetStatus::Found, 3, numbered(2..3)));
    assert_eq!(get(&store, "T", 0, 3, 8).unwrap(), (GetStatus::OffsetOverflowOne, 3, vec![]));
    assert_eq!(get(&store, "T", 0, 4, 8).unwrap(), (GetStatus::OffsetOverflowBadly, 3, vec![]));
    assert_eq!(get(&store, "T", 1, 0, 8).unwrap(), (GetStatus::NoMatchedLogicQueue, 0, vec![]));
}

#[test]
fn prepared_and_rolled_back_messages_take_no_place_in_a_queue() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    let mut messages =
        [message(b"m0", b""), message(b"p", b"KEYS\x01prepared\x02"), message(b"m1", b""), message(b"r", b"KEYS\x01rolled\x02")];
    messages[1].sys_flag = 0x4;
    messages[2].sys_flag = 0x8;
    messages[3].sys_flag = 0xC;
    let put = put(&mut store, &messages).unwrap();
    assert_eq!(put.iter().map(|&(_, offset, _)| offset).collect::<Vec<_>>(), [0, 0, 1, 0]);
    assert_eq!(all(&store), ["m0", "m1"]);
    assert_eq!(lookup(&store, "prepared"), ["p"]);
    assert!(lookup(&store, "rolled").is_empty());
}

#[test]
fn a_time_finds_the_first_message_at_or_after_it_and_the_last_at_or_before_it() {
    let (storage, clock) = (MemoryStorage::default(), MemoryClock::at(NOW));
    let mut store = open_at(&storage, small(), &clock).unwrap();
    for (n, time) in [10, 20, 20, 30].into_iter().enumerate() {
        clock.set(NOW + time);
        put_number(&mut store, n);
    }
    write_behind(&mut store, &storage);
    let by = |time, boundary| store.reader().offset_by_time(b"T", 0, NOW + time, boundary).unwrap();
    assert_eq!([5, 10, 15, 20, 25, 30, 31].map(|time| by(time, Boundary::Lower)), [0, 0, 1, 1, 3, 3, 4]);
    assert_eq!([5, 10, 15, 20, 25, 30, 31].map(|time| by(time, Boundary::Upper)), [0, 0, 0, 2, 2, 3, 3]);
    assert_eq!(store.reader().time_of(b"T", 0, 3).unwrap(), Some(NOW + 30));
    assert_eq!(store.reader().time_of(b"T", 0, 4).unwrap(), None);
}

#[test]
fn a_clock_that_goes_back_a_little_holds_the_store_time_and_one_that_jumps_is_followed_and_reported() {
    let (storage, clock) = (MemoryStorage::default(), MemoryClock::at(NOW));
    let mut store = open_at(&storage, small(), &clock).unwrap();
    put_number(&mut store, 0);
    clock.set(NOW - 1000);
    put_number(&mut store, 1);
    assert_eq!(store.reader().time_of(b"T", 0, 1).unwrap(), Some(NOW));
    clock.set(NOW - 86_400_000);
    put_number(&mut store, 2);
    assert_eq!(store.reader().time_of(b"T", 0, 2).unwrap(), Some(NOW - 86_400_000));
    assert_eq!(store.reader().health().unwrap().findings.iter().map(|f| f.kind).collect::<Vec<_>>(), ["clock"]);
}

#[test]
fn a_synchronous_store_shows_only_what_is_durable() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, Options { flush: FlushMode::Sync, ..small() }).unwrap();
    put_numbered(&mut store, 5);
    assert_eq!(get(&store, "T", 0, 0, 8).unwrap().0, GetStatus::NoMessageInQueue);
    assert_eq!(store.reader().offsets(b"T", 0).max, 0);
    assert_eq!(store.reader().offsets(b"T", 0).next, 5);
    assert!(lookup(&store, "k0").is_empty());
    assert!(store.writer().unwrap().plan_behind().is_none_or(|plan| plan.run(&storage).is_ok()));
    flush(&mut store, &storage);
    assert_eq!(all(&store), numbered(0..5));
    assert_eq!(lookup(&store, "k0"), ["m0"]);
}

#[test]
fn a_bad_message_anywhere_in_a_batch_stores_nothing() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    let long = vec![0; 5000];
    let mut negative = message(b"x", b"");
    negative.queue_id = -1;
    let mut bad_topic = message(b"x", b"");
    bad_topic.topic = b"../../x";
    let mut inner_batch = message(b"x", b"");
    inner_batch.sys_flag = 0x80;
    let long_properties = vec![b'p'; 32_760];
    let mut no_topic = message(b"x", b"");
    no_topic.topic = b"";
    assert_eq!(put(&mut store, &[no_topic]).unwrap_err().1.code, Code::InvalidArgument);
    for (bad, code) in [
        (negative, Code::InvalidArgument),
        (bad_topic, Code::InvalidArgument),
        (inner_batch, Code::InvalidArgument),
        (message(&long, b""), Code::MessageTooLarge),
        (message(b"x", &long_properties), Code::MessageTooLarge),
    ] {
        let (stored, error) = put(&mut store, &[message(b"good", b""), bad]).unwrap_err();
        assert_eq!((stored, error.code), (0, code), "{error}");
    }
    assert_eq!(store.reader().positions().end, 0);
    assert!(store.reader().topics().is_empty());
    put_numbered(&mut store, 1);
    assert_eq!(all(&store), ["m0"]);
}

#[test]
fn with_compat_4_9_a_topic_that_needs_a_v2_record_is_refused() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, Options { compat: Compat::V4_9, ..small() }).unwrap();
    let topic = [b"%RETRY%".as_slice(), &[b'g'; 121]].concat();
    let mut retry = message(b"x", b"");
    retry.topic = &topic;
    assert_eq!(put(&mut store, &[retry]).unwrap_err().1.code, Code::InvalidArgument);
}

#[test]
fn a_store_of_tiny_gets_stops_before_the_bytes_asked_for_but_always_gives_one() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    let sizes: Vec<u64> = put_numbered(&mut store, 4).iter().map(|&(_, _, size)| size).collect();
    let mut resolved = moraine_core::engine::Resolved::default();
    let mut ask = |max_bytes, out: usize| {
        store.reader().resolve(&GetRequest { topic: b"T", max: 32, max_bytes, ..GetRequest::default() }, &mut resolved).unwrap();
        resolved.copy(&mut vec![0; out], &mut [0.0; 32]).unwrap()
    };
    assert_eq!(ask(1, 4096).messages, 1);
    assert_eq!(ask((sizes[0] + sizes[1]) as usize, 4096).messages, 2);
    let small_buffer = ask(4096, 10);
    assert_eq!((small_buffer.messages, small_buffer.needed, small_buffer.next), (0, sizes[0] as usize, 0));
    assert_eq!(ask(4096, (sizes[0] + 1) as usize).next, 1);
}

#[test]
fn a_poisoned_store_shows_nothing_above_what_is_durable_even_if_its_entries_are_in_files() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    put_numbered(&mut store, 2);
    flush(&mut store, &storage);
    put_number(&mut store, 2);
    write_behind(&mut store, &storage);
    store.poison(moraine_core::error::Error::new(Code::Io, "fdatasync failed"));
    assert_eq!(get(&store, "T", 0, 0, 8).unwrap().2, numbered(0..2));
    assert_eq!(get(&store, "T", 0, 2, 8).unwrap().2, [""; 0]);
}

#[test]
fn a_message_behind_a_full_index_file_begins_the_next_one_even_without_keys() {
    let keyed = || message(b"", b"KEYS\x01k\x02");
    // One of four entries is never used: the third key fills the file.
    let options = Options { index_entries: 4, ..small() };
    for batches in [vec![vec![keyed(); 3], vec![message(b"", b"")]], vec![vec![keyed(), keyed(), keyed(), message(b"", b"")]]] {
        let storage = MemoryStorage::default();
        let mut store = open(&storage, options.clone()).unwrap();
        for batch in &batches {
            put(&mut store, batch).unwrap();
        }
        close(store);
        let files: Vec<_> = storage.list("index").unwrap().unwrap();
        let headers: Vec<_> = files.iter().map(|file| storage.contents(&format!("index/{}", file.name)).unwrap()).collect();
        let counts: Vec<_> = headers.iter().map(|bytes| u32::from_be_bytes(bytes[36..40].try_into().unwrap())).collect();
        assert_eq!(counts, [4, 1], "{} batches", batches.len());
        assert_eq!(headers[1][24..32], headers[0][24..32], "the new file says where the one before it ended");
    }
}

#[test]
fn a_message_that_takes_no_place_in_a_queue_makes_none() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    let mut prepared = message(b"p", b"");
    prepared.sys_flag = 0x4;
    put(&mut store, &[prepared]).unwrap();
    assert!(store.reader().topics().is_empty());
    assert!(store.reader().queues(b"T").is_empty());
    assert_eq!(store.reader().stats().queues, 0);
    assert_eq!(get(&store, "T", 0, 0, 8).unwrap().0, GetStatus::NoMatchedLogicQueue);
}

#[test]
fn the_checksum_of_another_record_does_not_count_towards_a_limit() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    let stale = b"__CRC32#\x010123456789\x02";
    let body = vec![b'x'; 4096 - 8 - 92 - 20];
    assert_eq!(put(&mut store, &[message(&body, stale)]).unwrap(), [(0, 0, 4088)]);
    let longest = [&stale[..], &vec![b'p'; 32_746], b"\x02"].concat();
    let mut roomy = open(&MemoryStorage::default(), Options { segment_bytes: 65_536, ..small() }).unwrap();
    assert!(put(&mut roomy, &[message(b"", &longest)]).is_ok());
}

#[test]
fn topics_that_differ_in_case_alone_are_two() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    for (topic, body) in [(b"topic", b"a"), (b"Topic", b"b"), (b"TOPIC", b"c"), (b"topic", b"d")] {
        put(&mut store, &[BatchMessage { topic, ..message(body, b"") }]).unwrap();
    }
    close(store);
    for gone in [&[][..], &["moraine", "consumequeue", "checkpoint"]] {
        gone.iter().for_each(|name| storage.remove_tree(name));
        let store = open(&storage, small()).unwrap();
        assert_eq!(store.reader().topics(), ["TOPIC", "Topic", "topic"]);
        assert_eq!(["topic", "Topic", "TOPIC"].map(|topic| get(&store, topic, 0, 0, 9).unwrap().2.concat()), ["ad", "b", "c"]);
        close(store);
    }
}
