//! Whole records of a damaged store in a new one.

use std::cell::RefCell;
use std::sync::Arc;

use moraine_core::batch::BatchMessage;
use moraine_core::engine::GetStatus;
use moraine_core::engine::Scanner;
use moraine_core::engine::delete_topic::delete_topic;
use moraine_core::engine::expire::expire;
use moraine_core::engine::retention::Wish;
use moraine_core::engine::salvage::{self, Salvaged};
use moraine_core::format::record::Record;
use moraine_core::log::scan::Step;
use moraine_core::log::segments::Segments;
use moraine_core::log::view::LogView;
use moraine_core::memory::{MemoryClock, MemoryStorage};
use moraine_core::queue::lookup::QueueOffsets;

use crate::kinds::*;
use crate::support::*;

/// Salvages into a new store, which is closed then.
#[allow(clippy::arc_with_non_send_sync)] // one thread
fn saved(from: &MemoryStorage, kind: &str) -> (MemoryStorage, Salvaged) {
    let to = MemoryStorage::default();
    let mut findings = Vec::new();
    let clock = MemoryClock::at(NOW);
    let mut store = salvage::begin(from, Arc::new(to.clone()), clock, &options(kind), &mut findings, &mut |_| {}).unwrap();
    let mut salvaged = salvage::salvage(from, &mut store, &mut |_| {}).unwrap();
    salvaged.findings.splice(0..0, findings);
    salvage::end(store).unwrap();
    (to, salvaged)
}

/// The whole records of a store's log, without their place and the checksum that covers it.
fn records(storage: &MemoryStorage) -> Vec<Vec<u8>> {
    let segments = Segments::load_what_opens(storage).unwrap();
    let view = LogView::new(segments.clone(), segments.extent());
    let mut scanner = Scanner::new(view, 0, u64::MAX);
    let mut found = Vec::new();
    loop {
        match scanner.step().unwrap() {
            Step::Message { bytes, .. } => {
                let mut bytes = bytes.to_vec();
                bytes[28..36].fill(0);
                if Record::parse(&bytes).unwrap().properties().len() > 20 && bytes[bytes.len() - 20..].starts_with(b"__CRC32#") {
                    let end = bytes.len();
                    bytes[end - 12..].fill(0);
                }
                found.push(bytes);
            }
            Step::Blank { .. } => {}
            Step::End => return found,
            Step::Bad { .. } => match scanner.resync().unwrap() {
                Some(next) => scanner.seek(next),
                None => return found,
            },
        }
    }
}

#[test]
fn of_a_store_that_is_whole_everything_is_saved() {
    for kind in KINDS {
        let from = closed(kind);
        let before = from.snapshot();
        let (to, salvaged) = saved(&from, kind);
        assert_eq!(records(&to), records(&from), "{kind}");
        assert_eq!((salvaged.messages, salvaged.lost_ranges), (records(&from).len() as u64, 0), "{kind}");
        assert_eq!(salvaged.findings, [], "{kind}");
        assert_eq!(verified(&to, true).faults, [], "{kind}");
        assert_eq!(to.contents("config/subscriptionGroup.json"), from.contents("config/subscriptionGroup.json"));
        assert_eq!(before.paths(), from.paths(), "{kind}: the old store is only read");
        for path in before.paths() {
            assert_eq!(before.contents(&path), from.contents(&path), "{kind}: {path} is only read");
        }
    }
}

#[test]
fn every_97th_byte_of_the_log_flipped_and_every_whole_record_is_saved() {
    let mut lost = 0;
    for kind in KINDS {
        let whole = closed(kind);
        for path in whole.paths().into_iter().filter(|path| path.starts_with("commitlog/")) {
            for at in (0..4096).step_by(97) {
                let from = whole.snapshot();
                from.change(&path, at, |byte| *byte ^= 0x10);
                let (to, salvaged) = saved(&from, kind);
                assert_eq!(records(&to), records(&from), "{kind}: byte {at} of {path}");
                assert_eq!(salvaged.messages, records(&from).len() as u64);
                lost += salvaged.lost_ranges;
                let faults = verified(&to, true).faults;
                // Without a checksum over all of it a record whose header is damaged is whole, whatever it says.
                let is_checked = kind != "without record CRCs";
                assert!(
                    !is_checked || faults.iter().all(|fault| fault.finding.kind == "queue-gap"),
                    "{kind}: byte {at} of {path}: {faults:?}"
                );
            }
        }
    }
    assert!(lost > 100, "{lost}");
}

#[test]
fn messages_keep_their_queue_offsets_and_what_is_lost_is_told() {
    let from = closed("plain");
    from.change("commitlog/00000000000000000000", 200, |byte| *byte ^= 1);
    let last = from.paths().into_iter().filter(|path| path.starts_with("commitlog/")).max().unwrap();
    let used = from.contents(&last).unwrap().iter().rposition(|&byte| byte != 0).unwrap();
    from.change(&last, used - 30, |byte| *byte ^= 1);
    from.place("timerwheel", &[0; 100]);
    from.place("config/moraine.json", b"{}");
    let (to, salvaged) = saved(&from, "plain");
    let kinds: Vec<_> = salvaged.findings.iter().map(|finding| (finding.kind, finding.file.as_str())).collect();
    assert_eq!(
        kinds,
        [
            ("left-out", "timerwheel"),
            ("kept", "config/moraine.json"),
            ("lost", "commitlog/00000000000000000000"),
            ("lost", last.as_str()),
            ("queue-end", "consumequeue/T/0"),
            ("queue-gap", "commitlog/00000000000000000000"),
        ]
    );
    assert_eq!((salvaged.messages, salvaged.lost_ranges), (98, 2));
    let (old, new) = (open(&from, options("plain")).unwrap(), open(&to, options("plain")).unwrap());
    for n in (2..99).chain([0]) {
        assert_eq!(get(&new, "T", 0, n, 1).unwrap().2, get(&old, "T", 0, n, 1).unwrap().2, "queue offset {n}");
        assert_eq!(lookup(&new, &format!("k{n}")), lookup(&old, &format!("k{n}")));
    }
}

#[test]
fn files_of_the_log_that_are_missing_or_short_leave_the_others() {
    let whole = closed("many queues");
    for (path, bytes) in
        [("commitlog/00000000000000004096", 0), ("commitlog/00000000000000004096", 1500), ("commitlog/00000000000000000000", 4000)]
    {
        let from = whole.snapshot();
        let kept = from.contents(path).unwrap();
        from.remove_tree(path);
        if bytes > 0 {
            from.place(path, &kept[..bytes]);
        }
        ["consumequeue", "index", "moraine", "checkpoint"].iter().for_each(|name| from.remove_tree(name));
        let (to, salvaged) = saved(&from, "many queues");
        assert_eq!(records(&to), records(&from), "{path} of {bytes} bytes");
        assert!(salvaged.messages > 60 && salvaged.lost_ranges == 1, "{path} of {bytes} bytes: {salvaged:?}");
    }
}

fn put_to(store: &mut Store, topic: &str, range: std::ops::Range<usize>) {
    for n in range {
        let (body, properties) = (format!("m{n}"), format!("KEYS\u{1}{topic}{n}\u{2}"));
        put(store, &[BatchMessage { topic: topic.as_bytes(), ..message(body.as_bytes(), properties.as_bytes()) }]).unwrap();
    }
}

fn is_found(store: &Store, topic: &str, key: &str) -> bool {
    let mut candidates = store.reader().lookup(topic.as_bytes(), key.as_bytes()).unwrap();
    candidates.next_record(0, i64::MAX).unwrap().is_some()
}

/// A store whose topic `gone` was deleted, and `again` deleted and made again.
fn with_deleted_topics() -> MemoryStorage {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    ["gone", "again", "T"].iter().for_each(|topic| put_to(&mut store, topic, 0..20));
    let cell = RefCell::new(store);
    assert!(delete_topic(&cell, &storage, b"again").unwrap());
    ["again", "gone", "T"].iter().for_each(|topic| put_to(&mut cell.borrow_mut(), topic, 20..40));
    assert!(delete_topic(&cell, &storage, b"gone").unwrap());
    put_to(&mut cell.borrow_mut(), "T", 40..60);
    close(cell.into_inner());
    storage
}

#[test]
fn a_deleted_topic_stays_deleted_and_goes_on_at_its_offsets() {
    let whole = with_deleted_topics();
    for lost in [None, Some(100), Some(5000)] {
        let from = whole.snapshot();
        if let Some(at) = lost {
            from.change(&format!("commitlog/{:020}", at - at % 4096), at % 4096, |byte| *byte ^= 0x10);
        }
        let (to, salvaged) = saved(&from, "plain");
        assert_eq!(records(&to), records(&from), "every whole record is saved");
        assert_eq!(salvaged.lost_ranges, u64::from(lost.is_some()));
        assert!(salvaged.findings.iter().all(|finding| ["lost", "queue-gap"].contains(&finding.kind)), "{:?}", salvaged.findings);
        for gone in [&[][..], &["moraine", "checkpoint", "consumequeue", "index"]] {
            let to = to.snapshot();
            gone.iter().for_each(|name| to.remove_tree(name));
            let mut store = open(&to, small()).unwrap();
            assert_eq!(store.reader().topics(), ["T", "again"], "without {gone:?}");
            assert_eq!(get(&store, "gone", 0, 0, 9).unwrap().0, GetStatus::NoMatchedLogicQueue);
            assert_eq!(store.reader().offsets(b"gone", 0), QueueOffsets { min: 40, max: 40, next: 40 });
            assert_eq!(store.reader().offsets(b"again", 0), QueueOffsets { min: 20, max: 40, next: 40 });
            assert_eq!(get(&store, "again", 0, 20, 40).unwrap().2, numbered(20..40));
            assert_eq!(get(&store, "again", 0, 0, 1).unwrap().0, GetStatus::OffsetTooSmall);
            let found = [("gone", "gone3"), ("again", "again3"), ("again", "again23")].map(|(topic, key)| is_found(&store, topic, key));
            assert_eq!(found, [false, false, true], "without {gone:?}");
            put_to(&mut store, "gone", 40..41);
            assert_eq!(get(&store, "gone", 0, 40, 9).unwrap().2, ["m40"]);
        }
    }
}

#[test]
fn what_retention_took_stays_gone_and_its_queues_go_on() {
    let from = MemoryStorage::default();
    let mut store = open(&from, small()).unwrap();
    put_to(&mut store, "old", 0..20);
    put_to(&mut store, "T", 0..60);
    // As a crash leaves it in the middle: a file that was to go is still there.
    let first = from.contents("commitlog/00000000000000000000").unwrap();
    let cell = RefCell::new(store);
    let expired = expire(&cell, &from, Wish::Asked { before: None, max_bytes: Some(4096) }).unwrap();
    assert!(expired.minimum > 4096);
    close(cell.into_inner());
    from.place("commitlog/00000000000000000000", &first);
    let (to, salvaged) = saved(&from, "plain");
    let mut store = open(&to, small()).unwrap();
    assert_eq!(store.reader().offsets(b"old", 0), QueueOffsets { min: 20, max: 20, next: 20 });
    put_to(&mut store, "old", 20..21);
    assert_eq!(get(&store, "old", 0, 20, 9).unwrap().2, ["m20"]);
    assert_eq!(all(&store).last(), Some(&String::from("m59")));
    assert!(salvaged.messages < 80, "the file below the minimum is not saved");
    assert!(salvaged.findings.is_empty(), "{:?}", salvaged.findings);
}

#[test]
fn the_kept_table_of_the_old_store_is_not_copied_in_any_version() {
    let from = with_deleted_topics();
    assert!(from.contents("config/moraine.json.bak").is_some());
    from.remove_tree("config/moraine.json");
    let (to, _) = saved(&from, "plain");
    // The version before counts in the old store: `gone` is not deleted in it, and `again` is.
    let store = open(&to, small()).unwrap();
    assert_eq!(store.reader().topics(), ["T", "again", "gone"]);
    for path in ["config/moraine.json", "config/moraine.json.bak"] {
        let text = String::from_utf8(to.contents(path).unwrap()).unwrap();
        assert!(text.contains("\"again\"") && !text.contains("\"gone\""), "{path}: {text}");
    }
}
