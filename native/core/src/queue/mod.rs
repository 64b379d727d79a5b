//! Consume queues: per (topic, queue id) a dense run of entries that lead into the log.
//!
//! Entries wait in memory ([`tail`]) and go to RocketMQ's queue files behind ([`files`]).

pub mod files;
pub mod load;
pub mod lookup;
pub mod table;
pub mod tail;

/// Directory of the consume queues, relative to the store.
pub const DIRECTORY: &str = "consumequeue";
