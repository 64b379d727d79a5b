//! Index files whose slots and chains lead anywhere: a key is found or not, never wrongly, and every walk ends.

use crate::support::*;
use moraine_core::memory::MemoryStorage;

const HEADER_BYTES: usize = 40;
const SLOTS: usize = 16;
const ENTRIES: usize = 32;
const ENTRY_BYTES: usize = 20;

/// What a link may be made: the first entry, one in the middle, the last, one more than there are, far too many, negative.
const LINKS: [u32; 7] = [0, 1, 16, 31, 32, 0x7fff_ffff, 0xffff_ffff];

fn closed() -> (MemoryStorage, Vec<String>) {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    put_numbered(&mut store, 60);
    close(store);
    let files: Vec<String> = storage.paths().into_iter().filter(|path| path.starts_with("index/")).collect();
    assert!(files.len() > 1, "{files:?}");
    (storage, files)
}

fn set(storage: &MemoryStorage, path: &str, at: usize, number: u32) {
    for (i, byte) in number.to_be_bytes().into_iter().enumerate() {
        storage.change(path, at + i, |there| *there = byte);
    }
}

/// Every key leads to its message or to none, whether the sidecar says that the files are as they were or nothing does.
/// How many are found.
fn assert_never_wrong(storage: &MemoryStorage, case: &str) -> usize {
    let mut found = 0;
    for sidecar in [true, false] {
        let storage = storage.snapshot();
        if !sidecar {
            storage.remove_tree("moraine");
        }
        let store = open(&storage, small()).unwrap();
        assert_eq!(all(&store), numbered(0..60), "{case}");
        for n in 0..60 {
            let bodies = lookup(&store, &format!("k{n}"));
            assert!(bodies.is_empty() || bodies == [format!("m{n}")], "{case}, sidecar {sidecar}: k{n} finds {bodies:?}");
            found += bodies.len();
        }
    }
    found
}

#[test]
fn slots_that_lead_anywhere_find_the_key_or_nothing() {
    let (original, files) = closed();
    assert_eq!(assert_never_wrong(&original, "as it was"), 120);
    for link in LINKS {
        let storage = original.snapshot();
        for path in &files {
            (0..SLOTS).for_each(|slot| set(&storage, path, HEADER_BYTES + 4 * slot, link));
        }
        assert_never_wrong(&storage, &format!("slots of {link}"));
    }
}

#[test]
fn chains_that_go_in_circles_end() {
    let (original, files) = closed();
    let previous = |entry: usize| HEADER_BYTES + 4 * SLOTS + ENTRY_BYTES * entry + 16;
    for link in LINKS {
        let storage = original.snapshot();
        for path in &files {
            (0..ENTRIES).for_each(|entry| set(&storage, path, previous(entry), link));
        }
        assert_never_wrong(&storage, &format!("links to {link}"));
    }
    // Each to itself, and each to the one behind it.
    for further in [0, 1] {
        let storage = original.snapshot();
        for path in &files {
            (0..ENTRIES).for_each(|entry| set(&storage, path, previous(entry), entry as u32 + further));
        }
        assert_never_wrong(&storage, &format!("links {further} further"));
    }
}

#[test]
fn entries_of_other_messages_and_of_none_find_nothing_wrong() {
    let (original, files) = closed();
    let physical = |entry: usize| HEADER_BYTES + 4 * SLOTS + ENTRY_BYTES * entry + 4;
    for high in [0_u32, 0x7fff_ffff, 0xffff_ffff] {
        for low in [0_u32, 1, 150, 4096, 0xffff_ffff] {
            let storage = original.snapshot();
            for path in &files {
                for entry in 0..ENTRIES {
                    set(&storage, path, physical(entry), high);
                    set(&storage, path, physical(entry) + 4, low);
                }
            }
            assert_never_wrong(&storage, &format!("entries of {high:x} {low:x}"));
        }
    }
}

#[test]
fn a_header_that_says_anything_finds_the_key_or_nothing() {
    let (original, files) = closed();
    for field in 0..HEADER_BYTES / 4 {
        for number in LINKS {
            let storage = original.snapshot();
            files.iter().for_each(|path| set(&storage, path, 4 * field, number));
            assert_never_wrong(&storage, &format!("field {field} of {number}"));
        }
    }
}
