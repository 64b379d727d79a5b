//! The N-th call fails, for N = 1, 2, 3 … until a workload passes untouched: once or from then on, with every kind of error.
//! MORAINE_CRASH_CALL=workload:kind:always:call carries one such run out again.
//! Nothing may panic, what fails says so by its code, and what is found afterwards is what was promised.

use moraine_core::engine::Writer;
use moraine_core::error::{Code, Error, IoError, IoKind};
use moraine_core::format::record::Record;
use moraine_core::options::FlushMode;
use moraine_core::sim::{Affected, Failure, RandomChoices, SimClock, SimDisk, SimRandom};

use super::flaws::Flaws;
use super::model::{Model, body_and_properties};
use super::random_workloads::{described, number};
use super::run::{NOW, empty_disk, hand_over, open, take_over};
use super::states::caught;
use super::verify::{Outcome, Store, verify, well};
use super::workload::{Draft, OWN, Step, Workload};

const KINDS: [IoKind; 7] = [IoKind::Other, IoKind::Full, IoKind::Busy, IoKind::Denied, IoKind::Exists, IoKind::WrongType, IoKind::NotFound];

/// A store whose calls may fail.
struct Faulted<'a> {
    workload: &'a Workload,
    disk: SimDisk,
    clock: SimClock,
    store: Option<Store>,
    model: Model,
    acknowledged: u64,
    /// Messages of the put that failed last: they may be there although nobody was told.
    unsure: Vec<Draft>,
}

impl Faulted<'_> {
    /// Does what a host does with each step; ends where the store cannot be written any more.
    fn carry_out(&mut self) -> Outcome {
        self.open()?;
        for step in &self.workload.steps {
            let Some(mut store) = self.store.take() else { return Ok(()) };
            if store.poisoned().is_some() {
                return Ok(());
            }
            match step {
                Step::Put(drafts) => self.put(&mut store, drafts, false)?,
                Step::Group(drafts) => self.put(&mut store, drafts, true)?,
                Step::Flush(meanwhile) => self.flush(&mut store, meanwhile)?,
                Step::Behind(meanwhile) => self.write_behind(&mut store, meanwhile)?,
                Step::Checkpoint { begun, meanwhile } => self.checkpoint(&mut store, begun, meanwhile)?,
                Step::Watermark(meanwhile) => self.watermark(&mut store, meanwhile)?,
                Step::Seal(meanwhile) => self.seal(&mut store, meanwhile)?,
                Step::Truncate(_) | Step::Expire(_) | Step::Delete(_) | Step::Rebuild { .. } => {}
                Step::Clock(by) => self.clock.jump(*by),
                Step::Close | Step::Kill | Step::PowerCut(_) => {
                    match store.writer().and_then(|mut writer| writer.close()) {
                        Ok(()) => self.acknowledged = self.model.end,
                        Err(error) => is_typed(&error)?,
                    }
                    drop(store);
                    self.open()?;
                    continue;
                }
            }
            self.store = Some(store);
        }
        Ok(())
    }

    fn open(&mut self) -> Outcome {
        match open(&self.disk, &self.clock, &self.workload.options) {
            Ok(store) => {
                (self.acknowledged, self.store) = (self.acknowledged.max(self.adopt(&store)?), Some(store));
                Ok(())
            }
            Err(error) => is_typed(&error),
        }
    }

    /// Takes over what a put left that failed; returns the end of what is there.
    fn adopt(&mut self, store: &Store) -> Result<u64, String> {
        let end = store.reader().positions().end;
        if end < self.model.end {
            return Err(format!("the log ends at {end}, puts have returned up to {}", self.model.end));
        }
        let log = store.reader().log();
        let mut bytes = Vec::new();
        for draft in std::mem::take(&mut self.unsure) {
            let at = [self.model.end, self.model.end.next_multiple_of(self.workload.options.segment_bytes)]
                .into_iter()
                .find(|&at| matches!(log.record_at(at, &mut bytes), Ok(Some(_))));
            let Some(at) = at else { break };
            let record = Record::parse(&bytes).map_err(|flaw| format!("{flaw}"))?;
            if record.body() != body_and_properties(&draft).0 || record.topic() != OWN[draft.queue].0.as_bytes() {
                return Err(format!("at {at} stands what nobody put there"));
            }
            let time = record.store_timestamp();
            self.model.append(&draft, at, bytes.clone(), time);
        }
        if end > self.model.end {
            // The blank in front of a message that never came.
            self.model.blanks.push((self.model.end, end - self.model.end));
            self.model.end = end;
        }
        Ok(end)
    }

    fn put(&mut self, store: &mut Store, drafts: &[Draft], together: bool) -> Outcome {
        if drafts.is_empty() {
            return Ok(());
        }
        let (results, outcome) = hand_over(store, drafts, together);
        let stored = match outcome {
            Ok(count) => count,
            Err((stored, error)) => {
                is_typed(&error)?;
                if store.poisoned().is_some() {
                    self.unsure = drafts[stored..].to_vec();
                }
                stored
            }
        };
        take_over(&mut self.model, &self.disk, &self.workload.options, &drafts[..stored], &results)
    }

    fn flush(&mut self, store: &mut Store, meanwhile: &[Draft]) -> Outcome {
        let plan = well("writer", store.writer())?.plan_flush();
        self.put(store, meanwhile, false)?;
        let Some(plan) = plan else { return Ok(()) };
        match plan.run(&self.disk) {
            Err(failed) => store.poison(failed.into()),
            Ok(()) => {
                let end = plan.end();
                if let Ok(mut writer) = store.writer() {
                    writer.flushed(plan);
                    self.acknowledged = end;
                }
            }
        }
        Ok(())
    }

    fn write_behind(&mut self, store: &mut Store, meanwhile: &[Draft]) -> Outcome {
        let mut plan = well("writer", store.writer())?.plan_behind();
        self.put(store, meanwhile, false)?;
        while let Some(planned) = plan.take() {
            let outcome = planned.run(&self.disk);
            let Ok(mut writer) = store.writer() else { return Ok(()) };
            match outcome {
                Err(failed) if failed.kind == IoKind::Full => writer.put_off_behind(planned),
                Err(failed) => store.poison(failed.into()),
                Ok(()) => {
                    writer.wrote_behind(planned);
                    plan = writer.plan_behind();
                }
            }
        }
        Ok(())
    }

    fn checkpoint(&mut self, store: &mut Store, begun: &[Draft], meanwhile: &[Draft]) -> Outcome {
        well("writer", store.writer())?.begin_checkpoint();
        self.put(store, begun, false)?;
        if store.poisoned().is_none() {
            self.flush(store, &[])?;
        }
        if store.poisoned().is_none() {
            self.write_behind(store, &[])?;
        }
        let Ok(mut writer) = store.writer() else { return Ok(()) };
        let mut plan = match writer.plan_checkpoint() {
            Ok(Some(plan)) => plan,
            Ok(None) => return Ok(()),
            Err(failed) => {
                store.poison(failed.into());
                return Ok(());
            }
        };
        self.put(store, meanwhile, false)?;
        let outcome = plan.run(&self.disk, &mut || {});
        self.settle(store, outcome, |writer| writer.checkpointed(plan))
    }

    fn watermark(&mut self, store: &mut Store, meanwhile: &[Draft]) -> Outcome {
        let plan = well("writer", store.writer())?.plan_watermark(true);
        self.put(store, meanwhile, false)?;
        let Some(mut plan) = plan else { return Ok(()) };
        let outcome = plan.run(&self.disk);
        self.settle(store, outcome, |writer| {
            writer.watermarked(plan);
            Ok(())
        })
    }

    fn seal(&mut self, store: &mut Store, meanwhile: &[Draft]) -> Outcome {
        self.put(store, meanwhile, false)?;
        while let Ok(mut writer) = store.writer() {
            let Some(mut plan) = writer.plan_seal() else { break };
            let read = loop {
                match plan.step() {
                    Ok(false) => {}
                    read => break read,
                }
            };
            if let Err(failed) = writer.sealed(plan, read.is_err()) {
                store.poison(failed.into());
            }
        }
        Ok(())
    }

    /// Takes note of what was carried out, unless it failed, or the store is poisoned by now.
    fn settle(
        &mut self,
        store: &mut Store,
        outcome: Result<(), IoError>,
        settle: impl FnOnce(&mut Writer<'_, SimDisk, SimClock>) -> Result<(), IoError>,
    ) -> Outcome {
        let Ok(mut writer) = store.writer() else { return Ok(()) };
        if let Err(failed) = outcome.and_then(|()| settle(&mut writer)) {
            store.poison(failed.into());
        }
        Ok(())
    }

    /// The disk is well again: another process opens what is there, or what a power cut leaves of it.
    fn finish(mut self, choice: u64) -> Outcome {
        drop(self.store.take());
        self.disk.fail(None);
        let state = self.disk.state();
        let cut = state.power_cut(&mut RandomChoices::new(choice));
        let disk = SimDisk::over(state, 1);
        let reopened = well("open after a failure", open(&disk, &self.clock, &self.workload.options))?;
        let before = (self.model.clone(), self.unsure.clone());
        self.adopt(&reopened)?;
        verify(&reopened, &self.model).map_err(|flaw| format!("after the failure: {flaw}"))?;
        self.what_was_found_is_durable(&disk, choice)?;
        let recovered = well("open after a power cut", open(&SimDisk::over(cut, 1), &self.clock, &self.workload.options))?;
        let end = recovered.reader().positions().end;
        if end < self.acknowledged {
            return Err(format!("after a power cut the log ends at {end}, {} was acknowledged", self.acknowledged));
        }
        let kept = match self.model.cut(end) {
            Some(kept) => kept,
            None => {
                // Of a put that failed more is on the disk than in memory, where it was being taken back.
                (self.model, self.unsure) = before;
                self.adopt(&recovered).map_err(|flaw| format!("after a power cut: {flaw}"))?;
                self.model
            }
        };
        verify(&recovered, &kept).map_err(|flaw| format!("after a power cut: {flaw}"))
    }

    /// Whoever opens a store after a failed sync finds in the page cache what the disk has not: it is there for good from then on.
    fn what_was_found_is_durable(&self, disk: &SimDisk, choice: u64) -> Outcome {
        let cut = SimDisk::over(disk.state().power_cut(&mut RandomChoices::new(!choice)), 1);
        let recovered = well("open after a failure and a power cut", open(&cut, &self.clock, &self.workload.options))?;
        let end = recovered.reader().positions().end;
        if end == self.model.end { Ok(()) } else { Err(format!("{} was found after the failure, {end} after a power cut", self.model.end)) }
    }
}

/// A failing disk is no reason to call an argument wrong or a store closed.
fn is_typed(error: &Error) -> Outcome {
    match error.code {
        Code::Io | Code::Full | Code::Busy | Code::Poisoned | Code::Corrupt => Ok(()),
        code => Err(format!("a failed call is told as {code:?}: {error}")),
    }
}

/// Carries a workload out with a failure; says how many calls failed.
fn with_failure(workload: &Workload, failure: Failure) -> (Outcome, u64) {
    let disk = empty_disk(workload.seed);
    disk.fail(Some(failure));
    let mut failed = 0;
    let outcome = caught(|| {
        let mut faulted =
            Faulted { workload, disk, clock: SimClock::at(NOW), store: None, model: Model::default(), acknowledged: 0, unsure: Vec::new() };
        let outcome = faulted.carry_out();
        failed = faulted.disk.failed();
        outcome?;
        faulted.finish(failure.call)
    });
    (outcome, failed)
}

/// Workloads that do everything, without crashes of their own.
fn workloads() -> Vec<Workload> {
    let calm = |step: &Step| !matches!(step, Step::Clock(_));
    let count = |workload: &Workload, what: fn(&Step) -> bool| workload.steps.iter().filter(|step| what(step)).count();
    let long = |workload: &Workload| {
        count(workload, |step| matches!(step, Step::Close)) == 1
            && count(workload, |step| matches!(step, Step::Behind(_))) >= 3
            && count(workload, |step| matches!(step, Step::Put(_))) >= 4
            && count(workload, |step| matches!(step, Step::Checkpoint { .. })) >= 2
            && count(workload, |step| matches!(step, Step::Watermark(_))) >= 1
            && count(workload, |step| matches!(step, Step::Seal(_))) >= 1
    };
    let mode = |flush| move |workload: &Workload| workload.options.flush == flush;
    let of = |flush| (1..).map(Workload::random).filter(mode(flush)).find(long).into_iter();
    let chosen = of(FlushMode::Async).chain(of(FlushMode::Sync));
    let without_clocks = |mut workload: Workload| {
        workload.steps.retain(calm);
        workload
    };
    chosen.map(without_clocks).collect()
}

#[test]
fn whichever_call_fails_nothing_promised_is_lost() {
    let mut flaws = Flaws::default();
    let mut tried = 0;
    // Every call in the long form; else of four calls one, for each kind another one.
    let stride = if number("MORAINE_CRASH_STATES").unwrap_or(0) >= 100_000 { 1 } else { 4 };
    let mut random = SimRandom::new(number("MORAINE_CRASH_SEED").unwrap_or(1));
    let replay = std::env::var("MORAINE_CRASH_CALL").ok();
    if let Some(replay) = replay {
        let parts: Vec<u64> = replay.split(':').map(|part| part.parse().expect("workload:kind:always:call")).collect();
        let workload = &workloads()[parts[0] as usize];
        let failure = Failure { call: parts[3], always: parts[2] == 1, kind: KINDS[parts[1] as usize], affected: Affected::All };
        if let Err(flaw) = with_failure(workload, failure).0 {
            flaws.note(&flaw, || format!("{flaw}\n\n{}", described(workload)));
        }
        return flaws.report();
    }
    for (number, workload) in workloads().iter().enumerate() {
        for (of_kind, kind) in KINDS.into_iter().enumerate() {
            for always in [false, true] {
                for call in (random.below(stride)..).step_by(stride as usize) {
                    let (outcome, failed) = with_failure(workload, Failure { call, always, kind, affected: Affected::All });
                    tried += 1;
                    if let Err(flaw) = outcome {
                        let what = format!("call {call} fails{} with {kind:?}", if always { ", and every later one," } else { "" });
                        let run = format!("{number}:{of_kind}:{}:{call}", u8::from(always));
                        let replay = format!("MORAINE_CRASH_CALL={run} cargo test -p moraine-core --test crash nth_call");
                        flaws.note(&flaw, || format!("{what}: {flaw}\n\n{}\nAgain: {replay}\n", described(workload)));
                    }
                    if failed == 0 {
                        break; // the workload has passed untouched
                    }
                }
            }
        }
    }
    println!("{tried} runs with a call that fails");
    flaws.report();
    assert!(tried > 1_000, "only {tried} runs");
}
