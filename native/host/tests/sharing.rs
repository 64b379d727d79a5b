//! Several members of one store: what each is told, whoever of the others comes, puts, or goes.

#[allow(dead_code)]
mod batch;
mod directory;
#[allow(dead_code)]
mod store;

use std::fs;
use std::sync::{Arc, Mutex, OnceLock, Weak};

use directory::Directory;
use moraine_core::engine::put::RESULT_HEADER;
use moraine_core::error::Error;
use moraine_host::shared::{Done, Events, Fetched, GetHead, GetRequest, Shared, Wanted};
use store::{Forward, Listener, close, open, put, settings};

/// Another member of a store.
fn attach(store: &Shared) -> (Arc<Shared>, Arc<Listener>) {
    let listener = Arc::new(Listener::default());
    (store.door().attach(Box::new(Forward(Arc::clone(&listener)))).unwrap(), listener)
}

/// How many watches of the one who puts are ready behind a put of its own.
fn ready_after_put(store: &Shared) -> f64 {
    let mut results = vec![0.0; RESULT_HEADER + 3];
    store.put(&batch::batch("T", &[vec![1; 10]]), &mut results).unwrap();
    results[RESULT_HEADER - 1]
}

#[test]
fn a_member_that_is_left_alone_hears_of_its_own_puts() {
    let directory = Directory::new();
    let (opener, opener_hears) = open(settings(directory.path()));
    let (other, other_hears) = attach(&opener);
    other.watch(b"T", 0).unwrap();
    close(&opener, &opener_hears).unwrap();
    assert_eq!(ready_after_put(&other), 1.0);
    close(&other, &other_hears).unwrap();
}

/// Looks at the store whenever it is told of an arrival.
struct Curious(OnceLock<Weak<Shared>>, Mutex<Vec<usize>>);

struct Told(Arc<Curious>);

impl Events for Told {
    fn settled(&self, _durable: u64, _error: Option<&Error>) {}
    fn done(&self, _errand: u32, _outcome: Result<Done, Error>) {}
    fn fetched(&self, _fetch: u32, _outcome: Result<Fetched, Error>) {}
    fn arrived(&self) {
        let Some(store) = self.0.0.get().and_then(Weak::upgrade) else { return };
        let taken = store.take_arrivals(&mut [0.0; 2]).unwrap();
        self.0.1.lock().unwrap().push(taken);
        store.close();
    }
    fn closed(&self, _outcome: Result<(), Error>) {}
}

#[test]
fn whoever_hears_of_an_arrival_may_take_it_and_leave() {
    let directory = Directory::new();
    let (opener, hears) = open(settings(directory.path()));
    let curious = Arc::new(Curious(OnceLock::new(), Mutex::default()));
    let other = opener.door().attach(Box::new(Told(Arc::clone(&curious)))).unwrap();
    curious.0.set(Arc::downgrade(&other)).unwrap();
    other.watch(b"T", 0).unwrap();
    let (done, wait) = std::sync::mpsc::channel();
    let putting = Arc::clone(&opener);
    std::thread::spawn(move || {
        put(&putting, "T", &[vec![1; 10]]).unwrap();
        done.send(()).unwrap();
    });
    wait.recv_timeout(std::time::Duration::from_secs(20)).expect("the put comes back");
    assert_eq!(*curious.1.lock().unwrap(), [1]);
    close(&opener, &hears).unwrap();
}

#[test]
fn a_member_that_left_a_store_which_is_then_dropped_is_told() {
    for _ in 0..50 {
        let directory = Directory::new();
        let (opener, _hears) = open(settings(directory.path()));
        let (other, other_hears) = attach(&opener);
        let end = put(&other, "T", &[vec![1; 10]]).unwrap();
        other.close();
        drop(opener);
        let told = other_hears.wait_for("the close", |told| told.closed.is_some());
        if matches!(told.closed, Some(Ok(()))) {
            assert!(other.positions().durable >= end);
        }
    }
}

#[test]
fn a_queue_file_that_is_missing_is_a_hole() {
    let directory = Directory::new();
    let (opener, hears) = open(settings(directory.path()));
    let bodies: Vec<_> = (0..2500).map(|_| vec![1; 10]).collect();
    put(&opener, "T", &bodies).unwrap();
    close(&opener, &hears).unwrap();
    let (opener, hears) = open(settings(directory.path()));
    fs::remove_file(directory.path().join("consumequeue/T/0/00000000000000020000")).unwrap();
    let (mut out, mut offsets, mut head) = (vec![0; 1 << 16], [0.0; 10], GetHead::default());
    let request = GetRequest { topic: b"T", queue_id: 0, offset: 1500, max: 10, max_bytes: 1 << 16, filter: &[] };
    opener.get(request, &mut out, &mut offsets, &mut head).unwrap();
    assert_eq!(offsets[0], 2000.0, "{head:?}");
    let entries = opener.read(|reader| reader.entries(b"T", 0, 990, 20)).unwrap().1;
    assert_eq!(entries.iter().filter(|entry| !entry.is_blank()).count(), 10);
    close(&opener, &hears).unwrap();
}

/// Keeps what is read for it.
#[derive(Default)]
struct Hoard(Mutex<Vec<Fetched>>, std::sync::Condvar);

struct Hoarding(Arc<Hoard>);

impl Events for Hoarding {
    fn settled(&self, _durable: u64, _error: Option<&Error>) {}
    fn done(&self, _errand: u32, _outcome: Result<Done, Error>) {}
    fn fetched(&self, _fetch: u32, outcome: Result<Fetched, Error>) {
        self.0.0.lock().unwrap().extend(outcome);
        self.0.1.notify_all();
    }
    fn arrived(&self) {}
    fn closed(&self, _outcome: Result<(), Error>) {}
}

/// One whose thread is busy for ever.
#[test]
fn a_member_that_takes_nothing_of_what_was_read_for_it_stops_nobody_else() {
    const BODY: usize = 3 << 20;
    let directory = Directory::new();
    let mut small = settings(directory.path());
    small.options.segment_bytes = 8 << 20;
    let (opener, hears) = open(small);
    let at = opener.positions().end;
    put(&opener, "T", &[vec![1; BODY]]).unwrap();
    let hoard = Arc::new(Hoard::default());
    let other = opener.door().attach(Box::new(Hoarding(Arc::clone(&hoard)))).unwrap();
    for number in 0..40 {
        other.fetch(number, Wanted::At(at)).unwrap();
    }
    let enough = (64 << 20) / BODY;
    let wait = |more: usize| {
        let longest = std::time::Duration::from_secs(20);
        let (kept, late) = hoard.1.wait_timeout_while(hoard.0.lock().unwrap(), longest, |kept| kept.len() < more).unwrap();
        assert!(!late.timed_out(), "{} of {more}", kept.len());
        kept
    };
    drop(wait(enough));
    opener.fetch(1, Wanted::At(at)).unwrap();
    let told = hears.wait_for("an answer", |told| !told.fetched.is_empty());
    assert_eq!(told.fetched[0].1.as_ref().unwrap().0.messages, 1);
    let kept = hoard.0.lock().unwrap().len();
    assert!(kept <= enough + 5, "{kept} answers are kept");
    // It takes them after all.
    let taken = std::mem::take(&mut *hoard.0.lock().unwrap()).len();
    drop(wait(40 - taken));
    close(&opener, &hears).unwrap();
    other.close();
}
