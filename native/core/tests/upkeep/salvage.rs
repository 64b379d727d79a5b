//! Whole records of a damaged store in a new one.

use std::sync::Arc;

use moraine_core::engine::salvage::{Salvaged, copy_config, options_like, salvage};
use moraine_core::engine::{Engine, Scanner};
use moraine_core::format::record::Record;
use moraine_core::log::scan::Step;
use moraine_core::log::segments::Segments;
use moraine_core::log::view::LogView;
use moraine_core::memory::{MemoryClock, MemoryStorage};

use crate::kinds::*;
use crate::support::*;

/// Salvages into a new store, which is closed then.
#[allow(clippy::arc_with_non_send_sync)] // one thread
fn saved(from: &MemoryStorage, kind: &str) -> (MemoryStorage, Salvaged) {
    let to = MemoryStorage::default();
    let mut findings = Vec::new();
    copy_config(from, &to, &mut findings).unwrap();
    let options = options_like(from, &options(kind)).unwrap();
    let mut store = Engine::open(Arc::new(to.clone()), MemoryClock::at(NOW), options, &mut |_| {}).unwrap();
    let mut salvaged = salvage(from, &mut store, &mut |_| {}).unwrap();
    salvaged.findings.splice(0..0, findings);
    close(store);
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
            ("left-out", "config/moraine.json"),
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
