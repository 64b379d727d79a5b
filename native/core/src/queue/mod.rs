//! Consume queues: per (topic, queue id) a dense run of entries that lead into the log.
//!
//! Entries wait in memory ([`tail`]) and go to RocketMQ's queue files behind ([`files`]).

pub mod batch;
pub mod batch_files;
pub mod batch_load;
pub mod batch_lookup;
pub mod ext;
pub mod extent;
pub mod files;
pub mod load;
pub mod lookup;
pub(crate) mod partition;
pub mod table;
pub mod tail;
pub mod topics;

/// Directory of the consume queues, relative to the store.
pub const DIRECTORY: &str = "consumequeue";

/// Directory of the batch consume queues.
pub const BATCH_DIRECTORY: &str = "batchconsumequeue";

/// Directory of the extension files.
pub const EXT_DIRECTORY: &str = "consumequeue_ext";
