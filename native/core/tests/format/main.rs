//! The bytes of the store's files: against vectors that Apache RocketMQ's own classes made, and against damage.

mod batch_entries;
mod blanks;
mod checkpoints;
mod crcs;
mod damaged_records;
mod ext_units;
mod hashes;
mod index_files;
mod messages;
mod names;
mod properties;
mod queue_entries;
mod records;
mod topic_tables;
mod vectors;
