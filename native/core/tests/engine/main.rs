//! The engine over storage in memory: what a caller asks, and what is found when a store is opened again.

#[path = "../support/faulty.rs"]
mod faulty;
#[path = "../support/mod.rs"]
mod support;
#[path = "../format/vectors.rs"]
#[allow(dead_code)]
mod vectors;

mod after_failures;
mod appended;
mod batch;
mod batch_files;
mod by_time;
mod carried_crc;
mod checkpointing;
mod columns;
mod delay_levels;
mod delete_topic;
mod ext;
mod ext_power_cut;
mod full_disk;
mod groups;
mod half_done;
mod hostile;
mod index_chains;
mod index_rolls;
mod interleaved;
mod kept;
mod left_entries;
mod light_queues;
mod lookup;
mod lost_queue_files;
mod many_queues;
mod power_cut;
mod put_get;
mod reads;
mod reopen;
mod replicate;
mod replicate_kinds;
mod resumed;
mod retention;
mod rolls;
mod sidecar;
mod sidecar_batches;
mod taken_back;
mod topic_kinds;
mod truncate;
mod watch;
