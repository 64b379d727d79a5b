//! A store whose calls may fail: what a host does with each step, and what must hold while calls fail and afterwards.

use std::cell::RefCell;

use moraine_core::engine::delete_topic::delete_topic;
use moraine_core::engine::expire::expire;
use moraine_core::engine::remake::{Derived, rebuild};
use moraine_core::engine::retention::Wish;
use moraine_core::engine::{GetRequest, Resolved, Writer};
use moraine_core::error::{Code, Error, IoError, IoKind};
use moraine_core::format::record::Record;
use moraine_core::sim::{RandomChoices, SimClock, SimDisk, SimSegment};

use super::model::{Model, QUEUES, body_and_properties, queue};
use super::run::{NOW, Unlocked, hand_over, open, take_over};
use super::states::Expected;
use super::verify::{Outcome, Store, verify, well};
use super::workload::{DELETED, Draft, KEYS, OWN, Step, Workload};

/// A store whose calls may fail.
pub struct Faulted<'a> {
    workload: &'a Workload,
    pub disk: SimDisk,
    clock: SimClock,
    store: Option<Store>,
    model: Model,
    acknowledged: u64,
    /// Messages of the put that failed last: they may be there although nobody was told.
    unsure: Vec<Draft>,
    /// Where a truncation was to end that failed: the log ends there, or anywhere behind.
    cut_from: Option<u64>,
    /// What was shown before a removal failed.
    earlier: Option<Model>,
    /// Asks for answers after every step, too.
    asks: bool,
    /// Calls may say that a file is not there which is: in a queue that is a hole for good, behind which a truncation goes on.
    loses_files: bool,
    /// The workload goes no further than the step in which a call failed.
    pub ends_early: bool,
}

impl<'a> Faulted<'a> {
    pub fn new(workload: &'a Workload, disk: SimDisk, kind: IoKind, asks: bool) -> Self {
        let (clock, model, loses_files) = (SimClock::at(NOW), Model::default(), kind == IoKind::NotFound);
        Self {
            workload,
            disk,
            clock,
            store: None,
            model,
            acknowledged: 0,
            unsure: Vec::new(),
            cut_from: None,
            earlier: None,
            asks,
            loses_files,
            ends_early: false,
        }
    }

    /// Does what a host does with each step; ends where the store cannot be written any more.
    pub fn carry_out(&mut self) -> Outcome {
        self.open()?;
        for step in &self.workload.steps {
            let Some(mut store) = self.store.take() else { return Ok(()) };
            if store.poisoned().is_some() || self.earlier.is_some() || (self.ends_early && self.disk.failed() > 0) {
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
                Step::Truncate(_) if self.loses_files => {}
                Step::Truncate(number) => self.truncate(&mut store, *number)?,
                Step::Expire(number) => self.expire(&mut store, *number)?,
                Step::Delete(number) => self.delete(&mut store, DELETED[*number])?,
                Step::Clock(by) => self.clock.jump(*by),
                Step::Close | Step::Kill | Step::PowerCut(_) | Step::Rebuild { .. } => {
                    match store.writer().and_then(|mut writer| writer.close()) {
                        Ok(()) => self.acknowledged = self.model.end,
                        Err(error) => is_typed(&error)?,
                    }
                    drop(store);
                    if let Step::Rebuild { queues, index, .. } = step {
                        let what = Derived { queues: *queues, index: *index };
                        let outcome = rebuild(&self.disk, &self.clock, &self.workload.options, what, &mut |_| {});
                        outcome.map_or_else(|error| is_typed(&error), |_| Ok(()))?;
                    }
                    self.open()?;
                    continue;
                }
            }
            if self.asks && store.poisoned().is_none() && self.earlier.is_none() {
                answers(&store, &self.model)?;
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
        if self.cut_from.take().is_some_and(|to| end >= to) && end <= self.model.end {
            self.model =
                self.model.cut(end).ok_or_else(|| format!("a truncation failed, and the log ends at {end}, where nothing ends"))?;
            self.acknowledged = self.acknowledged.min(end);
        }
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
            if let Ok(Some(found)) = log.record_at(self.model.end, &mut bytes) {
                return Err(format!("a put failed, and at {} its record of {found} bytes is found", self.model.end));
            }
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

    fn truncate(&mut self, store: &mut Store, number: u64) -> Outcome {
        let Some(to) = self.model.possible_end(number) else { return Ok(()) };
        match store.writer().and_then(|mut writer| writer.truncate(to)) {
            Ok(()) => self.model = self.model.cut(to).ok_or_else(|| format!("nothing ends at {to}"))?,
            Err(error) => {
                is_typed(&error)?;
                self.cut_from = store.poisoned().map(|_| to);
            }
        }
        self.acknowledged = self.acknowledged.min(to);
        Ok(())
    }

    fn expire(&mut self, store: &mut Store, number: u64) -> Outcome {
        let most = number % (self.model.end - self.model.min + 1);
        let newest = self.model.end - self.model.end % self.workload.options.segment_bytes;
        let wish = Wish::Asked { before: None, max_bytes: Some(most) };
        let outcome = expire(&Unlocked(RefCell::new(store)), &self.disk, wish);
        self.removed(outcome, |model, minimum| model.min = minimum.map_or(newest.max(model.min), |expired| expired.minimum))
    }

    fn delete(&mut self, store: &mut Store, name: &str) -> Outcome {
        let outcome = delete_topic(&Unlocked(RefCell::new(store)), &self.disk, name.as_bytes());
        self.removed(outcome, |model, deleted| {
            if deleted.is_none_or(|deleted| deleted) {
                model.delete(name);
            }
        })
    }

    /// A removal that failed may have been carried out.
    fn removed<T>(&mut self, outcome: Result<T, Error>, remove: impl FnOnce(&mut Model, Option<T>)) -> Outcome {
        let before = self.model.clone();
        let done = match outcome {
            Ok(done) => Some(done),
            Err(error) => {
                is_typed(&error)?;
                self.earlier = Some(before);
                None
            }
        };
        remove(&mut self.model, done);
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
    pub fn finish(mut self, choice: u64) -> Outcome {
        drop(self.store.take());
        self.disk.fail(None);
        self.disk.fail_at_random(None);
        self.disk.set_room(None);
        let state = self.disk.state();
        let cut = state.power_cut(&mut RandomChoices::new(choice));
        let disk = SimDisk::over(state, 1);
        let reopened = well("open after a failure", open(&disk, &self.clock, &self.workload.options))?;
        let before = (self.model.clone(), self.unsure.clone(), self.cut_from);
        self.adopt(&reopened)?;
        verify(&reopened, &self.shown(&self.model, &reopened)?).map_err(|flaw| format!("after the failure: {flaw}"))?;
        self.what_was_found_is_durable(&disk, choice)?;
        let recovered = well("open after a power cut", open(&SimDisk::over(cut, 1), &self.clock, &self.workload.options))?;
        let end = recovered.reader().positions().end;
        if end < self.acknowledged {
            return Err(format!("after a power cut the log ends at {end}, {} was acknowledged", self.acknowledged));
        }
        // A removal that failed may have left more than is to be shown.
        let before_removal = || Model { min: self.earlier.as_ref()?.min, ..self.model.clone() }.cut(end);
        let kept = match self.model.cut(end).or_else(before_removal) {
            Some(kept) => kept,
            None => {
                // Of a put that failed more is on the disk than in memory, where it was being taken back.
                (self.model, self.unsure, self.cut_from) = before;
                self.adopt(&recovered).map_err(|flaw| format!("after a power cut: {flaw}"))?;
                self.model.clone()
            }
        };
        verify(&recovered, &self.shown(&kept, &recovered)?).map_err(|flaw| format!("after a power cut: {flaw}"))
    }

    /// What a store shows of a model: a removal that failed has been carried out or not.
    fn shown(&self, model: &Model, store: &Store) -> Result<Model, String> {
        Expected { model, earlier: self.earlier.as_ref(), at_least: 0, at_most: model.end }.model(store)
    }

    /// Whoever opens a store after a failed sync finds in the page cache what the disk has not: it is there for good from then on.
    fn what_was_found_is_durable(&self, disk: &SimDisk, choice: u64) -> Outcome {
        let cut = SimDisk::over(disk.state().power_cut(&mut RandomChoices::new(!choice)), 1);
        let recovered = well("open after a failure and a power cut", open(&cut, &self.clock, &self.workload.options))?;
        let end = recovered.reader().positions().end;
        if end == self.model.end { Ok(()) } else { Err(format!("{} was found after the failure, {end} after a power cut", self.model.end)) }
    }
}

/// While a disk fails every answer is right, or an error that says so. What is not visible yet is not asked for.
fn answers(store: &Store, model: &Model) -> Outcome {
    let visible = store.reader().positions().visible;
    let mut resolved: Resolved<SimSegment> = Resolved::default();
    let (mut out, mut offsets) = (vec![0; 1 << 16], [0.0; 2]);
    for number in 0..QUEUES {
        let (topic, id) = queue(number);
        for (offset, _, message) in model.in_queue(number).filter(|(_, _, message)| message.end() <= visible) {
            let request = GetRequest { topic: topic.as_bytes(), queue_id: id, offset, max: 1, max_bytes: 1 << 20, filter: &[] };
            let copied = store.reader().resolve(&request, &mut resolved).and_then(|()| resolved.copy(&mut out, &mut offsets));
            match copied {
                Ok(copied) if copied.messages == 1 && out.starts_with(&message.bytes) && offsets[0] as u64 == offset => {}
                Ok(_) => return Err(format!("get {topic} {id} {offset} while calls fail: {:?}, not the message", resolved.status)),
                Err(error) => is_typed(&error)?,
            }
        }
    }
    for (number, key) in KEYS.iter().enumerate() {
        looked_up(store, model, number, key).or_else(|failed| match failed {
            Ok(error) => is_typed(&error),
            Err(flaw) => Err(flaw),
        })?;
    }
    Ok(())
}

/// Every message of `T` with a key is found by it. An error of the call, or what is wrong.
fn looked_up(store: &Store, model: &Model, number: usize, key: &str) -> Result<(), Result<Error, String>> {
    let visible = store.reader().positions().visible;
    let mut candidates = store.reader().lookup(b"T", key.as_bytes()).map_err(Ok)?;
    let mut expected = model.messages.iter().rev().filter(|message| {
        let is_shown = OWN[message.draft.queue].0 == "T" && model.is_shown(message.draft.queue, message) && message.end() <= visible;
        is_shown && message.draft.keys.contains(&number) && message.draft.transaction != 3
    });
    while let Some(bytes) = candidates.next_record(i64::MIN, i64::MAX).map_err(Ok)? {
        if expected.next().is_none_or(|message| message.bytes != bytes) {
            return Err(Err(format!("look-up of {key} while calls fail: found what is not the next one")));
        }
    }
    expected.next().map_or(Ok(()), |missing| Err(Err(format!("look-up of {key} while calls fail: {} is missing", missing.physical))))
}

/// A failing disk is no reason to call an argument wrong or a store closed.
fn is_typed(error: &Error) -> Outcome {
    match error.code {
        Code::Io | Code::Full | Code::Busy | Code::Poisoned | Code::Corrupt => Ok(()),
        code => Err(format!("a failed call is told as {code:?}: {error}")),
    }
}
