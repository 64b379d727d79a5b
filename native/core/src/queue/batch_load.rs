//! Loading batch queues from their directories: which there are, and how far the files of each go (store-format §3.7, §5.3).

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::batch::{BatchIndex, BatchTable};
use super::batch_files::BatchFiles;
use super::files::{list, missing_files, refuse_far_files, repair_last};
use super::load::{Trust, directories};
use super::table::QueueTable;
use super::{BATCH_DIRECTORY, DIRECTORY};
use crate::error::{Error, Finding};
use crate::format::batch_entry::BatchEntry;
use crate::format::names;
use crate::limits::{BATCH_ENTRY_BYTES, MAX_SEGMENT_BYTES};
use crate::storage::Storage;

/// What a batch queue's files held when they were loaded.
#[derive(Clone, Copy, Debug)]
pub struct LoadedBatchQueue {
    pub place: BatchIndex,
    /// Its newest entry.
    pub last: Option<BatchEntry>,
}

impl BatchFiles {
    /// Loads all queues below `batchconsumequeue/` into the table, beside the topics that `configured` says have such
    /// queues. The file size found wins over `file_entries`.
    ///
    /// RocketMQ does not start when a topic has queues of both kinds, or of the kind that its configuration does not
    /// name: both are reported, and the configuration decides which of them answer.
    pub fn load<S: Storage>(
        storage: &S,
        file_entries: u32,
        (trust, repair): (Trust, bool),
        configured: &BTreeSet<String>,
        simple: &QueueTable,
        table: &mut BatchTable,
        findings: &mut Vec<Finding>,
    ) -> Result<(Self, Vec<LoadedBatchQueue>), Error> {
        for topic in configured {
            table.add_topic(topic.as_bytes());
        }
        let mut found = Vec::new();
        for topic in directories(storage, BATCH_DIRECTORY)? {
            let topic_dir = format!("{BATCH_DIRECTORY}/{}", topic.name);
            let mixed = simple.topic(topic.name.as_bytes()).is_some();
            for queue in directories(storage, &topic_dir)? {
                let dir = format!("{topic_dir}/{}", queue.name);
                let Some(id) = queue.name.parse::<i32>().ok().filter(|id| id.to_string() == queue.name) else {
                    continue; // RocketMQ too takes only directories whose name is a number for queues
                };
                let files = list(storage, &dir, findings)?;
                if !files.is_empty() && (!mixed || configured.contains(&topic.name)) {
                    found.push((topic.name.clone(), id, dir, files));
                }
            }
            if mixed && !configured.contains(&topic.name) {
                report_mixed(&topic.name, table, findings);
            }
        }
        for topic in configured {
            if simple.topic(topic.as_bytes()).is_some() {
                report_mixed(topic, table, findings);
            }
        }
        let bytes = found.iter().find_map(|(_, _, _, files)| files.iter().map(|&(_, len)| len).find(|&len| len > 0));
        let files = match bytes {
            Some(bytes) if bytes % BATCH_ENTRY_BYTES == 0 && bytes <= MAX_SEGMENT_BYTES => Self { file_entries: bytes / BATCH_ENTRY_BYTES },
            Some(bytes) => {
                let reason = format!(
                    "{bytes} bytes are no size for batch queue files: want a multiple of {BATCH_ENTRY_BYTES}, at most {MAX_SEGMENT_BYTES}"
                );
                return Err(Error::corrupt(BATCH_DIRECTORY, 0, &reason));
            }
            None => Self { file_entries: u64::from(file_entries) },
        };
        let mut loaded = Vec::with_capacity(found.len());
        for (topic, id, dir, mut list) in found {
            if repair {
                repair_last(storage, &dir, &mut list, files.file_bytes())?;
            }
            if list.is_empty() {
                continue;
            }
            refuse_far_files(&dir, &list, BATCH_ENTRY_BYTES)?;
            findings.extend(missing_files(&dir, &list, files.file_bytes()));
            let (first, held, last) = files.bounds(storage, &dir, &list, trust)?;
            let place = table.find_or_add(topic.as_bytes(), id);
            table.queue_mut(place).set_held(first, held, last.map_or(0, |last| last.next()));
            loaded.push(LoadedBatchQueue { place, last });
        }
        Ok((files, loaded))
    }

    /// First position, the one behind the last entry, and that entry.
    fn bounds<S: Storage>(
        &self,
        storage: &S,
        dir: &str,
        files: &[(u64, u64)],
        trust: Trust,
    ) -> Result<(u64, u64, Option<BatchEntry>), Error> {
        for (i, &(base, len)) in files.iter().enumerate() {
            if base % self.file_bytes() != 0 || len > self.file_bytes() || (len < self.file_bytes() && i + 1 != files.len()) {
                let reason = format!("{len} bytes at {base} do not fit batch queue files of {} bytes", self.file_bytes());
                return Err(Error::corrupt(&format!("{dir}/{}", names::file_name(base)), 0, &reason));
            }
        }
        let first = files[0].0 / BATCH_ENTRY_BYTES;
        for &(base, len) in files.iter().rev() {
            let path = format!("{dir}/{}", names::file_name(base));
            let count = match trust {
                Trust::Clean => bisect(storage, &path, len / BATCH_ENTRY_BYTES)?,
                Trust::Crashed => walk(storage, &path, len / BATCH_ENTRY_BYTES)?,
            };
            if count > 0 {
                return Ok((first, base / BATCH_ENTRY_BYTES + count, entry_in(storage, &path, count - 1)?));
            }
        }
        Ok((first, first, None))
    }
}

fn report_mixed(topic: &str, table: &mut BatchTable, findings: &mut Vec<Finding>) {
    if table.is_mixed(topic.as_bytes()) {
        return;
    }
    table.mark_mixed(topic.as_bytes());
    let kept = if table.holds(topic.as_bytes()) { BATCH_DIRECTORY } else { DIRECTORY };
    findings.push(Finding {
        kind: "topic-kind",
        file: format!("{DIRECTORY}/{topic}"),
        offset: 0,
        length: 0,
        message: format!(
            "topic {topic} has plain queues, and batch queues by its attribute queue.type or {BATCH_DIRECTORY}/{topic}; RocketMQ does \
             not start, here {kept} answers and nothing is put to it. Correct config/topics.json, or move the wrong directory away"
        ),
    });
}

fn entry_in<S: Storage>(storage: &S, path: &str, number: u64) -> Result<Option<BatchEntry>, Error> {
    let mut raw = [0; BatchEntry::BYTES];
    let read = storage.read_at(path, number * BATCH_ENTRY_BYTES, &mut raw)?;
    Ok(BatchEntry::decode(&raw).filter(|_| read == raw.len()))
}

/// Number of entries of a file whose entries are a run from its start.
fn bisect<S: Storage>(storage: &S, path: &str, capacity: u64) -> Result<u64, Error> {
    let (mut low, mut high) = (0, capacity);
    while low < high {
        let middle = low + (high - low) / 2;
        match entry_in(storage, path, middle)? {
            Some(_) => low = middle + 1,
            None => high = middle,
        }
    }
    Ok(low)
}

/// Number of entries before the first hole.
fn walk<S: Storage>(storage: &S, path: &str, capacity: u64) -> Result<u64, Error> {
    for number in 0..capacity {
        if entry_in(storage, path, number)?.is_none() {
            return Ok(number);
        }
    }
    Ok(capacity)
}
