//! The bytes of Apache RocketMQ's store files, one structure a module: pure functions, no I/O.
//!
//! Every integer in every file is big-endian, two's complement. Whatever is read is taken for hostile: a length counts
//! only once it is proven to fit, and nothing here panics on bytes from a disk. § is a chapter of the format
//! specification (store-format).

pub mod batch_entry;
pub(crate) mod big_endian;
pub mod blank;
pub mod bloom;
pub mod checkpoint;
pub mod crc;
pub mod ext_unit;
mod flaw;
pub mod hash;
pub mod index_file;
pub mod json;
pub mod kept;
pub mod light_queues;
pub(crate) mod marks;
pub mod names;
mod new_record;
pub mod properties;
pub mod queue_entry;
pub mod queue_table;
pub mod rebuild_note;
pub mod record;
pub(crate) mod record_crc;
pub mod seal;
pub mod watermark;
