//! Stores whose files say what cannot be: the answers stay right, nothing grows without bound.

use crate::support::*;
use moraine_core::batch::BatchMessage;
use moraine_core::engine::{GetRequest, Resolved, ScanItem, Scanner};
use moraine_core::error::Code;
use moraine_core::format::record::{NewRecord, Staging};
use moraine_core::memory::MemoryStorage;
use moraine_core::options::Options;
use moraine_core::storage::Storage;

fn closed(count: usize) -> MemoryStorage {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    put_numbered(&mut store, count);
    close(store);
    storage
}

/// A log file with a single record, written by hand.
fn log_of_one(queue_offset: u64) -> MemoryStorage {
    let message = message(b"m", b"");
    let record = NewRecord {
        topic: message.topic,
        queue_id: 0,
        flag: 0,
        queue_offset,
        physical_offset: 0,
        sys_flag: 0,
        born_timestamp: NOW,
        born_host: message.born_host,
        store_timestamp: NOW,
        store_host: message.store_host,
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body: message.body,
        properties: message.properties,
    };
    let mut bytes = vec![0; 4096];
    let size = record.size(true) as usize;
    record.write(true, &mut Staging::default(), &mut bytes[..size]);
    let storage = MemoryStorage::default();
    storage.place("commitlog/00000000000000000000", &bytes);
    storage
}

#[test]
fn a_queue_offset_that_no_file_can_hold_is_reported_and_leads_nowhere() {
    for queue_offset in [1 << 53, 1 << 60, i64::MAX as u64] {
        let storage = log_of_one(queue_offset);
        let mut store = open(&storage, small()).unwrap();
        assert!(store.reader().health().unwrap().findings.iter().any(|finding| finding.kind == "queue-gap"));
        assert_eq!(put_number(&mut store, 0).1, 0);
        close(store);
        assert_eq!(all(&open(&storage, small()).unwrap()), ["m0"]);
    }
}

#[test]
fn a_queue_entry_never_asks_for_more_room_than_its_record_takes() {
    let storage = closed(5);
    let file = "consumequeue/T/0/00000000000000000000";
    let mut bytes = storage.contents(file).unwrap();
    bytes[28..32].copy_from_slice(&0x7fff_fff0_u32.to_be_bytes()); // the size in the second entry
    storage.place(file, &bytes);
    let store = open(&storage, small()).unwrap();
    let mut resolved = Resolved::default();
    store
        .reader()
        .resolve(&GetRequest { topic: b"T", offset: 1, max: 8, max_bytes: 1 << 20, ..GetRequest::default() }, &mut resolved)
        .unwrap();
    let error = resolved.copy(&mut [0; 4096], &mut [0.0; 8]).unwrap_err();
    assert_eq!(error.code, Code::Corrupt);
    assert!(error.details.iter().any(|(name, _)| *name == "nextOffset"));
    assert_eq!(get(&store, "T", 0, 2, 8).unwrap().2, numbered(2..5));
}

#[test]
fn keys_put_after_the_log_was_cut_behind_its_index_are_found() {
    for clean in [true, false] {
        let storage = closed(60);
        for file in ["00000000000000004096", "00000000000000008192"] {
            storage.remove_tree(&format!("commitlog/{file}"));
        }
        if !clean {
            storage.place("abort", b"");
        }
        let mut store = open(&storage, small()).unwrap();
        let left = all(&store).len();
        assert!(left < 60);
        put(&mut store, &[message(b"fresh", b"KEYS\x01fresh\x02")]).unwrap();
        let crashed = storage.snapshot();
        close(store);
        for storage in [storage, crashed] {
            let store = open(&storage, small()).unwrap();
            assert_eq!(lookup(&store, "fresh"), ["fresh"]);
            for n in 0..left {
                assert_eq!(lookup(&store, &format!("k{n}")), [format!("m{n}")]);
            }
        }
    }
}

#[test]
fn an_index_file_is_sealed_only_when_what_it_leads_to_is_durable() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    put_numbered(&mut store, 70);
    write_behind(&mut store, &storage);
    assert_eq!(storage.contents("checkpoint").unwrap()[16..24], [0; 8], "index time");
    for n in 0..70 {
        assert_eq!(lookup(&store, &format!("k{n}")), [format!("m{n}")]);
    }
    flush(&mut store, &storage);
    write_behind(&mut store, &storage);
    assert_eq!(storage.contents("checkpoint").unwrap()[16..24], NOW.to_be_bytes(), "index time");
}

#[test]
fn a_damaged_newest_queue_entry_costs_no_message_and_leaves_no_hole_in_the_log() {
    let file = "consumequeue/T/0/00000000000000000000";
    for physical in [1_u64, 3000, 1 << 40] {
        let storage = closed(5);
        let mut bytes = storage.contents(file).unwrap();
        bytes[80..88].copy_from_slice(&physical.to_be_bytes());
        storage.place(file, &bytes);
        let mut store = open(&storage, small()).unwrap();
        assert!(store.reader().health().unwrap().findings.iter().any(|finding| finding.kind == "queue-damaged"));
        assert_eq!(all(&store), numbered(0..5));
        let end = store.reader().positions().end;
        assert_eq!(put_number(&mut store, 5).0, end);
        let crashed = storage.snapshot();
        close(store);
        for storage in [storage, crashed] {
            assert_eq!(all(&open(&storage, small()).unwrap()), numbered(0..6), "{physical}");
        }
    }
}

#[test]
fn a_damaged_newest_record_keeps_its_queue_offset() {
    let storage = closed(5);
    let file = "commitlog/00000000000000000000";
    let mut bytes = storage.contents(file).unwrap();
    let size = u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize;
    bytes[4 * size + 4] ^= 1; // its magic
    storage.place(file, &bytes);
    let mut store = open(&storage, small()).unwrap();
    assert_eq!(put_number(&mut store, 5).1, 5);
}

#[test]
fn full_queues_of_a_killed_store_beside_no_log_are_refused_and_left_alone() {
    for sidecar in [true, false] {
        let storage = MemoryStorage::default();
        let mut store = open(&storage, small()).unwrap();
        put_numbered(&mut store, 5);
        flush(&mut store, &storage);
        write_behind(&mut store, &storage);
        drop(store);
        storage.remove_tree("commitlog");
        if !sidecar {
            storage.remove_tree("moraine");
        }
        let before: Vec<_> = storage.paths().into_iter().map(|path| (storage.contents(&path), path)).collect();
        let error = open(&storage, small()).err().unwrap();
        assert_eq!(error.code, Code::Corrupt);
        assert!(error.message.contains("right disk"), "{error}");
        assert!(before == storage.paths().into_iter().map(|path| (storage.contents(&path), path)).collect::<Vec<_>>());
    }
}

#[test]
fn full_queues_beside_a_log_of_zeros_are_refused_and_left_alone() {
    let storage = closed(5);
    storage.place("commitlog/00000000000000000000", &[0; 4096]);
    let before: Vec<_> = storage.paths().into_iter().map(|path| (storage.contents(&path), path)).collect();
    let error = open(&storage, small()).err().unwrap();
    assert_eq!(error.code, Code::Corrupt);
    assert!(error.message.contains("right disk"), "{error}");
    assert!(before == storage.paths().into_iter().map(|path| (storage.contents(&path), path)).collect::<Vec<_>>());
}

#[test]
fn a_queue_file_that_a_crash_left_empty_or_short_gets_the_size_that_rocketmq_wants() {
    for len in [0, 60] {
        let storage = MemoryStorage::default();
        let mut store = open(&storage, small()).unwrap();
        put_numbered(&mut store, 12);
        write_behind(&mut store, &storage);
        let left = storage.snapshot();
        left.place("consumequeue/T/0/00000000000000000200", &vec![0; len]);
        close(open(&left, small()).unwrap());
        assert_eq!(left.contents("consumequeue/T/0/00000000000000000200").unwrap().len(), 200);
        assert_eq!(all(&open(&left, small()).unwrap()), numbered(0..12));
    }
}

#[test]
fn the_first_log_file_survives_a_power_cut_before_a_queue_file_is_there() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    put_number(&mut store, 0);
    let syncs = storage.syncs();
    assert!(syncs.iter().any(|sync| sync.starts_with("sync commitlog/")));
    assert!(syncs.iter().any(|sync| sync == "sync-dir commitlog"));
}

#[test]
fn a_clock_that_was_ahead_once_does_not_stay_in_the_checkpoint() {
    let storage = MemoryStorage::default();
    let year = 365 * 86_400_000;
    for now in [NOW + year, NOW] {
        let mut store = open_at(&storage, small(), &moraine_core::memory::MemoryClock::at(now)).unwrap();
        put_number(&mut store, 0);
        close(store);
        let checkpoint = storage.contents("checkpoint").unwrap();
        assert_eq!((&checkpoint[..8], &checkpoint[8..16]), (&now.to_be_bytes()[..], &now.to_be_bytes()[..]));
    }
}

#[test]
fn a_hole_in_a_queue_file_costs_what_it_held_and_nothing_behind_it() {
    let storage = closed(65);
    let file = "consumequeue/T/0/00000000000000000600";
    let mut bytes = storage.contents(file).unwrap();
    bytes[40..].fill(0); // entries 32 to 39
    storage.place(file, &bytes);
    for opens in 0..2 {
        let mut store = open(&storage, small()).unwrap();
        assert_eq!(store.reader().offsets(b"T", 0).next, 65 + opens);
        assert_eq!(get(&store, "T", 0, 40, 25).unwrap().2, numbered(40..65));
        put_number(&mut store, 65 + opens as usize);
        close(store);
    }
}

#[test]
fn a_log_cut_in_front_of_a_hole_in_a_queue_takes_the_entries_on_both_sides_of_it() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    let puts = put_numbered(&mut store, 60);
    write_behind(&mut store, &storage);
    let left = storage.snapshot();
    left.place("consumequeue/T/0/00000000000000000600", &[0; 200]);
    let mut log = left.contents("commitlog/00000000000000000000").unwrap();
    log[puts[2].0 as usize..].fill(0);
    left.place("commitlog/00000000000000000000", &log);
    let mut store = open(&left, small()).unwrap();
    assert_eq!(put_number(&mut store, 2).1, 2);
    close(store);
    assert_eq!(all(&open(&left, small()).unwrap()), numbered(0..3));
}

#[test]
fn a_missing_or_damaged_part_in_the_middle_of_a_queue_leaves_the_rest_as_it_is() {
    let file = "consumequeue/T/0/00000000000000000600";
    for missing in [true, false] {
        let storage = closed(65);
        let mut bytes = storage.contents(file).unwrap();
        bytes[45] ^= 0x80; // entry 32 leads far behind the end of the log
        storage.place(file, &bytes);
        if missing {
            storage.remove_tree(file);
        }
        let mut store = open(&storage, small()).unwrap();
        let found = store.reader().health().unwrap().findings;
        assert_eq!(found.iter().any(|finding| finding.kind == "queue-gap" && finding.file == file), missing);
        assert_eq!(put_number(&mut store, 65).1, 65);
        close(store);
        let store = open(&storage, small()).unwrap();
        assert_eq!(get(&store, "T", 0, 40, 30).unwrap().2, numbered(40..66));
        assert_eq!(get(&store, "T", 0, 0, 30).unwrap().2, numbered(0..30));
    }
}

/// One bit of a length, and the record seems to end where the next one does.
#[test]
fn a_length_that_reaches_over_the_next_record_costs_one_message() {
    let options = Options { record_crc: false, ..small() };
    let storage = MemoryStorage::default();
    let mut store = open(&storage, options.clone()).unwrap();
    let none = put(&mut store, &[message(b"", b"")]).unwrap()[0].2 as usize;
    let bodies = [vec![b'1'; 127 - none], vec![b'2'; 128 - none], vec![b'3'; 20]];
    let puts = bodies.each_ref().map(|body| put(&mut store, &[message(body, b"")]).unwrap()[0]);
    assert_eq!(puts.map(|(_, _, size)| size)[..2], [127, 128]);
    close(store);
    storage.change("commitlog/00000000000000000000", puts[0].0 as usize + 3, |byte| *byte ^= 0x80);
    storage.remove_tree("consumequeue");
    let store = open(&storage, options).unwrap();
    let said = bodies[1..].iter().map(|body| String::from_utf8(body.clone()).unwrap()).collect::<Vec<_>>();
    assert_eq!(get(&store, "T", 0, 2, 9).unwrap().2, said);
    let items: Vec<_> = std::iter::from_fn({
        let mut scanner = Scanner::new(store.reader().log(), 0, u64::MAX);
        move || scanner.next_item().unwrap()
    })
    .collect();
    assert!(items.contains(&ScanItem::Message { at: puts[1].0, size: 128 }), "{items:?}");
}

/// In a store that RocketMQ closed nothing but the entries themselves says how far a queue went.
#[test]
fn a_newest_queue_entry_that_is_none_gives_no_offset_twice() {
    for (byte, bit) in [(0, 0x80), (8, 0x80)] {
        let storage = MemoryStorage::default();
        let mut store = open(&storage, small()).unwrap();
        (0..5).for_each(|_| _ = put(&mut store, &[BatchMessage { topic: b"U", ..message(b"u", b"") }]).unwrap());
        put_number(&mut store, 0);
        close(store);
        storage.remove_tree("moraine");
        storage.place("lock", b"lock");
        storage.change("consumequeue/U/0/00000000000000000000", 4 * 20 + byte, |there| *there ^= bit);
        let mut store = open(&storage, small()).unwrap();
        assert_eq!(findings(&store), ["queue-damaged"]);
        assert_eq!(get(&store, "U", 0, 0, 9).unwrap().2.len(), 5);
        assert_eq!(put(&mut store, &[BatchMessage { topic: b"U", ..message(b"u", b"") }]).unwrap()[0].1, 5);
    }
}

/// RocketMQ removes it, starts without it or does not start, by what it is and where.
#[test]
fn something_else_in_the_place_of_a_file_is_refused_before_anything_is_changed() {
    let storage = closed(60);
    let first = |dir: &str| storage.paths().into_iter().find(|path| path.starts_with(dir)).unwrap();
    let places = [
        first("commitlog/"),
        first("consumequeue/"),
        String::from("consumequeue/T/0/00000000000000000400"),
        String::from("consumequeue/T/0/00000000000000002000"), // where there is none yet
        String::from("batchconsumequeue/B/0/00000000000000000000"),
        String::from("consumequeue_ext/T/0/00000000000000000000"),
        first("index/"),
        String::from("index/20991231235959999"),
    ];
    for killed in [false, true] {
        for place in &places {
            let storage = storage.snapshot();
            if killed {
                storage.place("abort", b"");
                storage.remove_tree("moraine");
            }
            storage.remove(place).unwrap();
            storage.create_dir(place).unwrap();
            let before = storage.snapshot();
            let error = open(&storage, small()).err().unwrap();
            assert_eq!(error.code, Code::Corrupt, "{place}: {error:?}");
            assert!(error.message.contains(place.as_str()), "{place}: {error:?}");
            assert_eq!(storage.paths(), before.paths());
            assert!(storage.paths().iter().all(|path| storage.contents(path) == before.contents(path)), "{place}: nothing is changed");

            let looked = open(&storage, Options { read_only: true, ..small() });
            let Ok(store) = looked else {
                assert!(place.starts_with("commitlog/"), "{place}: {:?}", looked.err());
                continue;
            };
            let found = store.reader().health().unwrap().findings;
            assert!(found.iter().any(|finding| (finding.kind, &finding.file) == ("stray-file", place)), "{place}: {found:?}");
            let mut scanner = Scanner::new(store.reader().log(), 0, u64::MAX);
            let items = std::iter::from_fn(|| scanner.next_item().unwrap());
            let messages = items.filter(|item| matches!(item, ScanItem::Message { .. })).count();
            assert!(messages == 60 || place.starts_with("commitlog/"), "{place}: {messages}");
        }
    }
}
