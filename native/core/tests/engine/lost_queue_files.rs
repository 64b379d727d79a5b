//! Queue files that were removed, put back from a backup or lie far apart: no offset is given twice, nothing runs on and on.

use crate::support::batches::*;
use crate::support::killed::*;
use crate::support::*;
use moraine_core::batch::BatchMessage;
use moraine_core::engine::GetStatus;
use moraine_core::engine::sidecar::{WATERMARK_PATH, queues_path};
use moraine_core::format::crc::crc32;
use moraine_core::format::queue_table::{Header, Kind, QueueRow, TopicRow};
use moraine_core::format::watermark::Watermark;
use moraine_core::memory::{MemoryClock, MemoryStorage};
use moraine_core::options::Options;
use moraine_core::storage::DirectoryStamp;

fn put_to(store: &mut Store, topic: &str, queue_id: i32, body: &str) -> u64 {
    let one = BatchMessage { topic: topic.as_bytes(), queue_id, ..message(body.as_bytes(), b"KEYS\x01k\x02") };
    put(store, &[one]).unwrap()[0].1
}

/// 40 messages of a queue whose files are gone, and 40 of another.
fn without_files_of_u(options: &Options) -> MemoryStorage {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, options.clone()).unwrap();
    for n in 0..40 {
        put_to(&mut store, "U", 0, &format!("u{n}"));
    }
    put_numbered(&mut store, 40);
    close(store);
    storage.remove_tree("consumequeue/U");
    storage
}

/// A queue that only the sidecar tells of goes on where it was, also where the open that finds it so is killed at any call.
fn goes_on(storage: &MemoryStorage, options: &Options) {
    let mut bad = Vec::new();
    opens_that_die(storage, &MemoryClock::at(NOW), options, &mut |dies_in, memory| {
        let mut store = open(memory, options.clone()).unwrap();
        let next = store.reader().offsets(b"U", 0).next;
        let given = put_to(&mut store, "U", 0, "new");
        if (next, given) != (40, 40) {
            bad.push((dies_in, next, given));
        }
    });
    assert_eq!(bad, [], "killed at call, next, given");
}

#[test]
fn a_queue_that_only_the_sidecar_tells_of_is_built_again_whenever_the_open_is_killed() {
    let options = Options { segment_bytes: 4096, ..small() };
    goes_on(&without_files_of_u(&options), &options);
}

/// Its newest messages are lost, too: only the table says that there were any.
#[test]
fn nor_does_it_give_offsets_again_that_the_log_has_lost() {
    let options = Options { segment_bytes: 4096, ..small() };
    let storage = without_files_of_u(&options);
    for lost in ["u38", "u39"] {
        let mut logs = storage.paths().into_iter().filter(|path| path.starts_with("commitlog/"));
        let found = logs.find_map(|path| {
            let bytes = storage.contents(&path).unwrap();
            Some((path, bytes.windows(3).position(|three| three == lost.as_bytes())?, bytes))
        });
        let (path, at, mut bytes) = found.unwrap();
        bytes[at] ^= 1;
        storage.place(&path, &bytes);
    }
    goes_on(&storage, &options);
    let checkpointed = storage.snapshot();
    let mut store = open(&checkpointed, options.clone()).unwrap();
    checkpoint(&mut store, &checkpointed);
    drop(store);
    checkpointed.remove_tree("consumequeue");
    goes_on(&checkpointed, &options);
}

#[test]
fn also_with_one_segment() {
    let options = Options { segment_bytes: 1 << 20, ..small() };
    goes_on(&without_files_of_u(&options), &options);
}

/// Queue files with a hole of 10^14 entries: what lies behind it is served, and nobody walks through the hole.
#[test]
fn queue_files_far_apart_are_reported_and_the_others_served() {
    let original = MemoryStorage::default();
    let mut store = open(&original, small()).unwrap();
    put_numbered(&mut store, 40);
    put_to(&mut store, "U", 0, "u0");
    close(store);
    original.remove_tree("moraine");
    let path = "consumequeue/T/0/00000000000000000000";
    let (first, base) = (original.contents(path).unwrap(), 9_000_000_000_000_000_u64 / 200 * 200);
    original.place(&format!("consumequeue/T/0/{base:020}"), &first);
    for is_clean in [true, false] {
        let storage = original.snapshot();
        if !is_clean {
            storage.place("abort", b"1");
        }
        let mut store = open(&storage, small()).unwrap();
        assert!(findings(&store).contains(&"queue-gap"));
        assert_eq!(get(&store, "U", 0, 0, 9).unwrap().2, ["u0"]);
        let (min, next) = (store.reader().offsets(b"T", 0).min, store.reader().offsets(b"T", 0).next);
        if is_clean {
            assert!(min <= next && next >= base / 20, "{min} {next}");
        } else {
            assert_eq!((min, next), (0, 40), "nothing vouches for it: the log says what the queue holds");
        }
        assert_eq!(put_number(&mut store, 40).1, next);
        assert_eq!(get(&store, "T", 0, next, 9).unwrap().2, ["m40"]);
        close(store);
        assert_eq!(storage.contents(path).as_ref(), Some(&first), "what is not served is left alone");
        let mut store = open(&storage, small()).unwrap();
        assert_eq!(put_number(&mut store, 41).1, next + 1);
    }
}

#[test]
fn files_of_more_than_a_million_entries_that_are_missing_cost_their_messages_only() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    put_numbered(&mut store, 40);
    close(store);
    storage.remove_tree("moraine");
    // The last three files belong two million entries further on.
    for n in 1..4 {
        let bytes = storage.contents(&format!("consumequeue/T/0/{:020}", n * 200)).unwrap();
        storage.remove_tree(&format!("consumequeue/T/0/{:020}", n * 200));
        storage.place(&format!("consumequeue/T/0/{:020}", 40_000_000 + n * 200), &bytes);
    }
    let store = open(&storage, small()).unwrap();
    assert_eq!(findings(&store), ["queue-gap"]);
    let range = store.reader().offsets(b"T", 0);
    assert_eq!((range.min, range.next), (2_000_010, 2_000_040));
    assert_eq!(get(&store, "T", 0, 2_000_010, 100).unwrap().2, numbered(10..40));
}

#[test]
fn batch_queue_files_far_apart_are_reported_and_the_others_served() {
    let (storage, clock) = (with_topics(), MemoryClock::at(NOW));
    let mut store = open_at(&storage, small(), &clock).unwrap();
    fill(&mut store, &clock, 0..40);
    let next = store.reader().offsets(b"B", 0).next;
    close(store);
    let last = storage.paths().into_iter().rfind(|path| path.starts_with("batchconsumequeue/B/0/")).unwrap();
    let bytes = storage.contents(&last).unwrap();
    storage.remove_tree(&last);
    storage.remove_tree("moraine");
    let base = 9_000_000_000_000_000_u64 / 460 * 460;
    storage.place(&format!("batchconsumequeue/B/0/{base:020}"), &bytes);
    let mut store = open_at(&storage, small(), &clock).unwrap();
    assert_eq!(findings(&store), ["queue-gap"]);
    assert_eq!(walk(&store), bases(40).0[30..]);
    assert_eq!(put_inner(&mut store, 1).1, next);
}

/// Queue files put back from an older backup, in place, or with the times of their directories.
#[test]
fn queue_files_put_back_in_place_are_not_believed() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    put_numbered(&mut store, 12);
    close(store);
    let path = "consumequeue/T/0/00000000000000000200";
    let backup = storage.contents(path).unwrap();
    let mut store = open(&storage, small()).unwrap();
    for n in 12..17 {
        put_number(&mut store, n);
    }
    close(store);
    for (at, &old) in backup.iter().enumerate() {
        storage.change(path, at, |byte| *byte = old);
    }
    let mut store = open(&storage, small()).unwrap();
    let kinds: Vec<_> = store.reader().health().unwrap().findings.iter().map(|finding| finding.kind).collect();
    assert_eq!((all(&store), kinds), (numbered(0..17), vec!["queue-damaged"]));
    assert_eq!(put_number(&mut store, 17).1, 17);
}

/// The same of a queue that the last record is not in: nothing tells of it, and no harm is done.
#[test]
fn older_files_of_another_queue_put_back_in_place_hide_messages_and_give_no_offset_twice() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    (0..2).for_each(|n| _ = put_to(&mut store, "U", 0, &format!("u{n}")));
    close(store);
    let path = "consumequeue/U/0/00000000000000000000";
    let backup = storage.contents(path).unwrap();
    let mut store = open(&storage, small()).unwrap();
    (2..5).for_each(|n| _ = put_to(&mut store, "U", 0, &format!("u{n}")));
    put_number(&mut store, 0);
    close(store);
    for (at, &old) in backup.iter().enumerate() {
        storage.change(path, at, |byte| *byte = old);
    }
    let mut store = open(&storage, small()).unwrap();
    assert_eq!(findings(&store), [""; 0]);
    assert_eq!(get(&store, "U", 0, 2, 9).unwrap(), (GetStatus::MessageWasRemoving, 5, vec![]), "an answer without a message says why");
    assert_eq!(put_to(&mut store, "U", 0, "u5"), 5);
    assert_eq!(get(&store, "U", 0, 0, 9).unwrap().2, ["u0", "u1", "u5"]);
    close(store);
    let mut store = open(&storage, small()).unwrap();
    assert_eq!(put_to(&mut store, "U", 0, "u6"), 6);
    close(store);
    // Without its files, or after a crash, the queue is built from the log, which has them all.
    for change in [|storage: &MemoryStorage| storage.remove_tree("consumequeue/U"), |storage: &MemoryStorage| storage.place("abort", b"")] {
        let storage = storage.snapshot();
        change(&storage);
        let mut store = open(&storage, small()).unwrap();
        assert_eq!(get(&store, "U", 0, 0, 9).unwrap().2, ["u0", "u1", "u2", "u3", "u4", "u5", "u6"]);
        assert_eq!(put_to(&mut store, "U", 0, "u7"), 7);
    }
}

/// A queue table that says of many queues that each went on much farther than the log does.
#[test]
fn rows_far_above_the_log_cost_bounded_memory_and_no_message() {
    let storage = MemoryStorage::default();
    let options = || Options { queue_file_entries: 1_000_000, ..small() };
    let mut store = open(&storage, options()).unwrap();
    put_numbered(&mut store, 40);
    close(store);
    let mut slot = Watermark::newest(&storage.contents(WATERMARK_PATH).unwrap()).unwrap();
    let closed = slot.closed.as_mut().unwrap();
    let kind = |topics| Kind { topics, file_entries: 1_000_000, directory: DirectoryStamp::default() };
    let mut table = Vec::new();
    Header { snapshot: closed.queues.snapshot, plain: kind(2), batch: kind(0) }.encode(&mut table);
    for (name, queues, next) in [("T", 1, 5_000_000_u64), ("V", 50, 999_999)] {
        assert!(TopicRow { name, queues: queues as u32, directory: DirectoryStamp::default() }.encode(&mut table));
        for id in 0..queues {
            let last_file = (next - 1) / 1_000_000 * 20_000_000;
            QueueRow { id, min: 0, next, last_file, directory: DirectoryStamp::default() }.encode(&mut table);
        }
    }
    (closed.queues.bytes, closed.queues.crc) = (table.len() as u64, crc32(&table));
    let mut watermark = storage.contents(WATERMARK_PATH).unwrap();
    watermark[slot.slot_at() as usize..][..4096].copy_from_slice(&slot.encode());
    storage.place(WATERMARK_PATH, &watermark);
    storage.place(queues_path(slot.closed.unwrap().queues.snapshot), &table);
    let mut store = open(&storage, options()).unwrap();
    assert!(store.writer().unwrap().pending_entries() < 5_000_000);
    assert_eq!(all(&store), numbered(0..40));
    assert_eq!(store.reader().offsets(b"V", 49).next, 999_999, "a queue without an entry goes on there at no cost");
    assert!(findings(&store).contains(&"queue-gap"), "what could not be made up for is told");
    assert_eq!(put_number(&mut store, 40).1, 40);
}

/// A log of records whose queue offsets are far apart.
#[test]
fn gaps_cost_bounded_memory() {
    let leader = MemoryStorage::default();
    let mut store = open(&leader, Options { segment_bytes: 1 << 20, record_crc: false, ..small() }).unwrap();
    put_numbered(&mut store, 60);
    let mut log = Vec::new();
    store.reader().read_log(0, 1 << 20, &mut log).unwrap();
    let (mut at, mut n) = (0, 0_i64);
    while at < log.len() {
        let size = u32::from_be_bytes(log[at..at + 4].try_into().unwrap()) as usize;
        log[at + 20..at + 28].copy_from_slice(&(n * 1_000_000).to_be_bytes());
        (at, n) = (at + size, n + 1);
    }
    let mut follower = open(&MemoryStorage::default(), Options { segment_bytes: 1 << 20, record_crc: false, ..small() }).unwrap();
    follower.writer().unwrap().append_log(0, &log).unwrap();
    assert!(follower.writer().unwrap().pending_entries() < 5_000_000, "{} bytes of log", log.len());
}
