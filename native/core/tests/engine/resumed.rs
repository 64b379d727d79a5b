//! Stores killed more than once, or in the middle of what an opening does: the running watermark goes on counting, what lies
//! behind it in files is nobody's, and no offset is given twice.

use crate::support::batches::*;
use crate::support::killed::*;
use crate::support::*;
use moraine_core::batch::BatchMessage;
use moraine_core::format::checkpoint::Checkpoint;
use moraine_core::memory::{MemoryClock, MemoryStorage};
use moraine_core::options::Options;

fn put_to(store: &mut Store, topic: &str, queue_id: i32, body: &str) -> (u64, u64, u64) {
    let one = BatchMessage { topic: topic.as_bytes(), queue_id, ..message(body.as_bytes(), b"KEYS\x01k\x02") };
    put(store, &[one]).unwrap()[0]
}

/// What a power cut leaves of a log of which everything from `at` on was lost, and of nothing else.
fn without_log_from(storage: &MemoryStorage, at: u64) -> MemoryStorage {
    let storage = storage.snapshot();
    storage.boot(99);
    for path in storage.paths() {
        let Some(base) = path.strip_prefix("commitlog/").and_then(|name| name.parse::<u64>().ok()) else { continue };
        for n in at.saturating_sub(base).min(4096)..4096 {
            storage.change(&path, n as usize, |byte| *byte = 0);
        }
    }
    storage
}

#[test]
fn a_watermark_of_the_second_opening_counts_as_well() {
    let storage = MemoryStorage::default();
    storage.boot(1);
    let mut store = open(&storage, small()).unwrap();
    put_numbered(&mut store, 200);
    close(store);
    for round in 0..3 {
        let mut store = open(&storage, small()).unwrap();
        put_number(&mut store, 200 + round);
        watermark(&mut store, &storage);
        drop(store);
        let (store, looked_at) = reopened(&storage.snapshot(), small());
        assert_eq!(all(&store), numbered(0..201 + round));
        assert!(looked_at <= 3 * 4096, "round {round}: {looked_at}");
    }
}

/// `checkpoint` is written after the watermark that says what will stand in it, and synced much later.
#[test]
fn a_checkpoint_that_the_power_cut_took_back_leaves_the_watermark_in_force() {
    let storage = MemoryStorage::default();
    let mut store = open(&storage, small()).unwrap();
    put_numbered(&mut store, 200);
    close(store);
    let before = storage.contents("checkpoint").unwrap();
    let mut store = open(&storage, small()).unwrap();
    put_number(&mut store, 200);
    checkpoint(&mut store, &storage);
    drop(store);
    storage.place("checkpoint", &before);
    let (store, looked_at) = reopened(&storage, small());
    assert_eq!(all(&store), numbered(0..201));
    assert!(looked_at <= 4096, "{looked_at}");
}

#[test]
fn files_of_queues_that_came_after_the_checkpoint_are_cleared_of_what_the_log_lost() {
    let storage = with_topics();
    let mut store = open(&storage, small()).unwrap();
    put_numbered(&mut store, 20);
    checkpoint(&mut store, &storage);
    (0..15).for_each(|n| _ = put_to(&mut store, "U", 3, &format!("u{n}")));
    let lost = put_to(&mut store, "U", 3, "lost").0;
    (0..15).for_each(|n| _ = put_to(&mut store, "U", 3, &format!("lost {n}")));
    (0..15).for_each(|n| _ = put_to(&mut store, "V", 0, &format!("v{n}")));
    (0..15).for_each(|_| _ = put_inner(&mut store, 2));
    write_behind(&mut store, &storage);
    let storage = without_log_from(&storage, lost);
    let mut store = open(&storage, small()).unwrap();
    assert_eq!(store.reader().offsets(b"U", 3).next, 15);
    write_behind(&mut store, &storage);
    let entries = |dir: &str, bytes: usize| -> usize {
        let files = storage.paths().into_iter().filter(|path| path.starts_with(dir));
        files.map(|path| storage.contents(&path).unwrap().chunks(bytes).filter(|raw| raw.iter().any(|&byte| byte != 0)).count()).sum()
    };
    assert_eq!(entries("consumequeue/U/3/", 20), 15);
    assert_eq!(entries("consumequeue/V/0/", 20), 0);
    assert_eq!(entries("batchconsumequeue/B/0/", 46), 0);
    close(store);
    // RocketMQ, or we without a sidecar, go by the files.
    storage.remove_tree("moraine");
    let store = open(&storage, small()).unwrap();
    assert_eq!(store.reader().offsets(b"U", 3).next, 15);
    assert_eq!(store.reader().offsets(b"V", 0).next, 0);
    assert_eq!(store.reader().offsets(b"B", 0).next, 0);
}

/// Of the queue files below a directory: whether all of them have this length, and begin where such files do.
fn are_files_of(storage: &MemoryStorage, dir: &str, bytes: usize) -> bool {
    let paths: Vec<_> = storage.paths().into_iter().filter(|path| path.starts_with(dir)).collect();
    let begins = |path: &str| path.rsplit('/').next().unwrap().parse::<usize>().unwrap();
    assert!(paths.len() > 1, "{paths:?}");
    paths.iter().all(|path| begins(path) % bytes == 0 && storage.contents(path).unwrap().len() == bytes)
}

/// The queue table that the watermark speaks of is that of a store without queues, by a close with files of `closed` entries; its
/// process had files of `had`, and the next open asks for others.
#[test]
fn files_that_came_after_an_empty_queue_table_keep_their_size() {
    for (closed, had, asked) in [(10, 10, 7), (7, 10, 7), (7, 10, 10), (10, 10, 20), (10, 7, 10)] {
        let case = format!("{closed}, then {had}, then {asked}");
        let sized = |queue_file_entries| Options { queue_file_entries, ..small() };
        let storage = with_topics();
        close(open(&storage, sized(closed)).unwrap());
        let mut store = open(&storage, sized(had)).unwrap();
        put_numbered(&mut store, 25);
        (0..25).for_each(|_| _ = put_inner(&mut store, 2));
        write_behind(&mut store, &storage);
        let read_only = open(&storage, Options { read_only: true, ..sized(asked) }).unwrap();
        assert_eq!(read_only.reader().options().queue_file_entries, had, "{case}");
        drop(store);
        let mut store = open(&storage, sized(asked)).unwrap();
        assert_eq!(store.reader().options().queue_file_entries, had, "{case}");
        (25..40).for_each(|n| _ = put_number(&mut store, n));
        (0..15).for_each(|_| _ = put_inner(&mut store, 2));
        close(store);
        assert!(are_files_of(&storage, "consumequeue/T/0/", 20 * had as usize), "{case}: {:?}", storage.paths());
        assert!(are_files_of(&storage, "batchconsumequeue/B/0/", 46 * had as usize), "{case}: {:?}", storage.paths());
        // RocketMQ, or we without a sidecar, go by the files.
        storage.remove_tree("moraine");
        let store = open(&storage, sized(asked)).unwrap();
        assert_eq!((all(&store), walk(&store).len()), (numbered(0..40), 40), "{case}");
        assert_eq!(findings(&store), Vec::<&str>::new(), "{case}");
    }
}

/// No row tells of a batch queue all of whose messages were lost, but its first file is still there.
#[test]
fn nor_does_a_batch_queue_change_its_files_that_has_lost_all_messages() {
    let storage = with_topics();
    let mut store = open(&storage, small()).unwrap();
    put_numbered(&mut store, 20);
    checkpoint(&mut store, &storage);
    let lost = put_inner(&mut store, 2).0;
    (0..15).for_each(|_| _ = put_inner(&mut store, 2));
    write_behind(&mut store, &storage);
    drop(store);
    let storage = without_log_from(&storage, lost);
    close(open(&storage, small()).unwrap());
    let mut store = open(&storage, Options { queue_file_entries: 7, ..small() }).unwrap();
    (0..15).for_each(|_| _ = put_inner(&mut store, 2));
    close(store);
    assert!(are_files_of(&storage, "batchconsumequeue/B/0/", 460), "{:?}", storage.paths());
}

/// A power cut took the lengths, and with them all that tells the size: what cannot be is not written over.
#[test]
fn files_without_lengths_that_stand_elsewhere_are_not_taken_for_files_of_another_size() {
    let storage = MemoryStorage::default();
    close(open(&storage, small()).unwrap());
    let mut store = open(&storage, small()).unwrap();
    put_numbered(&mut store, 25);
    write_behind(&mut store, &storage);
    drop(store);
    for path in storage.paths().iter().filter(|path| path.starts_with("consumequeue/")) {
        storage.place(path, &[]);
    }
    let error = open(&storage, Options { queue_file_entries: 7, ..small() }).err().unwrap();
    assert_eq!(error.code.name(), "STORE_CORRUPT", "{error:?}");
    let store = open(&storage, small()).unwrap();
    assert_eq!((all(&store), findings(&store)), (numbered(0..25), vec!["unclean"]));
    close(store);
    assert!(are_files_of(&storage, "consumequeue/T/0/", 200), "{:?}", storage.paths());
}

#[test]
fn a_queue_that_only_the_sidecar_tells_of_is_built_again_also_where_its_time_was_taken_back() {
    let storage = MemoryStorage::default();
    let clock = MemoryClock::at(NOW);
    let mut store = open_at(&storage, small(), &clock).unwrap();
    for n in 0..40 {
        put_to(&mut store, "U", 0, &format!("u{n}"));
        clock.set(NOW + 1000 * n);
    }
    put_numbered(&mut store, 40);
    close(store);
    storage.remove_tree("consumequeue/U");
    let mut bad = Vec::new();
    opens_that_die(&storage, &clock, &small(), &mut |dies_in, memory| {
        let mut store = open_at(memory, small(), &clock).unwrap();
        let next = store.reader().offsets(b"U", 0).next;
        let given = put_to(&mut store, "U", 0, "new").1;
        if (next, given) != (40, 40) {
            bad.push((dies_in, next, given));
        }
    });
    assert_eq!(bad, [], "killed at call, next, given");
}

/// The clock goes back an hour: between the beginning of a checkpoint and its end RocketMQ must not be told that what is
/// put then stands in queue files.
#[test]
fn a_clock_that_goes_back_within_a_checkpoint_is_not_overruled() {
    for (steps, fresh) in [(0, true), (1, true), (2, true), (0, false), (1, false), (2, false)] {
        let storage = MemoryStorage::default();
        let clock = MemoryClock::at(NOW + 10_000_000);
        let mut store = open_at(&storage, small(), &clock).unwrap();
        put_numbered(&mut store, 30);
        if !fresh {
            checkpoint(&mut store, &storage);
            put_number(&mut store, 30);
        }
        let back_at = |step, store: &mut Store| {
            if step == steps {
                clock.set(NOW);
                put_number(store, 31);
            }
        };
        store.writer().unwrap().begin_checkpoint();
        back_at(0, &mut store);
        flush(&mut store, &storage);
        write_behind(&mut store, &storage);
        back_at(1, &mut store);
        let mut plan = store.writer().unwrap().plan_checkpoint().unwrap().unwrap();
        back_at(2, &mut store);
        plan.run(&storage, &mut || {}).unwrap();
        store.writer().unwrap().checkpointed(plan).unwrap();
        let times = Checkpoint::decode(&storage.contents("checkpoint").unwrap());
        assert!(times.min_timestamp() < NOW, "step {steps}, fresh {fresh}: {times:?}");
    }
}

#[test]
fn messages_of_a_leader_whose_clock_went_back_are_not_vouched_for() {
    let (leader, clock) = (MemoryStorage::default(), MemoryClock::at(NOW + 10_000_000));
    let mut store = open_at(&leader, small(), &clock).unwrap();
    let end = |store: &Store| store.reader().positions().end;
    (0..5).for_each(|n| _ = put_number(&mut store, n));
    let middle = end(&store);
    clock.set(NOW);
    (5..10).for_each(|n| _ = put_number(&mut store, n));
    let mut log = Vec::new();
    store.reader().read_log(0, 1 << 20, &mut log).unwrap();
    let storage = MemoryStorage::default();
    let mut follower = open_at(&storage, small(), &clock).unwrap();
    follower.writer().unwrap().append_log(0, &log[..middle as usize]).unwrap();
    checkpoint(&mut follower, &storage);
    follower.writer().unwrap().append_log(middle, &log[middle as usize..]).unwrap();
    let times = Checkpoint::decode(&storage.contents("checkpoint").unwrap());
    assert!(times.min_timestamp() < NOW, "{times:?}");
}

/// Offsets that were lost with their messages are not given again; nor does such a queue cost a whole rebuild at each kill.
#[test]
fn queues_that_end_in_lost_messages_are_taken_from_the_checkpoint() {
    let storage = with_topics();
    let mut store = open(&storage, small()).unwrap();
    put_numbered(&mut store, 60);
    (0..9).for_each(|_| _ = put_inner(&mut store, 2));
    let lost = put_to(&mut store, "U", 0, "lost").0;
    put_inner(&mut store, 2);
    put_number(&mut store, 60);
    close(store);
    // The two messages are damaged, and the queues gone.
    for at in [lost, lost + 300] {
        storage.change(&format!("commitlog/{:020}", at - at % 4096), (at % 4096) as usize + 30, |byte| *byte ^= 1);
    }
    storage.remove_tree("consumequeue");
    storage.remove_tree("batchconsumequeue");
    let mut store = open(&storage, small()).unwrap();
    assert_eq!(store.reader().offsets(b"U", 0).next, 1);
    let batches = store.reader().offsets(b"B", 0).next;
    checkpoint(&mut store, &storage);
    assert!(running(&storage).unwrap().derived.is_some());
    drop(store);
    let (store, looked_at) = reopened(&storage, small());
    assert_eq!((store.reader().offsets(b"U", 0).next, store.reader().offsets(b"B", 0).next), (1, batches));
    assert!(looked_at <= 4096, "{looked_at}");
}

/// What is put without an index is found by key by the next opening that keeps one, whatever stray file lies in a queue's directory.
#[test]
fn what_was_put_without_an_index_is_not_forgotten() {
    for stray in [false, true] {
        let storage = MemoryStorage::default();
        let mut store = open(&storage, small()).unwrap();
        put_numbered(&mut store, 10);
        close(store);
        if stray {
            storage.place("consumequeue/T/0/stray", b"");
        }
        let mut store = open(&storage, Options { index: false, ..small() }).unwrap();
        (10..20).for_each(|n| _ = put_number(&mut store, n));
        close(store);
        let store = open(&storage, small()).unwrap();
        let missing: Vec<usize> = (0..20).filter(|n| lookup(&store, &format!("k{n}")).is_empty()).collect();
        assert_eq!(missing, [0_usize; 0], "stray {stray}");
    }
}

/// The power cut took `checkpoint` back, so no index file counts, and recovery makes them anew: under the same names, as the
/// clock stands. What was said of the ones before does not vouch for these, which nobody has synced.
#[test]
fn an_index_that_recovery_makes_anew_is_not_taken_for_the_one_that_was_said_to_be_complete() {
    let storage = MemoryStorage::default();
    storage.boot(1);
    let mut store = open(&storage, small()).unwrap();
    (0..40).for_each(|n| _ = put_number(&mut store, n));
    checkpoint(&mut store, &storage);
    assert!(running(&storage).unwrap().derived.unwrap().index.is_some());
    drop(store);
    storage.place("checkpoint", &[0; 4096]);
    let index = |storage: &MemoryStorage| storage.paths().into_iter().filter(|path| path.starts_with("index/")).collect::<Vec<_>>();
    let names = index(&storage);
    let mut store = open(&storage, small()).unwrap();
    write_behind(&mut store, &storage);
    drop(store);
    assert_eq!((index(&storage), names.len()), (names.clone(), 2));
    assert_eq!(running(&storage).unwrap().derived.map(|derived| derived.index), Some(None));
    // The power fails, and of the second file nothing but its name and length was synced.
    let len = storage.contents(&names[1]).unwrap().len();
    storage.place(&names[1], &vec![0; len]);
    let store = open(&storage, small()).unwrap();
    for n in 0..40 {
        assert_eq!(lookup(&store, &format!("k{n}")), [format!("m{n}")]);
    }
}

/// Files of queues that were made behind the checkpoint may have lost their lengths with the power.
#[test]
fn queue_files_that_lost_their_lengths_behind_the_checkpoint_get_them_back() {
    let storage = with_topics();
    storage.boot(1);
    let mut store = open(&storage, small()).unwrap();
    put_number(&mut store, 0);
    checkpoint(&mut store, &storage);
    put_to(&mut store, "U", 0, "one");
    put(&mut store, &[plain(b"two")]).unwrap();
    flush(&mut store, &storage);
    write_behind(&mut store, &storage);
    drop(store);
    let storage = storage.snapshot();
    let made = ["consumequeue/U/0/00000000000000000000", "batchconsumequeue/B/0/00000000000000000000"];
    let whole = made.map(|path| storage.contents(path).unwrap());
    for lost in [0, 20] {
        let storage = storage.snapshot();
        for (path, bytes) in made.iter().zip(&whole) {
            storage.place(path, &bytes[..lost]);
        }
        close(open(&storage, small()).unwrap());
        assert_eq!(made.map(|path| storage.contents(path).unwrap()), whole, "{lost} bytes left");
    }
}
