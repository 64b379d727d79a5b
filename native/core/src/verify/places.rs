//! Which queues there are, by their directories.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::report::{Remedy, Report};
use crate::error::Error;
use crate::format::names;
use crate::limits::{BATCH_ENTRY_BYTES, MAX_SAFE_INTEGER, MAX_SEGMENT_BYTES, QUEUE_ENTRY_BYTES};
use crate::queue::{BATCH_DIRECTORY, DIRECTORY, EXT_DIRECTORY};
use crate::storage::{EntryKind, Storage};
use crate::topics::TopicTable;

/// A queue's directory and its files.
#[derive(Clone, Debug)]
pub(super) struct QueuePlace {
    pub topic: String,
    pub id: i32,
    pub dir: String,
    /// (start, length in bytes), by start.
    pub files: Vec<(u64, u64)>,
}

impl QueuePlace {
    pub fn path(&self, base: u64) -> String {
        format!("{}/{}", self.dir, names::file_name(base))
    }
}

#[derive(Debug, Default)]
pub(super) struct Places {
    pub simple: Vec<QueuePlace>,
    pub batch: Vec<QueuePlace>,
    /// Topics with batch queues, by configuration or directory.
    pub batch_topics: BTreeSet<String>,
    /// Topics with plain queues.
    pub simple_topics: BTreeSet<String>,
    /// Bytes of a queue file; 0 where there are none.
    pub file_bytes: u64,
    /// Bytes of an extension file; `None` in a store without any.
    pub ext_file_bytes: Option<u64>,
    /// The plain queues are a database of another kind.
    pub is_rocksdb: bool,
}

impl Places {
    pub(super) fn find<S: Storage>(storage: &S, clean: bool, report: &mut Report) -> Result<Self, Error> {
        let mut noticed = Vec::new();
        let topics = match TopicTable::load(storage, &mut noticed) {
            Ok(topics) => topics,
            Err(error) => {
                report.unreadable(crate::topics::TOPICS_PATH, &error, Remedy::Config);
                TopicTable::default()
            }
        };
        noticed.into_iter().for_each(|finding| report.noticed(finding, clean));
        let root = storage.list(DIRECTORY)?.unwrap_or_default();
        let is_rocksdb = root.iter().any(|entry| entry.kind == EntryKind::File && entry.name == "CURRENT");
        if is_rocksdb {
            report.push("unsupported", DIRECTORY, 0, 0, Remedy::None, || {
                String::from("the consume queues are a RocksDB database (storeType=defaultRocksDB), which is not looked into")
            });
        }
        let simple = if is_rocksdb { Vec::new() } else { queues(storage, DIRECTORY, report)? };
        let batch = queues(storage, BATCH_DIRECTORY, report)?;
        let ext = queues(storage, EXT_DIRECTORY, report)?;
        let has_ext = storage.list(EXT_DIRECTORY)?.is_some();
        let mut batch_topics = topics.kinds.batch;
        let simple_topics: BTreeSet<String> = simple.iter().map(|place| place.topic.clone()).collect();
        batch_topics.extend(batch.iter().map(|place| place.topic.clone()).filter(|topic| !simple_topics.contains(topic)));
        let file_bytes = file_bytes_of(&simple, QUEUE_ENTRY_BYTES);
        let batch_file_bytes = file_bytes_of(&batch, BATCH_ENTRY_BYTES);
        check_sizes(&simple, file_bytes, clean, report);
        check_sizes(&batch, batch_file_bytes, clean, report);
        for (place, &(base, len)) in ext.iter().flat_map(|place| place.files.iter().map(move |file| (place, file))) {
            if len > MAX_SEGMENT_BYTES {
                report.push("queue-file", &place.path(base), 0, 0, Remedy::RebuildQueues, || {
                    format!("{len} bytes are no size for extension files, at most {MAX_SEGMENT_BYTES} are; no store with it is opened")
                });
            }
        }
        let ext_file_bytes = has_ext.then(|| file_bytes_of(&ext, 1));
        Ok(Self { simple, batch, batch_topics, simple_topics, file_bytes, ext_file_bytes, is_rocksdb })
    }
}

/// The size that most files have; 0 where none can be one.
fn file_bytes_of(places: &[QueuePlace], unit: u64) -> u64 {
    let mut counts = alloc::collections::BTreeMap::<u64, u64>::new();
    for &(_, len) in places.iter().flat_map(|place| &place.files) {
        if len > 0 && len % unit == 0 && len <= MAX_SEGMENT_BYTES {
            *counts.entry(len).or_default() += 1;
        }
    }
    counts.into_iter().max_by_key(|&(len, count)| (count, len)).map_or(0, |(len, _)| len)
}

fn check_sizes(places: &[QueuePlace], file_bytes: u64, clean: bool, report: &mut Report) {
    for place in places {
        for (n, &(base, len)) in place.files.iter().enumerate() {
            let is_last = n + 1 == place.files.len();
            let fits = file_bytes > 0 && base % file_bytes == 0 && (len == file_bytes || (is_last && len < file_bytes && !clean));
            if !fits {
                report.push("queue-file", &place.path(base), 0, 0, Remedy::RebuildQueues, || {
                    format!("{len} bytes do not fit queue files of {file_bytes}; RocketMQ does not start with it")
                });
            }
        }
        for pair in place.files.windows(2) {
            let next = pair[0].0 + file_bytes;
            if pair[1].0 > next {
                report.push("queue-gap", &place.path(next), 0, pair[1].0 - next, Remedy::RebuildQueues, || {
                    String::from("is missing: the messages that it led to are not shown")
                });
            }
        }
    }
}

/// The queues below a directory. What RocketMQ does not start with is reported.
fn queues<S: Storage>(storage: &S, directory: &str, report: &mut Report) -> Result<Vec<QueuePlace>, Error> {
    let mut found = Vec::new();
    for topic in directories(storage, directory)? {
        for name in directories(storage, &format!("{directory}/{topic}"))? {
            let Some(id) = name.parse::<i32>().ok().filter(|id| id.to_string() == name) else {
                continue; // RocketMQ too takes only directories whose name is a number for queues
            };
            let dir = format!("{directory}/{topic}/{name}");
            let mut files = Vec::new();
            for entry in storage.list(&dir)?.unwrap_or_default() {
                match names::parse_file_name(&entry.name) {
                    Some(base) if entry.kind == EntryKind::File && base <= MAX_SAFE_INTEGER => files.push((base, entry.len)),
                    _ => report.push("stray-file", &format!("{dir}/{}", entry.name), 0, entry.len, Remedy::ByHand, || {
                        String::from("is no queue file; RocketMQ does not start while it lies there")
                    }),
                }
            }
            files.sort_unstable();
            found.push(QueuePlace { topic: topic.clone(), id, dir, files });
        }
    }
    Ok(found)
}

fn directories<S: Storage>(storage: &S, dir: &str) -> Result<Vec<String>, Error> {
    let entries = storage.list(dir)?.unwrap_or_default().into_iter();
    let mut names: Vec<String> = entries.filter(|entry| entry.kind == EntryKind::Directory).map(|entry| entry.name).collect();
    names.sort_unstable();
    Ok(names)
}
