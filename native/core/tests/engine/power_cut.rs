//! What a power cut leaves of files that no sync covers.

use crate::support::*;
use moraine_core::engine::Engine;
use moraine_core::memory::MemoryStorage;
use moraine_core::options::Options;
use moraine_core::sim::{SimClock, SimDisk};
use std::sync::Arc;

#[test]
fn a_power_cut_may_take_the_length_of_files_in_the_middle() {
    for len in [0, 1000] {
        let storage = MemoryStorage::default();
        let mut store = open(&storage, small()).unwrap();
        let puts = put_numbered(&mut store, 90);
        write_behind(&mut store, &storage);
        let crashed = storage.snapshot();
        let log = crashed.contents("commitlog/00000000000000004096").unwrap();
        crashed.place("commitlog/00000000000000004096", &log[..len]);
        crashed.place("consumequeue/T/0/00000000000000000400", b"");
        let kept = puts.iter().filter(|put| put.0 + put.2 <= 4096 + len as u64).count();
        let read_only = open(&crashed, Options { read_only: true, ..small() }).unwrap();
        assert_eq!(all(&read_only), numbered(0..kept));
        let mut store = open(&crashed, small()).unwrap();
        assert!(store.reader().health().unwrap().findings.iter().any(|finding| finding.kind == "log-gap"));
        assert_eq!(all(&store), numbered(0..kept));
        assert!(kept < 90 && kept > 20);
        put_number(&mut store, kept);
        close(store);
        assert_eq!(all(&open(&crashed, small()).unwrap()), numbered(0..kept + 1));
    }
}

/// The longest of them has but one entry: where they begin says how long they are.
#[test]
fn a_power_cut_may_leave_no_queue_file_whole() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    put_numbered(&mut store, 12);
    write_behind(&mut store, &storage);
    let crashed = storage.snapshot();
    let second = "consumequeue/T/0/00000000000000000200";
    let entries = crashed.contents(second).unwrap();
    crashed.place("consumequeue/T/0/00000000000000000000", b"");
    crashed.place(second, &entries[..20]);
    crashed.remove_tree("moraine");
    let store = open(&crashed, small()).unwrap();
    assert_eq!((all(&store), findings(&store)), (numbered(0..12), vec!["unclean"]));
    close(store);
    assert_eq!(crashed.contents(second).unwrap(), entries);
}

/// On a disk that minds what is not there: index files that were never written have no directory.
#[test]
#[allow(clippy::arc_with_non_send_sync)] // one thread
fn a_truncation_may_come_before_the_index_is_in_files() {
    let disk = Arc::new(SimDisk::new(1));
    let mut store = Engine::open(disk, SimClock::at(NOW), small(), &mut |_| {}).unwrap();
    let mut bytes = Vec::new();
    moraine_core::batch::encode(&message(b"m", b"KEYS\x01k\x02"), &mut bytes);
    let mut results = [0.0; 16];
    store.writer().unwrap().put(&bytes, &mut results).unwrap();
    store.writer().unwrap().truncate(0).unwrap();
    assert_eq!(store.reader().positions().end, 0);
    store.writer().unwrap().put(&bytes, &mut results).unwrap();
}
