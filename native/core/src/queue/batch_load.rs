//! Loading batch queues from their directories: which there are, and how far the files of each go (store-format §3.7, §5.3).

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::batch::{BatchIndex, BatchTable};
use super::batch_files::BatchFiles;
use super::extent::{self, Extent, QueueDirectory, Trust};
use super::table::QueueTable;
use super::{BATCH_DIRECTORY, DIRECTORY};
use crate::error::{Error, Finding};
use crate::format::batch_entry::BatchEntry;
use crate::storage::Storage;

/// What a batch queue's files held when they were loaded.
#[derive(Clone, Copy, Debug)]
pub struct LoadedBatchQueue {
    pub place: BatchIndex,
    /// Its newest entry.
    pub last: Option<BatchEntry>,
    /// The first entry behind a hole.
    pub behind: Option<BatchEntry>,
    /// What stands behind the newest one is neither an entry nor nothing, or its file was cut.
    pub is_damaged: bool,
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
        table.configure(configured, simple, findings);
        let (mut found_mixed, is_mixed) = (Vec::new(), |topic: &str| simple.topic(topic.as_bytes()).is_some());
        let wanted = |topic: &str| {
            let is_wanted = configured.contains(topic) || !is_mixed(topic);
            found_mixed.extend((!is_wanted).then(|| String::from(topic)));
            is_wanted
        };
        let found = extent::find::<S, BatchEntry>(storage, wanted, repair, findings)?;
        found_mixed.iter().for_each(|topic| report_mixed(topic, table, findings));
        let files = Self { file_entries: extent::file_entries::<BatchEntry>(&found, file_entries, trust)? };
        let mut loaded = Vec::with_capacity(found.len());
        for mut queue in found {
            let extent = queue.extent(storage, files.file_entries, (trust, repair), findings)?;
            let Some(Extent { first, end, last, behind, is_damaged }) = extent else { continue };
            let place = table.find_or_add(queue.topic.as_bytes(), queue.id);
            table.queue_mut(place).set_held(first, end, last.map_or(0, |last: BatchEntry| last.next()));
            loaded.push(LoadedBatchQueue { place, last, behind, is_damaged });
        }
        Ok((files, loaded))
    }

    /// As [`super::files::QueueFiles::entries_on_disk`], of the topics that have such queues.
    pub fn entries_on_disk<S: Storage>(storage: &S, file_entries: u32, configured: &BTreeSet<String>) -> Result<u64, Error> {
        let mut found = extent::find::<S, BatchEntry>(storage, |_| true, false, &mut Vec::new())?;
        if !found.is_empty() {
            let plain = extent::queue_directories(storage, DIRECTORY, |topic| !configured.contains(topic))?;
            found.retain(|queue| plain.iter().all(|plain| plain.topic != queue.topic));
        }
        extent::fitting_entries::<BatchEntry>(&found, file_entries)
    }

    /// Adds the queues that have a directory and are not in the table, without a message: what stands in their files does
    /// not count. Those of a topic that has plain queues stay as they are.
    pub fn add_others<S: Storage>(storage: &S, simple: &QueueTable, table: &mut BatchTable) -> Result<(), Error> {
        let is_ours = |topic: &str| table.holds(topic.as_bytes()) || simple.topic(topic.as_bytes()).is_none();
        for QueueDirectory { topic, id, .. } in extent::queue_directories(storage, BATCH_DIRECTORY, is_ours)? {
            table.find_or_add(topic.as_bytes(), id);
        }
        Ok(())
    }
}

impl BatchTable {
    /// Adds the topics that `configured` says have batch queues, and reports those that have plain ones.
    pub fn configure(&mut self, configured: &BTreeSet<String>, simple: &QueueTable, findings: &mut Vec<Finding>) {
        configured.iter().for_each(|topic| self.add_topic(topic.as_bytes()));
        for topic in configured.iter().filter(|topic| simple.topic(topic.as_bytes()).is_some()) {
            report_mixed(topic, self, findings);
        }
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
