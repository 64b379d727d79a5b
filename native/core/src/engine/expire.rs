//! Expiring: whole files of the log go, the oldest first, and what leads to them.
//!
//! The order holds after a crash at any place: what no log can give back is on disk before the first file is unlinked,
//! files go from the oldest on, and the minimum that was written is where the next open begins.

use core::cell::RefCell;

use super::kept;
use super::removal::Corrections;
use super::retention::Wish;
use super::{Engine, Writer};
use crate::error::{Code, Error, IoError, IoKind};
use crate::storage::{Clock, Storage};

/// An engine behind its lock: pieces of a long task take it one after the other.
pub trait Access<S: Storage, C: Clock> {
    fn engine<R>(&self, act: impl FnOnce(&mut Engine<S, C>) -> Result<R, Error>) -> Result<R, Error>;
}

impl<S: Storage, C: Clock> Access<S, C> for RefCell<Engine<S, C>> {
    fn engine<R>(&self, act: impl FnOnce(&mut Engine<S, C>) -> Result<R, Error>) -> Result<R, Error> {
        act(&mut self.borrow_mut())
    }
}

/// What a run has removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    /// Files of the log.
    pub files: u64,
    /// Bytes of the log in front of the new minimum.
    pub bytes: u64,
    /// Physical offset that the log begins at now.
    pub minimum: u64,
    /// The rules name more than one run removes: another one would go on.
    pub more: bool,
}

/// Removes what the wish names, [`super::retention::MAX_FILES_PER_RUN`] files of the log at most. One run at a time, by the
/// thread that also writes behind.
///
/// Nothing is removed while queue entries are being written (STORE_BUSY). A failure leaves a store in which the run
/// can be repeated; one of a sync of the log ends writing.
pub fn expire<S: Storage, C: Clock>(access: &impl Access<S, C>, storage: &S, wish: Wish) -> Result<Expired, Error> {
    let (rules, before) = access.engine(|engine| {
        let writer = &mut engine.writer()?;
        writer.refuse_while_busy()?;
        let before = writer.0.log.segments().min();
        Ok((writer.rules(wish)?, before))
    })?;
    let choice = rules.choose(storage)?;
    let nothing = Expired { minimum: before, more: choice.more, ..Expired::default() };
    if choice.files == 0 {
        return Ok(nothing);
    }
    access.engine(|engine| Ok(engine.forget_watermark()?))?;
    // After a power cut the log must go on behind what was removed.
    sync_log(access, storage)?;
    write_behind(access, storage)?;
    sync_queues(access, storage)?;
    let mut corrections = Corrections::default();
    while access.engine(|engine| engine.writer()?.correct_queues(choice.minimum, &mut corrections))? {}
    let (old, new) = access.engine(|engine| {
        let writer = engine.writer()?;
        Ok((writer.0.kept.kept.clone(), writer.kept_from(choice.minimum, &corrections.emptied)))
    })?;
    let gave_reserve = kept::write_with_reserve(storage, &new)?;
    let begun = access.engine(|engine| {
        let mut writer = engine.writer()?;
        if writer.0.retention.held_from() < choice.minimum {
            return Ok(None);
        }
        Ok(Some(writer.begin_at(choice.minimum, &corrections, new)))
    })?;
    let Some(mut removal) = begun else {
        // Somebody came to hold it meanwhile.
        kept::write(storage, &old)?;
        return Ok(nothing);
    };
    let outcome = removal.run(storage);
    access.engine(|engine| {
        if let Some(reason) = &choice.suspicion {
            engine.report_clock(reason, choice.files);
        }
        engine.writer()?.removed(&removal);
        if gave_reserve {
            engine.fill_reserve()?; // there is room again
        }
        Ok(())
    })?;
    outcome?;
    Ok(Expired { files: choice.files as u64, bytes: choice.minimum - before, minimum: choice.minimum, more: choice.more })
}

impl<S: Storage, C: Clock> Writer<'_, S, C> {
    /// Queue files and what the sidecar says of them must not change hands while some of them go.
    pub(super) fn refuse_while_busy(&self) -> Result<(), Error> {
        self.refuse_while_writing_behind()?;
        match self.0.checkpoint_in_flight {
            true => Err(Error::new(Code::Busy, "a queue checkpoint is being written; try again when that is done")),
            false => Ok(()),
        }
    }
}

/// Makes everything durable that was put before the call.
pub(super) fn sync_log<S: Storage, C: Clock>(access: &impl Access<S, C>, storage: &S) -> Result<(), Error> {
    let Some(plan) = access.engine(|engine| Ok(engine.writer()?.plan_flush()))? else {
        return Ok(());
    };
    if let Err(failed) = plan.run(storage) {
        return access.engine(|engine| poison(engine, failed));
    }
    access.engine(|engine| {
        engine.writer()?.flushed(plan);
        Ok(())
    })
}

/// Queue entries to their files, as far as there is room: RocketMQ looks for a queue's minimum in its first file alone, so
/// none may come later that should be gone.
fn write_behind<S: Storage, C: Clock>(access: &impl Access<S, C>, storage: &S) -> Result<(), Error> {
    while let Some(plan) = access.engine(|engine| Ok(engine.writer()?.plan_behind()))? {
        match plan.run(storage) {
            Ok(()) => access.engine(|engine| {
                engine.writer()?.wrote_behind(plan);
                Ok(())
            })?,
            Err(full) if full.kind == IoKind::Full => {
                return access.engine(|engine| {
                    engine.writer()?.put_off_behind(plan);
                    Ok(())
                });
            }
            Err(failed) => return access.engine(|engine| poison(engine, failed)),
        }
    }
    Ok(())
}

/// What queues hold, and hold no more, is on disk before the records go that it could be held against: an entry that a power cut
/// brings back must not pass for one of a message that has expired.
fn sync_queues<S: Storage, C: Clock>(access: &impl Access<S, C>, storage: &S) -> Result<(), Error> {
    let mut unsynced = access.engine(|engine| Ok(core::mem::take(&mut engine.unsynced)))?;
    match unsynced.sync(storage) {
        Ok(()) => Ok(()),
        // A failed sync is never tried again, not even one that found the disk full.
        Err(failed) => access.engine(|engine| poison(engine, failed)),
    }
}

fn poison<S: Storage, C: Clock>(engine: &mut Engine<S, C>, failed: IoError) -> Result<(), Error> {
    let error = Error::from(failed);
    engine.poison(error.clone());
    Err(engine.writer().err().unwrap_or(error))
}
