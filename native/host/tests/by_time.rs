//! The queue offset for a time: what is found beside the lock is what is found under it.

mod batch;
mod directory;
mod store;

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use directory::Directory;
use moraine_core::engine::Boundary;
use moraine_host::clock::HostClock;
use moraine_host::shared::{OpenSettings, Shared};
use store::{Listener, close, get, open, put, settings};

const START: i64 = 1_700_000_000_000;
const FILE_ENTRIES: u32 = 100;

struct Timed {
    clock: Arc<AtomicI64>,
    directory: Directory,
}

impl Timed {
    fn new() -> Self {
        Self { clock: Arc::new(AtomicI64::new(START)), directory: Directory::new() }
    }

    fn settings(&self) -> OpenSettings {
        let mut settings = settings(self.directory.path());
        settings.options.queue_file_entries = FILE_ENTRIES;
        OpenSettings { clock: HostClock::Driven(self.clock.clone()), ..settings }
    }

    fn open(&self) -> (Arc<Shared>, Arc<Listener>) {
        open(self.settings())
    }

    /// Puts messages that stand at most 2 ms apart, and some at the same time.
    fn put(&self, store: &Shared, count: usize) {
        for n in 0..count {
            self.clock.fetch_add((n % 3) as i64, Ordering::Relaxed);
            put(store, "orders", &[vec![b'x'; 4000]]).unwrap();
        }
    }

    /// Holds both ways against each other.
    fn compare(&self, store: &Shared, what: &str) {
        for time in START - 1..=self.clock.load(Ordering::Relaxed) + 1 {
            for boundary in [Boundary::Lower, Boundary::Upper] {
                let beside = store.offset_by_time(b"orders", 0, time, boundary).unwrap();
                let under = store.read(|reader| reader.offset_by_time(b"orders", 0, time, boundary)).unwrap();
                assert_eq!(beside, under, "{boundary:?} of {} {what}", time - START);
            }
        }
    }
}

fn queue_file(directory: &Path, number: u64) -> std::path::PathBuf {
    directory.join(format!("consumequeue/orders/0/{:020}", number * u64::from(FILE_ENTRIES) * 20))
}

fn flush(store: &Shared, listener: &Listener) {
    let before = listener.told().settled.len();
    store.request_flush();
    listener.wait_for("a flush", |told| told.settled.len() > before);
}

#[test]
fn it_is_the_same_beside_the_lock_and_under_it() {
    let timed = Timed::new();
    let (store, listener) = timed.open();
    timed.put(&store, 350);
    timed.compare(&store, "all in memory");
    close(&store, &listener).unwrap();
    let (store, listener) = timed.open();
    timed.compare(&store, "all in files");
    timed.put(&store, 170);
    timed.compare(&store, "in files and in memory");
    timed.clock.fetch_sub(86_400_000, Ordering::Relaxed);
    timed.put(&store, 60);
    timed.clock.fetch_add(86_400_000, Ordering::Relaxed);
    timed.put(&store, 60);
    timed.compare(&store, "after the clock went back and came again");
    let all = store.offset_by_time(b"orders", 0, i64::MAX, Boundary::Lower).unwrap();
    assert_eq!((all, store.offset_by_time(b"orders", 0, START, Boundary::Lower).unwrap()), (640, 0));
    assert_eq!(store.offset_by_time(b"nobody", 0, START, Boundary::Upper).unwrap(), 0);

    // The front of the log goes.
    flush(&store, &listener);
    store.expire(1, None, Some(1 << 20)).unwrap();
    listener.wait_for("the end of old files", |told| !told.done.is_empty());
    assert!(get(&store, "orders", 0, 1).unwrap().0.min > 0);
    timed.compare(&store, "of what is left");
    close(&store, &listener).unwrap();

    let mut read_only = timed.settings();
    read_only.options.read_only = true;
    let (store, listener) = open(read_only);
    timed.compare(&store, "in a store opened for reading only");
    close(&store, &listener).unwrap();
}

#[test]
fn a_file_that_somebody_cut_or_took_away_leads_where_it_leads_under_the_lock() {
    let timed = Timed::new();
    let (store, listener) = timed.open();
    timed.put(&store, 350);
    close(&store, &listener).unwrap();
    let (store, listener) = timed.open();
    timed.compare(&store, "whole");
    let file = queue_file(timed.directory.path(), 1);
    let held = fs::read(&file).unwrap();
    fs::OpenOptions::new().write(true).open(&file).unwrap().set_len(0).unwrap();
    timed.compare(&store, "with a file that was cut");
    fs::write(&file, held).unwrap();
    timed.compare(&store, "whole again");
    close(&store, &listener).unwrap();

    let (store, listener) = timed.open();
    fs::rename(&file, file.with_extension("away")).unwrap();
    timed.compare(&store, "with a file that is not there");
    fs::rename(file.with_extension("away"), &file).unwrap();

    // Its topic goes, and comes again.
    store.delete_topic(7, "orders".into()).unwrap();
    listener.wait_for("the end of the topic", |told| !told.done.is_empty());
    timed.compare(&store, "that was deleted");
    timed.put(&store, 20);
    timed.compare(&store, "that was deleted and made again");
    assert_eq!(store.offset_by_time(b"orders", 0, i64::MAX, Boundary::Upper).unwrap(), 369);
    close(&store, &listener).unwrap();
}
