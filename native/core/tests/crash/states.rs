//! What a crash left is opened again, possibly crashes once more while it is, and must then answer like the model. A third of
//! the states go on from there: new messages are put, the store is closed and opened once more.

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use moraine_core::engine::Positions;
use moraine_core::options::Options;
use moraine_core::sim::{RandomChoices, SimClock, SimDisk, SimRandom, SimState};

use super::model::Model;
use super::ordering::newest_watermark;
use super::run::{NOW, Point, open, open_scanning, put_well, take_over};
use super::stale::nothing_stands_behind_the_queues;
use super::verify::{Outcome, Store, verify, well};
use super::workload::{BATCH, Draft};

/// Findings that a crash may give cause to. Anything else, such as a damaged range, is a flaw.
const LEFT_BY_CRASHES: [&str; 6] = ["unclean", "cut", "clock", "sidecar", "index-geometry", "log-gap"];

/// What must be found.
#[derive(Clone, Copy)]
pub struct Expected<'a> {
    /// Everything that may be there.
    pub model: &'a Model,
    /// What was shown before something was removed, where that may not have happened.
    pub earlier: Option<&'a Model>,
    /// What lies below must be there.
    pub at_least: u64,
    /// What lies above must not: it was lost before.
    pub at_most: u64,
}

impl<'a> Expected<'a> {
    pub fn after_power_cut(point: &'a Point) -> Self {
        Self { model: &point.model, earlier: point.earlier.as_deref(), at_least: point.acknowledged, at_most: point.model.end }
    }

    pub fn after_death(point: &'a Point) -> Self {
        Self {
            model: &point.model,
            earlier: point.earlier.as_deref(),
            at_least: point.returned.max(point.acknowledged),
            at_most: point.model.end,
        }
    }

    /// What a store holds that ends at `end` and begins at `min`.
    pub fn model(&self, store: &Store) -> Result<Model, String> {
        let Positions { min, end, .. } = store.reader().positions();
        let model = Model { min, ..self.model.clone() }.cut(end).ok_or_else(|| format!("the log ends at {end}, where nothing ends"))?;
        let Some(earlier) = self.earlier else { return Ok(Model { min: self.model.min, ..model }) };
        if min < earlier.min || min > self.model.min {
            return Err(format!("the log begins at {min}, want {} to {}", earlier.min, self.model.min));
        }
        let hidden = earlier.hidden.map(|below| below.min(end));
        let as_before = Model { hidden, made_again: earlier.made_again, ..model.clone() };
        Ok(if verify(store, &as_before).is_ok() { as_before } else { model })
    }

    fn exactly(&self, end: u64) -> Self {
        Self { at_least: end, at_most: end, ..*self }
    }
}

/// What was tried.
#[derive(Debug, Default)]
pub struct Tally {
    pub workloads: u64,
    pub points: u64,
    pub states: u64,
    pub repeated: u64,
    /// Opened from a queue checkpoint on: the log below it was not looked at.
    pub resumed: u64,
    /// With a record below what was said on disk to be durable in which a bit has turned over.
    pub rotten: u64,
    /// Crashes within recovery, by depth.
    pub deeper: [u64; 4],
    pub undecided: u64,
    /// States of points at which more was undecided than is gone through.
    pub exceeded: u64,
    /// States of the present workload.
    pub seen: HashSet<u64>,
    /// Time that the threads have run; `None` where the system does not say.
    pub cpu_seconds: Option<f64>,
}

impl Tally {
    /// Counts a state, unless it was tried before.
    pub fn is_new(&mut self, identity: u64) -> bool {
        let is_new = self.seen.insert(identity);
        (self.states, self.repeated) = (self.states + u64::from(is_new), self.repeated + u64::from(!is_new));
        is_new
    }

    /// Counts what another thread has tried.
    pub fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.workloads, other.workloads),
            (&mut self.points, other.points),
            (&mut self.states, other.states),
            (&mut self.repeated, other.repeated),
            (&mut self.resumed, other.resumed),
            (&mut self.rotten, other.rotten),
            (&mut self.undecided, other.undecided),
            (&mut self.exceeded, other.exceeded),
        ];
        pairs.into_iter().for_each(|(sum, more)| *sum += more);
        self.deeper.iter_mut().zip(other.deeper).for_each(|(sum, more)| *sum += more);
        self.cpu_seconds = self.cpu_seconds.map_or(other.cpu_seconds, |sum| Some(sum + other.cpu_seconds.unwrap_or(0.0)));
    }

    /// Counts an open that scanned so many bytes of the log, those behind a queue checkpoint and no more.
    fn count_resumed(&mut self, state: &SimState, options: &Options, scanned: u64) {
        let derived = newest_watermark(state).and_then(|newest| newest.running?.derived).filter(|derived| derived.upto > 0);
        let base = |path: &String| path.strip_prefix("commitlog/").and_then(|name| name.parse::<u64>().ok());
        let extent = || state.paths().iter().filter_map(base).max().map_or(0, |base| base + options.segment_bytes);
        self.resumed += u64::from(derived.is_some_and(|derived| scanned + derived.upto <= extent()));
    }

    pub fn print(&self, took: Duration) {
        let of_one = |seconds| format!(", {:.0} a second of one core", self.states as f64 / seconds);
        let core = self.cpu_seconds.map(of_one).unwrap_or_default();
        println!(
            "{} crash states of {} workloads at {} calls ({} repeated ones passed by), {} undecided things each, {:?} crashes within recovery by depth, {} opened from a queue checkpoint on, {} with a rotten record: {:.0} states a second{core}",
            self.states,
            self.workloads,
            self.points,
            self.repeated,
            self.undecided / self.states.max(1),
            &self.deeper[1..],
            self.resumed,
            self.rotten,
            self.states as f64 / took.as_secs_f64()
        );
    }
}

/// Time that this thread has run: other programs may have the core meanwhile.
pub fn cpu_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(text.split(' ').next()?.parse::<f64>().ok()? / 1e9)
}

/// What tells a state from all others of its workload.
pub fn identity(parts: &[u64]) -> u64 {
    parts.iter().fold(0, |identity, &part| SimRandom::new(identity ^ part).next_u64())
}

/// Recovers a state and holds it against what is expected. `depth`: how often it crashes again before.
pub fn check(
    state: &SimState,
    of: u64,
    expected: Expected<'_>,
    options: &Options,
    random: &mut SimRandom,
    depth: usize,
    tally: &mut Tally,
) -> Outcome {
    let last = expected.model.messages.last().map_or(NOW, |last| last.time);
    let clock = SimClock::at(last + *random.pick(&[0, 0, 1, 5_000, 31_536_000_000, -3_600_000]));
    let disk = SimDisk::over(state.clone(), random.next_u64());
    if depth > 0 {
        disk.record();
    }
    let (store, scanned) = well("open", open_scanning(&disk, &clock, options))?;
    tally.count_resumed(state, options, scanned);
    let end = store.reader().positions().end;
    if end < expected.at_least || end > expected.at_most {
        let Expected { at_least, at_most, .. } = expected;
        return Err(format!("the log ends at {end}, want {at_least} to {at_most}"));
    }
    if depth > 0 {
        let points = disk.take_points();
        let at = random.below(points.len() as u64);
        let mut choices = RandomChoices::new(random.next_u64()).with_short_files();
        let state = points[at as usize].state.power_cut(&mut choices);
        let of = identity(&[of, at, choices.signature()]);
        if depth == 1 && !tally.is_new(of) {
            return Ok(());
        }
        tally.deeper[depth] += 1;
        // What was found once is found again.
        return check(&state, of, expected.exactly(end), options, random, depth - 1, tally)
            .map_err(|flaw| format!("crashed again: {flaw}"));
    }
    let model = expected.model(&store)?;
    verify(&store, &model)?;
    let health = well("health", store.reader().health())?;
    let strange = health.findings.iter().find(|finding| !LEFT_BY_CRASHES.contains(&finding.kind));
    if let Some(finding) = strange {
        return Err(format!("a finding: {finding:?}"));
    }
    let lost = expected.model.messages.get(model.messages.len()).map(|lost| &lost.draft);
    if random.one_in(3) { goes_on(store, model, lost, &disk, &clock, random) } else { Ok(()) }
}

/// A recovered store takes messages, is closed or killed, and opened again. Where some were lost, a message like the first
/// of them is put in half the cases: what followed it must not come back.
fn goes_on(mut store: Store, mut model: Model, lost: Option<&Draft>, disk: &SimDisk, clock: &SimClock, random: &mut SimRandom) -> Outcome {
    nothing_stands_behind_the_queues(disk, &model)?;
    let options = store.reader().options().clone();
    let like_lost = lost.filter(|_| random.one_in(2)).map(|lost| vec![Draft { number: 4 << 20, ..lost.clone() }]);
    let drafts = like_lost.unwrap_or_else(|| new_messages(random));
    let results = put_well(&mut store, &drafts, false)?;
    take_over(&mut model, disk, &options, &drafts, &results)?;
    let is_closed = random.one_in(2);
    if is_closed {
        well("close", store.writer().and_then(|mut writer| writer.close()))?;
    }
    drop(store);
    let store = well("open once more", open(&disk.kill(), clock, &options))?;
    verify(&store, &model).map_err(|flaw| format!("put, {} and opened again: {flaw}", if is_closed { "closed" } else { "killed" }))
}

fn new_messages(random: &mut SimRandom) -> Vec<Draft> {
    vec![
        Draft { number: 1 << 20, queue: 0, body: 60, tagged: true, keys: vec![0], light: vec![1], ..Draft::default() },
        Draft { number: 2 << 20, queue: BATCH, body: 10, keys: vec![1], inner: 2, ..Draft::default() },
        Draft { number: 3 << 20, queue: 1 + random.below(2) as usize, body: random.below(900) as usize, ..Draft::default() },
    ]
}

/// A panic is a flaw like any other.
pub fn caught(what: impl FnOnce() -> Outcome) -> Outcome {
    catch_unwind(AssertUnwindSafe(what)).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str).or(panic.downcast_ref::<&str>().copied());
        Err(format!("panicked: {}", text.unwrap_or("with something that is no text")))
    })
}

/// The power fails at a point, and a number decides what is lost. A state that was tried before is passed by.
pub fn power_cut(at: usize, point: &Point, choice: u64, options: &Options, tally: &mut Tally) -> Outcome {
    let mut choices = RandomChoices::new(choice).with_short_files();
    let state = point.crash.state.power_cut(&mut choices);
    let random = &mut SimRandom::new(choice ^ 0x5EED);
    let depth = if random.one_in(6) { 1 + random.below(3) as usize } else { 0 };
    let of = identity(&[at as u64, choices.signature()]);
    if depth == 0 && !tally.is_new(of) {
        return Ok(());
    }
    tally.undecided += u64::from(choices.undecided());
    caught(|| check(&state, of, Expected::after_power_cut(point), options, random, depth, tally))
}

/// The process dies at a point, within the call if it writes.
pub fn death(points: &[Point], at: usize, choice: u64, options: &Options, tally: &mut Tally) -> Outcome {
    let (point, random) = (&points[at], &mut SimRandom::new(choice));
    let next = points.get(at + 1).filter(|next| next.cuts == point.cuts);
    let after = next.map_or(&point.crash.state, |next| &next.crash.state);
    let bytes = point.crash.written_bytes();
    let count = random.below(bytes as u64 + 1) as usize;
    let state = point.crash.killed_within(after, |byte| byte < count);
    let of = identity(&[at as u64, count as u64, DEATH]);
    if !tally.is_new(of) {
        return Ok(());
    }
    caught(|| check(&state, of, Expected::after_death(point), options, random, 0, tally))
}

/// Tells deaths of the process from power cuts.
const DEATH: u64 = 0xDEA7;
