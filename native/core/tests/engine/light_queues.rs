//! Light queues: one record, many queues.

use crate::support::*;
use crate::vectors::{number, text, vector};
use moraine_core::batch::BatchMessage;
use moraine_core::engine::GetStatus;
use moraine_core::error::Code;
use moraine_core::format::light_queues::{entries, items};
use moraine_core::format::record::{Address, Host};
use moraine_core::memory::{MemoryClock, MemoryStorage};
use moraine_core::options::Options;
use proptest::prelude::*;

/// Bodies in a light queue.
fn light(store: &Store, name: &str) -> Vec<String> {
    get(store, name, 0, store.reader().offsets(name.as_bytes(), 0).min, 1000).unwrap().2
}

fn dispatched_to(names: &str) -> String {
    format!("INNER_MULTI_DISPATCH\u{1}{names}\u{2}")
}

fn put_to(store: &mut Store, body: &str, names: &str) {
    put(store, &[message(body.as_bytes(), dispatched_to(names).as_bytes())]).unwrap();
}

/// The property strings of the log's records.
fn properties_of(store: &Store) -> Vec<String> {
    let view = store.reader().log();
    let mut scanner = moraine_core::engine::Scanner::new(view, 0, u64::MAX);
    let mut found = Vec::new();
    while let Some(item) = scanner.next_item().unwrap() {
        if matches!(item, moraine_core::engine::ScanItem::Message { .. }) {
            let record = moraine_core::format::record::Record::parse(scanner.message()).unwrap();
            found.push(String::from_utf8(record.properties().to_vec()).unwrap());
        }
    }
    found
}

fn plain() -> Options {
    Options { record_crc: false, ..small() }
}

#[test]
fn the_files_are_those_of_rocketmq() {
    let vector = vector("store.lmq");
    let storage = MemoryStorage::default();
    let mut store = open_at(&storage, plain(), &MemoryClock::at(NOW)).unwrap();
    for (body, names) in [("m0", "%LMQ%a,%LMQ%b"), ("m1", "%LMQ%a")] {
        let properties = format!("{}TAGS\u{1}TagA\u{2}", dispatched_to(names));
        let born_host = Host { address: Address::V4([10, 0, 0, 1]), port: 40_001 };
        let base = message(body.as_bytes(), properties.as_bytes());
        put(&mut store, &[BatchMessage { topic: b"TopicA", queue_id: 1, born_timestamp: NOW, born_host, ..base }]).unwrap();
    }
    assert_eq!(store.reader().offsets(b"%LMQ%a", 0).max, number(&vector.expected["lmqA.max"]) as u64);
    assert_eq!(store.reader().offsets(b"%LMQ%b", 0).max, number(&vector.expected["lmqB.max"]) as u64);
    close(store);
    let files = vector.expected["files"].as_object().unwrap();
    let mut compared = 0;
    for (path, file) in files.iter().filter(|(path, _)| path.starts_with("commitlog/") || path.starts_with("consumequeue/")) {
        let bytes = storage.contents(path).unwrap_or_else(|| panic!("{path}"));
        assert_eq!(bytes.len() as i64, number(&file["size"]), "{path}");
        let prefix = text(&file["prefixHexRestZero"]);
        let (written, rest) = bytes.split_at(prefix.len() / 2);
        assert_eq!(crate::vectors::hex(written), prefix, "{path}");
        assert!(rest.iter().all(|&byte| byte == 0), "{path}");
        compared += 1;
    }
    assert_eq!(compared, 4);
}

#[test]
fn one_record_is_read_from_every_queue_that_it_names_also_after_a_crash_and_without_queue_files() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    let names = ["%LMQ%a", "%LMQ%a,%LMQ%b", "%LMQ%b,%LMQ%c,%LMQ%a", "%LMQ%c"];
    for n in 0..60 {
        put_to(&mut store, &format!("m{n}"), names[n % 4]);
    }
    let expected = |light: &[usize]| -> Vec<String> { (0..60).filter(|n| light.contains(&(n % 4))).map(|n| format!("m{n}")).collect() };
    let assert_complete = |store: &Store| {
        assert_eq!(all(store), numbered(0..60));
        assert_eq!(light(store, "%LMQ%a"), expected(&[0, 1, 2]));
        assert_eq!(light(store, "%LMQ%b"), expected(&[1, 2]));
        assert_eq!(light(store, "%LMQ%c"), expected(&[2, 3]));
        assert_eq!(store.reader().topics(), ["%LMQ%a", "%LMQ%b", "%LMQ%c", "T"]);
    };
    assert_complete(&store);
    assert_complete(&open(&storage.snapshot(), small()).unwrap());
    write_behind(&mut store, &storage);
    assert_complete(&store);
    assert_complete(&open(&storage.snapshot(), small()).unwrap());
    close(store);
    assert_complete(&open(&storage, Options { read_only: true, ..small() }).unwrap());
    storage.remove_tree("consumequeue");
    let store = open(&storage, small()).unwrap();
    assert_complete(&store);
    assert!(store.reader().health().unwrap().findings.is_empty(), "{:?}", store.reader().health().unwrap().findings);
    close(store);
}

#[test]
fn queues_that_are_no_light_ones_get_no_offset_and_no_entry() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, plain()).unwrap();
    for names in ["other", "a,b", ",", " ", "%LMQ%a b,%LMQ%c"] {
        put_to(&mut store, "m", names);
    }
    let offsets: Vec<_> = properties_of(&store).iter().map(|string| string.split('\u{2}').nth(1).unwrap().to_owned()).collect();
    let of = |list: &str| format!("INNER_MULTI_QUEUE_OFFSET\u{1}{list}");
    assert_eq!(offsets, [of(""), of(","), of(""), String::new(), of("0,0")]);
    assert_eq!(store.reader().topics(), ["%LMQ%a b", "%LMQ%c", "T"]);
    close(store);
    storage.remove_tree("consumequeue");
    assert_eq!(open(&storage, plain()).unwrap().reader().topics(), ["%LMQ%a b", "%LMQ%c", "T"]);
}

#[test]
fn a_light_queue_that_is_no_directory_is_refused_and_one_found_in_the_log_is_passed_by() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, plain()).unwrap();
    for name in ["%LMQ%a/b", "%LMQ%../../x", "%LMQ%a\u{1f}b"] {
        let list = format!("%LMQ%c,{name}");
        let (stored, error) = put(&mut store, &[message(b"m", dispatched_to(&list).as_bytes())]).unwrap_err();
        assert_eq!((stored, error.code), (0, Code::InvalidArgument), "{name:?}");
        assert!(error.message.contains(&format!("{name:?}")), "{error}");
    }
    assert_eq!(store.reader().positions().end, 0);
    close(store);
    // What RocketMQ wrote: an offset, and no entry.
    let properties = format!("{}INNER_MULTI_QUEUE_OFFSET\u{1}0,0", dispatched_to("%LMQ%a/b,%LMQ%c"));
    let record = BatchMessage { topic: b"%RETRY%g", ..message(b"m", properties.as_bytes()) };
    let log = log_of(&[record], "%RETRY%g", "T%RETRYg");
    let mut store = open(&storage, plain()).unwrap();
    store.writer().unwrap().append_log(0, &log).unwrap();
    assert_eq!(store.reader().topics(), ["%LMQ%c", "T%RETRYg"]);
    assert_eq!(light(&store, "%LMQ%c"), ["m"]);
}

/// The log of a store with these messages, with another topic of the same length in it: what is put to a topic of
/// retries keeps the offsets that it names.
fn log_of(messages: &[BatchMessage<'_>], topic: &str, renamed: &str) -> Vec<u8> {
    let mut store = open(&MemoryStorage::default(), plain()).unwrap();
    put(&mut store, messages).unwrap();
    let mut log = Vec::new();
    store.reader().read_log(0, 4096, &mut log).unwrap();
    let at = log.windows(topic.len()).position(|bytes| bytes == topic.as_bytes()).unwrap();
    log[at..at + topic.len()].copy_from_slice(renamed.as_bytes());
    log
}

#[test]
fn offsets_from_outside_are_replaced() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, plain()).unwrap();
    let offsets = "INNER_MULTI_QUEUE_OFFSET\u{1}77\u{2}";
    let string = format!("{offsets}A\u{1}b\u{2}{}{offsets}__CRC32#\u{1}1234567890\u{2}Z\u{1}z", dispatched_to("%LMQ%a"));
    put(&mut store, &[message(b"m0", string.as_bytes())]).unwrap();
    let expected = format!("A\u{1}b\u{2}{}Z\u{1}z\u{2}INNER_MULTI_QUEUE_OFFSET\u{1}0\u{2}", dispatched_to("%LMQ%a"));
    assert_eq!(properties_of(&store), [expected]);
    assert_eq!(light(&store, "%LMQ%a"), ["m0"]);
}

#[test]
fn topics_of_retries_of_the_system_and_of_delivery_times_go_to_no_light_queue() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, plain()).unwrap();
    let string = format!("{}INNER_MULTI_QUEUE_OFFSET\u{1}0\u{2}", dispatched_to("%LMQ%a"));
    for topic in [&b"%RETRY%g"[..], b"rmq_sys_x", b"SCHEDULE_TOPIC_XXXX"] {
        put(&mut store, &[BatchMessage { topic, ..message(b"m", string.as_bytes()) }]).unwrap();
    }
    assert_eq!(properties_of(&store), vec![string; 3]);
    let topics = ["%RETRY%g", "SCHEDULE_TOPIC_XXXX", "rmq_sys_x"];
    assert_eq!(store.reader().topics(), topics);
    close(store);
    storage.remove_tree("consumequeue");
    assert_eq!(open(&storage, plain()).unwrap().reader().topics(), topics);
}

#[test]
fn messages_that_stand_in_no_queue_stand_in_no_light_queue() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    let string = dispatched_to("%LMQ%a");
    for sys_flag in [0x4, 0xC, 0x8] {
        put(&mut store, &[BatchMessage { sys_flag, ..message(format!("m{sys_flag}").as_bytes(), string.as_bytes()) }]).unwrap();
    }
    assert_eq!(light(&store, "%LMQ%a"), ["m8"]);
}

#[test]
fn a_queue_named_twice_has_the_message_once() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, plain()).unwrap();
    put_to(&mut store, "m0", "%LMQ%a,%LMQ%b,%LMQ%a");
    put_to(&mut store, "m1", "%LMQ%b,%LMQ%a");
    assert!(properties_of(&store)[0].ends_with("INNER_MULTI_QUEUE_OFFSET\u{1}0,0,0\u{2}"));
    let assert_complete = |store: &Store| {
        assert_eq!(light(store, "%LMQ%a"), ["m0", "m1"]);
        assert_eq!(light(store, "%LMQ%b"), ["m0", "m1"]);
        assert!(store.reader().health().unwrap().findings.is_empty());
    };
    assert_complete(&store);
    close(store);
    storage.remove_tree("consumequeue");
    assert_complete(&open(&storage, plain()).unwrap());
}

#[test]
fn a_message_of_a_light_queue_that_names_its_own_queue_stands_there_twice() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, plain()).unwrap();
    let string = dispatched_to("%LMQ%a");
    for body in [b"m0", b"m1"] {
        put(&mut store, &[BatchMessage { topic: b"%LMQ%a", ..message(body, string.as_bytes()) }]).unwrap();
    }
    assert_eq!(light(&store, "%LMQ%a"), ["m0", "m0", "m1", "m1"]);
    close(store);
    storage.remove_tree("consumequeue");
    assert_eq!(light(&open(&storage, plain()).unwrap(), "%LMQ%a"), ["m0", "m0", "m1", "m1"]);
}

#[test]
fn thousands_of_queues_for_one_message() {
    let storage = MemoryStorage::default();
    let options = Options { segment_bytes: 1 << 20, ..small() };
    let mut store = open(&storage, options.clone()).unwrap();
    let names: Vec<String> = (0..2000).map(|n| format!("%LMQ%{n}")).collect();
    for body in ["m0", "m1"] {
        put_to(&mut store, body, &names.join(","));
    }
    let assert_complete = |store: &Store| {
        assert_eq!(store.reader().topics().len(), 2001);
        names.iter().for_each(|name| assert_eq!(light(store, name), ["m0", "m1"], "{name}"));
    };
    assert_complete(&store);
    close(store);
    storage.remove_tree("consumequeue");
    assert_complete(&open(&storage, options).unwrap());
}

#[test]
fn what_the_store_adds_counts_to_the_limits() {
    let storage = MemoryStorage::default();
    let options = Options { segment_bytes: 1 << 20, max_message_bytes: 50_000, ..small() };
    let mut store = open(&storage, options).unwrap();
    let names = dispatched_to("%LMQ%a");
    let added = "INNER_MULTI_QUEUE_OFFSET\u{1}0\u{2}".len() + 20;
    let padded = |bytes: usize| format!("{names}P\u{1}{}\u{2}", "p".repeat(bytes - names.len() - 3));
    let long = padded(32_767 - added + 1);
    assert_eq!(put(&mut store, &[message(b"x", long.as_bytes())]).unwrap_err().1.code, Code::MessageTooLarge);
    put(&mut store, &[message(b"m0", padded(32_767 - added).as_bytes())]).unwrap();

    let overhead = put(&mut store, &[message(b"", names.as_bytes())]).unwrap()[0].2 as usize;
    let body = vec![b'x'; 50_000 - overhead + 1];
    assert_eq!(put(&mut store, &[message(&body, names.as_bytes())]).unwrap_err().1.code, Code::MessageTooLarge);
    assert_eq!(put(&mut store, &[message(&body[1..], names.as_bytes())]).unwrap()[0].2, 50_000);
    put(&mut store, &[message(&[b'x'; 50_000], b"")]).unwrap();
    assert_eq!(store.reader().offsets(b"%LMQ%a", 0).next, 3);
}

#[test]
fn names_that_rocketmq_could_not_dispatch_are_refused() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    let long = format!("%LMQ%{}", "x".repeat(251));
    for names in ["%LMQ%a,other", "other,%LMQ%a", "%LMQ%a,,%LMQ%b", "%LMQ%a\u{7}", &long] {
        let string = dispatched_to(names);
        let (stored, error) = put(&mut store, &[message(b"good", b""), message(b"m", string.as_bytes())]).unwrap_err();
        assert_eq!((stored, error.code), (0, Code::InvalidArgument), "{names}");
    }
    assert_eq!(store.reader().positions().end, 0);
    assert!(store.reader().topics().is_empty());
}

#[test]
fn a_put_that_found_no_room_gives_the_light_offsets_back() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    let string = dispatched_to("%LMQ%a");
    let body = [b'x'; 1200];
    // The third does not fit the file any more: planned, taken back, planned again for the next.
    let messages = vec![message(&body, string.as_bytes()); 5];
    put(&mut store, &messages).unwrap();
    let strings = properties_of(&store);
    for (n, string) in strings.iter().enumerate() {
        assert!(string.contains(&format!("INNER_MULTI_QUEUE_OFFSET\u{1}{n}\u{2}")), "{string}");
    }
    assert_eq!(store.reader().offsets(b"%LMQ%a", 0).next, 5);
}

#[test]
fn broken_lists_in_the_log_lead_nowhere_and_harm_nothing() {
    let found = |names: &'static str, offsets: &'static str| entries(names.as_bytes(), offsets.as_bytes()).collect::<Vec<_>>();
    assert_eq!(found("a,b", "1,2"), [(&b"a"[..], 1), (b"b", 2)]);
    assert_eq!(found("a,b,", "1,2,,"), [(&b"a"[..], 1), (b"b", 2)]);
    assert_eq!(found("a,b/c", "1,2"), [(&b"a"[..], 1)]);
    assert_eq!(found("a,b", ",2"), [(&b"b"[..], 2)]);
    for (names, offsets) in
        [("a,b", "1"), ("a", "1,2"), ("a,b", "1,"), ("a", ""), ("", "1"), (" ", " "), (",", ","), ("a", "-1"), ("a", "x")]
    {
        assert_eq!(found(names, offsets), [], "{names:?} {offsets:?}");
    }
    assert_eq!(items(b",a,,b,,").collect::<Vec<_>>(), [&b""[..], b"a", b"", b"b"]);
    assert_eq!(items(b"").count() + items(b",,").count(), 0);
}

#[test]
fn a_light_queue_that_begins_behind_its_first_messages_has_the_rest() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    for n in 0..40 {
        put_to(&mut store, &format!("m{n}"), "%LMQ%a");
    }
    close(store);
    storage.remove_tree("consumequeue");
    let first = storage.paths().into_iter().find(|path| path.starts_with("commitlog/")).unwrap();
    storage.remove_tree(&first);
    let mut store = open(&storage, small()).unwrap();
    let range = store.reader().offsets(b"%LMQ%a", 0);
    assert!(range.min > 0 && range.next == 40, "{range:?}");
    assert_eq!(light(&store, "%LMQ%a"), numbered(range.min as usize..40));
    put_to(&mut store, "m40", "%LMQ%a");
    assert_eq!(get(&store, "%LMQ%a", 0, 40, 8).unwrap(), (GetStatus::Found, 41, vec![String::from("m40")]));
}

/// Physical offsets of every queue's entries.
fn every_queue(store: &Store) -> Vec<(String, Vec<u64>)> {
    let mut found = Vec::new();
    for topic in store.reader().topics() {
        for id in store.reader().queues(topic.as_bytes()) {
            let (_, entries) = store.reader().entries(topic.as_bytes(), id, 0, 10_000).unwrap();
            found.push((format!("{topic}/{id}"), entries.iter().map(|entry| entry.physical).collect()));
        }
    }
    found.sort();
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_the_log_says_of_light_queues_is_what_putting_made(
        puts in prop::collection::vec(
            prop::collection::vec(
                (prop::collection::vec(prop::sample::select(&["%LMQ%a", "%LMQ%b", "%LMQ%c", "%LMQ%d e", "%LMQ%d/e", "x", ""][..]), 0..5), 0..4_usize),
                1..12,
            ),
            1..8,
        ),
    ) {
        let storage = MemoryStorage::default();
        let mut store = open(&storage, small()).unwrap();
        for batch in &puts {
            let texts: Vec<String> = batch.iter().map(|(names, _)| dispatched_to(&names.join(","))).collect();
            let messages: Vec<_> = texts
                .iter()
                .zip(batch)
                .map(|(text, &(_, kind))| BatchMessage { sys_flag: [0, 0x4, 0x8, 0xC][kind], ..message(b"m", text.as_bytes()) })
                .collect();
            // Lists with other queues beside light ones are refused, and then the whole batch is.
            if let Err((stored, error)) = put(&mut store, &messages) {
                prop_assert_eq!((stored, error.code), (0, Code::InvalidArgument));
            }
        }
        let made = every_queue(&store);
        close(store);
        storage.remove_tree("consumequeue");
        let store = open(&storage, small()).unwrap();
        prop_assert_eq!(every_queue(&store), made);
        prop_assert!(store.reader().health().unwrap().findings.is_empty());
    }
}
