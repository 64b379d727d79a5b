//! The N-th call fails, for N = 1, 2, 3 … until a workload passes untouched: once or from then on, with every kind of error.
//! MORAINE_CRASH_CALL=workload:kind:always:call carries one such run out again.
//! Nothing may panic, what fails says so by its code, and what is found afterwards is what was promised.

use moraine_core::error::IoKind;
use moraine_core::options::FlushMode;
use moraine_core::sim::{Affected, Failure, SimRandom};

use super::faulted::Faulted;
use super::flaws::Flaws;
use super::random_workloads::{described, number};
use super::run::empty_disk;
use super::states::caught;
use super::verify::Outcome;
use super::workload::{Draft, Step, Workload};

pub const KINDS: [IoKind; 7] =
    [IoKind::Other, IoKind::Full, IoKind::Busy, IoKind::Denied, IoKind::Exists, IoKind::WrongType, IoKind::NotFound];

/// Carries a workload out with a failure; says how many calls failed.
fn with_failure(workload: &Workload, failure: Failure) -> (Outcome, u64) {
    let disk = empty_disk(workload.seed);
    disk.fail(Some(failure));
    let mut failed = 0;
    let outcome = caught(|| {
        let mut faulted = Faulted::new(workload, disk, failure.kind, false);
        // What goes on after a failure may make good what was lost with it: with one kind of error nothing does.
        faulted.ends_early = failure.kind == IoKind::Denied;
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
        workload.steps.insert(workload.steps.len() * 2 / 3, Step::Truncate(u64::MAX / 2));
        let rebuild = Step::Rebuild { closed: true, queues: true, index: true };
        // Several in one write: of one that fails, whole records may be on the disk.
        let together = (0..6).map(|number| Draft { number: (1 << 20) + number, ..Draft::default() }).collect();
        workload.steps.extend([Step::Delete(1), Step::Expire(0), rebuild, Step::Group(together)]);
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
