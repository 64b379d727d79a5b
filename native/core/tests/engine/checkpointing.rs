//! Queue checkpoints and the running watermark: what a killed store says of itself, and when it is not believed.

use crate::support::killed::*;
use crate::support::*;
use moraine_core::engine::sidecar::{LOCK_PATH, QUEUES_PATHS, WATERMARK_PATH};
use moraine_core::format::checkpoint::Checkpoint;
use moraine_core::format::watermark::Watermark;
use moraine_core::memory::{MemoryClock, MemoryStorage};
use moraine_core::options::Options;

/// 100 messages, a checkpoint, 20 more of which 10 are durable and said to be.
fn killed() -> MemoryStorage {
    let storage = MemoryStorage::default();
    storage.boot(1);
    let mut store = open(&storage, small()).unwrap();
    (0..100).for_each(|n| _ = put_number(&mut store, n));
    checkpoint(&mut store, &storage);
    (100..110).for_each(|n| _ = put_number(&mut store, n));
    watermark(&mut store, &storage);
    (110..120).for_each(|n| _ = put_number(&mut store, n));
    storage.snapshot()
}

/// Everything is there, and is there again after a clean close.
fn expect_all(storage: &MemoryStorage, count: usize) {
    for _ in 0..2 {
        let mut store = open(storage, small()).unwrap();
        assert_eq!(all(&store), numbered(0..count));
        for n in 0..count {
            assert_eq!(lookup(&store, &format!("k{n}")), [format!("m{n}")]);
        }
        assert_eq!(store.reader().offsets(b"T", 0).next, count as u64);
        let plan = store.writer().unwrap().plan_flush();
        assert!(plan.is_none(), "what was found is durable");
        close(store);
    }
}

#[test]
fn after_a_kill_the_log_is_looked_at_from_the_checkpoint_on() {
    let storage = killed();
    let said = running(&storage).unwrap();
    let derived = said.derived.unwrap();
    assert!(derived.upto > 0 && derived.upto < said.durable);
    let (store, looked_at) = reopened(&storage, small());
    assert_eq!(all(&store), numbered(0..120));
    let log =
        store.reader().health().unwrap().files.iter().filter(|file| file.path.starts_with("commitlog")).map(|file| file.bytes).sum::<u64>();
    assert_eq!(looked_at, log - derived.upto);
    drop(store);
    expect_all(&storage, 120);
}

#[test]
fn what_is_put_while_a_checkpoint_is_made_does_not_make_it_void() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    (0..100).for_each(|n| _ = put_number(&mut store, n));
    let upto = store.reader().positions().end;
    store.writer().unwrap().begin_checkpoint();
    (100..120).for_each(|n| _ = put_number(&mut store, n));
    checkpoint(&mut store, &storage);
    assert_eq!(running(&storage).unwrap().derived.unwrap().upto, upto);
    drop(store);
    let (store, looked_at) = reopened(&storage, small());
    let log = store.reader().log().segments().extent();
    assert_eq!((all(&store), looked_at), (numbered(0..120), log - upto));
    drop(store);
    expect_all(&storage, 120);
}

#[test]
fn checkpoint_vouches_for_nothing_that_was_put_while_it_was_made() {
    let storage = MemoryStorage::default();
    let clock = MemoryClock::at(NOW);
    let mut store = open_at(&storage, small(), &clock).unwrap();
    (0..50).for_each(|n| _ = put_number(&mut store, n));
    store.writer().unwrap().begin_checkpoint();
    clock.set(NOW + 1);
    (50..100).for_each(|n| _ = put_number(&mut store, n));
    clock.set(NOW + 60_000);
    (100..120).for_each(|n| _ = put_number(&mut store, n));
    checkpoint(&mut store, &storage);
    let times = Checkpoint::decode(&storage.contents("checkpoint").unwrap());
    assert_eq!((times.physic, times.logics), (NOW, NOW));
    drop(store);
    // Nothing else says up to where queues are complete.
    storage.remove_tree("moraine");
    expect_all(&storage, 120);
}

#[test]
fn the_second_kill_is_as_cheap_as_the_first() {
    let storage = killed();
    for round in 1..4 {
        let (mut store, looked_at) = reopened(&storage, small());
        assert_eq!(findings(&store), ["unclean"]);
        assert_eq!(all(&store), numbered(0..119 + round));
        assert!(looked_at < 16 * 4096, "{looked_at}");
        put_number(&mut store, 119 + round);
        checkpoint(&mut store, &storage);
    }
    drop(reopened(&storage, small()));
    expect_all(&storage, 123);
}

#[test]
fn a_kill_after_a_clean_open_is_cheap_without_a_checkpoint() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    put_numbered(&mut store, 200);
    close(store);
    let mut store = open(&storage, small()).unwrap();
    put_number(&mut store, 200);
    drop(store);
    let (store, looked_at) = reopened(&storage, small());
    assert_eq!(all(&store), numbered(0..201));
    assert!(looked_at <= 2 * 4096, "{looked_at}");
}

#[test]
fn what_stands_in_queue_files_behind_the_checkpoint_is_not_believed() {
    let storage = killed();
    // Of entries behind it the power took some pages, and left others.
    storage.place("consumequeue/T/0/00000000000000002000", &[0x11; 200]);
    storage.place("consumequeue/T/0/00000000000000002200", &[0; 200]);
    storage.place("consumequeue/T/0/00000000000000002400", &[0x22; 200]);
    expect_all(&storage, 120);
    assert!(storage.contents("consumequeue/T/0/00000000000000002400").is_none());
}

#[test]
fn a_bad_record_below_the_durable_position_is_fenced_above_it_the_log_ends() {
    for n in [105, 115] {
        let mut storage = killed();
        storage.boot(2); // the power was cut
        let (store, _) = reopened(&storage.snapshot(), small());
        let at = store.reader().entries(b"T", 0, n, 1).unwrap().1[0].physical as usize;
        drop(store);
        storage = flip_in_log(&storage, at + 60);
        let (store, _) = reopened(&storage, small());
        let mut expected = numbered(0..120);
        expected.truncate(if n == 105 { 120 } else { 115 });
        expected.retain(|body| *body != format!("m{n}"));
        assert_eq!(all(&store), expected, "bad record {n}");
        assert_eq!(store.reader().offsets(b"T", 0).next, if n == 105 { 120 } else { 115 });
    }
}

#[test]
fn where_the_process_alone_died_a_bad_record_is_damage_wherever_it_stands() {
    let storage = killed();
    let (store, _) = reopened(&storage.snapshot(), small());
    let at = store.reader().entries(b"T", 0, 115, 1).unwrap().1[0].physical as usize;
    drop(store);
    let storage = flip_in_log(&storage, at + 60);
    let (store, _) = reopened(&storage, small());
    assert!(findings(&store).contains(&"damaged"));
    assert_eq!(store.reader().offsets(b"T", 0).next, 120);
    assert_eq!(get(&store, "T", 0, 116, 10).unwrap().2, numbered(116..120));
}

fn flip_in_log(storage: &MemoryStorage, at: usize) -> MemoryStorage {
    let storage = storage.snapshot();
    storage.change(&format!("commitlog/{:020}", at - at % 4096), at % 4096, |byte| *byte ^= 0x10);
    storage
}

type Change = (&'static str, fn(&MemoryStorage));

#[test]
fn whoever_was_here_in_between_makes_it_void_and_costs_nothing_but_time() {
    let changes: [Change; 8] = [
        ("RocketMQ's lock", |storage| storage.place(LOCK_PATH, b"lock")),
        ("no lock", |storage| storage.remove_tree(LOCK_PATH)),
        ("no watermark", |storage| storage.remove_tree(WATERMARK_PATH)),
        ("noise", |storage| storage.place(WATERMARK_PATH, &[0x5a; 8192])),
        ("no sidecar", |storage| storage.remove_tree("moraine")),
        ("no checkpoint", |storage| storage.remove_tree("checkpoint")),
        ("no queue table", |storage| QUEUES_PATHS.iter().for_each(|path| storage.remove_tree(path))),
        ("no queues, no index", |storage| ["consumequeue", "index"].iter().for_each(|path| storage.remove_tree(path))),
    ];
    for (what, change) in changes {
        let storage = killed();
        change(&storage);
        println!("{what}");
        expect_all(&storage, 120);
    }
}

#[test]
fn one_slot_torn_leaves_the_other() {
    let storage = killed();
    let newest = Watermark::newest(&storage.contents(WATERMARK_PATH).unwrap()).unwrap();
    storage.change(WATERMARK_PATH, newest.slot_at() as usize + 50, |byte| *byte ^= 1);
    let (store, looked_at) = reopened(&storage, small());
    assert!(looked_at < 8 * 4096, "{looked_at}");
    drop(store);
    expect_all(&storage, 120);
}

#[test]
fn a_queue_file_that_is_gone_is_noticed() {
    let storage = killed();
    storage.remove_tree("consumequeue/T/0/00000000000000001800");
    let (store, _) = reopened(&storage, small());
    assert!(findings(&store).contains(&"queue-damaged"));
    drop(store);
    expect_all(&storage, 120);
}

#[test]
fn nothing_is_said_before_what_it_speaks_of_is_synced() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    put_numbered(&mut store, 100);
    let before = storage.syncs().len();
    checkpoint(&mut store, &storage);
    let syncs = storage.syncs()[before..].to_vec();
    let at = |what: &str| syncs.iter().position(|sync| sync.contains(what)).unwrap_or_else(|| panic!("{what} in {syncs:?}"));
    let last = |what: &str| syncs.iter().rposition(|sync| sync.contains(what)).unwrap();
    assert!(last("commitlog") < at("moraine/queues"));
    assert!(last("consumequeue") < at("moraine/queues") && last("index") < at("moraine/queues"));
    assert!(at("moraine/queues") < at("sync moraine/watermark"));
    let times = Checkpoint::decode(&storage.contents("checkpoint").unwrap());
    assert_eq!((times.physic, times.logics), (NOW, NOW));
}

#[test]
fn entries_put_meanwhile_stay_in_memory_until_it_is_said() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    put_numbered(&mut store, 30);
    store.writer().unwrap().begin_checkpoint();
    (30..60).for_each(|n| _ = put_number(&mut store, n));
    flush(&mut store, &storage);
    write_behind(&mut store, &storage);
    assert!(store.writer().unwrap().pending_entries() >= 30);
    let mut plan = store.writer().unwrap().plan_checkpoint().unwrap().unwrap();
    (60..70).for_each(|n| _ = put_number(&mut store, n));
    write_behind(&mut store, &storage);
    plan.run(&storage, &mut || {}).unwrap();
    store.writer().unwrap().checkpointed(plan).unwrap();
    let queues = running(&storage).unwrap().derived.unwrap();
    assert!(queues.upto < store.reader().positions().end);
    drop(store);
    expect_all(&storage, 70);
}

#[test]
fn a_clock_that_goes_back_meanwhile_is_not_overruled() {
    let storage = MemoryStorage::default();
    let clock = MemoryClock::at(NOW + 10_000_000);
    let mut store = open_at(&storage, small(), &clock).unwrap();
    put_numbered(&mut store, 30);
    checkpoint(&mut store, &storage);
    put_number(&mut store, 30);
    store.writer().unwrap().begin_checkpoint();
    flush(&mut store, &storage);
    write_behind(&mut store, &storage);
    let mut plan = store.writer().unwrap().plan_checkpoint().unwrap().unwrap();
    clock.set(NOW);
    put_number(&mut store, 31);
    plan.run(&storage, &mut || {}).unwrap();
    store.writer().unwrap().checkpointed(plan).unwrap();
    let times = Checkpoint::decode(&storage.contents("checkpoint").unwrap());
    assert_eq!((times.physic, times.logics), (NOW, NOW));
    drop(store);
    expect_all(&storage, 32);
}

#[test]
fn a_truncated_log_says_nothing_until_the_next_time() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    let puts = put_numbered(&mut store, 100);
    checkpoint(&mut store, &storage);
    assert!(running(&storage).is_some());
    store.writer().unwrap().truncate(puts[50].0).unwrap();
    assert!(running(&storage).is_none());
    (50..60).for_each(|n| _ = put_number(&mut store, n));
    expect_all(&storage.snapshot(), 60);
    checkpoint(&mut store, &storage);
    drop(store);
    expect_all(&storage, 60);
}

#[test]
fn finished_segments_are_sealed() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    put_numbered(&mut store, 200);
    flush(&mut store, &storage);
    let mut sealed = 0;
    while let Some(mut plan) = store.writer().unwrap().plan_seal() {
        while !plan.step().unwrap() {}
        store.writer().unwrap().sealed(plan, false).unwrap();
        sealed += 1;
    }
    let segments: Vec<String> = storage.paths().into_iter().filter(|path| path.starts_with("commitlog/")).collect();
    assert_eq!(sealed, segments.len() - 1, "all but the active one");
    let seals = store.reader().seals();
    for (seal, path) in seals.iter().zip(&segments) {
        assert_eq!(seal.digest, xxhash_rust::xxh64::xxh64(&storage.contents(path).unwrap(), 0), "{path}");
        assert_eq!((seal.base, seal.size), (path[10..].parse().unwrap(), 4096));
    }
    // They are found again, and what was sealed is not sealed again.
    close(store);
    let mut store = open(&storage, small()).unwrap();
    assert_eq!(store.reader().seals(), seals);
    assert!(store.writer().unwrap().plan_seal().is_none());
    // What is taken back and written again is another segment.
    store.writer().unwrap().truncate(4096).unwrap();
    assert_eq!(store.reader().seals().len(), 1);
    close(store);
    let store = open(&storage, small()).unwrap();
    assert_eq!(store.reader().seals().len(), 1);
    // Where the sidecar does not count, they are nobody's.
    drop(store);
    storage.place(LOCK_PATH, b"lock");
    assert!(open(&storage, small()).unwrap().reader().seals().is_empty());
}

#[test]
fn who_only_reads_says_nothing_of_a_table_that_is_being_written() {
    let storage = killed();
    QUEUES_PATHS.iter().for_each(|path| storage.place(path, b"half of another"));
    let reader = open(&storage, Options { read_only: true, ..small() }).unwrap();
    assert_eq!((all(&reader), findings(&reader)), (numbered(0..120), vec!["unclean"]));
    assert!(findings(&open(&storage, small()).unwrap()).contains(&"sidecar"));
}

/// The durable position stays where it is when the log is taken back to an end above it, and so does the record in front of it.
#[test]
fn after_a_truncation_above_the_durable_position_the_watermark_names_its_last_record() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    put_numbered(&mut store, 2);
    flush(&mut store, &storage);
    let durable = store.reader().positions().durable;
    put_number(&mut store, 2);
    let to = store.reader().positions().end;
    put_number(&mut store, 3);
    store.writer().unwrap().truncate(to).unwrap();
    watermark_of_what_is_durable(&mut store, &storage);
    let said = running(&storage).unwrap();
    assert_eq!((said.durable, said.last.map(|last| last.at + u64::from(last.size))), (durable, Some(durable)));
    drop(store);
    // So it counts: a bad record below it costs that one.
    let (store, _) = reopened(&flip_in_log(&storage, 60), small());
    assert_eq!(all(&store), numbered(1..3));
}

fn watermark_of_what_is_durable(store: &mut Store, storage: &MemoryStorage) {
    let mut plan = store.writer().unwrap().plan_watermark(true).expect("something is durable that was not said");
    plan.run(storage).unwrap();
    store.writer().unwrap().watermarked(plan);
}

#[test]
fn where_the_process_alone_died_the_record_that_the_watermark_names_may_be_damaged_too() {
    let storage = killed();
    let named = running(&storage).unwrap().last.unwrap();
    let storage = flip_in_log(&storage, named.at as usize + 60);
    let (store, looked_at) = reopened(&storage, small());
    assert!(looked_at < 3 * 4096, "{looked_at}");
    let mut expected = numbered(0..120);
    expected.remove(109);
    assert_eq!(all(&store), expected);
    assert_eq!(store.reader().offsets(b"T", 0).next, 120);
    drop(store);
    // The next one finds a watermark that names a whole record.
    storage.boot(2);
    let (store, _) = reopened(&storage, small());
    assert_eq!(all(&store), expected);
    assert!(!findings(&store).contains(&"sidecar"), "{:?}", findings(&store));
}

/// What says that a store was closed is the watermark, not a file that is missing.
#[test]
fn a_killed_store_whose_abort_is_gone_was_not_closed() {
    let storage = killed();
    storage.remove_tree("abort");
    let (store, _) = reopened(&storage.snapshot(), Options { read_only: true, ..small() });
    assert_eq!(findings(&store), ["unclean"]);
    assert_eq!(all(&store), numbered(0..120));
    assert_eq!(lookup(&store, "k119"), ["m119"]);
    expect_all(&storage, 120);
}
