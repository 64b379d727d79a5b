//! Which cases are tried, and what is told of those that fail.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::flaws::Flaws;
use crate::image::Ending;
use crate::judge::{Outcome, caught};

/// One case may take so long.
const PATIENCE: Duration = Duration::from_secs(30);

/// Cases are numbered; a part of them is tried.
pub struct Cases {
    name: &'static str,
    ending: Ending,
    /// One of so many.
    stride: u64,
    phase: u64,
    replay: Option<u64>,
    number: u64,
    tried: u64,
    flaws: Flaws,
    started: Instant,
    current: Arc<Mutex<Option<(Instant, u64)>>>,
}

fn variable(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is {text:?}; it must be a number")))
}

/// Whether every case is tried.
pub fn is_whole() -> bool {
    std::env::var("MORAINE_DAMAGE").is_ok_and(|what| what == "all")
}

impl Cases {
    /// One case of `stride` is tried, or all of them.
    pub fn new(name: &'static str, ending: Ending, stride: u64) -> Self {
        let stride = if is_whole() { 1 } else { stride };
        let current: Arc<Mutex<Option<(Instant, u64)>>> = Arc::default();
        let (watched, title) = (Arc::downgrade(&current), format!("{name} {ending:?}"));
        std::thread::spawn(move || {
            while let Some(current) = watched.upgrade() {
                let overdue = current.lock().unwrap().filter(|(since, _)| since.elapsed() > PATIENCE);
                if let Some((_, number)) = overdue {
                    eprintln!("{title}: case {number} does not come to an end");
                    std::process::abort();
                }
                drop(current);
                std::thread::sleep(Duration::from_millis(200));
            }
        });
        let phase = variable("MORAINE_DAMAGE_PHASE").unwrap_or(0) % stride;
        let replay = variable("MORAINE_DAMAGE_CASE");
        Self { name, ending, stride, phase, replay, number: 0, tried: 0, flaws: Flaws::default(), started: Instant::now(), current }
    }

    /// The next case is tried, if it is its turn; `rare` times as seldom as others.
    pub fn weighed(&mut self, rare: u64, what: impl FnOnce() -> String, outcome: impl FnOnce() -> Outcome) {
        let number = self.number;
        self.number += 1;
        let rare = if is_whole() { 1 } else { rare };
        let is_due = self.replay.map_or(number % (self.stride * rare) == self.phase, |replay| replay == number);
        if !is_due {
            return;
        }
        self.tried += 1;
        *self.current.lock().unwrap() = Some((Instant::now(), number));
        let found = caught(outcome);
        *self.current.lock().unwrap() = None;
        if let Err(flaw) = found {
            let again = format!("MORAINE_DAMAGE_CASE={number} cargo test -p moraine-core --test damage {} -- --nocapture", self.name);
            let ending = self.ending;
            self.flaws.note(&flaw, || format!("{ending:?}: {}: {flaw}\nAgain: {again}\n", what()));
        }
    }

    pub fn end(self, least: u64) {
        let seconds = self.started.elapsed().as_secs_f64();
        println!("{} {:?}: {} of {} cases in {seconds:.1} s", self.name, self.ending, self.tried, self.number);
        self.flaws.report();
        assert!(self.tried >= least || self.replay.is_some(), "only {} of {} cases were tried", self.tried, self.number);
    }
}
