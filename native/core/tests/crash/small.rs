//! Every workload of up to three steps of a small alphabet, a crash at every call of its last step (those of the steps
//! before are the last ones of shorter workloads), and there every combination of old and new of all that is undecided, up
//! to 2^12 of them.
//!
//! 10,000 states by default, spread over all workloads; MORAINE_CRASH_STATES=N tries so many, all of them when N is large
//! enough. MORAINE_CRASH_MINUTES, MORAINE_CRASH_SEED, MORAINE_CRASH_CORES as for random workloads.
//! MORAINE_CRASH_SMALL=workload:point:combination, of ones and zeros, carries one of them out again.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use moraine_core::options::{FlushMode, Options};
use moraine_core::sim::{AllChoices, SimRandom, SimState};

use super::flaws::Flaws;
use super::random_workloads::{described, number, on_all_cores};
use super::run::Run;
use super::states::{Expected, Tally, caught, check, identity};
use super::workload::{BATCH, Draft, Step, Workload};

/// Things undecided that all combinations of are tried.
const MOST: usize = 12;

fn options(flush: FlushMode) -> Options {
    Options { flush, segment_bytes: 1024, queue_file_entries: 2, index_slots: 4, index_entries: 4, ..Options::default() }
}

/// What a workload is made of; the number makes its messages different from all others.
fn alphabet(number: u32) -> [Step; 11] {
    let plain = Draft { number, body: 20, ..Draft::default() };
    [
        Step::Put(vec![Draft { keys: vec![0], tagged: true, ..plain.clone() }]),
        Step::Put(vec![Draft { queue: 2, body: 600, ..plain.clone() }]),
        Step::Put(vec![Draft { queue: 1, light: vec![0], keys: vec![1, 2], ..plain.clone() }]),
        Step::Put(vec![Draft { queue: BATCH, inner: 2, ..plain.clone() }, Draft { transaction: 1, number: number + 1, ..plain.clone() }]),
        Step::Flush(Vec::new()),
        Step::Behind(Vec::new()),
        Step::Flush(vec![plain]),
        Step::Checkpoint { begun: Vec::new(), meanwhile: Vec::new() },
        Step::Truncate(1),
        Step::Close,
        Step::Kill,
    ]
}

/// All workloads of up to `most` steps, in both flush modes, shorter ones first.
fn workloads(most: u32) -> Vec<Workload> {
    let letters = alphabet(0).len() as u64;
    let mut all = Vec::new();
    for length in 1..=most {
        for word in 0..letters.pow(length) {
            let step = |at: u32| alphabet(10 * at + 1).swap_remove_at((word / letters.pow(at) % letters) as usize);
            let steps: Vec<Step> = (0..length).map(step).collect();
            for flush in [FlushMode::Async, FlushMode::Sync] {
                all.push(Workload { seed: all.len() as u64, options: options(flush), steps: steps.clone() });
            }
        }
    }
    all
}

trait SwapRemoveAt<T> {
    fn swap_remove_at(self, at: usize) -> T;
}

impl<T, const N: usize> SwapRemoveAt<T> for [T; N] {
    fn swap_remove_at(self, at: usize) -> T {
        let mut all = Vec::from(self);
        all.swap_remove(at)
    }
}

/// Every combination at every call of the last step, or one in so many.
fn all_states(workload: &Workload, tally: &mut Tally, flaws: &mut Flaws, skip: &mut SimRandom, one_in: u64) {
    let (run, outcome) = Run::whole(workload);
    if let Err(flaw) = outcome {
        return flaws.note(&flaw, || format!("{flaw}\n\n{}", described(workload)));
    }
    tally.workloads += 1;
    for (at, point) in run.points.iter().enumerate().filter(|(_, point)| point.step + 1 == workload.steps.len()) {
        tally.points += 1;
        let mut choices = AllChoices::new(MOST);
        loop {
            let state = point.crash.state.power_cut(&mut choices);
            if skip.one_in(one_in) {
                (tally.states, tally.exceeded) = (tally.states + 1, tally.exceeded + u64::from(choices.exceeded()));
                one(&run, workload, at, &choices, &state, tally, flaws);
            }
            if !choices.advance() {
                break;
            }
        }
    }
}

/// One combination at one point.
fn one(run: &Run, workload: &Workload, at: usize, choices: &AllChoices, state: &SimState, tally: &mut Tally, flaws: &mut Flaws) {
    let (point, random) = (&run.points[at], &mut SimRandom::new(at as u64));
    if let Err(flaw) = caught(|| check(state, at as u64, Expected::after_power_cut(point), &workload.options, random, 0, tally)) {
        let taken: String = choices.taken().iter().map(|&taken| if taken { '1' } else { '0' }).collect();
        let place = format!("the power failed at call {at} (a {}), {taken} are new", point.crash.kind.name());
        let replay = format!("MORAINE_CRASH_SMALL={}:{at}:{taken} cargo test -p moraine-core --test crash small", workload.seed);
        flaws.note(&flaw, || format!("{place}: {flaw}\n\n{}\nAgain: {replay}\n", described(workload)));
    }
}

/// Carries one state out again.
fn replayed(replay: &str, flaws: &mut Flaws) {
    let parts: Vec<&str> = replay.split(':').collect();
    let number = |text: &str| text.parse::<usize>().expect("workload:point:combination");
    let workload = &workloads(3)[number(parts[0])];
    let (run, outcome) = Run::whole(workload);
    if let Err(flaw) = outcome {
        flaws.note(&flaw, || format!("{flaw}\n\n{}", described(workload)));
    }
    let at = number(parts[1]);
    let mut choices = AllChoices::combination(parts[2].chars().map(|taken| taken == '1').collect(), MOST);
    let state = run.points[at].crash.state.power_cut(&mut choices);
    one(&run, workload, at, &choices, &state, &mut Tally::default(), flaws);
}

#[test]
fn every_state_of_every_small_workload_is_recovered() {
    let states = number("MORAINE_CRASH_STATES").unwrap_or(10_000);
    let longest = number("MORAINE_CRASH_MINUTES").map_or(Duration::MAX, |minutes| Duration::from_secs(60 * minutes));
    let started = Instant::now();
    let (mut tally, mut flaws) = (Tally::default(), Flaws::default());
    if let Ok(replay) = std::env::var("MORAINE_CRASH_SMALL") {
        replayed(&replay, &mut flaws);
        return flaws.report();
    }
    let all = workloads(3);
    // One state of so many where there are to be fewer than all: some of some workloads.
    let one_in = (ALL / states.max(1)).max(1);
    let of_workloads = one_in.isqrt();
    let seed = number("MORAINE_CRASH_SEED").unwrap_or(1);
    let (next, tried) = (AtomicUsize::new(0), AtomicU64::new(0));
    let is_enough = || tried.load(Ordering::Relaxed) >= states || started.elapsed() >= longest;
    for (one_tally, one_flaws) in on_all_cores(|tally, flaws| {
        while let Some(workload) = all.get(next.fetch_add(1, Ordering::Relaxed)).filter(|_| !is_enough()) {
            let skip = &mut SimRandom::new(identity(&[seed, workload.seed]));
            if skip.one_in(of_workloads) {
                let before = tally.states;
                all_states(workload, tally, flaws, skip, one_in.div_ceil(of_workloads));
                tried.fetch_add(tally.states - before, Ordering::Relaxed);
            }
        }
    }) {
        tally.add(&one_tally);
        flaws += one_flaws;
    }
    tally.print(started.elapsed());
    let part = if one_in == 1 && !is_enough() { "everything" } else { "a part" };
    println!("of {} workloads {}: {part}; {} states at calls with more undecided", all.len(), tally.workloads, tally.exceeded);
    flaws.report();
    assert!(tally.states >= states.min(500) || started.elapsed() >= longest, "only {} states", tally.states);
}

/// States that there are, about.
const ALL: u64 = 1_000_000;
