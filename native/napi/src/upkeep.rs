//! Looking after stores: verifying, rebuilding, salvaging. Each in a thread of its own, told of by events; results cross as
//! one JSON text.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use moraine_core::crossing;
use moraine_core::engine::Progress;
use moraine_core::engine::remake::Derived;
use moraine_core::error::{Code, Error};
use moraine_core::options::Options;
use moraine_host::upkeep;
use napi::Status;
use napi::bindgen_prelude::Function;
use napi::threadsafe_function::{ThreadsafeFunction, ThreadsafeFunctionCallMode};
use napi_derive::napi;

use crate::env;
use crate::failure::Failure;
use crate::guard::{caught, guarded};
use crate::store::OpenOptions;
use crate::tasks::{EVENT_FAILED, EVENT_PROGRESS, EventArguments};

/// The task is at its end; its result is the text. Nothing follows.
#[napi]
pub const EVENT_DONE: u32 = 5;

/// Least time between two progress events.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(50);

enum News {
    Progress(Progress),
    Done(String),
    Failed(Failure),
}

impl News {
    fn arrive(self) -> EventArguments {
        match self {
            News::Progress(progress) => (EVENT_PROGRESS, progress.done as f64, progress.total as f64, Some(progress.phase.to_owned())),
            News::Done(result) => (EVENT_DONE, 0.0, 0.0, Some(result)),
            News::Failed(failure) => (EVENT_FAILED, 0.0, 0.0, Some(failure.into_json())),
        }
        .into()
    }
}

/// Weak: it does not hold the process.
type NewsFunction = ThreadsafeFunction<News, (), EventArguments, Status, false, true>;

/// Tasks that can be stopped, by their number.
fn running() -> MutexGuard<'static, BTreeMap<u32, Arc<AtomicBool>>> {
    static RUNNING: Mutex<BTreeMap<u32, Arc<AtomicBool>>> = Mutex::new(BTreeMap::new());
    // Every critical section leaves the map whole.
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a task tells while it runs.
struct Teller<'a> {
    function: &'a NewsFunction,
    stopped: &'a AtomicBool,
    last: Option<(&'static str, Instant)>,
}

impl Teller<'_> {
    /// For a task that goes on to its end.
    fn told(&mut self, progress: Progress) {
        let _ = self.tell(progress);
    }

    /// Passes progress on, not more of it than somebody can read; false once the task is to end.
    fn tell(&mut self, progress: Progress) -> bool {
        let now = Instant::now();
        let is_soon = self.last.is_some_and(|(phase, at)| phase == progress.phase && now - at < PROGRESS_INTERVAL);
        if !is_soon {
            self.last = Some((progress.phase, now));
            let status = self.function.call(News::Progress(progress), ThreadsafeFunctionCallMode::NonBlocking);
            if status == Status::Closing {
                self.stopped.store(true, Ordering::Relaxed); // nobody is there any more
            }
        }
        !self.stopped.load(Ordering::Relaxed)
    }
}

/// Runs `work` in a thread of its own; its result is a JSON text. Returns the task's number, for `stopTask`.
fn start(
    on_event: Function<EventArguments, ()>,
    work: impl FnOnce(&mut Teller) -> Result<String, Failure> + Send + 'static,
) -> Result<u32, Failure> {
    let task = env::new_handle()?;
    let function = on_event
        .build_threadsafe_function::<News>()
        .weak::<true>()
        .build_callback(|context| Ok(context.value.arrive()))
        .map_err(|error| Error::new(Code::Io, format!("the event function was refused: {}", error.reason)))?;
    let stopped = Arc::new(AtomicBool::new(false));
    running().insert(task, Arc::clone(&stopped));
    let spawned = thread::Builder::new().name("moraine-upkeep".to_owned()).spawn(move || {
        let outcome = caught(|| work(&mut Teller { function: &function, stopped: &stopped, last: None }));
        running().remove(&task);
        let news = match outcome {
            Ok(result) => News::Done(result),
            Err(failure) => News::Failed(failure),
        };
        function.call(news, ThreadsafeFunctionCallMode::NonBlocking);
    });
    if let Err(error) = spawned {
        running().remove(&task);
        return Err(Error::new(Code::Io, format!("no thread to work in: {error}")).into());
    }
    Ok(task)
}

/// Ends a task early: its result says that it is not complete. Nothing for one that is at its end, or cannot be stopped.
#[napi]
pub fn stop_task(task: u32) {
    if let Some(stopped) = running().get(&task) {
        stopped.store(true, Ordering::Relaxed);
    }
}

fn engine_options(path: &str, options: OpenOptions) -> Result<Options, Error> {
    Ok(options.settings(path.to_owned())?.options)
}

/// Verifies the store in a directory; `handle` is that of the open store, 0 where none is open here.
/// Result: `{ complete, findings }`, findings with a remedy.
#[napi]
pub fn verify_store(
    path: String,
    options: OpenOptions,
    deep: bool,
    handle: u32,
    on_event: Function<EventArguments, ()>,
) -> napi::Result<u32> {
    guarded(|| {
        let options = engine_options(&path, options)?;
        let live = match handle {
            0 => None,
            handle => Some(env::with(handle, |store| Ok(store.shared.read(|reader| Ok(reader.settled()))?))?),
        };
        start(on_event, move |teller| {
            let found = upkeep::verify(&PathBuf::from(path), &options, deep, live, &mut |progress| teller.tell(progress))?;
            Ok(crossing::verified(&found))
        })
    })
}

/// Makes queues, index or both again from the log. Result: `{ messages, findings }`.
#[napi]
pub fn rebuild_store(
    path: String,
    options: OpenOptions,
    queues: bool,
    index: bool,
    on_event: Function<EventArguments, ()>,
) -> napi::Result<u32> {
    guarded(|| {
        let options = engine_options(&path, options)?;
        start(on_event, move |teller| {
            let mut progress = |progress| teller.told(progress);
            let rebuilt = upkeep::rebuild(&PathBuf::from(path), &options, Derived { queues, index }, &mut progress)?;
            Ok(crossing::rebuilt(&rebuilt))
        })
    })
}

/// Saves every whole record of a store into a new one. Result: `{ messages, bytes, lostRanges, lostBytes, findings }`.
#[napi]
pub fn salvage_store(path: String, out: String, options: OpenOptions, on_event: Function<EventArguments, ()>) -> napi::Result<u32> {
    guarded(|| {
        let options = engine_options(&path, options)?;
        start(on_event, move |teller| {
            let mut progress = |progress| teller.told(progress);
            let saved = upkeep::salvage(&PathBuf::from(path), &PathBuf::from(out), &options, &mut progress)?;
            Ok(crossing::salvaged(&saved))
        })
    })
}
