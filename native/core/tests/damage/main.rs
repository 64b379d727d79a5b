//! Damaged stores: every bit flipped, every file cut to every length, blocks swapped. Whatever the damage, an open ends with
//! right answers, or with a sentence; one bit costs one message at most, and verifying names what is hidden.
//!
//! By default a part of all cases is tried, another one with each MORAINE_DAMAGE_PHASE; MORAINE_DAMAGE=all tries all of
//! them, zeros of unused space included.

#[path = "../support/faulty.rs"]
#[allow(dead_code)]
mod faulty;
#[path = "../crash/flaws.rs"]
mod flaws;
#[path = "../support/mod.rs"]
mod support;

mod bits;
mod blocks;
mod cases;
mod image;
mod judge;
mod lengths;
mod look;
mod model;
