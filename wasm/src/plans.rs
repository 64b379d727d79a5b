//! Plans: syncing, writing behind, saying how far the files reach. JavaScript says when; what can take long it carries out
//! itself, without waiting (`deferred`), and tells what came of it (`landed`).
//!
//! A plan's export answers [`NOTHING`], [`DONE`], or [`STEPS`] with the steps in the outbox. One plan at a time, and a flush beside it.

use moraine_core::crossing;
use moraine_core::engine::sidecar::SIDECAR;
use moraine_core::engine::{Behind, BehindPlan, CheckpointPlan, FlushPlan, WatermarkPlan};
use moraine_core::error::{Error, IoError, IoKind};
use moraine_core::options::FlushMode;

use crate::answers::{say, with_inbox, with_outbox};
use crate::deferred;
use crate::storage::{WasmStorage, failure};
use crate::store::{HOLD_ENTRIES, Store, with_store};

/// Entries of many queues that wait for more of the same at most.
const PATIENT_ENTRIES: usize = HOLD_ENTRIES / 4;

/// There is nothing to do.
const NOTHING: i32 = 0;
/// It was carried out; what came of it is taken note of.
const DONE: i32 = 1;
/// JavaScript carries out the steps in the outbox, then calls [`landed`].
const STEPS: i32 = 2;
/// The disk is full: what waits in memory goes on to.
const PUT_OFF: i32 = 3;
/// A write or a sync has failed: the failure of everybody who waits is in the outbox, and nothing is written any more.
const POISONED: i32 = 4;

/// A plan whose syncs are carried out by JavaScript.
pub enum Flight {
    Flush(FlushPlan<WasmStorage>),
    Behind(BehindPlan),
    Watermark(WatermarkPlan<WasmStorage>),
    Checkpoint(CheckpointPlan<WasmStorage>),
}

/// Everything put so far is to be synced.
#[unsafe(no_mangle)]
pub extern "C" fn plan_flush() -> i32 {
    planned(|store| {
        let Some(plan) = store.engine.get_mut().writer()?.plan_flush() else { return Ok(NOTHING) };
        let (outcome, steps) = deferred::run(|| plan.run(store.storage.as_ref()));
        begin(store, Flight::Flush(plan), outcome, steps)
    })
}

/// Entries are to go to their files: `all` of them, or those of the index.
#[unsafe(no_mangle)]
pub extern "C" fn plan_behind(all: u32) -> i32 {
    planned(|store| {
        let kinds = if all == 0 { Behind::Index } else { Behind::All };
        let Some(plan) = store.engine.get_mut().writer()?.plan_behind_of(kinds) else {
            store.looked_at();
            return Ok(NOTHING);
        };
        let (outcome, steps) = deferred::run(|| plan.run(store.storage.as_ref()));
        begin(store, Flight::Behind(plan), outcome, steps)
    })
}

/// What of them pays to be written now: 1 all, 0 the index's. `due`: an interval has passed; `now`: ms of a clock that nobody sets.
#[unsafe(no_mangle)]
pub extern "C" fn decide(now: f64, due: u32) -> i32 {
    with_store(|store| {
        let engine = store.engine.get_mut();
        let end = engine.reader().positions().end;
        // Memory is smaller here than where the core's own patience ends.
        let worth_it = engine.writer().is_ok_and(|writer| writer.queues_are_worth_writing() || writer.pending_entries() >= PATIENT_ENTRIES);
        Ok(i32::from(store.patience.decide(now as u64, due != 0, end, worth_it) == Behind::All))
    })
}

/// A round of writing `all` entries has ended, with everything written or broken off.
#[unsafe(no_mangle)]
pub extern "C" fn wrote(all: u32, finished: u32) -> i32 {
    with_store(|store| {
        store.patience.wrote(if all == 0 { Behind::Index } else { Behind::All }, finished != 0);
        Ok(0)
    })
}

/// The durable position is to be said on disk: with `now` however little there is to be said.
#[unsafe(no_mangle)]
pub extern "C" fn plan_watermark(now: u32) -> i32 {
    planned(|store| {
        let Some(mut plan) = store.engine.get_mut().writer()?.plan_watermark(now != 0) else { return Ok(NOTHING) };
        let (outcome, steps) = deferred::run(|| plan.run(store.storage.as_ref()));
        begin(store, Flight::Watermark(plan), outcome, steps)
    })
}

/// Begins a queue checkpoint where one is due: 1. Everything is to be flushed and written behind then.
#[unsafe(no_mangle)]
pub extern "C" fn begin_checkpoint() -> i32 {
    planned(|store| {
        let mut writer = store.engine.get_mut().writer()?;
        let due = writer.checkpoint_is_due();
        if due {
            writer.begin_checkpoint();
        }
        Ok(i32::from(due))
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn plan_checkpoint() -> i32 {
    planned(|store| {
        let plan = store.engine.get_mut().writer()?.plan_checkpoint();
        let mut plan = match plan {
            Ok(Some(plan)) => plan,
            Ok(None) => return Ok(NOTHING),
            Err(failed) => return Ok(poison(store, failed)),
        };
        let (outcome, steps) = deferred::run(|| plan.run(store.storage.as_ref(), &mut || {}));
        begin(store, Flight::Checkpoint(plan), outcome, steps)
    })
}

/// A slice of a finished segment is read for its digest: 1 while there is more to read.
#[unsafe(no_mangle)]
pub extern "C" fn seal_step() -> i32 {
    planned(|store| {
        let Some(mut plan) = store.sealing.take().or(store.engine.get_mut().writer()?.plan_seal()) else { return Ok(NOTHING) };
        let read = plan.step();
        if matches!(read, Ok(false)) {
            store.sealing = Some(plan);
            return Ok(DONE);
        }
        // What cannot be read is found by whoever reads it.
        match store.engine.get_mut().writer()?.sealed(plan, read.is_err()) {
            Ok(()) => Ok(DONE),
            Err(failed) => Ok(poison(store, failed)),
        }
    })
}

/// The steps of a plan (`flush`: of a flush) were carried out: `errno` is 0, or that of the step that failed, whose call, path and reason lie in the
/// inbox, each behind a NUL but the first.
#[unsafe(no_mangle)]
pub extern "C" fn landed(errno: i32, bytes: usize, flush: u32) -> i32 {
    planned(|store| {
        let taken = if flush == 0 { store.flight.take() } else { store.flushing.take().map(Flight::Flush) };
        let Some(flight) = taken else { return Ok(NOTHING) };
        let outcome = match errno {
            0 => Ok(()),
            errno => Err(with_inbox(bytes, |words| {
                let words = String::from_utf8_lossy(words);
                let mut parts = words.splitn(3, '\0');
                let mut part = || parts.next().unwrap_or_default();
                let (syscall, path, reason) = (part(), part(), part());
                landed_failure(failure(errno, syscall, path, reason))
            })),
        };
        end(store, flight, outcome)
    })
}

/// Writes entries behind until few enough wait, waiting for the disk where that takes a sync.
pub fn write_behind_now(store: &mut Store) -> Result<(), Error> {
    let is_sync = store.engine.get_mut().reader().options().flush == FlushMode::Sync;
    if is_sync
        && store.flushing.is_none()
        && let Some(plan) = store.engine.get_mut().writer()?.plan_flush()
    {
        // Entries leave memory only when their messages are durable.
        let outcome = plan.run(store.storage.as_ref());
        end(store, Flight::Flush(plan), outcome)?;
    }
    // A put pays for about what it brings: the files of many queues take their time.
    while store.engine.get_mut().writer()?.pending_entries() >= HOLD_ENTRIES {
        let Some(plan) = store.engine.get_mut().writer()?.plan_behind() else { break };
        let outcome = plan.run(store.storage.as_ref());
        if end(store, Flight::Behind(plan), outcome)? != DONE {
            break;
        }
    }
    store.looked_at();
    Ok(())
}

/// A poisoned store plans nothing: whoever waits is told.
fn planned(body: impl FnOnce(&mut Store) -> Result<i32, Error>) -> i32 {
    with_store(|store| match body(store) {
        Err(error) if store.engine.get_mut().poisoned().is_some() => {
            say(&crossing::failure(&error));
            Ok(POISONED)
        }
        outcome => outcome,
    })
}

/// What was run at once has failed, or has left steps, or is the end of it.
fn begin(store: &mut Store, flight: Flight, outcome: Result<(), IoError>, steps: Option<Vec<u8>>) -> Result<i32, Error> {
    match (outcome, steps) {
        (Ok(()), Some(steps)) => {
            match flight {
                Flight::Flush(plan) => store.flushing = Some(plan),
                other => store.flight = Some(other),
            }
            with_outbox(|out| *out = steps);
            Ok(STEPS)
        }
        (outcome, _) => end(store, flight, outcome),
    }
}

fn end(store: &mut Store, flight: Flight, outcome: Result<(), IoError>) -> Result<i32, Error> {
    let engine = store.engine.get_mut();
    let failed = match (flight, outcome) {
        (Flight::Flush(plan), Ok(())) => {
            engine.writer()?.flushed(plan);
            return Ok(DONE);
        }
        (Flight::Behind(plan), Ok(())) => {
            engine.writer()?.wrote_behind(plan);
            return Ok(DONE);
        }
        (Flight::Watermark(plan), Ok(())) => {
            engine.writer()?.watermarked(plan);
            return Ok(DONE);
        }
        (Flight::Checkpoint(plan), Ok(())) => match engine.writer()?.checkpointed(plan) {
            Ok(()) => return Ok(DONE),
            Err(failed) => failed,
        },
        (Flight::Watermark(mut plan), Err(failed)) if is_sidecar_alone(&failed) => {
            plan.unsaid();
            engine.writer()?.watermarked(plan);
            return Ok(DONE);
        }
        (Flight::Checkpoint(mut plan), Err(failed)) if is_sidecar_alone(&failed) => {
            plan.unsaid();
            match engine.writer()?.checkpointed(plan) {
                Ok(()) => return Ok(DONE),
                Err(failed) => failed,
            }
        }
        (Flight::Behind(plan), Err(failed)) if failed.kind == IoKind::Full => {
            engine.writer()?.put_off_behind(plan);
            store.looked_at();
            return Ok(PUT_OFF);
        }
        (_, Err(failed)) => failed,
    };
    Ok(poison(store, failed))
}

/// A failed sync is never tried again, not even one that found the disk full: plans say so of those that they carry out, of noted
/// ones nobody else can. But a queue table that finds no room is done without.
fn landed_failure(failed: IoError) -> IoError {
    let is_sync = matches!(failed.syscall, "fdatasync" | "fsync");
    let is_table = failed.path == SIDECAR || failed.path.starts_with("moraine/queues-");
    if is_sync && !is_table { IoError { kind: IoKind::Other, ..failed } } else { failed }
}

/// A full disk, or something that is no file in the sidecar's place: opening takes longer then, and nothing is lost.
fn is_sidecar_alone(failed: &IoError) -> bool {
    let in_sidecar = failed.path.split('/').next() == Some(SIDECAR);
    in_sidecar && matches!(failed.kind, IoKind::Full | IoKind::WrongType)
}

/// Ends writing; nothing is tried again. The outbox gets what everybody is told from now on.
fn poison(store: &mut Store, failed: IoError) -> i32 {
    let engine = store.engine.get_mut();
    let cause = Error::from(failed);
    engine.poison(cause.clone());
    let told = engine.writer().err().unwrap_or(cause);
    say(&crossing::failure(&told));
    POISONED
}
