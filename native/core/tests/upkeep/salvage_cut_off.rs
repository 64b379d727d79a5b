//! A salvage that is cut off at any call: the old store is as it was, and the new one is complete, or says that it is not.

use std::sync::Arc;

use moraine_core::engine::salvage::{self, NOTE_PATH};
use moraine_core::error::Code;
use moraine_core::memory::{MemoryClock, MemoryStorage};
use moraine_core::sim::{RandomChoices, SimClock, SimDisk, SimState};

use crate::kinds::*;
use crate::support::*;

/// What is tried of each call at which the power is cut.
const CHOICES: u64 = 3;

/// Salvages to a disk; what that held at each call, and at the end.
#[allow(clippy::arc_with_non_send_sync)] // one thread
fn states(from: &MemoryStorage, kind: &str) -> Vec<SimState> {
    let disk = SimDisk::new(3);
    disk.keep_versions();
    disk.record();
    let clock = SimClock::at(NOW);
    let mut to = salvage::begin(from, Arc::new(disk.clone()), clock, &options(kind), &mut Vec::new(), &mut |_| {}).unwrap();
    salvage::salvage(from, &mut to, &mut |_| {}).unwrap();
    salvage::end(to).unwrap();
    let mut states: Vec<SimState> = disk.take_points().into_iter().map(|point| point.state).collect();
    states.push(disk.state());
    states
}

fn in_memory(state: &SimState) -> MemoryStorage {
    let storage = MemoryStorage::default();
    state.paths().iter().for_each(|path| storage.place(path, &state.contents(path).unwrap()));
    storage
}

/// Whether what is there is complete; otherwise nobody opens it, or there is nothing yet.
fn is_complete(state: &SimState, kind: &str, expected: &[String], case: &str) -> bool {
    let storage = in_memory(state);
    if storage.paths().iter().all(|path| path == NOTE_PATH) && state.contents(NOTE_PATH).is_none() {
        return false;
    }
    match open(&storage, options(kind)) {
        Ok(store) => {
            assert_eq!(answers_of(&store), expected, "{case}");
            close(store);
            assert_eq!(faults(&storage, true), [], "{case}");
            true
        }
        Err(error) => {
            assert_eq!(error.code, Code::Corrupt, "{case}: {error}");
            assert!(error.message.contains("a salvage into this store was cut off"), "{case}: {error}");
            false
        }
    }
}

#[test]
fn cut_off_at_any_call_it_is_complete_or_says_that_it_is_not() {
    for kind in KINDS {
        let from = closed(kind);
        let before = from.snapshot();
        let states = states(&from, kind);
        assert_eq!(before.paths(), from.paths(), "{kind}: the old store is only read");
        before.paths().iter().for_each(|path| assert_eq!(before.contents(path), from.contents(path), "{kind}: {path} is only read"));
        let (last, rest) = states.split_last().unwrap();
        let expected = answers_of(&open(&in_memory(last), options(kind)).unwrap());
        for (at, state) in rest.iter().enumerate() {
            let is_noted = state.contents(NOTE_PATH).is_some();
            assert!(!(is_complete(state, kind, &expected, &format!("{kind}, dies at call {at}")) && is_noted));
            for choice in 0..CHOICES {
                let cut = state.power_cut(&mut RandomChoices::new(at as u64 * CHOICES + choice).with_short_files());
                is_complete(&cut, kind, &expected, &format!("{kind}, cut at call {at}, {choice}"));
            }
        }
        let all_new = last.power_cut(&mut RandomChoices::new(1).with_short_files());
        assert!(is_complete(&all_new, kind, &expected, kind));
    }
}

/// In the new store, not the old one, whose disk may be failing: what is there can be kept all the same.
#[test]
fn who_wants_what_there_is_deletes_the_note() {
    let from = closed("plain");
    let states = states(&from, "plain");
    let middle = in_memory(&states[states.len() / 2]);
    let clock = MemoryClock::at(NOW);
    assert_eq!(open_at(&middle, options("plain"), &clock).err().map(|error| error.code), Some(Code::Corrupt));
    middle.remove_tree(NOTE_PATH);
    let store = open_at(&middle, options("plain"), &clock).unwrap();
    let bodies = get(&store, "T", 0, 0, 1000).unwrap().2;
    assert!(!bodies.is_empty() && bodies.len() <= 100);
    bodies.iter().enumerate().for_each(|(n, body)| assert_eq!(*body, format!("body {n}").repeat(1 + n % 5)));
}
