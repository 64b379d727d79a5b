//! The engine behind its lock, with the thread that flushes it: what a skin holds of an open store.
//!
//! The lock covers resolving only: positions, queue entries, pins. Bytes of messages are copied and checked after it was
//! given back, syncs and writes behind run without it. Everything here may be called from any thread.

use std::path::PathBuf;
use std::sync::{Arc, OnceLock, PoisonError, Weak};
use std::time::Duration;

pub use moraine_core::columns::Columns;
pub use moraine_core::engine::GetRequest;
use moraine_core::engine::lookup::Lookup;
use moraine_core::engine::{Engine, Positions, Progress, Resolved, WatchId, Writer};
use moraine_core::error::{Code, Error};
use moraine_core::options::{FlushMode, Options};

use crate::backlog::Backlog;
use crate::clock::HostClock;
pub use crate::errands::Done;
use crate::errands::{Errand, Task};
use crate::files::HostStorage;
use crate::flusher;
pub use crate::members::Events;
use crate::members::{Leaving, Member, Members};
use crate::opening;
use crate::reader::Readers;
pub use crate::reader::{Fetched, Wanted};
pub use crate::reading::GetHead;
use crate::segment::HostSegment;
use crate::signals::Signals;
use crate::sync::atomic::{AtomicU8, Ordering};
use crate::sync::thread::{self, ThreadId};
use crate::sync::{Mutex, MutexGuard};

/// Where a store takes its time from.
pub type ClockSource = HostClock;

/// Longest wait of a drop for the flusher to end.
const LONGEST_GOODBYE: Duration = Duration::from_secs(2);

/// How a store is opened.
pub struct OpenSettings {
    /// The store directory.
    pub path: PathBuf,
    pub options: Options,
    /// Longest time that something put stays unsynced (in an asynchronous store) or out of the queue files.
    pub flush_interval: Duration,
    pub clock: ClockSource,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum State {
    Open = 0,
    Closing = 1,
    Closed = 2,
    /// A sync or a write failed. Reads go on up to the durable position.
    Poisoned = 3,
}

/// Place of the number of ready watches in the results of a put.
const READY_WATCHES: usize = 2;

/// How many messages a put has stored; with an error, before it.
type Outcome = Result<usize, (usize, Error)>;

pub(crate) type HostEngine = Engine<HostStorage, HostClock>;

/// An open store, as one of its members holds it.
pub struct Shared {
    pub(crate) core: Arc<Core>,
    member: Arc<Member>,
}

/// Lets further members into a store. Does not keep it open.
#[derive(Clone)]
pub struct Door(Weak<Core>);

/// Kept for calls to come, in boxes: these are too large to be moved for each call.
type Kept<T> = Vec<Box<T>>;

/// What the members and the threads of a store share.
pub(crate) struct Core {
    /// `None` once the store is closed.
    engine: Mutex<Option<HostEngine>>,
    pub(crate) storage: Arc<HostStorage>,
    pub(crate) members: Members,
    pub(crate) readers: Arc<Readers>,
    /// Threads of the store itself, which must not wait for each other.
    flusher: OnceLock<ThreadId>,
    state: AtomicU8,
    pub(crate) signals: Signals,
    pub(crate) flush_interval: Duration,
    pub(crate) mode: FlushMode,
    /// Files may go without being asked for.
    pub(crate) removes: bool,
    pub(crate) backlog: Backlog,
    /// The positions when the store was last seen open.
    last: Mutex<Positions>,
    /// Answers kept for their buffers.
    resolved: Mutex<Kept<Resolved<HostSegment>>>,
    /// Lookups kept for their memory.
    lookups: Mutex<Kept<Lookup<HostSegment>>>,
}

impl Shared {
    /// Opens a store: takes its lock (not when read-only), recovers, starts the flusher.
    pub fn open(settings: OpenSettings, events: Box<dyn Events>, progress: &mut dyn FnMut(Progress)) -> Result<Arc<Self>, Error> {
        let mode = settings.options.flush;
        let flush_interval = settings.flush_interval;
        let removes = settings.options.retention.is_some() && !settings.options.read_only;
        let opened = opening::open(settings, progress)?;
        let last = opened.engine.reader().positions();
        let member = Member::new(0, events);
        let core = Arc::new(Core {
            engine: Mutex::new(Some(opened.engine)),
            storage: Arc::clone(&opened.storage),
            members: Members::default(),
            readers: Arc::default(),
            flusher: OnceLock::new(),
            state: AtomicU8::new(State::Open as u8),
            signals: Signals::default(),
            flush_interval,
            mode,
            removes,
            backlog: Backlog::new(),
            last: Mutex::new(last),
            resolved: Mutex::default(),
            lookups: Mutex::default(),
        });
        core.members.enter(Arc::clone(&member));
        let flusher = flusher::start(core.clone(), opened.storage, opened.lock)?;
        core.flusher.get_or_init(|| flusher);
        Ok(Arc::new(Self { core, member }))
    }

    /// Where others come in.
    pub fn door(&self) -> Door {
        Door(Arc::downgrade(&self.core))
    }

    /// Tells this member of a write that had failed before it came.
    pub fn tell_poison(&self) {
        let poison = self.engine(|engine| if engine.poisoned().is_some() { engine.writer().err() } else { None });
        if let Ok(Some(poison)) = poison {
            let durable = self.positions().durable;
            self.member.tell(|events| events.settled(durable, Some(&poison)));
        }
    }

    /// Appends a batch (moraine_core::batch). See `Writer::put` for `results`; on an error, how many were stored.
    pub fn put(&self, batch: &[u8], results: &mut [f64]) -> Result<usize, (usize, Error)> {
        self.write(results, |writer, results| writer.put(batch, results))
    }

    /// As [`Shared::put`], for messages by columns (moraine_core::columns).
    pub fn put_columns(&self, columns: &Columns<'_>, results: &mut [f64]) -> Result<usize, (usize, Error)> {
        self.write(results, |writer, results| writer.put_columns(columns, results))
    }

    /// Appends a batch whose messages stay together: all of them, or none. See `Writer::put_group`.
    pub fn put_group(&self, batch: &[u8], results: &mut [f64]) -> Result<usize, (usize, Error)> {
        self.write(results, |writer, results| writer.put_group(batch, results))
    }

    /// Writes under the lock.
    fn write(&self, results: &mut [f64], write: impl FnOnce(&mut Writer<'_, HostStorage, HostClock>, &mut [f64]) -> Outcome) -> Outcome {
        let core = &self.core;
        let mut guard = core.lock().map_err(|error| (0, error))?;
        let engine = guard.as_mut().ok_or_else(|| (0, closed()))?;
        let (outcome, waiting) = {
            let mut writer = engine.writer().map_err(|error| (0, error))?;
            let outcome = write(&mut writer, results);
            (outcome, writer.pending_entries())
        };
        let poisoned = outcome.is_err() && engine.poisoned().is_some();
        let several = core.members.are_several();
        if several {
            core.members.note_others(&self.member, |member| engine.ready(member.id) > 0);
        }
        // The writer has said it of the first member.
        if self.member.id != 0
            && let Some(own) = results.get_mut(READY_WATCHES)
        {
            *own = engine.ready(self.member.id) as f64;
        }
        drop(guard);
        if several {
            core.members.tell_others();
        }
        if poisoned {
            core.poisoned();
            core.signals.ask_flush(); // for those who wait to be told
        }
        core.signals.arm();
        core.backlog.after_put(waiting, || core.signals.ask_behind());
        outcome
    }

    /// Asks for a flush of everything put so far. [`Events::settled`] follows. Requests made while a sync runs share the next.
    pub fn request_flush(&self) {
        self.core.signals.ask_flush();
    }

    /// Offsets of the log; of a store that is closing or closed, as they were last.
    pub fn positions(&self) -> Positions {
        self.core.positions()
    }

    /// Reads what is not in memory, in a thread of the store: [`Events::fetched`] follows under the number.
    pub fn fetch(&self, number: u32, wanted: Wanted) -> Result<(), Error> {
        drop(self.core.lock()?);
        self.core.readers.ask(&self.core, &self.member, number, wanted)
    }

    /// Nobody waits any more for what was asked for under a number. It may be answered all the same.
    pub fn forget(&self, number: u32) {
        self.core.readers.forget(&self.member, number);
    }

    /// Watches a queue: see `Engine::watch`. Works in a read-only store too, where nothing arrives.
    pub fn watch(&self, topic: &[u8], queue_id: i32) -> Result<(WatchId, u64), Error> {
        self.engine(|engine| engine.watch(self.member.id, topic, queue_id))?
    }

    pub fn unwatch(&self, watch: WatchId) -> Result<(), Error> {
        self.engine(|engine| engine.unwatch(self.member.id, watch))?
    }

    /// Ready watches, as pairs of watch and maximum of its queue; returns how many. See `Engine::take_arrivals`.
    pub fn take_arrivals(&self, out: &mut [f64]) -> Result<usize, Error> {
        self.member.looks();
        self.engine(|engine| engine.take_arrivals(self.member.id, out))
    }

    /// Whether [`Events::arrived`] is told whenever another member has put.
    pub fn follow(&self, follows: bool) {
        self.member.follows.store(follows, Ordering::Relaxed);
    }

    /// Asks for files of the log to be removed: [`Events::done`] follows under the number. See `moraine_core::engine::expire`.
    pub fn expire(&self, errand: u32, before: Option<i64>, max_bytes: Option<u64>) -> Result<(), Error> {
        self.ask(errand, Task::Expire { before, max_bytes })
    }

    /// Asks for a topic to be deleted: [`Events::done`] follows under the number. See `moraine_core::engine::delete_topic`.
    pub fn delete_topic(&self, errand: u32, topic: String) -> Result<(), Error> {
        self.ask(errand, Task::DeleteTopic(topic))
    }

    fn ask(&self, number: u32, task: Task) -> Result<(), Error> {
        self.writer(|_| ())?;
        let member = Arc::clone(&self.member);
        if self.core.signals.ask_errand(Errand::Task { member, number, task }) { Ok(()) } else { Err(closed()) }
    }

    /// Holds the log from a physical offset on, until [`Shared::release`]: see `Writer::retain`.
    pub fn retain(&self, from: u64) -> Result<u32, Error> {
        let hold = self.writer(|mut writer| writer.retain(from))?;
        self.member.holds().push(hold);
        Ok(hold)
    }

    pub fn release(&self, hold: u32) -> Result<(), Error> {
        self.member.holds().retain(|&held| held != hold);
        self.engine(|engine| engine.release(hold))
    }

    fn engine<R>(&self, act: impl FnOnce(&mut HostEngine) -> R) -> Result<R, Error> {
        let mut guard = self.core.lock()?;
        Ok(act(guard.as_mut().ok_or_else(closed)?))
    }

    fn writer<R>(&self, act: impl FnOnce(Writer<'_, HostStorage, HostClock>) -> R) -> Result<R, Error> {
        self.engine(|engine| Ok(act(engine.writer()?)))?
    }

    /// How near the store is to making a put wait, from 0 to 1. One that is not written to never is.
    pub fn pressure(&self) -> Result<f64, Error> {
        self.engine(|engine| engine.writer().map_or(0.0, |writer| Backlog::pressure(writer.pending_entries())))
    }

    pub fn state(&self) -> State {
        self.core.state()
    }

    /// Leaves the store: everything put so far is flushed, and the last one who leaves closes it; [`Events::closed`]
    /// follows. Further calls do nothing.
    pub fn close(&self) {
        match self.core.members.leave(&self.member) {
            Leaving::Last => self.core.begin_close(),
            Leaving::OneOf => {
                self.let_go();
                let member = Arc::clone(&self.member);
                if !self.core.signals.ask_errand(Errand::Leave(member)) {
                    // The last one has begun to close: only when that is done everything is durable.
                    self.core.members.leave_with_the_last(&self.member);
                }
            }
            Leaving::Gone => {}
        }
    }

    /// Gives up what this member has of the store.
    fn let_go(&self) {
        self.core.readers.forget_all(&self.member);
        let holds = std::mem::take(&mut *self.member.holds());
        // In a store that is closed there is nothing left of it.
        let _ = self.engine(|engine| {
            engine.drop_watcher(self.member.id);
            holds.into_iter().for_each(|hold| engine.release(hold));
        });
    }
}

impl Door {
    /// Whether its store is.
    pub fn is_open(&self) -> bool {
        self.0.upgrade().is_some_and(|core| !core.members.are_ending())
    }

    /// Opens the same store once more, for another member: STORE_CLOSED where it is closed, or about to be.
    pub fn attach(&self, events: Box<dyn Events>) -> Result<Arc<Shared>, Error> {
        let core = self.0.upgrade().ok_or_else(closed)?;
        let watcher = {
            let mut guard = core.lock()?;
            guard.as_mut().ok_or_else(closed)?.add_watcher()
        };
        let member = Member::new(watcher, events);
        if !core.members.enter(Arc::clone(&member)) {
            return Err(closed());
        }
        Ok(Arc::new(Shared { core, member }))
    }
}

impl Drop for Shared {
    /// A store that was not closed by the last one who had it stays as a killed process would leave it: everything put is in
    /// the files of the log.
    fn drop(&mut self) {
        match self.core.members.leave(&self.member) {
            Leaving::OneOf => {
                self.member.hush();
                self.let_go();
            }
            Leaving::Gone => {}
            Leaving::Last => {
                self.core.signals.abandon();
                if self.core.flusher.get() != Some(&thread::current().id()) {
                    // So that the store can be opened again at once. Not for longer: whoever drops must not hang.
                    self.core.signals.wait_for_end(LONGEST_GOODBYE);
                }
            }
        }
    }
}

impl Core {
    /// The engine, unless the store is closing or closed.
    pub(crate) fn lock(&self) -> Result<MutexGuard<'_, Option<HostEngine>>, Error> {
        match self.state() {
            State::Open | State::Poisoned => self.engine.lock().map_err(|_| panicked()),
            State::Closing => Err(Error::new(Code::Closed, "the store is closing; open it again when it is closed")),
            State::Closed => Err(closed()),
        }
    }

    /// The engine for the flusher, in every state.
    pub(crate) fn engine<R>(&self, act: impl FnOnce(&mut HostEngine) -> Result<R, Error>) -> Result<R, Error> {
        let mut guard = self.engine.lock().map_err(|_| panicked())?;
        act(guard.as_mut().ok_or_else(closed)?)
    }

    /// Takes the engine away for good, also after a panic.
    pub(crate) fn take_engine(&self) -> Option<HostEngine> {
        self.engine.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    pub(crate) fn state(&self) -> State {
        match self.state.load(Ordering::Acquire) {
            0 => State::Open,
            1 => State::Closing,
            2 => State::Closed,
            _ => State::Poisoned,
        }
    }

    fn change(&self, from: State, to: State) {
        // Another change came first: it stands.
        let _ = self.state.compare_exchange(from as u8, to as u8, Ordering::AcqRel, Ordering::Acquire);
    }

    pub(crate) fn poisoned(&self) {
        self.change(State::Open, State::Poisoned);
    }

    fn begin_close(&self) {
        self.positions();
        self.change(State::Open, State::Closing);
        self.change(State::Poisoned, State::Closing);
        self.signals.close();
    }

    pub(crate) fn closed(&self) {
        self.state.store(State::Closed as u8, Ordering::Release);
    }

    pub(crate) fn positions(&self) -> Positions {
        if let Ok(guard) = self.lock()
            && let Some(engine) = guard.as_ref()
        {
            let now = engine.reader().positions();
            self.remember(now);
            return now;
        }
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Under the engine's lock, or without an engine: what is remembered never goes back.
    pub(crate) fn remember(&self, positions: Positions) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = positions;
    }

    pub(crate) fn resolved(&self) -> MutexGuard<'_, Kept<Resolved<HostSegment>>> {
        self.resolved.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn lookups(&self) -> MutexGuard<'_, Kept<Lookup<HostSegment>>> {
        self.lookups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn closed() -> Error {
    Error::new(Code::Closed, "the store is closed; open it again")
}

fn panicked() -> Error {
    Error::new(
        Code::Poisoned,
        "an earlier call into this store failed in a way that is a defect of moraine; close the store and open it again",
    )
}
