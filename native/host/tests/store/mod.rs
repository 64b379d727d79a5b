//! An open store for tests: batches, settings, and a listener that can be waited for.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use moraine_core::engine::put::RESULT_HEADER;
use moraine_core::error::Error;
use moraine_core::options::Options;
use moraine_host::clock::HostClock;
use moraine_host::shared::{Done, Events, Fetched, GetHead, GetRequest, OpenSettings, Shared};

/// How long a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(30);

/// The number of a read, and what came of it.
pub type Read = (u32, Result<(GetHead, Vec<u8>), Error>);

/// What the flusher has told.
#[derive(Clone, Debug, Default)]
pub struct Told {
    pub settled: Vec<(u64, Option<Error>)>,
    pub done: Vec<(u32, Result<Done, Error>)>,
    pub fetched: Vec<Read>,
    pub arrived: usize,
    pub closed: Option<Result<(), Error>>,
}

#[derive(Default)]
pub struct Listener {
    told: Mutex<Told>,
    more: Condvar,
}

impl Listener {
    pub fn told(&self) -> Told {
        self.told.lock().unwrap().clone()
    }

    /// Waits until `enough` says so.
    pub fn wait_for(&self, what: &str, enough: impl Fn(&Told) -> bool) -> Told {
        let told = self.told.lock().unwrap();
        let (told, late) = self.more.wait_timeout_while(told, PATIENCE, |told| !enough(told)).unwrap();
        assert!(!late.timed_out(), "{what} did not come; told so far: {told:?}");
        told.clone()
    }

    fn note(&self, note: impl FnOnce(&mut Told)) {
        let mut told = self.told.lock().unwrap();
        assert!(told.closed.is_none(), "nothing is told after the close");
        note(&mut told);
        self.more.notify_all();
    }
}

/// Tells a listener of everything.
pub struct Forward(pub Arc<Listener>);

impl Events for Forward {
    fn settled(&self, durable: u64, error: Option<&Error>) {
        self.0.note(|told| told.settled.push((durable, error.cloned())));
    }

    fn done(&self, errand: u32, outcome: Result<Done, Error>) {
        self.0.note(|told| told.done.push((errand, outcome)));
    }

    fn fetched(&self, fetch: u32, outcome: Result<Fetched, Error>) {
        self.0.note(|told| told.fetched.push((fetch, outcome.map(|fetched| (fetched.head, fetched.bytes)))));
    }

    fn arrived(&self) {
        self.0.note(|told| told.arrived += 1);
    }

    fn closed(&self, outcome: Result<(), Error>) {
        self.0.note(|told| told.closed = Some(outcome));
    }
}

/// Small files; the interval is an hour, so that only what a test asks for happens.
pub fn settings(path: &Path) -> OpenSettings {
    OpenSettings {
        path: path.to_owned(),
        options: Options { segment_bytes: 1 << 20, queue_file_entries: 1000, index_slots: 100, index_entries: 1000, ..Options::default() },
        flush_interval: Duration::from_secs(3600),
        clock: HostClock::System,
    }
}

pub fn open(settings: OpenSettings) -> (Arc<Shared>, Arc<Listener>) {
    try_open(settings).unwrap()
}

pub fn try_open(settings: OpenSettings) -> Result<(Arc<Shared>, Arc<Listener>), Error> {
    let listener = Arc::new(Listener::default());
    let store = Shared::open(settings, Box::new(Forward(listener.clone())), &mut |_| {})?;
    Ok((store, listener))
}

/// Closes the store and waits for it.
pub fn close(store: &Shared, listener: &Listener) -> Result<(), Error> {
    store.close();
    listener.wait_for("the close", |told| told.closed.is_some()).closed.unwrap()
}

/// Puts bodies and returns the end offset.
pub fn put(store: &Shared, topic: &str, bodies: &[Vec<u8>]) -> Result<u64, Error> {
    let mut results = vec![0.0; RESULT_HEADER + 3 * bodies.len()];
    let stored = store.put(&crate::batch::batch(topic, bodies), &mut results).map_err(|(_, error)| error)?;
    assert_eq!(stored, bodies.len());
    Ok(results[1] as u64)
}

/// Up to `max` raw records of queue 0 from `offset`.
pub fn get(store: &Shared, topic: &str, offset: u64, max: usize) -> Result<(GetHead, Vec<u8>), Error> {
    let mut out = vec![0; 1 << 20];
    let mut offsets = vec![0.0; max];
    let mut head = GetHead::default();
    let request = GetRequest { topic: topic.as_bytes(), queue_id: 0, offset, max, max_bytes: 1 << 20, filter: &[] };
    store.get(request, &mut out, &mut offsets, &mut head)?;
    out.truncate(head.bytes);
    offsets.truncate(head.messages);
    assert!(offsets.iter().zip(offset..).all(|(&found, want)| found as u64 == want), "queue offsets are dense: {offsets:?}");
    Ok((head, out))
}
