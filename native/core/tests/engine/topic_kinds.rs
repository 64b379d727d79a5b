//! RocketMQ's topic table, changed while a store is open.

use std::cell::RefCell;

use crate::support::batches::*;
use crate::support::*;
use moraine_core::batch::BatchMessage;
use moraine_core::engine::GetStatus;
use moraine_core::engine::delete_topic::delete_topic;
use moraine_core::error::Code;
use moraine_core::memory::MemoryStorage;

const TABLE: &str = "config/topics.json";

fn kinds(store: &Store) -> Vec<&'static str> {
    store.reader().health().unwrap().findings.iter().map(|finding| finding.kind).collect()
}

/// A table with these topics, of batch queues.
fn batch_topics(topics: &[&str]) -> String {
    let topics: Vec<String> = topics.iter().map(|topic| format!(r#""{topic}":{{"attributes":{{"queue.type":"BatchCQ"}}}}"#)).collect();
    format!(r#"{{"topicConfigTable":{{{}}}}}"#, topics.join(","))
}

fn put_beside(store: &mut Store, names: &str) -> Result<Vec<Put>, (usize, moraine_core::error::Error)> {
    let properties = format!("INNER_MULTI_DISPATCH\u{1}{names}\u{2}");
    put(store, &[message(b"m", properties.as_bytes())])
}

#[test]
fn a_compaction_topic_is_refused_also_when_it_was_configured_later() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    put_number(&mut store, 0);
    storage.place(TABLE, br#"{"topicConfigTable":{"B":{"attributes":{"cleanup.policy":"COMPACTION"}}}}"#);
    for _ in 0..2 {
        let error = refusal(&mut store, plain(b"m"));
        assert_eq!(error.code, Code::UnsupportedFormat);
        assert!(error.message.contains("B is a compaction topic"), "{error}");
    }
    put_number(&mut store, 1);
    put(&mut store, &[BatchMessage { topic: b"C", ..message(b"m", b"") }]).unwrap();
    assert_eq!(store.reader().topics(), ["C", "T"]);

    let mut leader = open(&MemoryStorage::default(), small()).unwrap();
    put_numbered(&mut leader, 3);
    put(&mut leader, &[plain(b"m")]).unwrap();
    let mut log = Vec::new();
    leader.reader().read_log(0, 4096, &mut log).unwrap();
    let follower_storage = MemoryStorage::default();
    let mut follower = open(&follower_storage, small()).unwrap();
    follower_storage.place(TABLE, br#"{"topicConfigTable":{"B":{"attributes":{"cleanup.policy":"COMPACTION"}}}}"#);
    let error = follower.writer().unwrap().append_log(0, &log).unwrap_err();
    assert_eq!(error.code, Code::UnsupportedFormat);
    assert_eq!(all(&follower), numbered(0..3));
}

#[test]
fn a_damaged_table_takes_nothing_from_what_was_known_and_is_told_once() {
    let storage = with_topics();
    let mut store = open(&storage, small()).unwrap();
    for (n, damage) in ["{\"topicConfigTable\":{\"B", "{", "[1"].iter().enumerate() {
        storage.place(TABLE, damage.as_bytes());
        for topic in [format!("new{n}"), format!("other{n}")] {
            put(&mut store, &[BatchMessage { topic: topic.as_bytes(), ..message(b"m", b"") }]).unwrap();
        }
        assert_eq!(kinds(&store), ["topic-table"]);
    }
    assert_eq!(put_inner(&mut store, 4).1, 0);
    storage.place(TABLE, batch_topics(&["B", "C"]).as_bytes());
    let body = wire(2);
    let inner = BatchMessage { topic: b"C", sys_flag: INNER, ..message(&body, b"INNER_NUM\x012\x02") };
    put(&mut store, &[inner]).unwrap();
    assert_eq!(kinds(&store), ["topic-table"]);
}

#[test]
fn a_light_queue_with_batch_queues_takes_messages_of_its_own_and_none_beside() {
    for configured_later in [false, true] {
        let storage = MemoryStorage::default();
        let table = batch_topics(&["%LMQ%x"]);
        if !configured_later {
            storage.place(TABLE, table.as_bytes());
        }
        let mut store = open(&storage, small()).unwrap();
        if configured_later {
            storage.place(TABLE, table.as_bytes());
        }
        let (stored, error) = put_beside(&mut store, "%LMQ%y,%LMQ%x").unwrap_err();
        assert_eq!((stored, error.code), (0, Code::InvalidArgument));
        assert!(error.message.contains("\"%LMQ%x\", which has batch queues"), "{error}");
        put_beside(&mut store, "%LMQ%y").unwrap();
        let body = wire(3);
        let inner = BatchMessage { topic: b"%LMQ%x", sys_flag: INNER, ..message(&body, b"INNER_NUM\x013\x02") };
        put(&mut store, &[inner]).unwrap();
        assert_eq!(store.reader().offsets(b"%LMQ%x", 0).max, 3);
        close(store);
        assert!(storage.paths().iter().all(|path| !path.starts_with("consumequeue/%LMQ%x")));
        let store = open(&storage, small()).unwrap();
        assert_eq!(store.reader().offsets(b"%LMQ%x", 0).max, 3);
        assert_eq!(kinds(&store), [""; 0]);
    }
}

#[test]
fn a_message_beside_a_batch_queue_that_the_log_holds_is_passed_by() {
    let mut leader = open(&MemoryStorage::default(), small()).unwrap();
    put_beside(&mut leader, "%LMQ%y,%LMQ%x").unwrap();
    let mut log = Vec::new();
    leader.reader().read_log(0, 4096, &mut log).unwrap();
    for configured_later in [false, true] {
        let storage = MemoryStorage::default();
        let table = batch_topics(&["%LMQ%x"]);
        if !configured_later {
            storage.place(TABLE, table.as_bytes());
        }
        let mut store = open(&storage, small()).unwrap();
        storage.place(TABLE, table.as_bytes());
        store.writer().unwrap().append_log(0, &log).unwrap();
        assert_eq!(store.reader().topics(), ["%LMQ%y", "T"]);
        assert_eq!(kinds(&store), ["topic-kind"]);
        close(store);
        storage.remove_tree("consumequeue");
        let store = open(&storage, small()).unwrap();
        assert_eq!(store.reader().topics(), ["%LMQ%y", "T"]);
        assert_eq!(kinds(&store), ["topic-kind"]);
    }
}

#[test]
fn a_topic_that_was_deleted_may_come_back_with_queues_of_the_other_kind() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    for _ in 0..5 {
        put(&mut store, &[plain(b"m")]).unwrap();
    }
    put_number(&mut store, 0);
    let cell = RefCell::new(store);
    assert!(delete_topic(&cell, &storage, b"B").unwrap());
    let mut store = cell.into_inner();
    storage.place(TABLE, batch_topics(&["B"]).as_bytes());
    let (_, queue_offset, _) = put_inner(&mut store, 4);
    assert_eq!(queue_offset, 5, "it goes on where the plain queue was");
    for _ in 0..2 {
        assert_eq!(store.reader().topics(), ["B", "T"]);
        assert_eq!(ask(&store, 5, 10), (GetStatus::Found, 9, vec![5]));
        let crashed = open(&storage.snapshot(), small()).unwrap();
        assert_eq!(ask(&crashed, 5, 10), (GetStatus::Found, 9, vec![5]));
        close(store);
        store = open(&storage, small()).unwrap();
    }
}
