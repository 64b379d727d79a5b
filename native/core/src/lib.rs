//! The engine: RocketMQ's message store format and everything that decides what is written where.
//!
//! Four rings, from the inside; an inner one never imports an outer one:
//! `format` (bytes of one thing, pure functions) → `log`, `queue`, `index` (sets of files) → `dispatch`, `recovery` →
//! `engine` → `verify`. The world is reached through [`storage`] only; this crate starts no thread, reads no clock, contains no
//! unsafe code.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod batch;
pub mod batch_dispatch;
pub mod columns;
pub mod crossing;
pub mod dispatch;
pub mod engine;
pub mod error;
pub mod filter;
pub mod format;
pub mod index;
pub mod kinds;
pub mod limits;
pub mod log;
pub mod memory;
pub mod options;
pub mod queue;
pub mod recovery;
#[cfg(feature = "sim")]
pub mod sim;
pub mod stats;
pub mod storage;
pub mod topics;
pub mod verify;
pub mod writes;
