//! Index files behind a full one, as a killed process leaves them: RocketMQ, which goes by their headers, enters again what they
//! lack, and nothing twice that it would not enter twice in files of its own.

use std::sync::Arc;

use crate::faulty::FaultyStorage;
use crate::support::*;
use moraine_core::batch;
use moraine_core::engine::Engine;
use moraine_core::engine::put::RESULT_HEADER;
use moraine_core::error::Error;
use moraine_core::format::checkpoint::Checkpoint;
use moraine_core::format::index_file::{Geometry, Header, IndexEntry};
use moraine_core::memory::{MemoryClock, MemoryStorage};
use moraine_core::options::Options;
use moraine_core::storage::Storage;

type FaultyStore = Engine<FaultyStorage, MemoryClock>;

const GEOMETRY: Geometry = Geometry { slots: 16, entries: 8 };

fn options() -> Options {
    Options { index_slots: GEOMETRY.slots, index_entries: GEOMETRY.entries, ..small() }
}

/// Paths and headers, oldest first.
fn index_files(storage: &MemoryStorage) -> Vec<(String, Header)> {
    let paths = storage.paths().into_iter().filter(|path| path.starts_with("index/"));
    paths.map(|path| (path.clone(), Header::decode(storage.contents(&path).unwrap().first_chunk().unwrap()))).collect()
}

fn entry(storage: &MemoryStorage, path: &str, number: u32) -> IndexEntry {
    let mut raw = [0; IndexEntry::BYTES];
    assert_eq!(storage.read_at(path, GEOMETRY.entry_at(number), &mut raw).unwrap(), raw.len());
    IndexEntry::decode(&raw)
}

/// Messages that RocketMQ finds twice, and not at all, by the one key that each has, when it opens what a killed process left:
/// it keeps the index files that end no later than `checkpoint` says, and enters what does not lie below the end of the
/// newest (store-format §4.3, §5.2).
fn twice_and_never(storage: &MemoryStorage, messages: &[u64]) -> (Vec<u64>, Vec<u64>) {
    let until = storage.contents("checkpoint").map_or(0, |bytes| Checkpoint::decode(&bytes).index);
    let kept: Vec<_> = index_files(storage).into_iter().filter(|(_, header)| header.end_timestamp <= until).collect();
    let entered_from = kept.last().map_or(0, |(_, header)| header.end_physical.max(0) as u64);
    let held: Vec<u64> =
        kept.iter().flat_map(|(path, header)| (1..header.count).map(|number| entry(storage, path, number).physical as u64)).collect();
    let times = |at: u64| held.iter().filter(|&&one| one == at).count() + usize::from(at >= entered_from);
    // The record at the end of a file is entered once more by whoever goes on behind it after a kill, RocketMQ or we.
    let is_end = |at: u64| kept.iter().any(|(_, header)| header.end_physical == at as i64);
    let twice = messages.iter().copied().filter(|&at| times(at) > 1 + usize::from(is_end(at))).collect();
    (twice, messages.iter().copied().filter(|&at| times(at) == 0).collect())
}

#[allow(clippy::arc_with_non_send_sync)] // one thread
fn open_faulty(storage: &FaultyStorage, clock: &MemoryClock) -> Result<FaultyStore, Error> {
    Engine::open(Arc::new(storage.clone()), clock.clone(), options(), &mut |_| {})
}

/// A message with one key; where it lies.
fn put_keyed(store: &mut FaultyStore, n: usize) -> Result<u64, Error> {
    let (mut bytes, mut results) = (Vec::new(), [0.0; RESULT_HEADER + 3]);
    batch::encode(&message(b"keyed", format!("KEYS\u{1}k{n}\u{2}").as_bytes()), &mut bytes);
    store.writer()?.put(&bytes, &mut results).map_err(|(_, error)| error)?;
    Ok(results[RESULT_HEADER] as u64)
}

/// Puts messages, so many milliseconds apart, and writes them behind after every third one, until the process dies or all are put. The log
/// is synced less often, so that full files wait for it while later ones are filled.
fn live(storage: &FaultyStorage, numbers: std::ops::Range<usize>, apart: i64, messages: &mut Vec<u64>) -> Result<(), Error> {
    let clock = MemoryClock::at(NOW + apart * numbers.start as i64);
    let mut store = open_faulty(storage, &clock)?;
    for n in numbers {
        clock.set(NOW + apart * n as i64);
        messages.push(put_keyed(&mut store, n)?);
        if n % 20 == 13
            && let Some(plan) = store.writer()?.plan_flush()
        {
            plan.run(storage)?;
            store.writer()?.flushed(plan);
        }
        while n % 3 == 0
            && let Some(plan) = store.writer()?.plan_behind()
        {
            plan.run(storage)?;
            store.writer()?.wrote_behind(plan);
        }
    }
    Ok(())
}

#[test]
fn a_file_that_is_rolled_to_says_that_it_follows_the_full_one() {
    let storage = MemoryStorage::default();
    let clock = MemoryClock::at(NOW);
    let mut store = open_at(&storage, options(), &clock).unwrap();
    for n in 0..17 {
        clock.set(NOW + 1000 * n as i64);
        put_number(&mut store, n);
        flush(&mut store, &storage);
        write_behind(&mut store, &storage);
        // Seven fill a file; the first one says nothing until then, as nothing is before it.
        let headers: Vec<_> = index_files(&storage).into_iter().map(|(_, header)| header).collect();
        assert_eq!(headers.len(), n / 7 + 1);
        for (of, header) in headers.iter().enumerate().filter(|(of, _)| (of + 1) * 7 > n + 1) {
            let begins = of.checked_sub(1).map_or_else(Header::default, |before| Header::following(&headers[before]));
            assert_eq!(*header, begins, "file {of} after message {n}");
        }
    }
    let (_, last) = index_files(&storage).pop().unwrap();
    assert_eq!((last.begin_timestamp, last.end_timestamp, last.slots_used, last.count), (NOW + 13_000, NOW + 13_000, 0, 1));
}

/// What is left by processes that had put so many messages and then, after a kill, came to so many changes more, each one fewer
/// than the next.
fn killed(lived: usize, apart: i64, mut then: impl FnMut(u32, &MemoryStorage, &[u64])) {
    for dies_in in 0.. {
        let storage = FaultyStorage::default();
        let mut messages = Vec::new();
        if lived > 0 {
            live(&storage, 0..lived, apart, &mut messages).unwrap();
        }
        storage.full.dies_in.set(Some(dies_in));
        let done = live(&storage, lived..lived + 40, apart, &mut messages).is_ok();
        then(dies_in, &storage.memory, &messages);
        if done {
            return;
        }
    }
}

#[test]
fn rocketmq_enters_each_message_once_wherever_the_process_was_killed() {
    for lived in [0, 12, 25] {
        let (mut just_made, mut begun) = (0, 0);
        killed(lived, 1000, |changes, storage, messages| {
            let files = index_files(storage);
            let (path, newest) = files.last().cloned().unwrap_or((String::new(), Header::default()));
            begun += usize::from(newest.count == 1 && newest.end_physical > 0);
            // Between the two calls that make a file and begin it, it says nothing. So it is with RocketMQ.
            if files.len() > 1 && storage.contents(&path).unwrap().iter().all(|&byte| byte == 0) {
                just_made += 1;
                return;
            }
            let found = twice_and_never(storage, messages);
            assert_eq!(found, (vec![], vec![]), "{lived} messages, then killed after {changes} changes: {files:?}");
        });
        assert!(just_made <= 8 && begun > 20, "after {lived} messages {just_made} files were just made, {begun} begun");
    }
}

/// Then `checkpoint` does not tell the end of one file from that of the next, and a file may be believed before it is sealed.
#[test]
fn none_is_lost_where_all_files_end_in_the_same_millisecond() {
    for lived in [0, 12, 25] {
        killed(lived, 0, |changes, storage, messages| {
            let (_, never) = twice_and_never(storage, messages);
            assert_eq!(never, [0; 0], "{lived} messages, then killed after {changes} changes: {:?}", index_files(storage));
        });
    }
}

/// As files are that were made without it.
#[test]
fn a_file_without_a_header_gets_it_from_the_process_that_goes_on() {
    let storage = FaultyStorage::default();
    let mut messages = Vec::new();
    live(&storage, 0..16, 1000, &mut messages).unwrap();
    let files = index_files(&storage.memory);
    let (path, _) = files.last().unwrap();
    assert_eq!(files.len(), 3);
    (0..Header::BYTES).for_each(|at| storage.memory.change(path, at, |byte| *byte = 0));
    live(&storage, 16..19, 1000, &mut messages).unwrap();
    assert_eq!(twice_and_never(&storage.memory, &messages), (vec![], vec![]));
    let store = open(&storage.memory, options()).unwrap();
    (0..19).for_each(|n| assert_eq!(lookup(&store, &format!("k{n}")), ["keyed"], "k{n}"));
}
