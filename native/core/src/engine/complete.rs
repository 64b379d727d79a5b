//! Plain and batch queues side by side: how far each kind is complete in a store that was closed cleanly.

use alloc::format;
use alloc::vec::Vec;

use crate::error::{Error, Finding};
use crate::format::queue_entry::QueueEntry;
use crate::log::segments::Segments;
use crate::log::view::LogView;
use crate::queue::batch::{BatchIndex, BatchTable};
use crate::queue::batch_files::{self, BatchFiles};
use crate::queue::batch_load::LoadedBatchQueue;
use crate::queue::batch_lookup::correct_min;
use crate::queue::load::LoadedQueue;
use crate::queue::{BATCH_DIRECTORY, DIRECTORY};
use crate::recovery;
use crate::storage::{Segment, Storage};
use crate::writes::Unsynced;

/// Offsets of the log below which the queues of a kind need no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Complete {
    pub simple: u64,
    pub batch: u64,
    /// End of the newest record that a queue names.
    pub end: u64,
}

impl Complete {
    /// Where dispatch has to begin.
    pub fn least(&self) -> u64 {
        self.simple.min(self.batch)
    }

    /// Of a store that was closed cleanly: both kinds reach as far as the one that reaches farthest (`simple_end` is what
    /// plain queues say), but a kind whose directory is gone, or damaged, is built again from the first record on.
    pub fn of_clean_store<S: Storage>(
        storage: &S,
        segments: &Segments<S::Segment>,
        simple_end: u64,
        simple: &[LoadedQueue],
        table: &BatchTable,
        batches: &[LoadedBatchQueue],
        findings: &mut Vec<Finding>,
    ) -> Result<Self, Error> {
        if table.is_empty() {
            return Ok(Self { simple: simple_end, batch: simple_end, end: simple_end });
        }
        let batch_end = batch_queues_end(segments, table, batches, findings)?;
        let gone = batches.is_empty() && storage.list(BATCH_DIRECTORY)?.is_none();
        let end = batch_end.unwrap_or(0).max(simple_end);
        let simple_gone = simple.is_empty() && storage.list(DIRECTORY)?.is_none();
        let simple_lost = !simple.is_empty() && simple_end == segments.min();
        Ok(Self {
            end,
            simple: if simple_gone || simple_lost { segments.min() } else { end },
            batch: if gone || batch_end.is_none() { segments.min() } else { end },
        })
    }
}

/// End of the newest record that a batch queue names; `None` when the newest entry of one leads nowhere: its file is
/// damaged, and all of them are built again.
fn batch_queues_end<G: Segment>(
    segments: &Segments<G>,
    table: &BatchTable,
    loaded: &[LoadedBatchQueue],
    findings: &mut Vec<Finding>,
) -> Result<Option<u64>, Error> {
    let (mut end, mut lost) = (segments.min(), None);
    for queue in loaded {
        let Some(last) = queue.last.filter(|last| last.physical >= segments.min()) else {
            continue; // nothing, or gone with the first files of the log
        };
        let entry = QueueEntry { physical: last.physical, size: last.size, tags_code: last.tags_code };
        if recovery::was_written(segments, &entry)? {
            end = end.max(last.end());
        } else {
            lost = Some((queue.place, last.physical));
        }
    }
    let Some((place, physical)) = lost else { return Ok(Some(end)) };
    let message = format!("the newest entry says that a message lies at {physical}, where the log has none; the queues are built again");
    findings.push(Finding { kind: "queue-damaged", file: batch_files::directory(table, place), offset: 0, length: 0, message });
    Ok(None)
}

/// Forgets the entries of batch queues whose records start at or above `physical`; the queues whose files hold some.
pub(super) fn cut_batch_queues<S: Storage>(
    storage: &S,
    files: &BatchFiles,
    table: &mut BatchTable,
    physical: u64,
) -> Result<Vec<BatchIndex>, Error> {
    let mut touched = Vec::new();
    for place in table.places() {
        if files.cut(storage, table, place, physical)? {
            touched.push(place);
        }
    }
    Ok(touched)
}

pub(super) fn correct_batch_mins<S: Storage>(storage: &S, files: &BatchFiles, table: &mut BatchTable, log_min: u64) -> Result<(), Error> {
    table.places().try_for_each(|place| correct_min(storage, files, table, place, log_min))
}

/// Position and store time of the newest message that a batch queue leads to.
pub(super) fn last_batch<S: Storage>(
    storage: &S,
    files: &BatchFiles,
    table: &BatchTable,
    log: &LogView<S::Segment>,
) -> Result<Option<(u64, i64)>, Error> {
    let mut newest = None;
    for place in table.places() {
        if let Some(last) = table.queue(place).end().checked_sub(1)
            && let Some(entry) = files.entry(storage, table, place, last)?
        {
            newest = newest.max(Some(entry.physical));
        }
    }
    match newest {
        Some(physical) => Ok(log.store_timestamp(physical)?.map(|time| (physical, time))),
        None => Ok(None),
    }
}

/// Brings the files of batch queues to what was found. The directories say from now on that no queue is missing.
pub(super) fn take_over_batch_queues<S: Storage>(
    storage: &S,
    files: &BatchFiles,
    table: &BatchTable,
    touched: &[BatchIndex],
    unsynced: &mut Unsynced,
) -> Result<(), Error> {
    if !table.is_empty() {
        storage.create_dir(DIRECTORY)?;
        storage.create_dir(BATCH_DIRECTORY)?;
    }
    touched.iter().try_for_each(|&place| files.clear_behind(storage, table, place, unsynced))
}
