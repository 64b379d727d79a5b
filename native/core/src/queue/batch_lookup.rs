//! Finding a place in a batch queue: the visible range, the batch that holds an offset, the offset that belongs to a time.

use super::batch::{BatchIndex, BatchTable};
use super::batch_files::BatchFiles;
use super::lookup::{Boundary, QueueOffsets};
use super::partition::Doubt;
use crate::error::Error;
use crate::format::batch_entry::BatchEntry;
use crate::storage::{ReadFiles, Storage};

/// Offsets of a batch queue whose log is visible up to `visible`.
pub fn offsets(table: &BatchTable, place: BatchIndex, visible: u64) -> QueueOffsets {
    let queue = table.queue(place);
    // What is in files is synced in the log: only the tail can hold invisible entries.
    let max = queue.in_memory(queue.first_at_or_above(visible)).map_or(queue.next, |entry| entry.base);
    QueueOffsets { min: queue.min.min(max), max, next: queue.next }
}

/// Entries looked at on both sides of a place where a batch is missing.
const NEIGHBOURS: u64 = 3;

/// Position of the batch that holds the message at a queue offset: the last one that begins at or before it. Where a
/// batch is missing, the one behind.
pub fn position_of<R: ReadFiles>(
    storage: &R,
    files: &BatchFiles,
    table: &BatchTable,
    place: BatchIndex,
    offset: u64,
) -> Result<u64, Error> {
    let queue = table.queue(place);
    let behind = files.partition(storage, table, place, queue.first..queue.end(), Doubt::Earlier, |entry| entry.base <= offset)?;
    match files.last_below(storage, table, place, behind)? {
        Some((position, entry)) if entry.next() > offset && adjoins(storage, files, table, place, position, &entry)? => {
            return Ok(position);
        }
        _ => {}
    }
    // Where a batch is missing, or an entry says something wrong: then the one looked for may be a neighbour.
    let mut found = None;
    for position in behind.saturating_sub(NEIGHBOURS).max(queue.first)..(behind + NEIGHBOURS).min(queue.end()) {
        if let Some(entry) = files.entry(storage, table, place, position)?
            && (entry.base..entry.next()).contains(&offset)
        {
            if adjoins(storage, files, table, place, position, &entry)? {
                return Ok(position);
            }
            found = found.or(Some(position));
        }
    }
    Ok(found.unwrap_or(behind))
}

/// Whether a batch begins where the one in front of it ends, or ends where the one behind it begins. One that does neither says
/// something wrong, or stands alone.
fn adjoins<R: ReadFiles>(
    storage: &R,
    files: &BatchFiles,
    table: &BatchTable,
    place: BatchIndex,
    position: u64,
    entry: &BatchEntry,
) -> Result<bool, Error> {
    let queue = table.queue(place);
    if position > queue.first && files.entry(storage, table, place, position - 1)?.is_some_and(|before| before.next() == entry.base) {
        return Ok(true);
    }
    if position + 1 < queue.end() {
        return Ok(files.entry(storage, table, place, position + 1)?.is_some_and(|behind| behind.base == entry.next()));
    }
    Ok(false)
}

/// Smallest queue offset whose message the log still holds (store-format §3.4).
pub fn correct_min<S: Storage>(
    storage: &S,
    files: &BatchFiles,
    table: &mut BatchTable,
    place: BatchIndex,
    log_min: u64,
) -> Result<(), Error> {
    let queue = table.queue(place);
    let first = files.partition(storage, table, place, queue.first..queue.end(), Doubt::Earlier, |entry| entry.physical < log_min)?;
    let min = first_base(storage, files, table, place, first)?;
    table.queue_mut(place).min = min.unwrap_or(queue.next);
    Ok(())
}

/// Where the batches from a position on begin: by the first entry that can be read, and by the one behind where that one says
/// that it begins earlier.
fn first_base<S: Storage>(
    storage: &S,
    files: &BatchFiles,
    table: &BatchTable,
    place: BatchIndex,
    position: u64,
) -> Result<Option<u64>, Error> {
    let mut least: Option<u64> = None;
    files.read(storage, table, place, position, u64::MAX, |_, entry| {
        let Some(entry) = entry else { return true };
        let is_first = least.is_none();
        least = Some(least.map_or(entry.base, |least| least.min(entry.base)));
        is_first
    })?;
    Ok(least)
}

/// The queue offset for a time, exactly as RocketMQ finds it (store-format §3.7): in the newest file that begins at or
/// before it, or the first; a time at or behind that file's last batch finds that batch.
pub fn offset_by_time<R: ReadFiles>(
    storage: &R,
    files: &BatchFiles,
    table: &BatchTable,
    place: BatchIndex,
    visible: u64,
    timestamp: i64,
    boundary: Boundary,
) -> Result<u64, Error> {
    let range = offsets(table, place, visible);
    let queue = table.queue(place);
    let (first, end) = (queue.first, queue.first_at_or_above(visible));
    if first == end {
        return Ok(range.min);
    }
    let unit = |position| files.entry(storage, table, place, position);
    let time = |position| unit(position).map(|entry: Option<BatchEntry>| entry.map_or(i64::MIN, |entry| entry.store_timestamp));

    let (mut low, mut high) = (first / files.file_entries, (end - 1) / files.file_entries);
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        if time(middle * files.file_entries)? <= timestamp { low = middle } else { high = middle - 1 }
    }
    let left = (low * files.file_entries).max(first);
    let right = ((low + 1) * files.file_entries).min(end) - 1;
    let found = if timestamp >= time(right)? { Some(right) } else { bisect(left, right, timestamp, boundary, time)? };
    let offset = match found {
        Some(position) => unit(position)?.map_or(range.min, |entry| entry.base),
        None => range.min,
    };
    Ok(offset.clamp(range.min, range.max))
}

/// RocketMQ's own bisection, whose upper boundary answers the batch *behind* the time where two are left to choose from,
/// and nothing where three are: its answers are what clients know.
fn bisect(
    left: u64,
    right: u64,
    timestamp: i64,
    boundary: Boundary,
    time: impl Fn(u64) -> Result<i64, Error>,
) -> Result<Option<u64>, Error> {
    let (mut low, mut high) = (left, right);
    while low <= high {
        let middle = low + (high - low) / 2;
        let found = time(middle)?;
        if middle == high {
            return Ok((found >= timestamp).then_some(middle));
        }
        if middle == low {
            if found >= timestamp {
                return Ok(Some(middle));
            }
            low = middle + 1;
            continue;
        }
        match boundary {
            Boundary::Lower if found < timestamp => low = middle + 1,
            Boundary::Lower => high = middle,
            Boundary::Upper if found <= timestamp => low = middle,
            Boundary::Upper => high = middle - 1,
        }
    }
    Ok(None)
}
