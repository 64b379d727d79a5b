//! Syncs that JavaScript carries out without waiting: a plan runs as usual, and from its first sync on what it does is
//! noted down instead, in order. JavaScript does it, and tells what came of it.
//!
//! A step: kind (u32), root (u32), number (f64), bytes of the path and of the rest (u32 each), path, rest. The number is a
//! handle, a position or a size; the rest what is written, or a name.

use std::cell::RefCell;

/// Kinds of steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum Step {
    Sync = 0,
    SyncFile = 1,
    SyncDirectory = 2,
    SyncAll = 3,
    Write = 4,
    Create = 5,
    MakeDirectory = 6,
    Remove = 7,
    Rename = 8,
}

enum Mode {
    /// Everything is done at once.
    Off,
    /// A sync begins to note.
    Armed,
    Noting(Vec<u8>),
}

thread_local! {
    static MODE: RefCell<Mode> = const { RefCell::new(Mode::Off) };
}

impl Step {
    fn is_sync(self) -> bool {
        matches!(self, Step::Sync | Step::SyncFile | Step::SyncDirectory | Step::SyncAll)
    }
}

/// Runs `plan`; returns what it returns, and the steps that are left to JavaScript, if any.
pub fn run<R>(plan: impl FnOnce() -> R) -> (R, Option<Vec<u8>>) {
    MODE.set(Mode::Armed);
    let result = plan();
    let steps = match MODE.replace(Mode::Off) {
        Mode::Noting(steps) => Some(steps),
        Mode::Off | Mode::Armed => None,
    };
    (result, steps)
}

/// Notes a step down; false where it is to be done at once.
pub fn note(step: Step, root: u32, number: f64, path: &str, rest: &[u8]) -> bool {
    MODE.with_borrow_mut(|mode| {
        if matches!(mode, Mode::Armed) && step.is_sync() {
            *mode = Mode::Noting(Vec::new());
        }
        let Mode::Noting(steps) = mode else { return false };
        steps.extend((step as u32).to_le_bytes());
        steps.extend(root.to_le_bytes());
        steps.extend(number.to_le_bytes());
        steps.extend((path.len() as u32).to_le_bytes());
        steps.extend((rest.len() as u32).to_le_bytes());
        steps.extend(path.as_bytes());
        steps.extend(rest);
        true
    })
}
