//! The delivery times of messages that wait in SCHEDULE_TOPIC_XXXX.

use crate::support::*;
use crate::vectors::{number, vector};
use moraine_core::batch::BatchMessage;
use moraine_core::format::hash::tags_code;
use moraine_core::memory::{MemoryClock, MemoryStorage};
use moraine_core::options::Options;

const STORED: i64 = 1_700_000_000_123;

/// The tags codes of queue 2 of the topic, one message for each property string.
fn tags_codes(topic: &[u8], delay_levels: Option<Vec<i64>>, strings: &[&str]) -> Vec<i64> {
    let storage = MemoryStorage::default();
    let mut options = small();
    options.delay_levels = delay_levels.unwrap_or(options.delay_levels);
    let open = |options: &Options| open_at(&storage, options.clone(), &MemoryClock::at(STORED)).unwrap();
    let mut store = open(&options);
    for string in strings {
        put(&mut store, &[BatchMessage { topic, queue_id: 2, ..message(b"m", string.as_bytes()) }]).unwrap();
    }
    let codes = |store: &Store| -> Vec<i64> {
        let (_, entries) = store.reader().entries(topic, 2, 0, 100).unwrap();
        entries.iter().map(|entry| entry.tags_code).collect()
    };
    let put = codes(&store);
    close(store);
    storage.remove_tree("consumequeue");
    assert_eq!(codes(&open(&options)), put, "built again from the log");
    put
}

#[test]
fn a_level_is_the_delivery_time_as_in_rocketmq() {
    let vector = vector("dispatch.schedule.tagsCode");
    assert_eq!(number(&vector.inputs["storeTimestamp"]), STORED);
    let property = format!("DELAY\u{1}{}\u{2}", number(&vector.inputs["DELAY"]));
    assert_eq!(tags_codes(b"SCHEDULE_TOPIC_XXXX", None, &[&property]), [number(&vector.expected["tagsCode"])]);
}

#[test]
fn a_level_above_the_last_is_the_last_and_what_is_no_level_leaves_the_tags() {
    let tagged = "TAGS\u{1}TagA\u{2}";
    let hash = tags_code(b"TagA");
    let strings: Vec<String> =
        ["1", "18", "19", "2147483647", "0", "-1", "x"].iter().map(|level| format!("{tagged}DELAY\u{1}{level}\u{2}")).collect();
    let strings: Vec<&str> = strings.iter().map(String::as_str).chain([tagged]).collect();
    let hours = STORED + 7_200_000;
    assert_eq!(tags_codes(b"SCHEDULE_TOPIC_XXXX", None, &strings), [STORED + 1000, hours, hours, hours, hash, hash, hash, hash]);
    assert_eq!(tags_codes(b"T", None, &strings), [hash; 8], "another topic");
}

#[test]
fn levels_are_those_that_the_store_was_opened_with() {
    let strings = ["DELAY\u{1}1\u{2}", "DELAY\u{1}2\u{2}", "DELAY\u{1}3\u{2}"];
    let levels = Some(vec![7, 86_400_000]);
    assert_eq!(tags_codes(b"SCHEDULE_TOPIC_XXXX", levels, &strings), [STORED + 7, STORED + 86_400_000, STORED + 86_400_000]);
}
