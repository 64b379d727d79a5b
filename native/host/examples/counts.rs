//! What the calls of a store cost in instructions: `npm run counts` runs this under callgrind, which counts inside of
//! [`measured`] alone, and only in the thread that calls it. Prints a line for each call of it, in their order.

#[path = "../tests/batch/mod.rs"]
#[allow(dead_code, reason = "store/mod.rs has it")]
mod batch;
#[path = "../tests/directory/mod.rs"]
mod directory;
#[path = "../tests/store/mod.rs"]
#[allow(dead_code, reason = "the tests of this crate use the rest")]
mod store;

use std::hint::black_box;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicI64;

use directory::Directory;
use moraine_core::engine::lookup::asked;
use moraine_core::engine::put::RESULT_HEADER;
use moraine_core::options::Options;
use moraine_host::clock::HostClock;
use moraine_host::shared::{GetHead, GetRequest, OpenSettings, Shared};

/// Milliseconds since the Unix epoch that every store here is told.
const NOW_MS: i64 = 1_700_000_000_000;
const KIB: usize = 1024;

/// What is counted.
#[inline(never)]
fn measured<R>(work: impl FnOnce() -> R) -> R {
    black_box(work())
}

/// Counts `work` under a name; `times` is how often it does what the name says. Counts under one name are held against each
/// other: the difference is what the name says, as often as they differ in `times`.
fn count<R>(name: &str, times: usize, work: impl FnOnce() -> R) -> R {
    println!("{times} {name}");
    measured(work)
}

fn main() {
    puts();
    reads();
    recoveries();
    opens();
}

/// As users open it, but in small files, with a clock that stands and a flusher that does nothing by itself.
fn settings(path: &Path) -> OpenSettings {
    OpenSettings {
        options: Options { segment_bytes: 64 << 20, index_slots: 5_000, index_entries: 20_000, ..Options::default() },
        clock: HostClock::Driven(Arc::new(AtomicI64::new(NOW_MS))),
        ..store::settings(path)
    }
}

fn open(path: &Path) -> Arc<Shared> {
    store::open(settings(path)).0
}

fn put(store: &Shared, batch: &[u8], results: &mut [f64]) {
    store.put(black_box(batch), results).expect("the messages are stored");
}

/// A batch of messages to queue 0 of `topic`, each with a tag and a key of its own, which has its number.
fn messages(topic: &str, numbers: Range<usize>, bytes: usize) -> Vec<u8> {
    let body = vec![b'x'; bytes];
    let mut batch = Vec::new();
    for number in numbers {
        batch::add(topic, &body, &format!("TAGS\x01paid\x02KEYS\x01{}\x02", key(number)), NOW_MS, &mut batch);
    }
    batch
}

fn key(number: usize) -> String {
    format!("order-{number:06}")
}

fn results(messages: usize) -> Vec<f64> {
    vec![0.0; RESULT_HEADER + 3 * messages]
}

fn puts() {
    for (name, at_once, bytes, calls) in [
        ("put of 1 KiB", 1, KIB, 512),
        ("put of 64 messages of 1 KiB, each", 64, KIB, 16),
        ("put of 64 messages of 128 B, each", 64, 128, 16),
    ] {
        let directory = Directory::new();
        let store = open(directory.path());
        let mut results = results(at_once);
        let batches: Vec<_> = (0..calls).map(|call| messages("orders", (call + 1) * at_once..(call + 2) * at_once, bytes)).collect();
        put(&store, &messages("orders", 0..at_once, bytes), &mut results);
        count(name, calls * at_once, || batches.iter().for_each(|batch| put(&store, batch, &mut results)));
    }
}

fn reads() {
    const STORED: usize = 4096;
    const CALLS: usize = 64;
    /// The allocator answers alike after so many calls, whatever the store's threads did before.
    const WARM_UP: usize = 64;
    const AT_ONCE: usize = 32;
    const LOOKUPS: usize = 512;
    const TOGETHER: usize = 16;
    let directory = Directory::new();
    let store = open(directory.path());
    put(&store, &messages("orders", 0..STORED, KIB), &mut results(STORED));

    let mut out = vec![0; 64 * KIB];
    let mut offsets = [0.0; AT_ONCE];
    let mut head = GetHead::default();
    let mut get = |first: usize| {
        let (offset, max_bytes) = (first as u64, out.len());
        let request = GetRequest { topic: b"orders", queue_id: 0, offset, max: AT_ONCE, max_bytes, filter: &[] };
        store.get(request, &mut out, &mut offsets, &mut head).expect("the messages can be read");
        assert_eq!(head.messages, AT_ONCE);
    };
    (0..WARM_UP).for_each(|call| get(call * AT_ONCE));
    count("get of 32 messages of 1 KiB, each", CALLS * AT_ONCE, || (1..=CALLS).for_each(|call| get(call * AT_ONCE)));

    let mut into = Vec::new();
    let mut counts = [0.0; TOGETHER];
    let mut lookup = |asked: &[u8], found: usize| {
        assert_eq!(store.lookup(black_box(asked), 0, i64::MAX, 32, &mut counts, &mut into).expect("keys can be looked up"), found);
    };
    for (name, first, together, found) in [
        ("lookup of a key that one message has", 0, 1, 1),
        ("lookup of a key that no message has", STORED, 1, 0),
        ("lookup of 16 keys that one message has, each", 0, TOGETHER, TOGETHER),
    ] {
        let keys: Vec<_> = (0..LOOKUPS).map(|number| key(first + number * 7)).collect();
        let asked: Vec<_> = keys.chunks(together).map(|keys| asked(b"orders", keys.iter().map(String::as_bytes))).collect();
        asked.iter().cycle().take(WARM_UP).for_each(|asked| lookup(asked, found));
        count(name, LOOKUPS, || asked.iter().for_each(|asked| lookup(asked, found)));
    }

    let mut at = |physical: u64| store.at(black_box(physical), &mut into).expect("the log can be read").expect("a record starts there");
    let size = at(0) as u64;
    (0..WARM_UP).for_each(|_| assert_eq!(at(0) as u64, size));
    count("read of a record by its physical offset", CALLS, || {
        (1..=CALLS as u64).for_each(|number| assert_eq!(at(number * size) as u64, size))
    });
}

/// Opened as a killed process left it: each message is read, checked, and entered into its queue and the index again.
fn recoveries() {
    for stored in [512, 2048] {
        let directory = Directory::new();
        let left = open(directory.path());
        put(&left, &messages("orders", 0..stored, KIB), &mut results(stored));
        drop(left);
        let store = count("recovery of a message of 1 KiB", stored, || open(directory.path()));
        assert_eq!(store.read(|reader| Ok(reader.offsets(b"orders", 0).max)).expect("the queue is there"), stored as u64);
    }
}

/// Opened after a close.
fn opens() {
    for queues in [128, 1152] {
        let directory = Directory::new();
        // One small file, which is filled ahead to its end soon: how far the messages go is searched in what is filled.
        let (store, listener) = store::open(store::settings(directory.path()));
        for queue in 0..queues {
            put(&store, &messages(&format!("orders-{queue:06}"), queue..queue + 1, 16), &mut results(1));
        }
        store::close(&store, &listener).expect("the store closes");
        drop(count("open of a closed store, each queue", queues, || store::open(store::settings(directory.path()))));
    }
}
