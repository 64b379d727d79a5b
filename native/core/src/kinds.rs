//! Kinds of RocketMQ stores that this engine can read but not write (durability: recovery, last point).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::error::Error;
use crate::format::names;
use crate::limits::MAX_SEGMENT_BYTES;
use crate::log;
use crate::storage::{EntryKind, Storage};
use crate::topics::TopicKinds;

/// Segments from which a regular gap is taken for several log paths; one missing between fewer may be a loss.
const MIN_STRIPED_SEGMENTS: usize = 3;

/// What a writer would harm, each as a sentence; empty for a store that can be written. Of one that we were the last to write
/// (`is_ours`) the log lies in one directory: what is missing there a power cut took.
pub fn unsupported<S: Storage>(storage: &S, topics: &TopicKinds, is_ours: bool) -> Result<Vec<String>, Error> {
    let mut reasons = Vec::new();
    if let Some(topic) = topics.compaction.first() {
        reasons.push(format!("topic {topic} is a compaction topic (cleanup.policy=COMPACTION)"));
    } else if holds_directory(storage, "compaction/compactionLog")? {
        reasons.push(String::from("it has compaction topics (compaction/compactionLog)"));
    }
    if storage.list("consumequeue")?.unwrap_or_default().iter().any(|entry| entry.kind == EntryKind::File && entry.name == "CURRENT") {
        reasons.push(String::from("its consume queues are a RocksDB database (storeType=defaultRocksDB)"));
    }
    for entry in storage.list("")?.unwrap_or_default() {
        if entry.kind == EntryKind::Directory && entry.name.starts_with("dledger-") {
            reasons.push(format!("its log belongs to DLedger ({})", entry.name));
        }
    }
    if !is_ours && let Some(paths) = log_paths(storage)? {
        reasons.push(format!(
            "every {paths}. file of its log lies in {}, the others elsewhere: storePathCommitLog named {paths} directories",
            log::DIRECTORY
        ));
    }
    Ok(reasons)
}

fn holds_directory<S: Storage>(storage: &S, dir: &str) -> Result<bool, Error> {
    Ok(storage.list(dir)?.unwrap_or_default().iter().any(|entry| entry.kind == EntryKind::Directory))
}

/// Over how many directories a log was spread (store-format §1.3), as its files tell: the distance from one to the next is
/// the same number of files, and more than one. A file lost in the middle leaves another pattern.
fn log_paths<S: Storage>(storage: &S) -> Result<Option<u64>, Error> {
    let files = storage.list(log::DIRECTORY)?.unwrap_or_default();
    let mut files: Vec<(u64, u64)> = files
        .iter()
        .filter(|entry| entry.kind == EntryKind::File && (1..=MAX_SEGMENT_BYTES).contains(&entry.len))
        .filter_map(|entry| names::parse_file_name(&entry.name).map(|base| (base, entry.len)))
        .collect();
    files.sort_unstable();
    let Some(&(_, bytes)) = files.first() else { return Ok(None) };
    let stride = files.windows(2).map(|pair| pair[1].0 - pair[0].0).min().unwrap_or(0) / bytes;
    let even = files.windows(2).all(|pair| pair[1].0 - pair[0].0 == stride * bytes);
    Ok((files.len() >= MIN_STRIPED_SEGMENTS && stride > 1 && even).then_some(stride))
}
