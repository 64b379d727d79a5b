//! What verifying finds, and what it does not.

use moraine_core::engine::Progress;
use moraine_core::format::crc::{crc32, masked};
use moraine_core::format::properties::RECORD_CRC_BYTES;
use moraine_core::format::queue_entry::QueueEntry;
use moraine_core::format::seal::Seal;
use moraine_core::memory::{MemoryClock, MemoryStorage};
use moraine_core::options::Options;
use moraine_core::verify::{MAX_FAULTS, Remedy, verify};
use xxhash_rust::xxh64::xxh64;

use crate::kinds::*;
use crate::support::killed::*;
use crate::support::*;

#[test]
fn a_store_that_was_closed_has_no_faults() {
    for kind in KINDS {
        let storage = closed(kind);
        let before = storage.snapshot();
        for deep in [true, false] {
            assert_eq!(verified(&storage, deep).faults, [], "{kind}, deep: {deep}");
        }
        for path in before.paths() {
            assert_eq!(before.contents(&path), storage.contents(&path), "{kind}: {path} is only read");
        }
        assert_eq!(before.paths(), storage.paths());
    }
}

#[test]
fn a_store_that_was_opened_and_closed_again_has_none_either() {
    for kind in KINDS {
        let storage = closed(kind);
        let clock = MemoryClock::at(NOW + 100_000);
        let mut store = open_at(&storage, options(kind), &clock).unwrap();
        put_more(&mut store, &clock, kind, 100..120);
        close(store);
        assert_eq!(verified(&storage, true).faults, [], "{kind}");
    }
}

#[test]
fn a_store_that_was_not_closed_says_so() {
    let storage = closed("plain");
    let clock = MemoryClock::at(NOW + 100_000);
    let mut store = open_at(&storage, options("plain"), &clock).unwrap();
    put_more(&mut store, &clock, "plain", 100..103);
    let crashed = storage.snapshot();
    let found = faults(&crashed, true);
    assert_eq!(found[0], ("unclean", "abort".to_owned()));
    assert!(found[1..].iter().all(|(kind, _)| *kind == "queue-behind"), "{found:?}");
    close(open(&crashed, options("plain")).unwrap());
    assert_eq!(verified(&crashed, true).faults, []);
}

/// `checkpoint` vouches for nothing yet: only the watermark says that the record was written.
#[test]
fn in_a_killed_store_a_rotten_record_below_the_watermark_is_damage_and_not_the_end() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    let rotten = put_numbered(&mut store, 40)[20].0;
    watermark(&mut store, &storage);
    drop(store);
    let at = (rotten % 4096) as usize;
    storage.change(&format!("commitlog/{:020}", rotten - rotten % 4096), at + 90, |byte| *byte ^= 1);
    for deep in [true, false] {
        let found = faults(&storage, deep);
        let damaged: Vec<_> = found.iter().filter(|(kind, _)| *kind == "damaged").collect();
        assert_eq!(damaged.len(), 1, "{found:?}");
        assert!(found.iter().all(|(kind, _)| *kind != "cut"), "{found:?}");
    }
}

#[test]
fn queues_that_are_gone_are_named_one_by_one() {
    for kind in KINDS {
        let storage = closed(kind);
        storage.remove_tree("consumequeue");
        let found = faults(&storage, true);
        assert!(found.contains(&("queue-missing", "consumequeue/T/0/00000000000000000000".to_owned())), "{kind}: {found:?}");
        let storage = closed(kind);
        storage.remove_tree("batchconsumequeue");
        let found = faults(&storage, true);
        assert_eq!(found.iter().any(|(kind, _)| *kind == "queue-missing"), kind == "batch queues", "{kind}: {found:?}");
    }
}

#[test]
fn a_queue_file_that_reaches_into_the_next_one_leaves_the_others_to_be_looked_at() {
    let storage = closed("plain");
    let mut files: Vec<_> = storage.paths().into_iter().filter(|path| path.starts_with("consumequeue/T/0/")).collect();
    files.sort();
    let [first, next] = [&files[0], &files[1]];
    let mut bytes = storage.contents(first).unwrap();
    let entries = bytes.len();
    // More places than a file has, and no entry in the last ones.
    bytes.extend_from_within(..20);
    bytes.resize(3 * entries, 0);
    storage.place(first, &bytes);
    let mut queue = storage.contents(next).unwrap();
    queue[20..40].fill(0);
    storage.place(next, &queue);
    let found = verified(&storage, true).faults;
    let missing: Vec<_> = found.iter().filter(|fault| fault.finding.kind == "queue-missing").map(|fault| &fault.finding).collect();
    assert_eq!(missing.len(), 1, "{found:?}");
    assert_eq!((&missing[0].file, missing[0].offset, missing[0].length), (next, 20, 20), "{found:?}");
}

#[test]
fn a_segment_that_is_short_leaves_the_others_to_be_looked_at() {
    let storage = closed("plain");
    let path = "commitlog/00000000000000004096";
    let bytes = storage.contents(path).unwrap();
    storage.place(path, &bytes[..2048]);
    let found = verified(&storage, true).faults;
    assert!(found.iter().any(|fault| fault.finding.kind == "log-gap" && fault.finding.file == path), "{found:?}");
    assert!(found.iter().any(|fault| fault.finding.kind == "damaged" && fault.finding.offset < 8192), "{found:?}");
    assert!(!found.iter().any(|fault| fault.finding.kind == "damaged" && fault.finding.offset > 8192), "{found:?}");
}

#[test]
fn a_store_without_an_index_has_no_fault() {
    let storage = closed("plain");
    storage.remove_tree("index");
    storage.remove_tree("moraine");
    let mut store = open(&storage, Options { index: false, ..small() }).unwrap();
    put_numbered(&mut store, 1);
    close(store);
    assert_eq!(faults(&storage, true), []);
}

#[test]
fn a_message_whose_keys_are_not_in_the_index_is_named() {
    let storage = closed("plain");
    let newest = storage.paths().into_iter().filter(|path| path.starts_with("index/")).max().unwrap();
    storage.remove_tree(&newest);
    let found = verified(&storage, true).faults;
    let named: Vec<_> = found.iter().filter(|fault| fault.finding.kind == "index-missing").collect();
    assert_eq!(named.len(), found.len(), "{found:?}");
    assert!(named.iter().all(|fault| fault.finding.file.starts_with("commitlog/") && fault.remedy == Remedy::RebuildIndex));
}

#[test]
fn queue_offsets_that_were_given_twice_or_left_out_are_named() {
    // RocketMQ can write two records with one queue offset, and units for none.
    let storage = closed("plain");
    let mut log = storage.contents("commitlog/00000000000000000000").unwrap();
    let size = |log: &[u8], at: usize| u32::from_be_bytes(log[at..at + 4].try_into().unwrap()) as usize;
    let second = size(&log, 0);
    let bytes = size(&log, second);
    let record = &mut log[second..second + bytes];
    record[20..28].copy_from_slice(&0_u64.to_be_bytes());
    let crc = masked(crc32(&record[..bytes - RECORD_CRC_BYTES]));
    let digits: String = format!("{crc:010}").chars().rev().collect();
    record[bytes - RECORD_CRC_BYTES + 9..bytes - 1].copy_from_slice(digits.as_bytes());
    storage.place("commitlog/00000000000000000000", &log);
    let found = verified(&storage, true).faults;
    let kinds: Vec<_> = found.iter().map(|fault| (fault.finding.kind, fault.finding.file.as_str(), fault.finding.offset)).collect();
    let log = ("queue-duplicate", "commitlog/00000000000000000000", second as u64);
    assert_eq!(kinds, [log, ("queue-entry", "consumequeue/T/0/00000000000000000000", 20)]);

    let storage = closed("plain");
    let mut queue = storage.contents("consumequeue/T/0/00000000000000000000").unwrap();
    queue[60..80].copy_from_slice(&QueueEntry::BLANK.encode());
    queue[100..140].fill(0);
    storage.place("consumequeue/T/0/00000000000000000000", &queue);
    let found = verified(&storage, true).faults;
    let places: Vec<_> = found.iter().map(|fault| (fault.finding.kind, fault.finding.offset, fault.finding.length)).collect();
    assert_eq!(places, [("queue-gap", 60, 20), ("queue-missing", 100, 40)]);
}

#[test]
fn a_finished_segment_is_held_against_its_seal() {
    let storage = closed("plain");
    let path = "commitlog/00000000000000004096";
    let bytes = storage.contents(path).unwrap();
    let seal = Seal { base: 4096, size: 4096, digest: xxh64(&bytes, 0) };
    storage.place("moraine/seals", &seal.encode());
    assert_eq!(faults(&storage, true), []);
    assert_eq!(bytes[4095], 0, "in the blank, which no checksum covers");
    storage.change(path, 4095, |byte| *byte = 7);
    assert_eq!(faults(&storage, true), [("seal", path.to_owned())]);
    storage.place("moraine/seals", &[&seal.encode()[..], b"no row of forty bytes, which is what rows have"].concat());
    assert_eq!(faults(&storage, true), [("sidecar", "moraine/seals".to_owned()), ("seal", path.to_owned())]);
    storage.place("lock", b"lock");
    let found = faults(&storage, true);
    assert!(found.iter().all(|(kind, _)| *kind != "seal"), "RocketMQ may have cut the log and written it on: {found:?}");
}

#[test]
fn findings_are_bounded() {
    let storage = closed("many queues");
    for n in 0..MAX_FAULTS + 5 {
        storage.place(&format!("index/not-an-index-{n}"), b"x");
    }
    let found = verified(&storage, false).faults;
    assert_eq!(found.len(), MAX_FAULTS + 1);
    assert_eq!(found[MAX_FAULTS].finding.kind, "more");
    assert_eq!(found[MAX_FAULTS].finding.message, "5 more findings are not listed");
}

#[test]
fn who_listens_to_the_progress_can_end_it() {
    let storage = closed("batch queues");
    let mut phases = Vec::new();
    let mut all = |progress: Progress| {
        assert!(progress.done <= progress.total);
        phases.push(progress.phase);
        true
    };
    assert!(verify(&storage, &verify_options(true), &mut all).unwrap().complete);
    phases.dedup();
    assert_eq!(phases, ["log", "queues", "index", "files"]);
    for steps in 0..5 {
        let mut left = steps;
        let mut few = |_| {
            left -= 1;
            left >= 0
        };
        assert!(!verify(&storage, &verify_options(true), &mut few).unwrap().complete);
    }
}

#[test]
fn first_files_of_the_log_that_went_since_the_close_are_named() {
    let storage = closed("plain");
    let first = storage.paths().into_iter().find(|path| path.starts_with("commitlog/")).unwrap();
    storage.remove_tree(&first);
    for deep in [true, false] {
        assert!(faults(&storage, deep).contains(&("log-missing", first.clone())), "{:?}", faults(&storage, deep));
    }
    // RocketMQ removes them, and says nothing.
    storage.place("lock", b"lock");
    assert!(!faults(&storage, true).contains(&("log-missing", first)));
}
