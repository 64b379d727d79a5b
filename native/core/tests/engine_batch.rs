//! Batch queues: an entry stands for several messages, whose offsets the store gives all at once.

mod support;

use moraine_core::batch::BatchMessage;
use moraine_core::engine::{Boundary, GetStatus, Resolved};
use moraine_core::error::{Code, Error};
use moraine_core::format::batch_entry::BatchEntry;
use moraine_core::format::record::Record;
use moraine_core::memory::{MemoryClock, MemoryStorage};
use moraine_core::options::{FlushMode, Options};
use support::*;

const INNER: i32 = 0xC0;
const TOPICS: &str = r#"{"topicConfigTable":{"B":{"attributes":{"queue.type":"BatchCQ"}},"T":{"attributes":{}}}}"#;

fn with_topics() -> MemoryStorage {
    let storage = MemoryStorage::default();
    storage.place("config/topics.json", TOPICS.as_bytes());
    storage
}

/// A wire batch of `count` messages (store-format §2.9).
fn wire(count: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for n in 0..count {
        let body = format!("inner {n}");
        out.extend_from_slice(&(22 + body.len() as i32).to_be_bytes());
        out.extend_from_slice(&[0; 12]);
        out.extend_from_slice(&(body.len() as i32).to_be_bytes());
        out.extend_from_slice(body.as_bytes());
        out.extend_from_slice(&[0; 2]);
    }
    out
}

fn plain<'a>(body: &'a [u8]) -> BatchMessage<'a> {
    BatchMessage { topic: b"B", ..message(body, b"TAGS\x01TagB\x02") }
}

/// Puts an inner batch to queue 0 of `B`; physical offset, queue offset, size.
fn put_inner(store: &mut Store, count: usize) -> Put {
    let body = wire(count);
    let properties = format!("UNIQ_KEY\u{1}key{count}\u{2}INNER_NUM\u{1}{count}\u{2}");
    let batch = BatchMessage { topic: b"B", sys_flag: INNER, ..message(&body, properties.as_bytes()) };
    put(store, &[batch]).unwrap()[0]
}

fn refusal(store: &mut Store, message: BatchMessage<'_>) -> Error {
    let (stored, error) = put(store, &[message]).unwrap_err();
    assert_eq!(stored, 0);
    error
}

/// Status, next offset, queue offsets of the records.
fn ask(store: &Store, offset: u64, max: usize) -> (GetStatus, u64, Vec<u64>) {
    let mut resolved = Resolved::default();
    let request = moraine_core::engine::GetRequest { topic: b"B", queue_id: 0, offset, max, max_bytes: 1 << 20, filter: &[] };
    store.reader().resolve(&request, &mut resolved).unwrap();
    let (mut out, mut offsets) = (vec![0; 1 << 20], vec![0.0; max.max(1)]);
    let copied = resolved.copy(&mut out, &mut offsets).unwrap();
    (resolved.status, copied.next, offsets[..copied.messages].iter().map(|&offset| offset as u64).collect())
}

/// Every record's queue offset, read one after the other as a consumer does.
fn walk(store: &Store) -> Vec<u64> {
    let mut found = Vec::new();
    let mut offset = store.reader().offsets(b"B", 0).min;
    loop {
        let (status, next, bases) = ask(store, offset, 7);
        found.extend(bases);
        if status != GetStatus::Found {
            return found;
        }
        assert!(next > offset);
        offset = next;
    }
}

fn units(storage: &MemoryStorage) -> Vec<BatchEntry> {
    let paths = storage.paths().into_iter().filter(|path| path.starts_with("batchconsumequeue/B/0/"));
    let bytes: Vec<u8> = paths.flat_map(|path| storage.contents(&path).unwrap()).collect();
    bytes.as_chunks::<{ BatchEntry::BYTES }>().0.iter().map_while(BatchEntry::decode).collect()
}

/// Inner batches of 1 to 5 messages with plain puts between; the bases.
fn fill(store: &mut Store, clock: &MemoryClock, puts: std::ops::Range<usize>) -> Vec<u64> {
    let put_one = |n: usize| {
        clock.set(NOW + 10 * n as i64);
        match n % 3 {
            0 => put(store, &[plain(format!("m{n}").as_bytes())]).unwrap()[0].1,
            _ => put_inner(store, 1 + n % 5).1,
        }
    };
    puts.map(put_one).collect()
}

fn bases(puts: usize) -> (Vec<u64>, u64) {
    let sizes = (0..puts).map(|n| if n % 3 == 0 { 1 } else { 1 + n as u64 % 5 });
    let mut next = 0;
    let bases = sizes
        .map(|size| {
            next += size;
            next - size
        })
        .collect();
    (bases, next)
}

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
fn queues_are_the_same_after_closing_crashing_and_deleting() {
    let (storage, clock) = (with_topics(), MemoryClock::at(NOW));
    let mut store = open_at(&storage, small(), &clock).unwrap();
    let (expected, next) = bases(70);
    assert_eq!(fill(&mut store, &clock, 0..40), expected[..40]);
    write_behind(&mut store, &storage);
    assert_eq!(fill(&mut store, &clock, 40..70), expected[40..]);
    put_number(&mut store, 0); // and a plain queue beside
    let crashed = storage.snapshot();
    close(store);
    let files = units(&storage);
    assert_eq!(files.iter().map(|unit| unit.base).collect::<Vec<_>>(), expected);

    let mut copies = vec![("clean", storage.snapshot()), ("crashed", crashed)];
    for (what, trees) in [
        ("no batch queues", &["batchconsumequeue"][..]),
        ("no plain queues", &["consumequeue"]),
        ("no queues", &["batchconsumequeue", "consumequeue", "index"]),
    ] {
        let copy = storage.snapshot();
        trees.iter().for_each(|tree| copy.remove_tree(tree));
        copies.push((what, copy));
    }
    let torn = storage.snapshot();
    let last = torn.paths().into_iter().rfind(|path| path.starts_with("batchconsumequeue/B/0/")).unwrap();
    let mut file = torn.contents(&last).unwrap();
    let end = file.as_chunks::<{ BatchEntry::BYTES }>().0.iter().take_while(|unit| BatchEntry::decode(unit).is_some()).count();
    file[46 * (end - 1) + 5] ^= 1; // the newest entry leads elsewhere
    torn.place(&last, &file);
    copies.push(("a damaged newest entry", torn));
    for (what, copy) in copies {
        let read_only = open_at(&copy, Options { read_only: true, ..small() }, &clock).unwrap();
        assert_eq!(walk(&read_only), expected, "{what}, read-only");
        let mut store = open_at(&copy, small(), &clock).unwrap();
        assert_eq!(walk(&store), expected, "{what}");
        assert_eq!(store.reader().offsets(b"B", 0).next, next, "{what}");
        assert_eq!(get(&store, "T", 0, 0, 9).unwrap().2, ["m0"], "{what}");
        assert_eq!(put_inner(&mut store, 5).1, next, "{what}");
        close(store);
        assert_eq!(units(&copy)[..70], files, "{what}");
        let store = open_at(&copy, small(), &clock).unwrap();
        assert_eq!(walk(&store).len(), 71, "{what}, again");
    }
}

#[test]
fn expired_segments_raise_the_minimum_to_a_whole_batch() {
    let (storage, clock) = (with_topics(), MemoryClock::at(NOW));
    let mut store = open_at(&storage, small(), &clock).unwrap();
    fill(&mut store, &clock, 0..60);
    close(store);
    let first = units(&storage).into_iter().find(|unit| unit.physical >= 4096).unwrap();
    storage.remove_tree("commitlog/00000000000000000000");
    for trees in [&[][..], &["batchconsumequeue"]] {
        trees.iter().for_each(|tree| storage.remove_tree(tree));
        let store = open_at(&storage, small(), &clock).unwrap();
        assert_eq!(store.reader().offsets(b"B", 0).min, first.base);
        assert_eq!(ask(&store, 0, 8).0, GetStatus::OffsetTooSmall);
        assert_eq!(walk(&store)[0], first.base);
        close(store);
    }
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
fn a_topic_configured_while_the_store_is_open_is_seen_at_its_first_message() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    put_number(&mut store, 0);
    storage.place("config/topics.json", TOPICS.as_bytes());
    assert_eq!(put_inner(&mut store, 4).1, 0);
    put_number(&mut store, 1);
    storage.place("config/topics.json", TOPICS.replace("\"B\"", "\"C\"").as_bytes());
    assert_eq!(put_inner(&mut store, 4).1, 4, "what it is does not change while it is open");
    close(store);
    let store = open(&storage, small()).unwrap();
    assert_eq!(walk(&store), [0, 4]);
    assert_eq!(all(&store), numbered(0..2));
}

#[test]
fn the_table_before_counts_where_the_new_one_is_damaged() {
    let storage = MemoryStorage::default();
    storage.place("config/topics.json", b"{\"topicConfigTable\":{\"B");
    storage.place("config/topics.json.bak", TOPICS.as_bytes());
    let mut store = open(&storage, small()).unwrap();
    assert_eq!(put_inner(&mut store, 4).1, 0);
    assert!(store.reader().health().unwrap().findings.is_empty());

    let storage = MemoryStorage::default();
    storage.place("config/topics.json", b"{\"topicConfigTable\":{\"B");
    let store = open(&storage, small()).unwrap();
    let kinds: Vec<_> = store.reader().health().unwrap().findings.iter().map(|finding| finding.kind).collect();
    assert_eq!(kinds, ["topic-table"]);
}

#[test]
fn a_topic_with_queues_of_both_kinds_is_reported_and_not_written() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    put(&mut store, &[plain(b"m0")]).unwrap();
    close(store);
    storage.place("config/topics.json", TOPICS.as_bytes());
    let mut store = open(&storage, small()).unwrap();
    let health = store.reader().health().unwrap();
    assert_eq!(health.findings.iter().map(|finding| finding.kind).collect::<Vec<_>>(), ["topic-kind"]);
    let error = refusal(&mut store, plain(b"m1"));
    assert_eq!(error.code, Code::UnsupportedFormat);
    put_number(&mut store, 0);
    close(store);
    // Without the wrong queues the log gives the right ones.
    storage.remove_tree("consumequeue");
    let mut store = open(&storage, small()).unwrap();
    assert_eq!(walk(&store), [0]);
    assert_eq!(put_inner(&mut store, 3).1, 1);
    assert_eq!(all(&store), numbered(0..1));
}

#[test]
fn full_batch_queues_beside_an_empty_log_are_not_thrown_away() {
    let storage = with_topics();
    let mut store = open(&storage, small()).unwrap();
    put_inner(&mut store, 2);
    close(store);
    let before = storage.contents("batchconsumequeue/B/0/00000000000000000000");
    storage.remove_tree("commitlog");
    let error = open(&storage, small()).err().expect("refused");
    assert!(error.message.contains("is the right disk mounted"), "{error}");
    assert_eq!(storage.contents("batchconsumequeue/B/0/00000000000000000000"), before);
    storage.place("commitlog/00000000000000000000", &[0; 4096]);
    assert_eq!(open(&storage, small()).err().map(|error| error.code), Some(Code::Corrupt), "nor beside a log without a record");
}

#[test]
fn damaged_files_show_what_is_left_and_never_panic() {
    let (storage, clock) = (with_topics(), MemoryClock::at(NOW));
    let mut store = open_at(&storage, small(), &clock).unwrap();
    fill(&mut store, &clock, 0..35);
    close(store);
    let (expected, _) = bases(35);
    // A hole in the middle hides its batches, and no others.
    let holed = storage.snapshot();
    let path = "batchconsumequeue/B/0/00000000000000000460";
    let mut file = holed.contents(path).unwrap();
    file[46..92].fill(0);
    holed.place(path, &file);
    let store = open_at(&holed, small(), &clock).unwrap();
    let shown: Vec<u64> = expected.iter().enumerate().filter(|&(n, _)| n != 11).map(|(_, &base)| base).collect();
    assert_eq!(walk(&store), shown);
    // A missing file is reported.
    let missing = storage.snapshot();
    missing.remove_tree(path);
    let store = open_at(&missing, small(), &clock).unwrap();
    assert!(store.reader().health().unwrap().findings.iter().any(|finding| finding.kind == "queue-gap"));
    assert_eq!(walk(&store), [&expected[..10], &expected[20..]].concat());
    // Any bytes at all.
    for fill_byte in [0x00, 0x01, 0x7F, 0x80, 0xFF] {
        let wild = storage.snapshot();
        for path in wild.paths().into_iter().filter(|path| path.starts_with("batchconsumequeue/")) {
            wild.place(&path, &[fill_byte; 460]);
        }
        let store = open_at(&wild, small(), &clock).unwrap();
        walk(&store);
        store.reader().offset_by_time(b"B", 0, NOW, Boundary::Upper).unwrap();
    }
    let odd = storage.snapshot();
    odd.place("batchconsumequeue/B/0/00000000000000000000", &[0; 100]);
    assert_eq!(open_at(&odd, small(), &clock).err().map(|error| error.code), Some(Code::Corrupt));
}

/// `store.batchCQ` of test/fixtures/golden.json: what RocketMQ's running store made of three puts.
#[test]
fn the_files_of_a_replayed_run_are_rocketmqs() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../test/fixtures/golden.json");
    let golden: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let vector = golden["vectors"].as_array().unwrap().iter().find(|vector| vector["name"] == "store.batchCQ").unwrap();
    let files = vector["expected"]["files"].as_object().unwrap();
    let contents = |start: &str| {
        let (_, file) = files.iter().find(|(name, _)| name.starts_with(start)).unwrap();
        let digits = file["prefixHexRestZero"].as_str().unwrap();
        let byte = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
        let mut bytes: Vec<u8> = (0..digits.len()).step_by(2).map(byte).collect();
        bytes.resize(file["size"].as_u64().unwrap() as usize, 0);
        bytes
    };

    let storage = MemoryStorage::default();
    storage.place("config/topics.json", TOPICS.replace("\"B\"", "\"BTopic\"").as_bytes());
    let mut store = open(&storage, Options { record_crc: false, ..small() }).unwrap();
    let log = contents("commitlog/");
    let mut rest = &log[..];
    for expected in vector["expected"]["results"].as_array().unwrap() {
        let size = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
        let record = Record::parse(&rest[..size]).unwrap();
        let properties = record.properties();
        let given =
            if properties.starts_with(b"INNER_BASE") { properties.splitn(2, |&byte| byte == 2).nth(1).unwrap() } else { properties };
        let put = put(
            &mut store,
            &[BatchMessage {
                topic: record.topic(),
                queue_id: record.queue_id(),
                flag: record.flag(),
                sys_flag: record.sys_flag(),
                reconsume_times: record.reconsume_times(),
                born_timestamp: record.born_timestamp(),
                prepared_transaction_offset: record.prepared_transaction_offset(),
                born_host: record.born_host(),
                store_host: record.store_host(),
                body: record.body(),
                properties: given,
            }],
        );
        let (physical, offset, _) = put.unwrap()[0];
        assert_eq!((Some(physical), Some(offset)), (expected["wroteOffset"].as_u64(), expected["logicsOffset"].as_u64()));
        rest = &rest[size..];
    }
    assert_eq!(Some(store.reader().offsets(b"BTopic", 0).max), vector["expected"]["max"].as_u64());
    close(store);
    for path in storage.paths().into_iter().filter(|path| ["commitlog/", "batchcon", "index/"].iter().any(|dir| path.starts_with(dir))) {
        let start = path.split_inclusive('/').next().unwrap();
        assert_eq!(storage.contents(&path).unwrap(), contents(start), "{path}");
    }
    assert!(storage.paths().iter().all(|path| !path.starts_with("consumequeue/")));
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
