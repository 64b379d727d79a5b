//! The one thread of a store that syncs its log, writes its queue and index entries behind, and closes it.
//!
//! Idle it waits without a timeout. The first put after idleness wakes it (an armed flag: later puts cost one atomic),
//! and it comes back when the interval has passed. A flush asked for while a sync runs is the next group.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use moraine_core::engine::patience::Patience;
use moraine_core::engine::{Behind, BehindPlan, SealPlan, Writer};
use moraine_core::error::{Code, Error, IoError, IoKind};
use moraine_core::options::FlushMode;

use crate::clock::HostClock;
use crate::errands::{Errand, Looks};
use crate::errno::io_error;
use crate::files::HostStorage;
use crate::lock::StoreLock;
use crate::members::Member;
use crate::shared::{Core, HostEngine, State};
use crate::signals::End;
use crate::sync::Instant;
use crate::sync::thread::{self, ThreadId};

/// Time of writing after which the durable position is said on disk again.
const WATERMARK_INTERVAL: Duration = Duration::from_secs(1);

/// Starts the thread, which keeps the lock until the store is closed or dropped.
pub(crate) fn start(core: Arc<Core>, storage: Arc<HostStorage>, lock: Option<StoreLock>) -> Result<ThreadId, Error> {
    let flusher = Flusher { core, storage, lock };
    let thread = thread::Builder::new()
        .name("moraine-flush".into())
        .spawn(move || flusher.live())
        .map_err(|error| io_error(&error, "clone", "moraine-flush"))?;
    Ok(thread.thread().id())
}

struct Flusher {
    core: Arc<Core>,
    storage: Arc<HostStorage>,
    lock: Option<StoreLock>,
}

impl Flusher {
    fn live(mut self) {
        // A panic here is a defect; those who wait are told all the same.
        let worked = catch_unwind(AssertUnwindSafe(|| self.work()));
        let outcome = worked.unwrap_or_else(|_| {
            let error = Error::new(Code::Poisoned, "the store's flusher failed in a way that is a defect of moraine; open the store again");
            self.core.members.settled(self.core.positions().durable, Some(&error));
            Some(Err(error))
        });
        self.let_go();
        match outcome {
            Some(outcome) => self.core.members.closed(&outcome),
            None => self.core.members.abandoned(&Err(abandoned())),
        }
        self.core.signals.end();
    }

    /// Everything from the first put to the close. `None` if the store was dropped, and nobody is to be told.
    fn work(&self) -> Option<Result<(), Error>> {
        let mut deadline = None;
        let mut patience = Patience::default();
        let mut marked = Instant::now();
        let mut sealing = None;
        let mut looks = Looks::new(self.core.removes);
        loop {
            let work = self.core.signals.next(&mut deadline, self.core.flush_interval, looks.next);
            // In front of a close: whoever asked is told. Of a store that was dropped, only who had left it before.
            let is_dropped = work.end == Some(End::Abandon);
            let errands = work.errands.into_iter().filter(|errand| !is_dropped || matches!(errand, Errand::Leave(_)));
            errands.for_each(|errand| self.run(errand));
            match work.end {
                Some(End::Close) => return Some(self.close()),
                Some(End::Abandon) => return None,
                None => {}
            }
            // In a synchronous store entries leave memory only when their messages are durable: too many of them ask for
            // a flush that nobody else has asked for.
            let interval_flush = match self.core.mode {
                FlushMode::Async => work.due,
                FlushMode::Sync => work.behind,
            };
            if work.flush || interval_flush {
                self.flush();
                self.watermark(&mut marked);
                if self.core.mode == FlushMode::Sync {
                    // What is durable now may leave memory, with the next interval.
                    self.core.signals.arm();
                }
            }
            if work.look {
                let before = self.durable();
                if looks.look(&self.core, self.storage.as_ref()) {
                    self.core.signals.arm();
                }
                self.settle_after(before);
            }
            if work.behind || work.due {
                let kinds = self.decide(&mut patience, work.due);
                let finished = self.write_behind(kinds, deadline);
                patience.wrote(kinds, finished);
                self.checkpoint(deadline);
                self.seal(deadline, &mut sealing);
            }
        }
    }

    fn run(&self, errand: Errand) {
        let (member, number, task) = match errand {
            Errand::Task { member, number, task } => (member, number, task),
            Errand::Leave(member) => return self.see_off(&member),
        };
        let before = self.durable();
        let outcome = task.run(&self.core, self.storage.as_ref());
        self.settle_after(before);
        // What the sidecar says has to be said anew.
        self.core.signals.arm();
        member.tell(|events| events.done(number, outcome));
    }

    /// A member leaves, others stay: what it has put is durable then, as if it had closed the store.
    fn see_off(&self, member: &Member) {
        self.flush();
        let poison = self.core.engine(|engine| Ok(if engine.poisoned().is_some() { engine.writer().err() } else { None }));
        member.tell_closed(poison.and_then(|poison| poison.map_or(Ok(()), Err)));
    }

    /// Tells of a sync that an errand needed, and of one that has failed.
    fn settle_after(&self, durable_before: u64) {
        let poison = self.core.engine(|engine| Ok(if engine.poisoned().is_some() { engine.writer().err() } else { None }));
        let poison = poison.unwrap_or_default();
        let newly_poisoned = poison.is_some() && self.core.state() == State::Open;
        if newly_poisoned {
            self.core.poisoned();
        }
        let durable = self.durable();
        if newly_poisoned || durable != durable_before {
            self.core.members.settled(durable, poison.as_ref().filter(|_| newly_poisoned));
        }
    }

    /// One group: everything put so far, one sync, one settlement.
    fn flush(&self) {
        let planned = self.core.engine(|engine| Ok(engine.writer()?.plan_flush()));
        let settled = match planned {
            Ok(None) => Ok(()),
            Ok(Some(plan)) => match plan.run(self.storage.as_ref()) {
                Ok(()) => self.core.engine(|engine| {
                    engine.writer()?.flushed(plan);
                    Ok(())
                }),
                Err(failed) => Err(self.poison(failed)),
            },
            Err(error) => Err(error),
        };
        let durable = self.durable();
        self.core.members.settled(durable, settled.err().as_ref());
    }

    /// Says on disk how far the log is durable: now and then.
    fn watermark(&self, marked: &mut Instant) {
        let now = marked.elapsed() >= WATERMARK_INTERVAL;
        // Refused in a poisoned store.
        let Ok(Some(mut plan)) = self.core.engine(|engine| Ok(engine.writer()?.plan_watermark(now))) else { return };
        *marked = Instant::now();
        match plan.run(self.storage.as_ref()) {
            Ok(()) => self.settle(|writer| {
                writer.watermarked(plan);
                Ok(())
            }),
            Err(failed) => self.fail(failed),
        }
    }

    /// Once enough was put since the last time: everything to its file and synced, and said on disk. What cannot be
    /// ended now is gone on with when this thread looks again.
    fn checkpoint(&self, deadline: Option<Instant>) {
        let begun = self.core.engine(|engine| {
            let mut writer = engine.writer()?;
            let due = writer.checkpoint_is_due();
            if due {
                writer.begin_checkpoint();
            }
            Ok(due)
        });
        if !matches!(begun, Ok(true)) {
            return;
        }
        self.flush();
        self.write_behind(Behind::All, deadline);
        let planned = self.core.engine(|engine| {
            let mut writer = engine.writer()?;
            Ok((writer.plan_checkpoint(), writer.checkpoint_is_due()))
        });
        let mut plan = match planned {
            Ok((Ok(Some(plan)), _)) => plan,
            Ok((Ok(None), true)) => return, // who brings what is missing has this thread look again
            Ok((Ok(None), false)) => return self.core.signals.arm(), // given up: what it held back may be written
            Ok((Err(failed), _)) => return self.fail(failed),
            Err(_) => return, // poisoned: whoever waits has been told
        };
        let mut flushed = Instant::now();
        let outcome = plan.run(self.storage.as_ref(), &mut || {
            let due = self.core.mode == FlushMode::Async && flushed.elapsed() >= self.core.flush_interval;
            if self.core.signals.take_flush() || due {
                self.flush();
                flushed = Instant::now();
            }
        });
        match outcome {
            Ok(()) => self.settle(|writer| writer.checkpointed(plan)),
            Err(failed) => self.fail(failed),
        }
        // What it held back may be written now, and it may be that nobody puts any more.
        self.core.signals.arm();
    }

    /// Takes the digests of finished segments, until there is something more urgent: then it asks to be gone on with.
    fn seal(&self, deadline: Option<Instant>, sealing: &mut Option<SealPlan<HostStorage>>) {
        loop {
            let plan = sealing.take().or_else(|| self.core.engine(|engine| Ok(engine.writer()?.plan_seal())).ok().flatten());
            let Some(mut plan) = plan else { return };
            let read = loop {
                if self.core.signals.interrupt(deadline) {
                    *sealing = Some(plan);
                    return self.core.signals.ask_behind();
                }
                match plan.step() {
                    Ok(false) => {}
                    read => break read,
                }
            };
            // What cannot be read is found by whoever reads it.
            self.settle(|writer| writer.sealed(plan, read.is_err()));
        }
    }

    /// Takes note of what was carried out; in a store that is poisoned by now there is nothing to be noted.
    fn settle(&self, settle: impl FnOnce(&mut Writer<'_, HostStorage, HostClock>) -> Result<(), IoError>) {
        let settled = self.core.engine(|engine| Ok(settle(&mut engine.writer()?)));
        if let Ok(Err(failed)) = settled {
            self.fail(failed);
        }
    }

    fn fail(&self, failed: IoError) {
        let error = self.poison(failed);
        self.core.backlog.release();
        self.core.members.settled(self.durable(), Some(&error));
    }

    /// What is to be written behind now. What is left waiting is looked at again in an interval.
    fn decide(&self, patience: &mut Patience, due: bool) -> Behind {
        let state = self.core.engine(|engine| Ok((engine.reader().positions().end, engine.writer()?.queues_are_worth_writing())));
        let kinds = state.map_or(Behind::All, |(end, worth_it)| patience.decide(self.core.backlog.now_ms(), due, end, worth_it));
        if kinds == Behind::Index {
            self.core.signals.arm();
        }
        kinds
    }

    /// Entries to their files, a plan at a time. False if the round was broken off for what is more urgent: it has asked
    /// to be gone on with.
    fn write_behind(&self, kinds: Behind, deadline: Option<Instant>) -> bool {
        // Refused in a read-only store, and in a poisoned one, of which whoever waits has been told.
        while let Ok(Some(plan)) = self.core.engine(|engine| Ok(engine.writer()?.plan_behind_of(kinds))) {
            if let Err(failed) = plan.run(self.storage.as_ref()) {
                if failed.kind == IoKind::Full && self.put_off(plan) {
                    return true;
                }
                self.fail(failed);
                return true;
            }
            let written = self.core.engine(|engine| {
                let mut writer = engine.writer()?;
                writer.wrote_behind(plan);
                Ok(writer.pending_entries())
            });
            let Ok(waiting) = written else { return true };
            self.core.backlog.written(waiting);
            if self.core.signals.interrupt(deadline) {
                self.core.signals.ask_behind();
                return false;
            }
        }
        if let Ok(waiting) = self.core.engine(|engine| Ok(engine.writer()?.pending_entries())) {
            self.core.backlog.looked_at(waiting);
        }
        true
    }

    /// The disk is full: the entries wait in memory for the next interval.
    fn put_off(&self, plan: BehindPlan) -> bool {
        let put_off = self.core.engine(|engine| {
            let mut writer = engine.writer()?;
            writer.put_off_behind(plan);
            Ok(writer.pending_entries())
        });
        self.core.signals.arm();
        let Ok(waiting) = put_off else { return false };
        self.core.backlog.looked_at(waiting);
        self.core.backlog.release();
        true
    }

    /// Ends writing after `failed`; nothing is tried again. Returns what everybody is told from now on.
    fn poison(&self, failed: IoError) -> Error {
        let cause = Error::from(failed);
        let told = self.core.engine(|engine| {
            engine.poison(cause.clone());
            Ok(engine.writer().err())
        });
        self.core.poisoned();
        told.ok().flatten().unwrap_or(cause)
    }

    fn durable(&self) -> u64 {
        let now = self.core.engine(|engine| {
            let now = engine.reader().positions();
            self.core.remember(now);
            Ok(now)
        });
        now.map_or_else(|_| self.core.positions().durable, |now| now.durable)
    }

    fn close(&self) -> Result<(), Error> {
        let outcome = self.core.engine(|engine| {
            let outcome = close_engine(engine);
            self.core.remember(engine.reader().positions());
            outcome
        });
        self.core.members.settled(self.core.positions().durable, outcome.as_ref().err());
        outcome
    }

    /// Nothing more is written: the engine goes, then the background work, then owner and lock.
    fn let_go(&mut self) {
        self.core.readers.end();
        if let Some(engine) = self.core.take_engine() {
            self.core.remember(engine.reader().positions());
        }
        self.storage.stop_background();
        if let Some(lock) = self.lock.take() {
            lock.release();
        }
        self.core.closed();
    }
}

fn abandoned() -> Error {
    Error::new(Code::Closed, "the last one who had the store open let go of it without closing it; open it again, which recovers it")
}

fn close_engine(engine: &mut HostEngine) -> Result<(), Error> {
    match engine.writer() {
        Ok(mut writer) => writer.close(),
        Err(error) if error.code == Code::ReadOnly => Ok(()),
        Err(error) => Err(error),
    }
}
