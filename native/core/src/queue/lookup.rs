//! Finding a place in a queue: the visible range, the offset that belongs to a time.

use super::files::QueueFiles;
use super::table::{QueueIndex, QueueTable};
use crate::error::Error;
use crate::log::view::LogView;
use crate::storage::{ReadFiles, Segment};

/// Which message counts when none, or several, were stored at the time asked for (store-format §8.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boundary {
    /// The first one stored then or later.
    Lower,
    /// The last one stored then or before.
    Upper,
}

/// What a queue holds, as queue offsets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueOffsets {
    /// First message that can be read.
    pub min: u64,
    /// Behind the last message that can be read.
    pub max: u64,
    /// What the next put gets: above `max` while messages wait for their sync in a synchronous store.
    pub next: u64,
}

/// Offsets of a queue whose log is visible up to `visible`.
pub fn offsets(table: &QueueTable, place: QueueIndex, visible: u64) -> QueueOffsets {
    let queue = table.queue(place);
    // What is in files is synced in the log: only the tail can hold invisible entries.
    let max = queue.tail.first_at_or_above(visible);
    QueueOffsets { min: queue.min.min(max), max, next: queue.next() }
}

/// Store time of the message at a queue offset; `None` where its record cannot be read.
pub fn time_of<R: ReadFiles, G: Segment>(
    storage: &R,
    files: &QueueFiles,
    table: &QueueTable,
    place: QueueIndex,
    log: &LogView<G>,
    offset: u64,
) -> Result<Option<i64>, Error> {
    match files.entry(storage, table, place, offset)? {
        Some(entry) if !entry.is_blank() && entry.physical >= log.min() => log.store_timestamp(entry.physical),
        _ => Ok(None),
    }
}

/// The queue offset for a time, by bisection: store times do not fall along a queue.
pub fn offset_by_time<R: ReadFiles, G: Segment>(
    storage: &R,
    files: &QueueFiles,
    table: &QueueTable,
    place: QueueIndex,
    log: &LogView<G>,
    timestamp: i64,
    boundary: Boundary,
) -> Result<u64, Error> {
    let QueueOffsets { min, max, .. } = offsets(table, place, log.end());
    let (mut low, mut high) = (min, max);
    while low < high {
        let middle = low + (high - low) / 2;
        // A message whose time is gone lies in front of the log: older than any time.
        let time = time_of(storage, files, table, place, log, middle)?.unwrap_or(i64::MIN);
        let go_right = match boundary {
            Boundary::Lower => time < timestamp,
            Boundary::Upper => time <= timestamp,
        };
        if go_right {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    Ok(match boundary {
        Boundary::Lower => low,
        Boundary::Upper => low.saturating_sub(1).max(min),
    })
}
