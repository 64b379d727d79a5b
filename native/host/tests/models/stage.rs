//! A store of a model: a directory in memory, and what its members are told.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moraine_core::engine::put::RESULT_HEADER;
use moraine_core::error::{Code, Error};
use moraine_core::options::{FlushMode, Options};
use moraine_host::clock::HostClock;
use moraine_host::shared::{Done, Door, Events, Fetched, OpenSettings, Shared};
use shuttle::sync::{Condvar, Mutex};
use shuttle::thread;

use crate::batch::batch;
use crate::explore::seed;

/// What a member was told.
#[derive(Clone, Debug, Default)]
pub struct Told {
    pub durable: u64,
    pub done: Vec<(u32, Result<(), Error>)>,
    /// With the number of messages.
    pub fetched: Vec<(u32, Result<usize, Error>)>,
    pub arrived: usize,
    pub closed: Option<Result<(), Error>>,
}

impl Told {
    /// How often a read was answered.
    pub fn answers(&self, number: u32) -> usize {
        self.fetched.iter().filter(|(of, _)| *of == number).count()
    }
}

#[derive(Default)]
pub struct Ear {
    told: Mutex<Told>,
    more: Condvar,
}

impl Ear {
    /// Waits; where it never comes, that is a deadlock, which ends the model.
    pub fn wait_for(&self, _what: &str, enough: impl Fn(&Told) -> bool) -> Told {
        self.more.wait_while(self.told.lock().unwrap(), |told| !enough(told)).unwrap().clone()
    }

    fn note(&self, note: impl FnOnce(&mut Told)) {
        let mut told = self.told.lock().unwrap();
        assert!(told.closed.is_none(), "nothing is told after the close");
        note(&mut told);
        self.more.notify_all();
    }
}

struct Forward(Arc<Ear>);

impl Events for Forward {
    fn settled(&self, durable: u64, error: Option<&Error>) {
        assert!(error.is_none(), "nothing fails here: {error:?}");
        self.0.note(|told| told.durable = told.durable.max(durable));
    }

    fn done(&self, errand: u32, outcome: Result<Done, Error>) {
        self.0.note(|told| told.done.push((errand, outcome.map(|_| ()))));
    }

    fn fetched(&self, fetch: u32, outcome: Result<Fetched, Error>) {
        self.0.note(|told| told.fetched.push((fetch, outcome.map(|fetched| fetched.head.messages))));
    }

    fn arrived(&self) {
        self.0.note(|told| told.arrived += 1);
    }

    fn closed(&self, outcome: Result<(), Error>) {
        self.0.note(|told| told.closed = Some(outcome));
    }
}

/// The directory of a store, removed with the last clone.
#[derive(Clone)]
pub struct Stage(Arc<Directory>);

struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Stage {
    pub fn new() -> Self {
        static MADE: AtomicU64 = AtomicU64::new(0);
        let memory = PathBuf::from("/dev/shm");
        let parent = if memory.is_dir() { memory } else { std::env::temp_dir() };
        let path = parent.join(format!("moraine-models-{}-{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed)));
        std::fs::create_dir(&path).unwrap();
        Self(Arc::new(Directory(path)))
    }

    pub fn seed(&self) -> u64 {
        seed()
    }

    fn try_open(&self, flush: FlushMode) -> Result<(Arc<Shared>, Arc<Ear>), Error> {
        let options =
            Options { flush, segment_bytes: 4096, queue_file_entries: 100, index_slots: 10, index_entries: 40, ..Options::default() };
        let settings =
            OpenSettings { path: self.0.0.clone(), options, flush_interval: Duration::from_millis(500), clock: HostClock::System };
        let ear = Arc::new(Ear::default());
        let store = Shared::open(settings, Box::new(Forward(Arc::clone(&ear))), &mut |_| {})?;
        Ok((store, ear))
    }

    pub fn open(&self, flush: FlushMode) -> (Arc<Shared>, Arc<Ear>) {
        self.try_open(flush).unwrap()
    }

    /// Opens as soon as whoever dropped the store has let go of it.
    pub fn open_when_free(&self, flush: FlushMode) -> (Arc<Shared>, Arc<Ear>) {
        loop {
            match self.try_open(flush) {
                Err(error) if error.code == Code::Locked => thread::yield_now(),
                outcome => return outcome.unwrap(),
            }
        }
    }

    pub fn attach(&self, store: &Shared) -> Result<(Arc<Shared>, Arc<Ear>), Error> {
        let ear = Arc::new(Ear::default());
        Ok((store.door().attach(Box::new(Forward(Arc::clone(&ear))))?, ear))
    }

    /// Comes in, unless the store is closed.
    pub fn enter(&self, door: &Door) -> Option<(Arc<Shared>, Arc<Ear>)> {
        let ear = Arc::new(Ear::default());
        match door.attach(Box::new(Forward(Arc::clone(&ear)))) {
            Ok(store) => Some((store, ear)),
            Err(error) => {
                assert_eq!(error.code, Code::Closed, "{error}");
                None
            }
        }
    }

    pub fn close(&self, store: &Shared, ear: &Ear) {
        store.close();
        let closed = ear.wait_for("the close", |told| told.closed.is_some()).closed;
        assert!(matches!(closed, Some(Ok(()))), "{closed:?}");
    }
}

/// Puts bodies into queue 0 and returns the end offset.
pub fn put(store: &Shared, topic: &str, bodies: &[Vec<u8>]) -> Result<u64, Error> {
    let mut results = vec![0.0; RESULT_HEADER + 3 * bodies.len()];
    store.put(&batch(topic, bodies), &mut results).map_err(|(_, error)| error)?;
    Ok(results[1] as u64)
}
