//! Random workloads on a disk that fails at random: errors of all kinds, also for good, short writes, failed syncs, no room.
//! While it does, every answer is right or an error that says so; when it is well again everything acknowledged is there.
//!
//! 1,000 workloads by default, one for each 100 of MORAINE_CRASH_STATES. MORAINE_CRASH_MINUTES, MORAINE_CRASH_SEED and
//! MORAINE_CRASH_CORES as for random workloads. MORAINE_CRASH_FAULTS=workload carries one of them out again.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use moraine_core::error::IoKind;
use moraine_core::sim::{Affected, Failure, SimDisk, SimRandom};

use super::faulted::Faulted;
use super::flaws::Flaws;
use super::nth_call::KINDS;
use super::random_workloads::{described, number, on_all_cores};
use super::run::empty_disk;
use super::states::{Tally, caught};
use super::workload::{Step, Workload};

/// All but `NotFound`: a queue file that is said not to be there is a hole in its queue.
const KINDS_OF_FAULTS: &[IoKind] = KINDS.split_at(KINDS.len() - 1).0;

/// Lets calls fail as a number says; returns it as a sentence.
fn make_faulty(disk: &SimDisk, kind: IoKind, random: &mut SimRandom) -> String {
    let affected = *random.pick(&[Affected::All, Affected::Reads, Affected::Writes, Affected::Syncs]);
    match random.below(3) {
        0 => {
            let one_in = *random.pick(&[10, 40, 150, 400]);
            disk.fail_at_random(Some((one_in, affected, kind)));
            format!("of {one_in} calls ({affected:?}) one fails with {kind:?}")
        }
        1 => {
            let pages = random.below(60);
            disk.set_room(Some(pages));
            format!("there is room for {pages} pages")
        }
        _ => {
            let failure = Failure { call: random.below(400), always: random.one_in(2), kind, affected };
            disk.fail(Some(failure));
            format!("{failure:?}")
        }
    }
}

fn one(seed: u64, flaws: &mut Flaws) {
    let random = &mut SimRandom::new(seed ^ 0xFA17);
    let mut workload = Workload::random(seed);
    workload.steps.retain(|step| !matches!(step, Step::Clock(_)));
    let disk = empty_disk(seed);
    let kind = *random.pick(KINDS_OF_FAULTS);
    let fault = make_faulty(&disk, kind, random);
    let outcome = caught(|| {
        let mut faulted = Faulted::new(&workload, disk, kind, true);
        faulted.carry_out()?;
        faulted.finish(random.next_u64())
    });
    if let Err(flaw) = outcome {
        let replay = format!("MORAINE_CRASH_FAULTS={seed} cargo test -p moraine-core --test crash faults");
        flaws.note(&flaw, || format!("{fault}: {flaw}\n\n{}\nAgain: {replay}\n", described(&workload)));
    }
}

#[test]
fn whatever_fails_at_random_every_answer_is_right_or_an_error() {
    let mut flaws = Flaws::default();
    if let Some(seed) = number("MORAINE_CRASH_FAULTS") {
        one(seed, &mut flaws);
        return flaws.report();
    }
    let most = number("MORAINE_CRASH_STATES").map_or(1_000, |states| states.div_ceil(100));
    let longest = number("MORAINE_CRASH_MINUTES").map_or(Duration::MAX, |minutes| Duration::from_secs(6 * minutes));
    let (started, first) = (Instant::now(), number("MORAINE_CRASH_SEED").unwrap_or(1));
    let next = AtomicU64::new(0);
    let run = |tally: &mut Tally, flaws: &mut Flaws| {
        while started.elapsed() < longest {
            let nth = next.fetch_add(1, Ordering::Relaxed);
            if nth >= most {
                break;
            }
            one(first + nth, flaws);
            tally.workloads += 1;
        }
    };
    let mut tally = Tally::default();
    for (one_tally, one_flaws) in on_all_cores(run) {
        tally.add(&one_tally);
        flaws += one_flaws;
    }
    println!("{} workloads on a disk that fails at random", tally.workloads);
    flaws.report();
    assert!(tally.workloads >= most.min(100), "only {} workloads", tally.workloads);
}
