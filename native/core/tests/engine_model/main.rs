//! Random sequences of operations on a store and on plain vectors: whatever happens in between, both answer the same.
//!
//! 500 sequences by default. `npm run model` sets how many (MORAINE_MODEL_SEQUENCES), for how long at most
//! (MORAINE_MODEL_MINUTES) and from which seed (MORAINE_MODEL_SEED).

#[path = "../support/faulty.rs"]
mod faulty;
mod model;
mod operations;
mod questions;
mod run;
mod sequence;
#[path = "../support/mod.rs"]
mod support;

use std::time::{Duration, Instant};

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};

use run::{Counts, run};
use sequence::Sequences;

/// Everything that a run must have done at least once to be worth its time.
const MUST_HAPPEN: [&str; 50] = [
    "put",
    "put batch",
    "put group",
    "group with what no group takes",
    "group too large for a file",
    "put of a wrong message",
    "put on a full disk",
    "put into a poisoned store",
    "put of a topic too long for 4.9",
    "get",
    "get by tags",
    "entries",
    "offsets",
    "offset by time, lower",
    "offset by time, upper",
    "time of",
    "look-up",
    "scan",
    "at",
    "topics and queues",
    "positions",
    "stats",
    "health",
    "flush planned",
    "flush finished",
    "flush",
    "write-behind planned",
    "write-behind in part",
    "write-behind whole",
    "write-behind finished",
    "write-behind put off",
    "write-behind of everything",
    "clock back",
    "clock forward",
    "close and open",
    "crash of a synchronous store",
    "crash of an asynchronous store",
    "crash with a torn log",
    "queues lost",
    "index lost",
    "checkpoint lost",
    "batch queues lost",
    "read-only open",
    "poisoned",
    "rolls of the log",
    "full queue files",
    "full index files",
    "operations",
    "sequences",
    "idle",
];

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}; it must be a number")))
}

/// Draws the sequence of a seed and carries it out; the panic shows the shortest sequence found that fails.
fn run_seed(seed: u64, counts: &mut Counts) {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { cases: 1, failure_persistence: None, max_shrink_iters: 20_000, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let counted = std::cell::RefCell::new(std::mem::take(counts));
    let outcome = runner.run(&Sequences(operations::any_operation()), |operations| {
        let counts = &mut *counted.borrow_mut();
        *counts.entry("sequences").or_default() += 1;
        *counts.entry("operations").or_default() += operations.len() as u64;
        run(&operations, counts).map_err(TestCaseError::fail)
    });
    *counts = counted.into_inner();
    if let Err(TestError::Fail(reason, operations)) = outcome {
        let lines: String = operations.iter().map(|operation| format!("  {operation:?}\n")).collect();
        panic!("{reason}\n\nThe sequence, shrunk:\n{lines}\nAgain: npm run model -- --rust --sequences 1 --seed {seed}\n");
    }
}

#[test]
fn a_store_answers_like_plain_vectors() {
    let sequences = number("MORAINE_MODEL_SEQUENCES").unwrap_or(500);
    let first = number("MORAINE_MODEL_SEED").unwrap_or(1);
    let started = Instant::now();
    let longest = number("MORAINE_MODEL_MINUTES").map_or(Duration::MAX, |minutes| Duration::from_secs(60 * minutes));
    let mut counts = Counts::new();
    for seed in (first..).take(sequences as usize).take_while(|_| started.elapsed() < longest) {
        run_seed(seed, &mut counts);
    }
    counts.iter().for_each(|(name, count)| println!("{count:>10} {name}"));
    if sequences >= 500 {
        let never: Vec<_> = MUST_HAPPEN.iter().filter(|name| !counts.contains_key(*name)).collect();
        assert!(never.is_empty(), "never happened: {never:?}");
    }
}
