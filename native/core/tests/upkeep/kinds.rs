//! A small closed store of every kind that we write.

use moraine_core::batch::BatchMessage;
use moraine_core::memory::{MemoryClock, MemoryStorage};
use moraine_core::options::Options;
use moraine_core::verify::{Verified, VerifyOptions, verify};

use crate::support::batches::{fill, with_topics};
use crate::support::*;

pub const KINDS: [&str; 6] = ["plain", "without record CRCs", "many queues", "light queues", "batch queues", "extension files"];

/// A store of a kind with some hundred messages in several files of each sort, closed.
pub fn closed(kind: &str) -> MemoryStorage {
    let storage = match kind {
        "batch queues" => with_topics(),
        _ => MemoryStorage::default(),
    };
    if kind == "extension files" {
        for queue in 0..3 {
            storage.place(&format!("consumequeue_ext/T/{queue}/00000000000000000000"), &[0; 66]);
        }
    }
    storage.place("config/subscriptionGroup.json", b"{\"subscriptionGroupTable\":{}}");
    let clock = MemoryClock::at(NOW);
    let mut store = open_at(&storage, options(kind), &clock).unwrap();
    put_more(&mut store, &clock, kind, 0..100);
    close(store);
    storage
}

pub fn options(kind: &str) -> Options {
    Options { record_crc: kind != "without record CRCs", ..small() }
}

pub fn put_more(store: &mut Store, clock: &MemoryClock, kind: &str, range: std::ops::Range<usize>) {
    for n in range.clone() {
        clock.set(NOW + 700 * n as i64);
        let body = format!("body {n}").repeat(1 + n % 5);
        let light = if kind == "light queues" && n % 3 > 0 { "INNER_MULTI_DISPATCH\u{1}%LMQ%a,%LMQ%b\u{2}" } else { "" };
        let properties = format!("TAGS\u{1}tag{}\u{2}KEYS\u{1}k{n} all\u{2}UNIQ_KEY\u{1}U{n}\u{2}{light}", n % 4);
        let queue_id = if kind == "plain" { 0 } else { n as i32 % 3 };
        let base = message(body.as_bytes(), properties.as_bytes());
        put(store, &[BatchMessage { queue_id, ..base }]).unwrap();
    }
    if kind == "batch queues" {
        fill(store, clock, range);
    }
}

/// Every message by its keys, and every queue.
pub fn answers_of(store: &Store) -> Vec<String> {
    let mut found = Vec::new();
    for n in 0..100 {
        found.push(format!("k{n}: {:?}", lookup(store, &format!("k{n}"))));
        found.push(format!("U{n}: {:?}", lookup(store, &format!("U{n}"))));
    }
    found.push(format!("all: {:?}", lookup(store, "all")));
    for topic in store.reader().topics() {
        for queue in store.reader().queues(topic.as_bytes()) {
            let (_, entries) = store.reader().entries(topic.as_bytes(), queue, 0, 10_000).unwrap();
            found.push(format!("{topic}/{queue}: {:?} {entries:?}", store.reader().offsets(topic.as_bytes(), queue)));
            found.push(format!("{topic}/{queue}: {:?}", get(store, &topic, queue, 0, 1000).unwrap()));
        }
    }
    found
}

pub fn verify_options(deep: bool) -> VerifyOptions {
    let Options { index_slots: slots, index_entries: entries, delay_levels, .. } = small();
    let geometry = moraine_core::format::index_file::Geometry { slots, entries };
    VerifyOptions { deep, delay_levels, geometry, live: None }
}

pub fn verified(storage: &MemoryStorage, deep: bool) -> Verified {
    verify(storage, &verify_options(deep), &mut |_| true).unwrap()
}

/// Kind and file of each fault.
pub fn faults(storage: &MemoryStorage, deep: bool) -> Vec<(&'static str, String)> {
    let verified = verified(storage, deep);
    assert!(verified.complete);
    verified.faults.into_iter().map(|fault| (fault.finding.kind, fault.finding.file)).collect()
}
