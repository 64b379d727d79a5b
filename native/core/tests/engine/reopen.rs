//! What was put is there again: after a clean close, after an abrupt end, without the derived files, with damage.

use crate::support::*;
use moraine_core::engine::GetStatus;
use moraine_core::error::Code;
use moraine_core::memory::{MemoryClock, MemoryStorage};
use moraine_core::options::Options;

/// A closed store with messages `m0` to `m59`, in several files of each kind.
fn closed() -> MemoryStorage {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    put_numbered(&mut store, 60);
    close(store);
    storage
}

fn assert_complete(store: &Store, count: usize) {
    assert_eq!(all(store), numbered(0..count));
    for n in 0..count {
        assert_eq!(lookup(store, &format!("k{n}")), [format!("m{n}")], "key k{n}");
    }
}

#[test]
fn a_cleanly_closed_store_opens_with_the_same_answers_and_goes_on() {
    let storage = closed();
    assert_eq!(storage.contents("abort"), None);
    let mut store = open(&storage, small()).unwrap();
    assert!(store.reader().health().unwrap().clean);
    assert_eq!(findings(&store), [""; 0]);
    assert_complete(&store, 60);
    let (_, queue_offset, _) = put_number(&mut store, 60);
    assert_eq!(queue_offset, 60);
    close(store);
    assert_complete(&open(&storage, small()).unwrap(), 61);
}

#[test]
fn abort_is_there_while_the_store_is_open_and_goes_last() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, Options { process_id: 4711, ..small() }).unwrap();
    assert_eq!(storage.contents("abort").unwrap(), b"4711");
    put_number(&mut store, 0);
    close(store);
    let syncs = storage.syncs();
    let last: Vec<&str> = syncs.iter().rev().take(2).map(String::as_str).collect();
    assert_eq!(last, ["sync-dir ", "sync moraine/watermark"]);
    assert!(syncs.contains(&String::from("sync checkpoint")));
}

#[test]
fn sizes_on_disk_win_over_options() {
    let storage = closed();
    let store = open(&storage, Options::default()).unwrap();
    assert_eq!(store.reader().options().segment_bytes, 4096);
    assert_eq!(store.reader().options().queue_file_entries, 10);
    assert_eq!(findings(&store), [""; 0]);
    close(store);
    // 16 slots and 32 entries are neither the defaults nor 1 : 4: without our sidecar the files are built again.
    storage.remove_tree("moraine");
    assert!(findings(&open(&storage, Options::default()).unwrap()).contains(&"index-geometry"));
}

#[test]
fn after_an_abrupt_end_everything_that_was_put_is_there() {
    for written_behind in [false, true] {
        let storage = MemoryStorage::default();
        let mut store = open(&storage, small()).unwrap();
        put_numbered(&mut store, 60);
        if written_behind {
            write_behind(&mut store, &storage);
        }
        let left = storage.snapshot();
        let mut again = open(&left, small()).unwrap();
        assert!(!again.reader().health().unwrap().clean);
        assert_eq!(findings(&again), ["unclean"]);
        assert_complete(&again, 60);
        put_number(&mut again, 60);
        close(again);
        assert_complete(&open(&left, small()).unwrap(), 61);
    }
}

#[test]
fn without_any_of_the_derived_files_the_answers_are_the_same() {
    let derived = ["consumequeue", "index", "checkpoint"];
    for mask in 0..1 << derived.len() {
        for clean in [true, false] {
            let storage = closed();
            for (bit, path) in derived.iter().enumerate().filter(|(bit, _)| mask & (1 << bit) != 0) {
                assert!(bit < derived.len());
                storage.remove_tree(path);
            }
            if !clean {
                storage.place("abort", b"1");
            }
            let store = open(&storage, small()).unwrap();
            assert_complete(&store, 60);
            close(store);
            assert_complete(&open(&storage, small()).unwrap(), 60);
        }
    }
}

#[test]
fn read_only_shows_everything_and_changes_nothing() {
    for clean in [true, false] {
        let storage = closed();
        storage.remove_tree("consumequeue");
        storage.remove_tree("index");
        if !clean {
            storage.place("abort", b"1");
        }
        let before: Vec<_> = storage.paths().into_iter().map(|path| (storage.contents(&path), path)).collect();
        let mut store = open(&storage, Options { read_only: true, ..small() }).unwrap();
        assert_complete(&store, 60);
        assert_eq!(store.writer().err().map(|error| error.code), Some(Code::ReadOnly));
        let after: Vec<_> = storage.paths().into_iter().map(|path| (storage.contents(&path), path)).collect();
        assert!(before == after);
    }
}

#[test]
fn a_torn_last_record_ends_the_log_and_its_bytes_are_gone_for_good() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    let put = put_numbered(&mut store, 20);
    write_behind(&mut store, &storage);
    let left = storage.snapshot();
    let (physical, _, size) = put[19];
    let (file, at) = (format!("commitlog/{:020}", physical / 4096 * 4096), (physical % 4096) as usize);
    let mut bytes = left.contents(&file).unwrap();
    bytes[at + size as usize / 2..at + size as usize].fill(0);
    left.place(&file, &bytes);
    let mut store = open(&left, small()).unwrap();
    assert_eq!(findings(&store), ["unclean", "cut"]);
    assert_complete(&store, 19);
    assert!(left.contents(&file).unwrap()[at..].iter().all(|&byte| byte == 0));
    assert_eq!(put_number(&mut store, 19).1, 19);
    close(store);
    assert_complete(&open(&left, small()).unwrap(), 20);
}

#[test]
fn stale_queue_entries_behind_a_cut_log_are_cleared_on_disk() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    let put = put_numbered(&mut store, 25);
    write_behind(&mut store, &storage);
    let left = storage.snapshot();
    let cut = put[7].0 as usize;
    let mut bytes = left.contents("commitlog/00000000000000000000").unwrap();
    bytes[cut..].fill(0);
    left.place("commitlog/00000000000000000000", &bytes);
    close(open(&left, small()).unwrap());
    assert_eq!(left.contents("consumequeue/T/0/00000000000000000200"), None);
    assert!(left.contents("consumequeue/T/0/00000000000000000000").unwrap()[7 * 20..].iter().all(|&byte| byte == 0));
    assert_complete(&open(&left, small()).unwrap(), 7);
}

#[test]
fn one_rotten_bit_in_a_cleanly_closed_store_costs_one_message() {
    for rebuild in [false, true] {
        let storage = closed();
        let mut bytes = storage.contents("commitlog/00000000000000004096").unwrap();
        // The body of the third record of the second file.
        let size = u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize;
        bytes[2 * size + 88] ^= 1;
        storage.place("commitlog/00000000000000004096", &bytes);
        if rebuild {
            storage.remove_tree("consumequeue");
            storage.remove_tree("index");
        }
        let store = open(&storage, small()).unwrap();
        assert_eq!(store.reader().offsets(b"T", 0).max, 60);
        let shows = |n| get(&store, "T", 0, n, 1).is_ok_and(|answer| answer.2 == [format!("m{n}")]);
        let first = (0..60).find(|&n| !shows(n)).unwrap();
        if rebuild {
            assert_eq!(findings(&store), ["damaged", "queue-gap"]);
            assert_eq!(get(&store, "T", 0, first, 1).unwrap(), (GetStatus::Found, first + 2, vec![format!("m{}", first + 1)]));
        } else {
            let error = get(&store, "T", 0, first, 1).unwrap_err();
            assert_eq!(error.code, Code::Corrupt);
            assert!(
                error
                    .details
                    .iter()
                    .any(|(name, value)| *name == "nextOffset" && *value == moraine_core::error::Detail::Number(first as i64 + 1))
            );
            assert_eq!(get(&store, "T", 0, first - 1, 8).unwrap().2, [format!("m{}", first - 1)]);
        }
        let (first, rest) = (first as usize, first as usize + 1);
        assert_eq!(get(&store, "T", 0, rest as u64, 100).unwrap().2, numbered(rest..60));
        assert_eq!(get(&store, "T", 0, 0, first).unwrap().2, numbered(0..first));
        assert!(lookup(&store, &format!("k{first}")).is_empty());
        assert_eq!(lookup(&store, "k59"), ["m59"]);
    }
}

#[test]
fn full_queues_beside_an_empty_log_are_refused_and_left_alone() {
    let storage = closed();
    storage.remove_tree("commitlog");
    let before = storage.paths();
    let error = open(&storage, small()).err().unwrap();
    assert_eq!(error.code, Code::Corrupt);
    assert!(error.message.contains("right disk"), "{error}");
    assert_eq!(storage.paths(), before);
}

#[test]
fn a_last_segment_that_is_empty_or_short_is_what_a_crash_leaves() {
    for len in [0, 100, 4096] {
        let storage = MemoryStorage::default();
        let mut store = open(&storage, small()).unwrap();
        put_numbered(&mut store, 20);
        let left = storage.snapshot();
        left.place("commitlog/00000000000000004096", &vec![0; len]);
        let mut store = open(&left, small()).unwrap();
        assert_complete(&store, 20);
        (20..60).for_each(|n| {
            put_number(&mut store, n);
        });
        close(store);
        assert_complete(&open(&left, small()).unwrap(), 60);
    }
}

#[test]
fn a_queue_whose_first_messages_are_gone_keeps_its_offsets() {
    let storage = closed();
    storage.remove_tree("consumequeue");
    storage.remove_tree("commitlog/00000000000000000000");
    let store = open(&storage, small()).unwrap();
    let range = store.reader().offsets(b"T", 0);
    assert!(range.min > 0 && range.max == 60);
    assert_eq!(all(&store), numbered(range.min as usize..60));
    close(store);
    let first_file = range.min / 10 * 10 * 20;
    let bytes = storage.contents(&format!("consumequeue/T/0/{first_file:020}")).unwrap();
    assert_eq!(&bytes[..20], [0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0]);
    let store = open(&storage, small()).unwrap();
    assert_eq!(all(&store)[..], numbered(range.min as usize..60)[..]);
}

#[test]
fn a_kind_of_store_that_cannot_be_written_is_refused_before_anything_changes() {
    for (path, text) in [
        ("config/topics.json", r#"{"topicConfigTable":{"B":{"attributes":{"cleanup.policy":"COMPACTION"}}}}"#),
        ("config/topics.json.bak", r#"{topicConfigTable:{"B":{attributes:{"cleanup.policy":"COMPACTION"}}}}"#),
        ("compaction/compactionLog/B/0/00000000000000000000", ""),
        ("consumequeue/CURRENT", "MANIFEST"),
        ("dledger-n0/data/00000000000000000000", ""),
    ] {
        let storage = closed();
        storage.place(path, text.as_bytes());
        let before = storage.paths();
        let error = open(&storage, small()).err().unwrap();
        assert_eq!(error.code, Code::UnsupportedFormat, "{path}");
        assert_eq!(storage.paths(), before);
        assert_complete(&open(&storage, Options { read_only: true, ..small() }).unwrap(), 60);
    }
}

#[test]
fn a_log_whose_files_lie_in_several_directories_is_read_and_not_written() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    put_numbered(&mut store, 200);
    close(store);
    storage.place("lock", b"lock"); // RocketMQ wrote last
    let segments: Vec<String> = storage.paths().into_iter().filter(|path| path.starts_with("commitlog/")).collect();
    assert!(segments.len() >= 6, "{segments:?}");
    let with = |keep: &dyn Fn(usize) -> bool| {
        let copy = storage.snapshot();
        segments.iter().enumerate().filter(|&(n, _)| !keep(n)).for_each(|(_, path)| copy.remove_tree(path));
        copy
    };
    for (kept, paths) in [(with(&|n| n % 2 == 0), 2), (with(&|n| n % 2 == 1), 2)] {
        let before = kept.paths();
        let error = open(&kept, small()).err().unwrap();
        assert_eq!(error.code, Code::UnsupportedFormat);
        assert!(error.message.contains(&format!("named {paths} directories")), "{error}");
        assert_eq!(kept.paths(), before);
        let store = open(&kept, Options { read_only: true, ..small() }).unwrap();
        assert!(store.reader().health().unwrap().findings.iter().any(|finding| finding.kind == "log-gap"));
        let mut scanner = moraine_core::engine::Scanner::new(store.reader().log(), 0, u64::MAX);
        assert!(scanner.next_item().unwrap().is_some());
    }
    // One lost file is damage, not another kind of store.
    let lost = with(&|n| n != 2);
    let store = open(&lost, small()).unwrap();
    assert!(store.reader().health().unwrap().findings.iter().any(|finding| finding.kind == "log-gap"));
}

#[test]
fn an_index_file_is_named_by_local_time_and_never_before_the_last() {
    let storage = MemoryStorage::default();
    let clock = MemoryClock::at(NOW).with_zone_offset(8 * 3_600_000);
    let mut store = open_at(&storage, small(), &clock).unwrap();
    put_numbered(&mut store, 70);
    close(store);
    let names: Vec<String> = storage.paths().into_iter().filter(|path| path.starts_with("index/")).collect();
    assert_eq!(names, ["index/20231115061320000", "index/20231115061320001", "index/20231115061320002"]);
}

#[test]
fn a_clean_close_syncs_every_directory_on_the_way_before_abort_goes() {
    let syncs = closed().syncs();
    let position = |call: &str| syncs.iter().position(|sync| sync == call).unwrap_or_else(|| panic!("no {call}"));
    let checkpoint = position("sync checkpoint");
    for dir in ["consumequeue", "consumequeue/T", "consumequeue/T/0", "index"] {
        assert!(position(&format!("sync-dir {dir}")) < checkpoint);
    }
    let after_log = syncs.iter().rposition(|sync| sync.starts_with("sync consumequeue")).unwrap();
    assert!(syncs[after_log..checkpoint].contains(&String::from("sync-dir ")), "the store directory");
}

#[test]
fn queue_entries_that_were_cleared_are_synced_before_a_clean_close() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    put_numbered(&mut store, 25);
    write_behind(&mut store, &storage);
    let left = storage.snapshot();
    left.place("commitlog/00000000000000000000", &[0; 4096]);
    let store = open(&left, small()).unwrap();
    assert!(left.syncs().contains(&String::from("sync-dir consumequeue/T/0")), "files were removed");
    close(store);
    assert!(left.syncs().contains(&String::from("sync consumequeue/T/0/00000000000000000000")));
}

/// A store that was closed at NOW, and opened again with a clock an hour behind.
fn reopened_an_hour_back(storage: &MemoryStorage) -> Store {
    let clock = MemoryClock::at(NOW);
    let mut store = open_at(storage, small(), &clock).unwrap();
    put_numbered(&mut store, 1);
    close(store);
    clock.set(NOW - 3_600_000);
    open_at(storage, small(), &clock).unwrap()
}

#[test]
fn a_clock_that_went_back_lets_no_checkpoint_vouch_for_what_came_later() {
    let storage = MemoryStorage::default();
    let mut store = reopened_an_hour_back(&storage);
    for n in 1..60 {
        put_number(&mut store, n);
    }
    let left = storage.snapshot();
    let again = open(&left, small()).unwrap();
    assert_eq!(findings(&again), ["unclean"]);
    assert_complete(&again, 60);
}

#[test]
fn a_plan_made_before_the_clock_went_back_does_not_put_the_checkpoint_right_again() {
    let storage = MemoryStorage::default();
    let clock = MemoryClock::at(NOW);
    let mut store = open_at(&storage, small(), &clock).unwrap();
    put_numbered(&mut store, 40);
    close(store);
    let mut store = open_at(&storage, small(), &clock).unwrap();
    for n in 40..80 {
        put_number(&mut store, n);
    }
    flush(&mut store, &storage);
    let plan = store.writer().unwrap().plan_behind().unwrap();
    clock.set(NOW - 3_600_000);
    for n in 80..120 {
        put_number(&mut store, n);
    }
    plan.run(&storage).unwrap();
    assert_complete(&open(&storage.snapshot(), small()).unwrap(), 120);
}

#[test]
fn queues_that_are_gone_after_an_abrupt_end_are_built_again_whatever_checkpoint_says() {
    let storage = MemoryStorage::default();
    let clock = MemoryClock::at(NOW);
    let mut store = open_at(&storage, small(), &clock).unwrap();
    for n in 0..60 {
        clock.set(NOW + 1000 * n);
        put_number(&mut store, n as usize);
    }
    close(store);
    storage.remove_tree("consumequeue");
    storage.place("abort", b"1");
    assert_complete(&open(&storage, small()).unwrap(), 60);
}

#[test]
fn a_record_whose_last_bytes_were_lost_is_not_taken_for_one_without_a_checksum() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    let put = put_numbered(&mut store, 2);
    let left = storage.snapshot();
    let bytes = left.contents("commitlog/00000000000000000000").unwrap();
    let (start, end) = (put[1].0 as usize, (put[1].0 + put[1].2) as usize);
    for cut in start..end {
        let mut torn = bytes.clone();
        torn[cut..].fill(0);
        left.place("commitlog/00000000000000000000", &torn);
        assert_eq!(all(&open(&left.snapshot(), small()).unwrap()), ["m0"], "cut {} bytes before the end", end - cut);
    }
}

#[test]
fn keys_that_a_crash_took_are_found_again_once_the_store_keeps_an_index_again() {
    for written in [1, 40, 70] {
        let storage = MemoryStorage::default();
        let mut store = open(&storage, small()).unwrap();
        put_numbered(&mut store, written);
        flush(&mut store, &storage);
        write_behind(&mut store, &storage);
        let left = storage.snapshot();
        close(open(&left, Options { index: false, ..small() }).unwrap());
        assert_complete(&open(&left, small()).unwrap(), written);
    }
}

#[test]
fn keys_of_a_time_without_an_index_are_found_once_there_is_one_again() {
    for before in [0, 1, 40, 70] {
        for (crashes, again) in [(false, 1), (false, 2), (true, 1), (true, 2)] {
            let storage = MemoryStorage::default();
            let mut store = open(&storage, small()).unwrap();
            put_numbered(&mut store, before);
            close(store);
            let mut left = storage;
            for session in 0..again {
                let mut store = open(&left, Options { index: false, ..small() }).unwrap();
                for n in before + 10 * session..before + 10 * (session + 1) {
                    put_number(&mut store, n);
                }
                if crashes {
                    flush(&mut store, &left);
                    write_behind(&mut store, &left);
                    left = left.snapshot();
                } else {
                    close(store);
                }
            }
            let count = before + 10 * again;
            assert_complete(&open(&left.snapshot(), Options { read_only: true, ..small() }).unwrap(), count);
            let mut store = open(&left, small()).unwrap();
            assert_complete(&store, count);
            put_number(&mut store, count);
            close(store);
            assert_complete(&open(&left, small()).unwrap(), count + 1);
        }
    }
}

#[test]
fn queues_that_are_half_built_again_when_the_next_crash_comes_are_built_once_more() {
    for clean in [true, false] {
        let storage = MemoryStorage::default();
        let clock = MemoryClock::at(NOW);
        let mut store = open_at(&storage, small(), &clock).unwrap();
        for n in 0..60 {
            clock.set(NOW + 1000 * n as i64);
            put_number(&mut store, n);
        }
        let mut other = message(b"other", b"");
        other.queue_id = 1;
        put(&mut store, &[other]).unwrap();
        close(store);
        storage.remove_tree("consumequeue");
        if !clean {
            storage.place("abort", b"1");
        }
        let mut store = open_at(&storage, small(), &clock).unwrap();
        write_behind(&mut store, &storage);
        let left = storage.snapshot();
        left.remove_tree("consumequeue/T/0"); // as if its entries had still to be written
        assert_complete(&open(&left, small()).unwrap(), 60);
    }
}
