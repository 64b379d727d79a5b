//! The open store of this instance: opening, putting, closing.

use std::cell::RefCell;
use std::sync::Arc;

use moraine_core::engine::lookup::Lookup;
use moraine_core::engine::patience::Patience;
use moraine_core::engine::place::refuse_other_directories;
use moraine_core::engine::{Engine, FlushPlan, Progress, Resolved, SealPlan, Writer};
use moraine_core::error::{Code, Error};
use moraine_core::options::FlushMode;

use crate::answers::{answer, say, tell, with_columns, with_inbox};
use crate::clock::WasmClock;
use crate::imports;
use crate::options;
use crate::plans::{self, Flight};
use crate::segment::WasmSegment;
use crate::storage::WasmStorage;
use crate::windows;

/// Numbers in front of the per-message ones in the results of `put`.
const PUT_RESULT_HEADER: usize = 3;
/// Numbers per message in the results of `put`.
const PUT_RESULT_STRIDE: usize = 3;
/// Queue and index entries that wait in memory before somebody is to write them.
const ASK_ENTRIES: usize = 16_384;
/// Entries at which a put writes them itself: who never lets the event loop go on must not fill memory.
pub const HOLD_ENTRIES: usize = 262_144;

/// Entries at which nothing more is taken: those that wait cannot be written before the event loop has gone on.
const MOST_ENTRIES: usize = 2 * HOLD_ENTRIES;

/// The watcher that an engine is born with.
pub const WATCHER: u32 = 0;

pub type WasmEngine = Engine<WasmStorage, WasmClock>;

pub struct Store {
    pub engine: RefCell<WasmEngine>,
    pub storage: Arc<WasmStorage>,
    pub resolved: Resolved<WasmSegment>,
    /// A lookup that goes on.
    pub lookup: Lookup<WasmSegment>,
    /// A plan whose syncs JavaScript carries out, and a flush beside it.
    pub flight: Option<Flight>,
    pub flushing: Option<FlushPlan<WasmStorage>>,
    pub sealing: Option<SealPlan<WasmStorage>>,
    pub patience: Patience,
    /// The failure of the last put that stored fewer messages than asked.
    put_failure: Option<Error>,
    /// Waiting entries at which the next write behind is asked for.
    pub ask_at: usize,
}

thread_local! {
    static STORE: RefCell<Option<Store>> = const { RefCell::new(None) };
}

/// Runs `body` with the open store.
pub fn with_store(body: impl FnOnce(&mut Store) -> Result<i32, Error>) -> i32 {
    STORE.with_borrow_mut(|store| match store {
        Some(store) => answer(|| body(store)),
        None => answer(|| Err(Error::new(Code::Closed, "the store is closed; open it again"))),
    })
}

/// As [`with_store`]; what was read of files stays true between two calls only where nobody else writes them.
pub fn looking(body: impl FnOnce(&mut Store) -> Result<i32, Error>) -> i32 {
    with_store(|store| {
        if store.engine.get_mut().reader().options().read_only {
            windows::forget_all();
        }
        body(store)
    })
}

pub fn report(progress: Progress) {
    let _ = imports::progress(progress.phase, progress.done, progress.total);
}

/// Whether the directory, which whoever asked has named as it stands in the inbox, is one of a store, or with `create` an
/// empty one. To be asked before the lock is taken: that leaves names there.
#[unsafe(no_mangle)]
pub extern "C" fn check_place(shown_bytes: usize, create: u32) -> i32 {
    answer(|| {
        let shown = with_inbox(shown_bytes, |shown| String::from_utf8_lossy(shown).into_owned());
        refuse_other_directories(&shown, &WasmStorage::new(0, true, false), create != 0).map(|()| 0)
    })
}

/// The options are in the inbox.
#[unsafe(no_mangle)]
pub extern "C" fn open(bytes: usize) -> i32 {
    std::panic::set_hook(Box::new(|panic| imports::panicked(&panic.to_string())));
    answer(|| {
        let options = with_inbox(bytes, options::read)?;
        let storage = Arc::new(WasmStorage::new(0, options.read_only, options.flush == FlushMode::Sync));
        let engine = Engine::open(Arc::clone(&storage), WasmClock, options, &mut report)?;
        STORE.set(Some(Store {
            engine: RefCell::new(engine),
            storage,
            resolved: Resolved::default(),
            lookup: Lookup::default(),
            flight: None,
            flushing: None,
            sealing: None,
            patience: Patience::default(),
            put_failure: None,
            ask_at: ASK_ENTRIES,
        }));
        Ok(0)
    })
}

/// Appends the messages of a batch in the inbox; results in the columns. Returns how many were stored: with fewer than
/// `count`, `take_error` has the reason.
#[unsafe(no_mangle)]
pub extern "C" fn put(bytes: usize, count: usize) -> i32 {
    write(bytes, count, |writer, batch, results| writer.put(batch, results))
}

/// As `put`, for messages that stay together: all are stored, or none.
#[unsafe(no_mangle)]
pub extern "C" fn put_group(bytes: usize, count: usize) -> i32 {
    write(bytes, count, |writer, batch, results| writer.put_group(batch, results))
}

type Outcome = Result<usize, (usize, Error)>;

fn write(bytes: usize, count: usize, put: impl FnOnce(&mut Writer<'_, WasmStorage, WasmClock>, &[u8], &mut [f64]) -> Outcome) -> i32 {
    with_store(|store| {
        let engine = store.engine.get_mut();
        let outcome = with_columns(|results| {
            results.resize(count * PUT_RESULT_STRIDE + PUT_RESULT_HEADER, 0.0);
            with_inbox(bytes, |batch| match engine.writer() {
                Ok(writer) if writer.pending_entries() >= MOST_ENTRIES => Err((0, too_many_wait())),
                Ok(mut writer) => put(&mut writer, batch, results),
                Err(error) => Err((0, error)),
            })
        });
        let (stored, failure) = match outcome {
            Ok(stored) if stored < count => {
                let short = format!("the batch of {bytes} bytes holds {stored} messages, count says {count}");
                (stored, Some(Error::argument("count", short)))
            }
            Ok(stored) => (stored, None),
            Err((stored, error)) => (stored, Some(error)),
        };
        if failure.is_some() {
            store.put_failure = failure;
        }
        let waiting = engine.writer().map_or(0, |writer| writer.pending_entries());
        if waiting >= HOLD_ENTRIES && !matches!(store.flight, Some(Flight::Behind(_))) {
            // The messages are stored whatever comes of it; a failure ends writing, which `asks` tells.
            let _ended = plans::write_behind_now(store);
        }
        Ok(stored as i32)
    })
}

fn too_many_wait() -> Error {
    let message = "entries of queues and index wait for a sync that is under way; let the event loop go on, then put again";
    Error::new(Code::Busy, message)
}

/// What is to be done after a put: 1 entries are to be written behind, once for every so many; 2 whoever waits is to be told
/// that writing has ended.
#[unsafe(no_mangle)]
pub extern "C" fn asks() -> i32 {
    with_store(|store| {
        let engine = store.engine.get_mut();
        if engine.poisoned().is_some() {
            return Ok(2);
        }
        let waiting = engine.writer().map_or(0, |writer| writer.pending_entries());
        let asks = waiting >= store.ask_at;
        if asks {
            store.ask_at = usize::MAX;
        }
        Ok(i32::from(asks))
    })
}

/// The reason of a put that stored fewer messages than asked, once.
#[unsafe(no_mangle)]
pub extern "C" fn take_error() -> i32 {
    with_store(|store| match store.put_failure.take() {
        Some(error) => Err(error),
        None => Ok(0),
    })
}

impl Store {
    /// Whoever puts next asks when there are so many more.
    pub fn looked_at(&mut self) {
        let waiting = self.engine.get_mut().writer().map_or(0, |writer| writer.pending_entries());
        self.ask_at = waiting.saturating_add(ASK_ENTRIES);
    }

    pub fn pressure(&mut self) -> f64 {
        let waiting = self.engine.get_mut().writer().map_or(0, |writer| writer.pending_entries());
        (waiting as f64 / HOLD_ENTRIES as f64).min(1.0)
    }
}

/// Minimum, end, durable and visible offset of the log, in the columns.
#[unsafe(no_mangle)]
pub extern "C" fn positions() -> i32 {
    with_store(|store| {
        let found = store.engine.get_mut().reader().positions();
        tell(&[found.min as f64, found.end as f64, found.durable as f64, found.visible as f64]);
        Ok(0)
    })
}

/// Closes the store; what went wrong is answered, and it is closed all the same.
#[unsafe(no_mangle)]
pub extern "C" fn close() -> i32 {
    with_store(|store| {
        if store.flight.is_some() || store.flushing.is_some() {
            // Never: JavaScript tells what came of every plan before.
            store.engine.get_mut().poison(Error::new(Code::Io, "a sync was begun, and what came of it is not known"));
        }
        Ok(0)
    });
    with_store(|store| match store.engine.get_mut().writer() {
        Ok(mut writer) => writer.close().map(|()| 0),
        Err(error) if error.code == Code::ReadOnly => Ok(0),
        Err(error) => Err(error),
    })
}

/// Lets go of every file. Of a store that was not closed first, what a killed process leaves stays.
#[unsafe(no_mangle)]
pub extern "C" fn abandon() {
    drop(STORE.take());
}

/// Why the store takes nothing any more, in the outbox: 1; 0 where it does.
#[unsafe(no_mangle)]
pub extern "C" fn poison() -> i32 {
    with_store(|store| {
        let engine = store.engine.get_mut();
        if engine.poisoned().is_none() {
            return Ok(0);
        }
        if let Err(error) = engine.writer() {
            say(&moraine_core::crossing::failure(&error));
        }
        Ok(1)
    })
}
