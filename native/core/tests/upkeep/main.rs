//! Looking after a store: verifying it, building its derived files again, saving what is left of it.

#[path = "../support/faulty.rs"]
#[allow(dead_code)]
mod faulty;
#[path = "../support/mod.rs"]
mod support;

mod disposable;
mod flips;
mod kinds;
mod rebuild;
mod salvage;
mod salvage_cut_off;
mod verify;
