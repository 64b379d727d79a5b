//! What a power cut leaves where one file of the log ends and the next begins.

use crate::support::*;
use moraine_core::memory::MemoryStorage;

const FIRST: &str = "commitlog/00000000000000000000";
const SECOND: &str = "commitlog/00000000000000004096";

/// A store that lost its power right after the first message of its second file, before anything was synced; how many
/// messages the first file holds, and where their last one ends.
fn rolled() -> (MemoryStorage, usize, usize) {
    rolled_to(4096)
}

/// The same with as many files as have a message up to the one that begins at `base`.
fn rolled_to(base: u64) -> (MemoryStorage, usize, usize) {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    let mut first = (0, 0);
    for n in 0.. {
        let (physical, _, size) = put_number(&mut store, n);
        if physical < 4096 {
            first = (n + 1, (physical + size) as usize);
        }
        if physical == base {
            let left = storage.snapshot();
            left.boot(2);
            return (left, first.0, first.1);
        }
    }
    unreachable!("a file of 4,096 bytes is full some time")
}

/// Opens what is left, finds the first `count` messages and no more, and puts further ones in their places.
fn assert_goes_on(storage: &MemoryStorage, count: usize) {
    let mut store = open(storage, small()).unwrap();
    assert_eq!(all(&store), numbered(0..count));
    assert!(!findings(&store).contains(&"damaged"), "{:?}", findings(&store));
    for n in count..60 {
        assert_eq!(put_number(&mut store, n).1, n as u64);
    }
    close(store);
    let store = open(storage, small()).unwrap();
    assert_eq!(all(&store), numbered(0..60));
    for n in 0..60 {
        assert_eq!(lookup(&store, &format!("k{n}")), [format!("m{n}")]);
    }
}

#[test]
fn a_blank_whose_next_file_is_missing_is_the_end_of_the_log() {
    let (storage, count, _) = rolled();
    storage.remove_tree(SECOND);
    assert_goes_on(&storage, count);
}

/// Which names of files made since the last sync survive is anybody's guess: also every second one, as in a log of RocketMQ's
/// that lies in two directories.
#[test]
fn every_second_file_of_our_own_log_is_what_a_power_cut_took() {
    let (storage, count, _) = rolled_to(4 * 4096);
    for base in [4096, 3 * 4096] {
        storage.remove_tree(&format!("commitlog/{base:020}"));
    }
    assert_goes_on(&storage, count);
}

#[test]
fn a_blank_whose_next_file_is_empty_short_or_zero_is_the_end_of_the_log() {
    for len in [0, 100, 4096] {
        let (storage, count, _) = rolled();
        storage.place(SECOND, &vec![0; len]);
        assert_goes_on(&storage, count);
    }
}

#[test]
fn a_next_file_without_the_blank_before_it_is_the_end_of_the_log() {
    let (storage, count, end) = rolled();
    for at in end..4096 {
        storage.change(FIRST, at, |byte| *byte = 0);
    }
    // The record in the second file is whole, and was never acknowledged as durable.
    assert_goes_on(&storage, count);
}

#[test]
fn a_next_file_of_zeros_without_the_blank_before_it_is_fine_too() {
    let (storage, count, end) = rolled();
    for at in end..4096 {
        storage.change(FIRST, at, |byte| *byte = 0);
    }
    storage.place(SECOND, &[0; 4096]);
    assert_goes_on(&storage, count);
}

#[test]
fn both_halves_of_the_roll_are_kept() {
    let (storage, count, _) = rolled();
    assert_goes_on(&storage, count + 1);
}
