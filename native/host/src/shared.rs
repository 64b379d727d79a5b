//! The engine behind its lock, with the thread that flushes it: what a skin holds of an open store.
//!
//! The lock covers resolving only: positions, queue entries, pins. Bytes of messages are copied and checked after it was
//! given back, syncs and writes behind run without it. Everything here may be called from any thread.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::ThreadId;
use std::time::Duration;

pub use moraine_core::engine::GetRequest;
use moraine_core::engine::{Appended, Engine, Positions, Progress, Reader, Resolved, ScanItem, Scanner, WatchId, Writer};
use moraine_core::error::{Code, Error};
use moraine_core::options::{FlushMode, Options};

use crate::backlog::Backlog;
use crate::clock::HostClock;
pub use crate::errands::Done;
use crate::errands::{Errand, Task};
use crate::files::HostStorage;
use crate::flusher::{self, Signals};
use crate::opening;
use crate::segment::HostSegment;

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

/// Told by the flusher's thread, which holds no lock meanwhile. Nothing is told after `closed`, nor after the last
/// [`Shared`] was dropped without a close.
pub trait Events: Send + Sync {
    /// The durable position is `durable`: one call for each flush, whether it found something to sync or not.
    /// With an error the store is poisoned: what lies above will not become durable.
    fn settled(&self, durable: u64, error: Option<&Error>);
    /// An errand is done: see [`Shared::expire`] and [`Shared::delete_topic`].
    fn done(&self, errand: u32, outcome: Result<Done, Error>);
    /// The store is closed, its lock is free. An error: it was not closed cleanly, opening it again recovers.
    fn closed(&self, outcome: Result<(), Error>);
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

/// What [`Shared::get`] says beside the bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GetHead {
    /// [`moraine_core::engine::GetStatus`] by number.
    pub status: u8,
    pub next: u64,
    pub min: u64,
    pub max: u64,
    pub bytes_behind: u64,
    pub messages: usize,
    pub bytes: usize,
    /// Bytes that the first message needs where the buffer has less: then nothing was copied.
    pub needed: usize,
}

/// How many messages a put has stored; with an error, before it.
type Outcome = Result<usize, (usize, Error)>;

pub(crate) type HostEngine = Engine<HostStorage, HostClock>;

/// An open store.
pub struct Shared {
    core: Arc<Core>,
    flusher: ThreadId,
}

/// What the callers and the flusher's thread share.
pub(crate) struct Core {
    /// `None` once the store is closed.
    engine: Mutex<Option<HostEngine>>,
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
    resolved: Mutex<Vec<Resolved<HostSegment>>>,
}

impl Shared {
    /// Opens a store: takes its lock (not when read-only), recovers, starts the flusher.
    pub fn open(settings: OpenSettings, events: Box<dyn Events>, progress: &mut dyn FnMut(Progress)) -> Result<Arc<Self>, Error> {
        let mode = settings.options.flush;
        let flush_interval = settings.flush_interval;
        let removes = settings.options.retention.is_some() && !settings.options.read_only;
        let opened = opening::open(settings, progress)?;
        let last = opened.engine.reader().positions();
        let core = Arc::new(Core {
            engine: Mutex::new(Some(opened.engine)),
            state: AtomicU8::new(State::Open as u8),
            signals: Signals::default(),
            flush_interval,
            mode,
            removes,
            backlog: Backlog::new(),
            last: Mutex::new(last),
            resolved: Mutex::default(),
        });
        let flusher = flusher::start(core.clone(), opened.storage, opened.lock, events)?;
        Ok(Arc::new(Self { core, flusher }))
    }

    /// Appends a batch (moraine_core::batch). See `Writer::put` for `results`; on an error, how many were stored.
    pub fn put(&self, batch: &[u8], results: &mut [f64]) -> Result<usize, (usize, Error)> {
        self.write(|mut writer| {
            let outcome = writer.put(batch, results);
            (outcome, writer.pending_entries())
        })
    }

    /// Appends a batch whose messages stay together: all of them, or none. See `Writer::put_group`.
    pub fn put_group(&self, batch: &[u8], results: &mut [f64]) -> Result<usize, (usize, Error)> {
        self.write(|mut writer| {
            let outcome = writer.put_group(batch, results);
            (outcome, writer.pending_entries())
        })
    }

    /// Writes under the lock. `write` answers with its outcome and the entries that wait now.
    fn write(&self, write: impl FnOnce(Writer<'_, HostStorage, HostClock>) -> (Outcome, usize)) -> Outcome {
        let core = &self.core;
        let mut guard = core.lock().map_err(|error| (0, error))?;
        let engine = guard.as_mut().ok_or_else(|| (0, closed()))?;
        let (outcome, waiting) = write(engine.writer().map_err(|error| (0, error))?);
        let poisoned = outcome.is_err() && engine.poisoned().is_some();
        drop(guard);
        if poisoned {
            core.poisoned();
            core.signals.ask_flush(); // for those who wait to be told
        }
        core.signals.arm();
        core.backlog.after_put(waiting, || core.signals.ask_behind());
        outcome
    }

    /// Copies messages of a queue into `out`, back to back, and their queue offsets into `queue_offsets`.
    pub fn get(&self, request: GetRequest<'_>, out: &mut [u8], queue_offsets: &mut [f64], head: &mut GetHead) -> Result<(), Error> {
        let mut resolved = self.core.resolved().pop().unwrap_or_default();
        let found = self.read(|reader| reader.resolve(&request, &mut resolved));
        let copied = found.and_then(|()| resolved.copy(out, queue_offsets));
        let answer = copied.map(|copied| {
            *head = GetHead {
                status: resolved.status as u8,
                next: copied.next,
                min: resolved.min,
                max: resolved.max,
                bytes_behind: resolved.bytes_behind,
                messages: copied.messages,
                bytes: copied.bytes,
                needed: copied.needed,
            };
        });
        self.core.resolved().push(resolved);
        answer
    }

    /// Asks for a flush of everything put so far. [`Events::settled`] follows. Requests made while a sync runs share the next.
    pub fn request_flush(&self) {
        self.core.signals.ask_flush();
    }

    /// Offsets of the log; of a store that is closing or closed, as they were last.
    pub fn positions(&self) -> Positions {
        self.core.positions()
    }

    /// The record at a physical offset into `into` (replaced); `None` where none starts.
    pub fn at(&self, physical: u64, into: &mut Vec<u8>) -> Result<Option<usize>, Error> {
        let log = self.read(|reader| Ok(reader.log()))?;
        log.record_at(physical, into)
    }

    /// The messages with a key that were stored in `begin..=end` (ms), newest first, `max` at most: raw records back to
    /// back in `into` (replaced). Returns their number.
    pub fn lookup(&self, topic: &[u8], key: &[u8], begin: i64, end: i64, max: usize, into: &mut Vec<u8>) -> Result<usize, Error> {
        into.clear();
        let mut candidates = self.read(|reader| reader.lookup(topic, key))?;
        let mut found = 0;
        while found < max {
            let Some(record) = candidates.next_record(begin, end)? else { break };
            into.extend_from_slice(record);
            found += 1;
        }
        Ok(found)
    }

    /// What stands in the log from `from` on, below `to`: up to `max_items`, the messages' records back to back in
    /// `into`, both replaced. Ends after the message that reaches `max_bytes`. Returns where to go on; no items: the end.
    pub fn scan(
        &self,
        from: u64,
        to: u64,
        max_items: usize,
        max_bytes: usize,
        into: &mut Vec<u8>,
        items: &mut Vec<ScanItem>,
    ) -> Result<u64, Error> {
        into.clear();
        items.clear();
        let log = self.read(|reader| Ok(reader.log()))?;
        let mut scanner = Scanner::new(log, from, to);
        while items.len() < max_items.max(1) {
            let Some(item) = scanner.next_item()? else { break };
            if matches!(item, ScanItem::Message { .. }) {
                into.extend_from_slice(scanner.message());
            }
            items.push(item);
            if into.len() >= max_bytes {
                break;
            }
        }
        Ok(scanner.position())
    }

    /// The messages whose records start in `from..to`, as columns without bodies: see `Appended::read`. Returns where to go on.
    pub fn appended(&self, from: u64, to: u64, max: usize, into: &mut Appended) -> Result<u64, Error> {
        let (log, delay_levels) = self.read(|reader| Ok((reader.log(), reader.options().delay_levels.clone())))?;
        into.read(&log, &delay_levels, from, to, max)
    }

    /// Looks at the engine under its lock: for what is small and needs no bytes of messages.
    pub fn read<R>(&self, look: impl FnOnce(Reader<'_, HostStorage, HostClock>) -> Result<R, Error>) -> Result<R, Error> {
        let guard = self.core.lock()?;
        look(guard.as_ref().ok_or_else(closed)?.reader())
    }

    /// Watches a queue: see `Engine::watch`. Works in a read-only store too, where nothing arrives.
    pub fn watch(&self, topic: &[u8], queue_id: i32) -> Result<(WatchId, u64), Error> {
        let mut guard = self.core.lock()?;
        Ok(guard.as_mut().ok_or_else(closed)?.watch(topic, queue_id))
    }

    pub fn unwatch(&self, watch: WatchId) -> Result<(), Error> {
        let mut guard = self.core.lock()?;
        guard.as_mut().ok_or_else(closed)?.unwatch(watch)
    }

    /// Ready watches, as pairs of watch and maximum of its queue; returns how many. See `Engine::take_arrivals`.
    pub fn take_arrivals(&self, out: &mut [f64]) -> Result<usize, Error> {
        let mut guard = self.core.lock()?;
        Ok(guard.as_mut().ok_or_else(closed)?.take_arrivals(out))
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
        if self.core.signals.ask_errand(Errand { number, task }) { Ok(()) } else { Err(closed()) }
    }

    /// Holds the log from a physical offset on, until [`Shared::release`]: see `Writer::retain`.
    pub fn retain(&self, from: u64) -> Result<u32, Error> {
        self.writer(|mut writer| writer.retain(from))
    }

    pub fn release(&self, hold: u32) -> Result<(), Error> {
        let mut guard = self.core.lock()?;
        guard.as_mut().ok_or_else(closed)?.release(hold);
        Ok(())
    }

    fn writer<R>(&self, act: impl FnOnce(Writer<'_, HostStorage, HostClock>) -> R) -> Result<R, Error> {
        let mut guard = self.core.lock()?;
        Ok(act(guard.as_mut().ok_or_else(closed)?.writer()?))
    }

    pub fn state(&self) -> State {
        self.core.state()
    }

    /// Closes the store: what waits is flushed, `Events::closed` follows. Further calls do nothing.
    pub fn close(&self) {
        self.core.begin_close();
    }
}

impl Drop for Shared {
    /// A store that was not closed stays as a killed process would leave it: everything put is in the files of the log.
    fn drop(&mut self) {
        self.core.signals.abandon();
        if std::thread::current().id() != self.flusher {
            // So that the store can be opened again at once. Not for longer: whoever drops must not hang.
            self.core.signals.wait_for_end(LONGEST_GOODBYE);
        }
    }
}

impl Core {
    /// The engine, unless the store is closing or closed.
    fn lock(&self) -> Result<MutexGuard<'_, Option<HostEngine>>, Error> {
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
        let now = self.lock().ok().and_then(|guard| guard.as_ref().map(|engine| engine.reader().positions()));
        match now {
            Some(now) => {
                self.remember(now);
                now
            }
            None => *self.last.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    pub(crate) fn remember(&self, positions: Positions) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = positions;
    }

    fn resolved(&self) -> MutexGuard<'_, Vec<Resolved<HostSegment>>> {
        self.resolved.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn closed() -> Error {
    Error::new(Code::Closed, "the store is closed; open it again")
}

fn panicked() -> Error {
    Error::new(
        Code::Poisoned,
        "an earlier call into this store failed in a way that is a defect of moraine; close the store and open it again",
    )
}
