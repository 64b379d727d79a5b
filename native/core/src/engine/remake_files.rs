//! The files that a rebuild makes anew: how long they are, and taking them away.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::error::{Error, IoError};
use crate::format::index_file::parse_file_name as parse_index_name;
use crate::format::names::parse_file_name;
use crate::index;
use crate::limits::MAX_SEGMENT_BYTES;
use crate::queue::{BATCH_DIRECTORY, DIRECTORY};
use crate::storage::{Entry, EntryKind, Storage};

/// Names of the directories in one.
fn directories<S: Storage>(storage: &S, dir: &str) -> Result<Vec<String>, IoError> {
    let entries = storage.list(dir)?.unwrap_or_default().into_iter();
    Ok(entries.filter(|entry| entry.kind == EntryKind::Directory).map(|entry| entry.name).collect())
}

/// Gives each queue's directory below `root`, and its files in order, to `each`.
fn each_queue<S: Storage>(storage: &S, root: &str, mut each: impl FnMut(&str, &[Entry]) -> Result<(), Error>) -> Result<(), Error> {
    for topic in directories(storage, root)? {
        for name in directories(storage, &format!("{root}/{topic}"))? {
            if name.parse::<i32>().is_ok_and(|id| id.to_string() == name) {
                let dir = format!("{root}/{topic}/{name}");
                let mut files = storage.list(&dir)?.unwrap_or_default();
                files.retain(|entry| entry.kind != EntryKind::Directory && parse_file_name(&entry.name).is_some());
                files.sort_unstable_by(|a, b| a.name.cmp(&b.name));
                each(&dir, &files)?;
            }
        }
    }
    Ok(())
}

/// The length that most queue files below `root` have; `None` without any that entries of `unit` bytes can have.
pub(super) fn usual_file_bytes<S: Storage>(storage: &S, root: &str, unit: u64) -> Result<Option<u64>, Error> {
    let mut counts = BTreeMap::<u64, u64>::new();
    each_queue(storage, root, |_, files| {
        for file in files.iter().filter(|file| file.len > 0 && file.len % unit == 0 && file.len <= MAX_SEGMENT_BYTES) {
            *counts.entry(file.len).or_default() += 1;
        }
        Ok(())
    })?;
    Ok(counts.into_iter().max_by_key(|&(len, count)| (count, len)).map(|(len, _)| len))
}

/// Removes the files of all queues below `root`, of each the newest first; their directories stay.
///
/// Where RocketMQ comes upon a queue whose first files are gone, it takes the others for all that there is to know and never
/// makes up for the first.
pub(super) fn remove_queue_files<S: Storage>(storage: &S, root: &str) -> Result<(), Error> {
    each_queue(storage, root, |dir, files| {
        files.iter().rev().try_for_each(|file| storage.remove(&format!("{dir}/{}", file.name)))?;
        if !files.is_empty() {
            storage.sync_dir(dir)?;
        }
        Ok(())
    })
}

/// Removes all index files.
pub(super) fn remove_index_files<S: Storage>(storage: &S) -> Result<(), Error> {
    let mut files = storage.list(index::DIRECTORY)?.unwrap_or_default();
    files.retain(|entry| entry.kind != EntryKind::Directory && parse_index_name(&entry.name).is_some());
    files.iter().try_for_each(|file| storage.remove(&format!("{}/{}", index::DIRECTORY, file.name)))?;
    if !files.is_empty() {
        storage.sync_dir(index::DIRECTORY)?;
    }
    Ok(())
}

/// Topics with batch queues: by configuration, and those that have directories of such queues and of no others.
pub(super) fn batch_topics<S: Storage>(storage: &S, configured: &BTreeSet<String>) -> Result<BTreeSet<String>, Error> {
    let simple: BTreeSet<String> = directories(storage, DIRECTORY)?.into_iter().collect();
    let mut topics = configured.clone();
    topics.extend(directories(storage, BATCH_DIRECTORY)?.into_iter().filter(|topic| !simple.contains(topic)));
    Ok(topics)
}
