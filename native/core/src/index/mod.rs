//! The key index: RocketMQ's hash index over several files (store-format §4).
//!
//! The newest file's slots live in memory and its entries are appended behind; sealed files are read in place.

pub mod active;
mod cut;
pub mod files;
pub mod lookup;
pub mod put;

/// Directory of the index files, relative to the store.
pub const DIRECTORY: &str = "index";
