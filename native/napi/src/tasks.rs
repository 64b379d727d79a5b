//! What takes long or comes back later: opening, closing, and the events of a store.
//!
//! One weak threadsafe function a store carries everything, so that an idle store does not hold the process and
//! nothing grows with the number of waiters; the TypeScript side keeps the promises.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use moraine_core::crossing;
use moraine_core::engine::Progress;
use moraine_core::error::{Code, Error};
use moraine_host::clock::HostClock;
use moraine_host::shared::{Done, Events, Fetched, OpenSettings, Shared};
use napi::Status;
use napi::bindgen_prelude::{FnArgs, Function};
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;

use crate::env::{self, Answer, Answers, Environment, OpenStore};
use crate::failure::Failure;
use crate::guard::caught;
use crate::held::{self, One};
use crate::shares;

/// Least time between two progress events of one phase.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(50);

/// First argument of the event function.
#[napi]
pub const EVENT_PROGRESS: u32 = 0;
#[napi]
pub const EVENT_OPENED: u32 = 1;
#[napi]
pub const EVENT_FAILED: u32 = 2;
#[napi]
pub const EVENT_SETTLED: u32 = 3;
#[napi]
pub const EVENT_CLOSED: u32 = 4;
/// The number of the errand, 1 if it has failed, and what came of it, or the failure, as JSON.
#[napi]
pub const EVENT_DONE: u32 = 5;
/// The number of the fetch, 1 if it has failed, and the failure as JSON; otherwise `takeFetched` has what was read.
#[napi]
pub const EVENT_FETCHED: u32 = 6;
/// Another thread has put: watches are ready, or the log that is followed has grown.
#[napi]
pub const EVENT_ARRIVED: u32 = 7;

/// Kind, two numbers, a text: the phase or a failure.
pub type EventArguments = FnArgs<(u32, f64, f64, Option<String>)>;

enum Event {
    Progress(Progress),
    /// The handle is valid from now on.
    Opened,
    /// Nothing follows.
    Failed(Failure),
    Settled {
        durable: u64,
        failure: Option<Failure>,
    },
    Done {
        errand: u32,
        outcome: Result<Done, Failure>,
    },
    Fetched {
        fetch: u32,
        failure: Option<Failure>,
    },
    Arrived,
    /// The handle is void. Nothing follows.
    Closed(Option<Failure>),
}

impl Event {
    /// What the JavaScript function gets. Runs in the environment's thread.
    fn arrive(self, handle: u32) -> EventArguments {
        let arguments = match self {
            Event::Progress(progress) => (EVENT_PROGRESS, progress.done as f64, progress.total as f64, Some(progress.phase.to_owned())),
            Event::Opened => {
                env::adopt(handle);
                (EVENT_OPENED, 0.0, 0.0, None)
            }
            Event::Failed(failure) => (EVENT_FAILED, 0.0, 0.0, Some(failure.into_json())),
            Event::Settled { durable, failure } => (EVENT_SETTLED, durable as f64, 0.0, failure.map(Failure::into_json)),
            Event::Done { errand, outcome } => match outcome {
                Ok(done) => (EVENT_DONE, f64::from(errand), 0.0, Some(done_json(done))),
                Err(failure) => (EVENT_DONE, f64::from(errand), 1.0, Some(failure.into_json())),
            },
            Event::Fetched { fetch, failure } => {
                (EVENT_FETCHED, f64::from(fetch), f64::from(u8::from(failure.is_some())), failure.map(Failure::into_json))
            }
            Event::Arrived => (EVENT_ARRIVED, 0.0, 0.0, None),
            Event::Closed(failure) => {
                env::forget(handle);
                (EVENT_CLOSED, 0.0, 0.0, failure.map(Failure::into_json))
            }
        };
        arguments.into()
    }
}

fn done_json(done: Done) -> String {
    match done {
        Done::Expired(expired) => crossing::expired(&expired),
        Done::Deleted(was_there) => was_there.to_string(),
    }
}

/// Weak: it does not hold the process. Not callee-handled: an event is never an error of the function itself.
type EventFunction = ThreadsafeFunction<Event, (), EventArguments, Status, false, true>;

/// The way from the threads of a store to its JavaScript function.
struct Channel {
    handle: u32,
    function: EventFunction,
    environment: Arc<Environment>,
    answers: Arc<Answers>,
    _held: One,
}

impl Channel {
    /// Dropped without a trace when the environment has ended.
    fn send(&self, event: Event) {
        self.function.call(event, ThreadsafeFunctionCallMode::NonBlocking);
    }
}

struct Listener(Arc<Channel>);

impl Events for Listener {
    fn settled(&self, durable: u64, error: Option<&Error>) {
        self.0.send(Event::Settled { durable, failure: error.map(Failure::from) });
    }

    fn done(&self, errand: u32, outcome: Result<Done, Error>) {
        self.0.send(Event::Done { errand, outcome: outcome.map_err(Failure::from) });
    }

    fn fetched(&self, fetch: u32, outcome: Result<Fetched, Error>) {
        let kept = outcome.map(|fetched| self.0.answers.keep(fetch, Answer::new(fetched)));
        self.0.send(Event::Fetched { fetch, failure: kept.err().map(Failure::from) });
    }

    fn arrived(&self) {
        self.0.send(Event::Arrived);
    }

    fn closed(&self, outcome: Result<(), Error>) {
        self.0.environment.release(self.0.handle);
        self.0.send(Event::Closed(outcome.err().map(Failure::from)));
    }
}

/// Opens a store in a thread of its own: recovery can take minutes, and the four threads of Node's pool serve the
/// file system, the name service and compression too. Returns the handle, valid after `EVENT_OPENED`.
pub fn open(settings: OpenSettings, on_event: Function<EventArguments, ()>) -> Result<u32, Failure> {
    let channel = channel(on_event)?;
    let handle = channel.handle;
    let clock = match &settings.clock {
        HostClock::Driven(clock) => Some(Arc::clone(clock)),
        HostClock::System => None,
    };
    thread::Builder::new()
        .name("moraine-open".to_owned())
        .spawn(move || {
            let outcome = caught(|| Ok(Shared::open(settings, Box::new(Listener(Arc::clone(&channel))), &mut sparse(&channel))?));
            match outcome {
                Ok(shared) => {
                    let store = OpenStore::new(Arc::clone(&shared), handle, Arc::clone(&channel.answers), clock);
                    if channel.environment.admit(handle, store) {
                        channel.send(Event::Opened);
                    } else {
                        shared.close();
                    }
                }
                Err(failure) => channel.send(Event::Failed(failure)),
            }
        })
        .map_err(|error| Error::new(Code::Io, format!("no thread to open the store in: {error}")))?;
    Ok(handle)
}

/// Attaches this environment to a store that another one of the process has open. Returns the handle, valid after
/// `EVENT_OPENED`, which follows at once.
pub fn attach(number: u32, on_event: Function<EventArguments, ()>) -> Result<u32, Failure> {
    let channel = channel(on_event)?;
    let shared = shares::door(number)?.attach(Box::new(Listener(Arc::clone(&channel))))?;
    let store = OpenStore::new(Arc::clone(&shared), number, Arc::clone(&channel.answers), None);
    if !channel.environment.admit(channel.handle, store) {
        shared.close();
        return Err(Error::new(Code::Closed, "the environment has ended").into());
    }
    channel.send(Event::Opened);
    shared.tell_poison();
    Ok(channel.handle)
}

fn channel(on_event: Function<EventArguments, ()>) -> Result<Arc<Channel>, Failure> {
    let environment = env::current()?;
    let handle = env::new_handle()?;
    let function = on_event
        .build_threadsafe_function::<Event>()
        .weak::<true>()
        .build_callback(move |context| Ok(context.value.arrive(handle)))
        .map_err(|error| Error::new(Code::Io, format!("the event function was refused: {}", error.reason)))?;
    Ok(Arc::new(Channel { handle, function, environment, answers: Arc::default(), _held: held::CHANNELS.one() }))
}

/// Progress as events, not more of them than somebody can read.
fn sparse(channel: &Channel) -> impl FnMut(Progress) {
    let mut last: Option<(&'static str, Instant)> = None;
    move |progress| {
        let now = Instant::now();
        let is_soon = last.is_some_and(|(phase, at)| phase == progress.phase && now - at < PROGRESS_INTERVAL);
        if !is_soon || progress.done >= progress.total {
            last = Some((progress.phase, now));
            channel.send(Event::Progress(progress));
        }
    }
}
