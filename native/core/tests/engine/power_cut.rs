//! What a power cut leaves of files that no sync covers.

use crate::support::*;
use moraine_core::memory::MemoryStorage;

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
        let mut store = open(&crashed, small()).unwrap();
        assert!(store.reader().health().unwrap().findings.iter().any(|finding| finding.kind == "log-gap"));
        assert_eq!(all(&store), numbered(0..kept));
        assert!(kept < 90 && kept > 20);
        put_number(&mut store, kept);
        close(store);
        assert_eq!(all(&open(&crashed, small()).unwrap()), numbered(0..kept + 1));
    }
}
