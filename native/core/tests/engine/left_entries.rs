//! Entries of queues and of the index that are left to be read without the lock: they make the answer that the look under the lock gives, or none.

use crate::support::*;
use moraine_core::engine::{GetRequest, Resolved};
use moraine_core::index::lookup::Search;
use moraine_core::memory::{MemorySegment, MemoryStorage};
use moraine_core::options::Options;
use moraine_core::storage::Storage;

const MESSAGES: usize = 100;
const FILE_ENTRIES: u64 = 40;
const ENTRY_BYTES: u64 = 20;

/// A store of messages of one queue whose entries are all in files.
fn written() -> (MemoryStorage, Store) {
    let storage = MemoryStorage::default();
    let options = || Options { queue_file_entries: FILE_ENTRIES as u32, ..small() };
    let mut store = open(&storage, options()).unwrap();
    put_numbered(&mut store, MESSAGES);
    close(store);
    let store = open(&storage, options()).unwrap();
    (storage, store)
}

fn resolve(store: &Store, request: GetRequest<'_>, may_leave: bool) -> Resolved<MemorySegment> {
    let mut resolved = Resolved::default();
    let reader = store.reader();
    let outcome = if may_leave { reader.resolve_leaving(&request, &mut resolved) } else { reader.resolve(&request, &mut resolved) };
    outcome.unwrap();
    resolved
}

fn request(offset: u64, max: usize, max_bytes: usize) -> GetRequest<'static> {
    GetRequest { topic: b"T", offset, max, max_bytes, ..GetRequest::default() }
}

/// The entries that were left, as their file has them.
fn raw_of(storage: &MemoryStorage, resolved: &Resolved<MemorySegment>) -> Vec<u8> {
    let (path, at, bytes) = resolved.left().unwrap();
    let mut raw = vec![0; bytes];
    assert_eq!(storage.read_at(path, at, &mut raw).unwrap(), bytes);
    raw
}

/// All that an answer says.
fn said(mut resolved: Resolved<MemorySegment>) -> String {
    let (mut out, mut offsets) = (vec![0; 1 << 20], [0.0; 64]);
    let copied = resolved.copy(&mut out, &mut offsets);
    let (status, messages) = (resolved.status, copied.as_ref().map_or(0, |copied| copied.messages));
    let bytes = &out[..copied.as_ref().map_or(0, |copied| copied.bytes)];
    let range = (resolved.next, resolved.min, resolved.max, resolved.bytes_behind);
    format!("{status:?} {range:?} {copied:?} {:?} {bytes:?}", &offsets[..messages])
}

#[test]
fn they_make_the_answer_of_the_look_under_the_lock() {
    let (storage, store) = written();
    let mut left = 0;
    for offset in 0..=MESSAGES as u64 + 1 {
        for (max, max_bytes) in [(1, 1), (1, 1 << 20), (2, 1 << 20), (7, 300), (7, 1 << 20), (32, 1), (32, 1 << 20), (33, 1 << 20)] {
            let request = request(offset, max, max_bytes);
            let mut resolved = resolve(&store, request, true);
            if resolved.left().is_some() {
                left += 1;
                let raw = raw_of(&storage, &resolved);
                assert!(store.reader().leads_on(&resolved) && resolved.take_left(&raw), "{request:?}");
            }
            assert_eq!(said(resolved), said(resolve(&store, request, false)), "{request:?}");
        }
    }
    assert!(left > 300, "{left} answers");
}

#[test]
fn entries_in_memory_behind_a_filter_and_of_many_messages_are_never_left() {
    let (_, mut store) = written();
    assert!(resolve(&store, request(50, 1, 1 << 20), true).left().is_some());
    assert!(resolve(&store, request(50, 64, 1 << 20), true).left().is_none());
    let filter = b"\x00\x01t";
    assert!(resolve(&store, GetRequest { filter, ..request(50, 1, 1 << 20) }, true).left().is_none());
    let (_, offset, _) = put_number(&mut store, MESSAGES);
    assert!(resolve(&store, request(offset, 1, 1 << 20), true).left().is_none());
    assert!(resolve(&store, request(offset - 1, 1, 1 << 20), true).left().is_none(), "its neighbour is in memory");
}

#[test]
fn damaged_entries_make_the_answer_of_the_look_under_the_lock_or_none() {
    let (storage, store) = written();
    let (mut taken, mut refused) = (0, 0);
    let request = request(FILE_ENTRIES + 10, 2, 1 << 20);
    let (path, at, bytes) = resolve(&store, request, true).left().map(|(path, at, bytes)| (path.to_owned(), at, bytes)).unwrap();
    assert_eq!((at, bytes as u64), (9 * ENTRY_BYTES, 4 * ENTRY_BYTES));
    for byte in 0..bytes {
        for bit in 0..8 {
            let flip = || storage.change(&path, at as usize + byte, |byte| *byte ^= 1 << bit);
            flip();
            let mut resolved = resolve(&store, request, true);
            if resolved.take_left(&raw_of(&storage, &resolved)) {
                taken += 1;
                assert_eq!(said(resolved), said(resolve(&store, request, false)), "bit {bit} of byte {byte}");
            } else {
                refused += 1;
            }
            flip();
        }
    }
    assert!(taken > 100 && refused > 100, "{taken} taken, {refused} refused");
}

#[test]
fn too_few_or_blank_ones_make_none() {
    let (storage, store) = written();
    let left = || resolve(&store, request(50, 1, 1 << 20), true);
    let raw = raw_of(&storage, &left());
    assert!(left().take_left(&raw));
    for wrong in [&raw[..raw.len() - 20], &raw[..0], &[0; 60], &[raw.as_slice(), &raw].concat()] {
        assert!(!left().take_left(wrong), "{} bytes", wrong.len());
    }
    let mut twice = left();
    assert!(twice.take_left(&raw) && !twice.take_left(&raw) && twice.left().is_none());
}

#[test]
fn none_are_believed_once_the_end_of_the_log_was_moved_back() {
    let (storage, mut store) = written();
    let to = store.reader().positions().end - resolve(&store, request(62, 1, 1 << 20), false).bytes_behind;
    let left = resolve(&store, request(50, 1, 1 << 20), true);
    let gone = resolve(&store, request(85, 1, 1 << 20), true);
    assert!(store.reader().leads_on(&left) && store.reader().leads_on(&gone));
    store.writer().unwrap().truncate(to).unwrap();
    for n in 0..30 {
        put_number(&mut store, 1000 + n);
    }
    flush(&mut store, &storage);
    write_behind(&mut store, &storage);
    assert!(!store.reader().leads_on(&left) && !store.reader().leads_on(&gone), "its file holds another's entry now");
    assert_eq!(get(&store, "T", 0, 85, 1).unwrap().2, ["m1022"]);
}

/// What a search of the index finds that leaves its entries, each changed before it is given; and how many those were.
fn found(store: &Store, storage: &MemoryStorage, key: &str, change: impl Fn(&mut [u8; 20])) -> (Vec<u64>, usize) {
    let mut search = Search::default();
    let mut given = 0;
    loop {
        store.reader().lookup_leaving(b"T", key.as_bytes(), &mut search).unwrap();
        if search.left().is_none() {
            return (search.found().to_vec(), given);
        }
        while let Some((path, at)) = search.left() {
            let mut raw = [0; 20];
            assert_eq!(storage.read_at(path, at, &mut raw).unwrap(), raw.len());
            change(&mut raw);
            search.give(&raw);
            given += 1;
        }
    }
}

#[test]
fn entries_of_the_index_that_are_left_lead_where_those_under_the_lock_do() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    let mut given = 0;
    for written in [20, 50, 100] {
        // The newest are in memory.
        put_numbered(&mut store, written);
        flush(&mut store, &storage);
        write_behind(&mut store, &storage);
        put_numbered(&mut store, 7);
        for key in 0..written + 1 {
            let key = format!("k{key}");
            let mut whole = Search::default();
            store.reader().lookup_on(b"T", key.as_bytes(), &mut whole).unwrap();
            let (found, left) = found(&store, &storage, &key, |_| {});
            assert_eq!(found, whole.found(), "{key} of {written}");
            given += left;
        }
    }
    assert!(given > 1000, "{given} entries were left");
}

#[test]
fn entries_are_left_to_none_who_did_not_ask_for_that_whatever_was_asked_before_in_the_same_memory() {
    let (_, store) = written();
    let mut resolved = resolve(&store, request(50, 1, 1 << 20), true);
    assert!(resolved.left().is_some());
    store.reader().resolve(&request(50, 1, 1 << 20), &mut resolved).unwrap();
    assert_eq!(said(resolved), said(resolve(&store, request(50, 1, 1 << 20), false)));
    let mut search = Search::default();
    store.reader().lookup_leaving(b"T", b"k50", &mut search).unwrap();
    assert!(search.left().is_some());
    store.reader().lookup_on(b"T", b"k50", &mut search).unwrap();
    assert_eq!((search.left(), search.found().len()), (None, 1), "it goes on where it was left");
    search.clear();
    store.reader().lookup_on(b"T", b"k60", &mut search).unwrap();
    assert_eq!((search.left(), search.found().len()), (None, 1));
}

#[test]
fn one_look_at_the_index_is_enough_for_all_entries_of_a_chain_in_a_file() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    let places: Vec<u64> =
        (0..MESSAGES).map(|n| put(&mut store, &[message(format!("m{n}").as_bytes(), b"KEYS\x01same\x02")]).unwrap()[0].0).collect();
    flush(&mut store, &storage);
    write_behind(&mut store, &storage);
    let (mut looks, mut search) = (0, Search::default());
    loop {
        store.reader().lookup_leaving(b"T", b"same", &mut search).unwrap();
        if search.left().is_none() {
            break;
        }
        looks += 1;
        while let Some((path, at)) = search.left() {
            let mut raw = [0; 20];
            storage.read_at(path, at, &mut raw).unwrap();
            search.give(&raw);
        }
    }
    assert_eq!(search.found(), places.into_iter().rev().collect::<Vec<_>>());
    assert_eq!(looks, store.reader().stats().index_files, "one for each file");
}

#[test]
fn a_search_of_the_index_ends_whatever_it_is_given() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    put_numbered(&mut store, MESSAGES);
    flush(&mut store, &storage);
    write_behind(&mut store, &storage);
    for byte in 0..20 {
        for wrong in [0, 1, 0x7F, 0xFF] {
            for key in 0..MESSAGES {
                let (_, given) = found(&store, &storage, &format!("k{key}"), |raw| raw[byte] = wrong);
                assert!(given <= MESSAGES, "{given} entries");
            }
        }
    }
}
