//! The commit log: an ordered run of equally sized segments.

pub mod append;
mod carried_crc;
pub mod scan;
pub mod segments;
pub mod view;

/// Directory of the commit log, relative to the store.
pub const DIRECTORY: &str = "commitlog";
