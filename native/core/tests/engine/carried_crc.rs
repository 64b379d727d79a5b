//! Records of RocketMQ that end with the checksum of the record from which their message was copied: whole where those around
//! them show that their writer gives no checksums, damaged everywhere else.

use crate::support::*;
use moraine_core::memory::MemoryStorage;
use moraine_core::options::Options;

/// Stands where RocketMQ's string has the old checksum: we would take that away.
const STAND_IN: &str = "__CRC64!\u{1}0123456781\u{2}";
const CARRIED: &[u8] = b"__CRC32#\x010123456781\x02";

fn unchecked() -> Options {
    Options { record_crc: false, ..small() }
}

/// Puts messages `range` as a writer without checksums does; `is_copy` says which end with an old one.
fn put_copies(store: &mut Store, range: std::ops::Range<usize>, is_copy: impl Fn(usize) -> bool) {
    for n in range {
        let (body, last) = (format!("m{n}"), if is_copy(n) { STAND_IN } else { "Z\u{1}z\u{2}" });
        put(store, &[message(body.as_bytes(), format!("KEYS\u{1}k{n}\u{2}{last}").as_bytes())]).unwrap();
    }
}

/// As RocketMQ has written it.
fn carried(storage: &MemoryStorage) {
    for path in storage.paths().into_iter().filter(|path| path.starts_with("commitlog/")) {
        let bytes = storage.contents(&path).unwrap();
        let stand_ins = (0..bytes.len() - STAND_IN.len()).filter(|&at| bytes[at..].starts_with(STAND_IN.as_bytes()));
        for (at, byte) in stand_ins.flat_map(|at| CARRIED.iter().enumerate().map(move |(i, byte)| (at + i, *byte))) {
            storage.change(&path, at, |there| *there = byte);
        }
    }
}

fn opened(storage: &MemoryStorage) -> Store {
    open(storage, small()).unwrap()
}

/// All of `count` messages are there, whatever ended the store and with whatever evidence it is opened.
fn assert_whole(left: &MemoryStorage, closed: &MemoryStorage, count: usize, case: &str) {
    for (storage, gone) in [(left, false), (left, true), (closed, false), (closed, true)] {
        let storage = storage.snapshot();
        carried(&storage);
        if gone {
            ["moraine", "checkpoint", "consumequeue", "index"].iter().for_each(|name| storage.remove_tree(name));
        }
        let store = opened(&storage);
        assert_eq!(all(&store), numbered(0..count), "{case}, gone {gone}");
        assert!(!findings(&store).contains(&"damaged"), "{case}, gone {gone}: {:?}", findings(&store));
        for n in 0..count {
            assert_eq!(lookup(&store, &format!("k{n}")), [format!("m{n}")], "{case}, gone {gone}");
        }
        close(store);
        assert_eq!(all(&opened(&storage)), numbered(0..count), "{case}, opened again, gone {gone}");
    }
}

#[test]
fn copies_among_records_without_a_checksum_are_whole() {
    type Rule = (&'static str, fn(usize) -> bool);
    let rules: [Rule; 5] = [
        ("one in three", |n| n % 3 == 1),
        ("all but the first", |n| n > 0),
        ("the last", |n| n == 59),
        ("the first", |n| n == 0),
        ("all", |_| true),
    ];
    for (case, is_copy) in rules {
        let storage = MemoryStorage::default();
        let mut store = open(&storage, unchecked()).unwrap();
        put_copies(&mut store, 0..60, is_copy);
        let left = storage.snapshot();
        close(store);
        assert_whole(&left, &storage, 60, case);
    }
}

/// Byte `at` of the record of message `n` is another one.
fn change_record(storage: &MemoryStorage, n: usize, at: usize, to: impl FnOnce(&mut u8)) {
    let store = open(&storage.snapshot(), small()).unwrap();
    let start = store.reader().entries(b"T", 0, n as u64, 1).unwrap().1[0].physical as usize;
    storage.change(&format!("commitlog/{:020}", start - start % 4096), start % 4096 + at, to);
}

/// 20 messages of a writer without checksums, 20 of one with, 20 of one without.
fn in_turns() -> MemoryStorage {
    let storage = MemoryStorage::default();
    for (range, options) in [(0..20, unchecked()), (20..40, small()), (40..60, unchecked())] {
        let mut store = open(&storage, options).unwrap();
        put_copies(&mut store, range, |_| false);
        close(store);
    }
    storage
}

#[test]
fn beside_a_record_with_its_own_checksum_it_is_damage() {
    // The flag, the born timestamp, and the end of a property.
    for n in [20, 21, 30, 38, 39] {
        for at in [19, 47, 103] {
            let storage = in_turns();
            change_record(&storage, n, at, |byte| *byte ^= 1);
            let store = opened(&storage);
            let mut expected = numbered(0..60);
            expected.remove(n);
            let n = n as u64;
            assert_eq!(get(&store, "T", 0, 0, 100).unwrap().2, expected[..n as usize], "message {n}, byte {at}");
            assert!(get(&store, "T", 0, n, 1).is_err(), "message {n}, byte {at}");
            assert_eq!(get(&store, "T", 0, n + 1, 100).unwrap().2, expected[n as usize..], "message {n}, byte {at}");
        }
    }
}

#[test]
fn where_nothing_vouches_for_it_it_is_damage() {
    for count in [1, 2, 5] {
        let storage = MemoryStorage::default();
        let mut store = open(&storage, small()).unwrap();
        put_copies(&mut store, 0..count, |_| false);
        close(store);
        (0..count).for_each(|n| change_record(&storage, n, 19, |byte| *byte ^= 1));
        let store = opened(&storage);
        (0..count).for_each(|n| assert!(get(&store, "T", 0, n as u64, 1).is_err(), "message {n} of {count}"));
    }
}

#[test]
fn a_copy_that_is_damaged_is_damage() {
    let copies = MemoryStorage::default();
    let mut store = open(&copies, unchecked()).unwrap();
    put_copies(&mut store, 0..60, |n| n == 30);
    close(store);
    carried(&copies);
    // Its body; a sector of its properties that was lost; digits that are none, a number that no checksum is.
    type Damage = (usize, fn(&mut u8));
    let damages: [Damage; 4] = [(89, |byte| *byte ^= 1), (98, |byte| *byte = 0), (113, |byte| *byte = b'x'), (122, |byte| *byte = b'9')];
    for (at, damage) in damages {
        let storage = copies.snapshot();
        change_record(&storage, 30, at, damage);
        assert!(get(&opened(&storage), "T", 0, 30, 1).is_err(), "byte {at}");
    }
    assert_eq!(get(&opened(&copies), "T", 0, 30, 1).unwrap().2, ["m30"]);
}

#[test]
fn a_follower_takes_copies_behind_a_record_without_a_checksum() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, unchecked()).unwrap();
    put_copies(&mut store, 0..60, |n| n % 3 == 1);
    close(store);
    carried(&storage);
    let leader = opened(&storage);
    let mut follower = open(&MemoryStorage::default(), small()).unwrap();
    let mut piece = Vec::new();
    loop {
        let at = follower.reader().raw_end();
        leader.reader().read_log(at, 1000, &mut piece).unwrap();
        if piece.is_empty() {
            break;
        }
        follower.writer().unwrap().append_log(at, &piece).unwrap();
    }
    assert_eq!(all(&follower), numbered(0..60));
}
