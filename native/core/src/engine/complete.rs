//! Plain and batch queues side by side: how far each kind is complete in a store that was closed cleanly.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::batch_dispatch::batch_place;
use crate::error::{Error, Finding};
use crate::format::queue_entry::QueueEntry;
use crate::format::record::Record;
use crate::log;
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
        let end = batch_end.unwrap_or(0).max(simple_end);
        let is_lost = !simple.is_empty() && simple_end == segments.min();
        let simple_gone = is_gone(storage, DIRECTORY, !simple.is_empty())?;
        let batch_gone = is_gone(storage, BATCH_DIRECTORY, !batches.is_empty())?;
        Ok(Self {
            end,
            simple: if simple_gone || is_lost { segments.min() } else { end },
            batch: if batch_gone || batch_end.is_none() { segments.min() } else { end },
        })
    }

    /// Of a store that ended abruptly: both kinds reach to `known`, by `checkpoint`, which says nothing of a kind that is
    /// gone. Plain queues without an entry are taken for gone where there are no batch queues instead.
    pub fn of_crashed_store<S: Storage>(
        storage: &S,
        min: u64,
        known: u64,
        simple: &[LoadedQueue],
        table: &BatchTable,
        batches: &[LoadedBatchQueue],
    ) -> Result<Self, Error> {
        let holds_simple = simple.iter().any(|queue| queue.last.is_some());
        let holds_batches = batches.iter().any(|queue| queue.last.is_some());
        // Entries of what is not scanned again, behind a hole.
        let is_behind = |physical: u64| (min..known).contains(&physical);
        let simple_holed = simple.iter().any(|queue| queue.behind.is_some_and(|entry| is_behind(entry.physical)));
        let batch_holed = batches.iter().any(|queue| queue.behind.is_some_and(|entry| is_behind(entry.physical)));
        let simple_gone = if holds_batches { is_gone(storage, DIRECTORY, holds_simple)? } else { !holds_simple };
        let batch_gone = !table.is_empty() && if holds_simple { is_gone(storage, BATCH_DIRECTORY, holds_batches)? } else { !holds_batches };
        let start = |is_gone| if is_gone { min } else { known };
        Ok(Self { end: known, simple: start(simple_gone || simple_holed), batch: start(batch_gone || batch_holed) })
    }
}

/// Whether the queues of a kind were removed: there are none, nor the directory that says so.
fn is_gone<S: Storage>(storage: &S, directory: &str, holds_some: bool) -> Result<bool, Error> {
    Ok(!holds_some && storage.list(directory)?.is_none())
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
        if let Some(behind) = queue.behind {
            lost = Some((queue.place, format!("entries are missing in front of the one of the message at {}", behind.physical)));
            continue;
        }
        if queue.is_damaged {
            lost = Some((queue.place, String::from("its newest file was cut, or what stands behind its newest entry is none")));
            continue;
        }
        let Some(last) = queue.last.filter(|last| last.physical >= segments.min()) else {
            continue; // nothing, or gone with the first files of the log
        };
        let entry = QueueEntry { physical: last.physical, size: last.size, tags_code: last.tags_code };
        if recovery::was_written(segments, &entry)? {
            end = end.max(last.end());
            if let Some((base, messages)) = said_by_record(segments, last.physical).filter(|&said| said != (last.base, last.messages)) {
                let said = format!("the newest entry says that it begins at queue offset {}, with {} messages", last.base, last.messages);
                lost = Some((queue.place, format!("{said}; its record says {base}, with {messages}")));
            }
        } else {
            let reason = format!("the newest entry says that a message lies at {}, where the log has none", last.physical);
            lost = Some((queue.place, reason));
        }
    }
    let Some((place, reason)) = lost else { return Ok(Some(end)) };
    let file = batch_files::directory(table, place);
    if recovery::clean_evidence(segments, 0, [-1; 2]) == segments.min() {
        let reason = format!("{reason}, nor any other: is the right disk mounted at {}?", log::DIRECTORY);
        return Err(Error::corrupt(&file, 0, &reason));
    }
    let message = format!("{reason}; the queues are built again from the log");
    findings.push(Finding { kind: "queue-damaged", file, offset: 0, length: 0, message });
    Ok(None)
}

/// Forgets the entries of batch queues whose records start at or above `physical`; the queues whose files hold some.
pub(super) fn cut_batch_queues<S: Storage>(
    storage: &S,
    files: &BatchFiles,
    table: &mut BatchTable,
    segments: &Segments<S::Segment>,
    physical: u64,
) -> Result<Vec<BatchIndex>, Error> {
    let mut touched = Vec::new();
    for place in table.places() {
        if files.cut(storage, table, place, physical)? {
            touched.push(place);
        }
        // An entry that says too much of itself would hide all that comes behind.
        let (first, held) = table.queue(place).held();
        let last = if first < held { files.entry(storage, table, place, held - 1)? } else { None };
        if let Some((base, messages)) = last.and_then(|last| said_by_record(segments, last.physical)) {
            let (next, min) = (base.saturating_add(u64::from(messages)), table.queue(place).min);
            table.load(place, first, held, next, min);
        }
    }
    Ok(touched)
}

/// Queue offset and number of the messages of a batch, by its record; `None` where that cannot be read.
fn said_by_record<G: Segment>(segments: &Segments<G>, physical: u64) -> Option<(u64, u32)> {
    let mut bytes = Vec::new();
    LogView::new(segments.clone(), segments.extent()).record_at(physical, &mut bytes).ok()??;
    batch_place(&Record::parse(&bytes).ok()?)
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
