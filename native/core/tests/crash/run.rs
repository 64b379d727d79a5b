//! Carries out a workload on a simulated disk, and notes what a crash at any of its calls must leave.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use moraine_core::batch;
use moraine_core::engine::Engine;
use moraine_core::engine::delete_topic::delete_topic;
use moraine_core::engine::expire::{Access, expire};
use moraine_core::engine::put::{RESULT_HEADER, RESULT_STRIDE};
use moraine_core::engine::remake::{Derived, rebuild};
use moraine_core::engine::retention::Wish;
use moraine_core::error::Error;
use moraine_core::options::Options;
use moraine_core::sim::{CrashPoint, RandomChoices, SimClock, SimDisk};

use super::model::{Model, body_and_properties, message};
use super::ordering;
use super::verify::{Outcome, Store, verify, well};
use super::workload::{DELETED, Draft, Step, TOPIC_TABLE, Workload};

pub const NOW: i64 = 1_700_000_000_000;

/// A place at which a workload may crash.
pub struct Point {
    pub crash: CrashPoint,
    /// What may be there.
    pub model: Rc<Model>,
    /// What was shown before the step, where it removes something.
    pub earlier: Option<Rc<Model>>,
    /// Below it everything is there after a power cut.
    pub acknowledged: u64,
    /// Below it everything is there after the death of the process.
    pub returned: u64,
    /// Which step of the workload it lies in.
    pub step: usize,
    /// Power cuts of the workload itself before it: what stood there behind its call is known from the next point only if
    /// no cut lies between.
    pub cuts: u32,
}

pub struct Run {
    pub disk: SimDisk,
    pub clock: SimClock,
    pub options: Options,
    pub store: Store,
    pub model: Rc<Model>,
    pub acknowledged: u64,
    pub points: Vec<Point>,
    /// What was shown before something is removed.
    earlier: Option<Rc<Model>>,
    step: usize,
    cuts: u32,
}

/// A store of one thread, for tasks that take its lock in pieces.
struct Unlocked<'a>(RefCell<&'a mut Store>);

impl Access<SimDisk, SimClock> for Unlocked<'_> {
    fn engine<R>(&self, act: impl FnOnce(&mut Store) -> Result<R, Error>) -> Result<R, Error> {
        act(&mut self.0.borrow_mut())
    }
}

pub fn open(disk: &SimDisk, clock: &SimClock, options: &Options) -> Result<Store, Error> {
    open_scanning(disk, clock, options).map(|(store, _)| store)
}

/// Opens; and how many bytes there were of the log from where it was scanned.
#[allow(clippy::arc_with_non_send_sync)] // one thread
pub fn open_scanning(disk: &SimDisk, clock: &SimClock, options: &Options) -> Result<(Store, u64), Error> {
    let mut scanned = 0;
    let store = Engine::open(Arc::new(disk.clone()), clock.clone(), options.clone(), &mut |progress| scanned = progress.total)?;
    Ok((store, scanned))
}

/// A disk before a store is made on it.
pub fn empty_disk(seed: u64) -> SimDisk {
    let disk = SimDisk::new(seed);
    disk.place("config/topics.json", TOPIC_TABLE.as_bytes());
    disk.keep_versions();
    disk
}

/// Hands messages over to a put: its results, and what came of it.
pub fn hand_over(store: &mut Store, drafts: &[Draft], together: bool) -> (Vec<f64>, Result<usize, (usize, Error)>) {
    let mut bytes = Vec::new();
    for draft in drafts {
        let (body, properties) = body_and_properties(draft);
        batch::encode(&message(draft, &body, &properties), &mut bytes);
    }
    let mut results = vec![0.0; RESULT_HEADER + RESULT_STRIDE * drafts.len()];
    let outcome = store.writer().map_err(|error| (0, error)).and_then(|mut writer| match together {
        true => writer.put_group(&bytes, &mut results),
        false => writer.put(&bytes, &mut results),
    });
    (results, outcome)
}

/// … that has to go well.
pub fn put_well(store: &mut Store, drafts: &[Draft], together: bool) -> Result<Vec<f64>, String> {
    let (results, outcome) = hand_over(store, drafts, together);
    outcome.map(|_| results).map_err(|(stored, error)| format!("put failed after {stored}: {error}"))
}

/// Takes what a put has stored over into a model, the records as they stand in the files.
pub fn take_over(model: &mut Model, disk: &SimDisk, options: &Options, drafts: &[Draft], results: &[f64]) -> Outcome {
    for (draft, three) in drafts.iter().zip(results[RESULT_HEADER..].chunks_exact(RESULT_STRIDE)) {
        let (physical, offset, size) = (three[0] as u64, three[1] as u64, three[2] as usize);
        let base = physical - physical % options.segment_bytes;
        let segment = disk.state().contents(&format!("commitlog/{base:020}")).ok_or("the record is in no file")?;
        let within = (physical - base) as usize;
        model.append(draft, physical, segment[within..within + size].to_vec(), results[0] as i64);
        let stored = model.messages.last().ok_or("nothing was stored")?;
        let given = stored.places.first().map_or(0, |place| place.1);
        if given != offset {
            return Err(format!("message {} got queue offset {offset}, want {given}", draft.number));
        }
    }
    Ok(())
}

impl Run {
    pub fn new(workload: &Workload) -> Result<Self, String> {
        let (disk, clock, options) = (empty_disk(workload.seed), SimClock::at(NOW), workload.options.clone());
        disk.record();
        let store = well("open", open(&disk, &clock, &options))?;
        let model = Rc::new(Model::default());
        let mut run = Self { disk, clock, options, store, model, acknowledged: 0, points: Vec::new(), earlier: None, step: 0, cuts: 0 };
        run.note(0)?;
        Ok(run)
    }

    /// All steps, or those up to the one in which something was wrong.
    pub fn whole(workload: &Workload) -> (Self, Outcome) {
        let mut run = Self::new(workload).unwrap_or_else(|flaw| panic!("an empty store: {flaw}"));
        let outcome = run.carry_out_all(workload);
        (run, outcome)
    }

    pub fn carry_out_all(&mut self, workload: &Workload) -> Outcome {
        for (number, step) in workload.steps.iter().enumerate() {
            self.step = number;
            self.carry_out(step).map_err(|flaw| format!("{flaw} (step {number}, {step:?})"))?;
        }
        Ok(())
    }

    fn carry_out(&mut self, step: &Step) -> Outcome {
        match step {
            Step::Put(drafts) => self.put(drafts, false),
            Step::Group(drafts) => self.put(drafts, true),
            Step::Flush(meanwhile) => self.flush(meanwhile),
            Step::Behind(meanwhile) => self.write_behind(meanwhile),
            Step::Checkpoint { begun, meanwhile } => self.checkpoint(begun, meanwhile),
            Step::Watermark(meanwhile) => self.watermark(meanwhile),
            Step::Seal(meanwhile) => self.seal(meanwhile),
            Step::Truncate(number) => self.truncate(*number),
            Step::Expire(number) => self.expire(*number),
            Step::Delete(number) => self.delete(DELETED[*number]),
            Step::Rebuild { closed, queues, index } => self.rebuild(*closed, Derived { queues: *queues, index: *index }),
            Step::Clock(by) => {
                self.clock.jump(*by);
                Ok(())
            }
            Step::Close => self.close(),
            Step::Kill => self.kill(),
            Step::PowerCut(seed) => self.power_cut(*seed),
        }
    }

    /// Takes over the crash points since the last time: up to each, puts have returned what lies below `returned`.
    fn note(&mut self, returned: u64) -> Outcome {
        for crash in self.disk.take_points() {
            ordering::check(&crash.state, &self.model, &self.options)
                .map_err(|flaw| format!("at call {}, a {}: {flaw}", self.points.len(), crash.kind.name()))?;
            let (model, acknowledged, step, cuts) = (Rc::clone(&self.model), self.acknowledged, self.step, self.cuts);
            let earlier = self.earlier.clone();
            self.points.push(Point { crash, model, earlier, acknowledged, returned, step, cuts });
        }
        Ok(())
    }

    fn acknowledge(&mut self, end: u64) -> Outcome {
        self.acknowledged = end;
        ordering::log_is_durable(&self.disk.state(), &self.model, &self.options, end)
    }

    fn put(&mut self, drafts: &[Draft], together: bool) -> Outcome {
        if drafts.is_empty() {
            return Ok(());
        }
        let before = self.model.end;
        let results = put_well(&mut self.store, drafts, together)?;
        let mut model = (*self.model).clone();
        take_over(&mut model, &self.disk, &self.options, drafts, &results)?;
        self.model = Rc::new(model);
        self.note(before)
    }

    fn flush(&mut self, meanwhile: &[Draft]) -> Outcome {
        let plan = well("writer", self.store.writer())?.plan_flush();
        self.put(meanwhile, false)?;
        let Some(plan) = plan else { return Ok(()) };
        plan.run(&self.disk).map_err(|failed| format!("flush: {failed:?}"))?;
        self.note(self.model.end)?;
        let end = plan.end();
        well("writer", self.store.writer())?.flushed(plan);
        self.acknowledge(end)
    }

    fn write_behind(&mut self, meanwhile: &[Draft]) -> Outcome {
        let mut plan = well("writer", self.store.writer())?.plan_behind();
        self.put(meanwhile, false)?;
        while let Some(planned) = plan {
            planned.run(&self.disk).map_err(|failed| format!("write behind: {failed:?}"))?;
            self.note(self.model.end)?;
            let mut writer = well("writer", self.store.writer())?;
            writer.wrote_behind(planned);
            plan = writer.plan_behind();
        }
        Ok(())
    }

    /// What a flusher does: begun, everything flushed and written behind, planned, carried out, taken note of. The next
    /// flush may come between two of its syncs.
    fn checkpoint(&mut self, begun: &[Draft], meanwhile: &[Draft]) -> Outcome {
        well("writer", self.store.writer())?.begin_checkpoint();
        self.put(begun, false)?;
        self.flush(&[])?;
        self.write_behind(&[])?;
        let plan = well("writer", self.store.writer())?.plan_checkpoint();
        let Some(mut plan) = plan.map_err(|failed| format!("plan of a checkpoint: {failed:?}"))? else { return Ok(()) };
        let (disk, mut waiting, mut between) = (self.disk.clone(), meanwhile, Ok(()));
        let outcome = plan.run(&disk, &mut || {
            if between.is_ok() && !waiting.is_empty() {
                between = self.put(std::mem::take(&mut waiting), false).and_then(|()| self.flush(&[]));
            }
        });
        between?;
        outcome.map_err(|failed| format!("checkpoint: {failed:?}"))?;
        self.note(self.model.end)?;
        self.put(waiting, false)?;
        let noted = well("writer", self.store.writer())?.checkpointed(plan);
        noted.map_err(|failed| format!("checkpoint: {failed:?}"))?;
        self.note(self.model.end)
    }

    fn watermark(&mut self, meanwhile: &[Draft]) -> Outcome {
        let plan = well("writer", self.store.writer())?.plan_watermark(true);
        self.put(meanwhile, false)?;
        let Some(mut plan) = plan else { return Ok(()) };
        plan.run(&self.disk).map_err(|failed| format!("watermark: {failed:?}"))?;
        self.note(self.model.end)?;
        well("writer", self.store.writer())?.watermarked(plan);
        Ok(())
    }

    fn seal(&mut self, meanwhile: &[Draft]) -> Outcome {
        let mut waiting = meanwhile;
        while let Some(mut plan) = well("writer", self.store.writer())?.plan_seal() {
            self.put(std::mem::take(&mut waiting), false)?;
            while !plan.step().map_err(|failed| format!("seal: {failed:?}"))? {}
            let sealed = well("writer", self.store.writer())?.sealed(plan, false);
            sealed.map_err(|failed| format!("seal: {failed:?}"))?;
            self.note(self.model.end)?;
        }
        self.put(waiting, false)
    }

    /// A crash on the way may leave any end from the new one on. What was deleted stays out of it.
    fn truncate(&mut self, number: u64) -> Outcome {
        let least = self.model.hidden.iter().copied().max().unwrap_or(0).max(self.model.min);
        let ends = self.model.messages.iter().map(|message| message.end());
        let possible: Vec<u64> = std::iter::once(0).chain(ends).filter(|&end| end >= least).collect();
        let Some(&to) = possible.get((number % possible.len().max(1) as u64) as usize) else { return Ok(()) };
        self.acknowledged = self.acknowledged.min(to);
        let outcome = self.store.writer().and_then(|mut writer| writer.truncate(to));
        self.note(to)?;
        well("truncate", outcome)?;
        self.model = Rc::new(self.model.cut(to).ok_or_else(|| format!("nothing ends at {to}"))?);
        Ok(())
    }

    /// Removes something that a crash on the way may leave, or take.
    fn remove(&mut self, change: impl FnOnce(&mut Store, &SimDisk, &mut Model) -> Result<(), Error>) -> Outcome {
        let mut model = (*self.model).clone();
        let outcome = change(&mut self.store, &self.disk, &mut model);
        self.earlier = Some(std::mem::replace(&mut self.model, Rc::new(model)));
        let noted = self.note(self.model.end);
        self.earlier = None;
        noted?;
        well("removal", outcome)?;
        let all_is_durable = self.store.reader().positions().durable == self.model.end;
        if all_is_durable { verify(&self.store, &self.model) } else { Ok(()) }
    }

    fn expire(&mut self, number: u64) -> Outcome {
        let most = number % (self.model.end - self.model.min + 1);
        self.remove(|store, disk, model| {
            let wish = Wish::Asked { before: None, max_bytes: Some(most) };
            model.min = expire(&Unlocked(RefCell::new(store)), disk, wish)?.minimum;
            Ok(())
        })
    }

    fn delete(&mut self, name: &str) -> Outcome {
        self.remove(|store, disk, model| {
            if delete_topic(&Unlocked(RefCell::new(store)), disk, name.as_bytes())? {
                model.delete(name);
            }
            Ok(())
        })
    }

    fn rebuild(&mut self, closed: bool, what: Derived) -> Outcome {
        if closed {
            well("close", self.store.writer().and_then(|mut writer| writer.close()))?;
            self.note(self.model.end)?;
            self.acknowledge(self.model.end)?;
        } else {
            self.disk = self.disk.kill();
            self.disk.keep_versions();
            self.disk.record();
        }
        well("rebuild", rebuild(&self.disk, &self.clock, &self.options, what, &mut |_| {}))?;
        self.note(self.model.end)?;
        self.reopen()
    }

    fn close(&mut self) -> Outcome {
        well("close", self.store.writer().and_then(|mut writer| writer.close()))?;
        self.note(self.model.end)?;
        self.acknowledge(self.model.end)?;
        self.reopen()
    }

    fn kill(&mut self) -> Outcome {
        self.disk = self.disk.kill();
        self.reopen()
    }

    /// What was lost is lost for good.
    fn power_cut(&mut self, seed: u64) -> Outcome {
        let state = self.disk.state().power_cut(&mut RandomChoices::new(seed));
        let found = well("open", open(&SimDisk::over(state.clone(), seed), &self.clock, &self.options))?.reader().positions().end;
        let model = self.model.cut(found).filter(|_| found >= self.acknowledged);
        self.model = Rc::new(model.ok_or_else(|| format!("the log ends at {found}, {} was acknowledged", self.acknowledged))?);
        self.acknowledged = found; // what the disk holds now it holds
        self.disk = SimDisk::over(state, seed);
        self.cuts += 1;
        self.reopen()
    }

    fn reopen(&mut self) -> Outcome {
        self.disk.keep_versions();
        self.disk.record();
        self.store = well("open", open(&self.disk, &self.clock, &self.options))?;
        self.note(self.model.end)?;
        verify(&self.store, &self.model)?;
        self.acknowledge(self.model.end)
    }
}
