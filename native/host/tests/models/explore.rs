//! How many interleavings are tried, and which.

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::{Duration, Instant};

use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::{Config, FailurePersistence, Runner};

/// Interleavings of each model where nobody says otherwise.
const SCHEDULES: u64 = 1000;
/// Changes of priority in an interleaving of the kind that finds what needs few, but certain ones.
const DEPTH: usize = 3;
/// The engine's own calls go deeper than those of a small model.
const STACK_BYTES: usize = 1 << 20;

thread_local! {
    /// The seed of the interleaving that this test is trying.
    static SEED: Cell<u64> = const { Cell::new(0) };
}

pub fn seed() -> u64 {
    SEED.get()
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} must be a number, not {text:?}")))
}

/// Tries a model: so many interleavings, or as many as there is time for.
pub fn explore(name: &str, model: impl Fn() + Send + Sync + Clone + 'static) {
    let first = number("MORAINE_MODELS_SEED").unwrap_or(1);
    let began = Instant::now();
    let goes_on = |tried| match number("MORAINE_MODELS_MINUTES") {
        Some(minutes) => began.elapsed() < Duration::from_secs(60 * minutes),
        None => tried < number("MORAINE_MODELS_SCHEDULES").unwrap_or(SCHEDULES),
    };
    let mut tried = 0;
    while goes_on(tried) {
        let seed = first + tried;
        SEED.set(seed);
        if let Err(flaw) = catch_unwind(AssertUnwindSafe(|| try_one(seed, model.clone()))) {
            eprintln!("model {name}, seed {seed}; again: MORAINE_MODELS_SEED={seed} MORAINE_MODELS_SCHEDULES=1");
            resume_unwind(flaw);
        }
        tried += 1;
    }
    println!("{name}: {tried} interleavings");
}

fn try_one(seed: u64, model: impl Fn() + Send + Sync + 'static) {
    match seed % 2 {
        0 => run(RandomScheduler::new_from_seed(seed, 1), model),
        _ => run(PctScheduler::new_from_seed(seed, DEPTH, 1), model),
    }
}

fn run(scheduler: impl Scheduler + 'static, model: impl Fn() + Send + Sync + 'static) {
    let mut config = Config::new();
    config.stack_size = STACK_BYTES;
    config.failure_persistence = FailurePersistence::None; // the seed says it all
    Runner::new(scheduler, config).run(model);
}
