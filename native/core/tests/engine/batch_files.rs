//! Batch queues from their files, from the log, and from what is left of both; which topics have them.

use crate::support::batches::*;
use crate::support::*;
use moraine_core::batch::BatchMessage;
use moraine_core::engine::{Boundary, GetStatus};
use moraine_core::error::Code;
use moraine_core::format::batch_entry::BatchEntry;
use moraine_core::format::record::Record;
use moraine_core::memory::{MemoryClock, MemoryStorage};
use moraine_core::options::Options;

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
