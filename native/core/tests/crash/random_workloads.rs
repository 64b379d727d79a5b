//! Crash states of random workloads.
//!
//! 100,000 states by default. MORAINE_CRASH_STATES sets how many, MORAINE_CRASH_MINUTES for how long at most,
//! MORAINE_CRASH_SEED the first workload, MORAINE_CRASH_CORES how many threads share the workloads.
//! MORAINE_CRASH_REPLAY=workload:point:choice carries one of them out again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::flaws::Flaws;
use super::rot::rot;
use super::run::Run;
use super::states::{Tally, cpu_seconds, death, power_cut};
use super::workload::Workload;

pub fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}; it must be a number")))
}

/// Power cuts tried at each point of a workload; the death of the process comes after them.
const CUTS: u64 = 12;
/// A crash, and a bit that turns over in what was safe.
const ROT: u64 = CUTS + 1;

pub fn described(workload: &Workload) -> String {
    let steps: String = workload.steps.iter().enumerate().map(|(number, step)| format!("  {number}: {step:?}\n")).collect();
    let options = &workload.options;
    format!(
        "Workload {} ({:?}, files of {} bytes, {} queue entries, {} index entries):\n{steps}",
        workload.seed, options.flush, options.segment_bytes, options.queue_file_entries, options.index_entries,
    )
}

fn command(variables: &str) -> String {
    format!("{variables} cargo test -p moraine-core --test crash random_workloads -- --nocapture")
}

/// One choice at one point.
fn one(run: &Run, workload: &Workload, at: usize, choice: u64, tally: &mut Tally, flaws: &mut Flaws) {
    let point = &run.points[at];
    let seed = (workload.seed << 24) ^ ((at as u64) << 8) ^ choice;
    let (what, outcome) = match choice {
        CUTS => ("the process died", death(&run.points, at, seed, &workload.options, tally)),
        ROT => ("it ended, and a bit turned over", rot(at, point, seed, &workload.options, tally)),
        _ => ("the power failed", power_cut(at, point, seed, &workload.options, tally)),
    };
    if let Err(flaw) = outcome {
        let replay = command(&format!("MORAINE_CRASH_REPLAY={}:{at}:{choice}", workload.seed));
        let place = format!("{what} at call {at} (a {}, step {})", point.crash.kind.name(), point.step);
        flaws.note(&flaw, || format!("{place}: {flaw}\n\n{}\nAgain: {replay}\n", described(workload)));
    }
}

fn carried_out(workload: &Workload, flaws: &mut Flaws) -> Run {
    let (run, outcome) = Run::whole(workload);
    if let Err(flaw) = outcome {
        let replay = command(&format!("MORAINE_CRASH_STATES=1 MORAINE_CRASH_SEED={}", workload.seed));
        flaws.note(&flaw, || format!("{flaw}\n\n{}\nAgain: {replay}\n", described(workload)));
    }
    run
}

/// Every choice at every point of a workload.
fn all_of(workload: &Workload, tally: &mut Tally, flaws: &mut Flaws) {
    let run = carried_out(workload, flaws);
    tally.seen.clear();
    (tally.workloads, tally.points) = (tally.workloads + 1, tally.points + run.points.len() as u64);
    for at in 0..run.points.len() {
        (0..=ROT).for_each(|choice| one(&run, workload, at, choice, tally, flaws));
    }
}

/// Lets each core work, and says what each has tried and found.
pub fn on_all_cores(work: impl Fn(&mut Tally, &mut Flaws) + Sync) -> Vec<(Tally, Flaws)> {
    let all = std::thread::available_parallelism().map_or(1, |cores| cores.get() as u64);
    let cores = number("MORAINE_CRASH_CORES").unwrap_or(all).max(1);
    let one = || {
        let (mut tally, mut flaws) = (Tally::default(), Flaws::default());
        work(&mut tally, &mut flaws);
        tally.cpu_seconds = cpu_seconds();
        (tally, flaws)
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(one)).collect();
        threads.into_iter().map(|thread| thread.join().expect("a thread that catches what panics")).collect()
    })
}

#[test]
fn whatever_a_crash_leaves_is_recovered() {
    let (mut tally, mut flaws) = (Tally::default(), Flaws::default());
    if let Ok(replay) = std::env::var("MORAINE_CRASH_REPLAY") {
        let parts: Vec<u64> = replay.split(':').map(|part| part.parse().expect("three numbers: workload:point:choice")).collect();
        let workload = Workload::random(parts[0]);
        let run = carried_out(&workload, &mut flaws);
        one(&run, &workload, parts[1] as usize, parts[2], &mut tally, &mut flaws);
        return flaws.report();
    }
    let states = number("MORAINE_CRASH_STATES").unwrap_or(100_000);
    let longest = number("MORAINE_CRASH_MINUTES").map_or(Duration::MAX, |minutes| Duration::from_secs(60 * minutes));
    let started = Instant::now();
    let (next, tried) = (AtomicU64::new(number("MORAINE_CRASH_SEED").unwrap_or(1)), AtomicU64::new(0));
    let is_enough = || tried.load(Ordering::Relaxed) >= states || started.elapsed() >= longest;
    for (one_tally, one_flaws) in on_all_cores(|tally, flaws| {
        while !is_enough() {
            let before = tally.states;
            all_of(&Workload::random(next.fetch_add(1, Ordering::Relaxed)), tally, flaws);
            tried.fetch_add(tally.states - before, Ordering::Relaxed);
        }
    }) {
        tally.add(&one_tally);
        flaws += one_flaws;
    }
    tally.print(started.elapsed());
    flaws.report();
    let resumed = "of 20 states not even one was opened from a queue checkpoint on";
    assert!(tally.resumed * 20 >= tally.states || states < 5_000, "{resumed}: {} of {}", tally.resumed, tally.states);
    assert!(tally.rotten > 0 || states < 5_000, "no rotten record");
    assert!(tally.deeper[1..].iter().all(|&crashes| crashes > 0) || states < 5_000, "no crash within recovery at some depth");
}
