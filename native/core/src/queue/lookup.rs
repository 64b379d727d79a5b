//! Finding a place in a queue: the visible range, the offset that belongs to a time.

use super::table::{QueueIndex, QueueTable};
use crate::error::Error;
use crate::format::queue_entry::QueueEntry;
use crate::log::view::LogView;
use crate::storage::Segment;

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

/// Store time of the message that an entry leads to; `None` where its record cannot be read.
pub fn store_time<G: Segment>(log: &LogView<G>, entry: Option<QueueEntry>) -> Result<Option<i64>, Error> {
    match entry {
        Some(entry) if !entry.is_blank() && entry.physical >= log.min() => log.store_timestamp(entry.physical),
        _ => Ok(None),
    }
}

/// The queue offset for a time, by bisection: store times do not fall along a queue. `entry_at` says the entry at an offset of
/// the range, `None` where a file holds none.
pub fn offset_by_time<G: Segment>(
    log: &LogView<G>,
    range: QueueOffsets,
    timestamp: i64,
    boundary: Boundary,
    mut entry_at: impl FnMut(u64) -> Result<Option<QueueEntry>, Error>,
) -> Result<u64, Error> {
    let (mut low, mut high) = (range.min, range.max);
    while low < high {
        let middle = low + (high - low) / 2;
        // A message whose time is gone lies in front of the log: older than any time.
        let time = store_time(log, entry_at(middle)?)?.unwrap_or(i64::MIN);
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
        Boundary::Upper => low.saturating_sub(1).max(range.min),
    })
}
