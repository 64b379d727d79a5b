//! What the files of a store say of themselves before the log is looked at: how far queues and index are complete.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::plans::CHECKPOINT_PATH;
use crate::error::{Error, Finding};
use crate::format::checkpoint::Checkpoint;
use crate::format::index_file::{Geometry, parse_file_name};
use crate::format::watermark::Derived;
use crate::index::active::ActiveFile;
use crate::index::files::{self as index_files, SealedFile};
use crate::index::put::Index;
use crate::limits::CHECKPOINT_BYTES;
use crate::log::segments::Segments;
use crate::log::view::LogView;
use crate::options::Options;
use crate::queue::batch_load::LoadedBatchQueue;
use crate::queue::files::QueueFiles;
use crate::queue::load::LoadedQueue;
use crate::queue::partition::{Doubt, partition};
use crate::queue::table::{QueueIndex, QueueTable};
use crate::storage::{Segment, Storage};
use crate::{log, queue, recovery};

/// Whether the newest record that an index names can be in a log that ends at `end`. An index of nothing says 0.
pub(super) fn lies_below(end_physical: i64, end: u64) -> bool {
    end_physical <= 0 || end_physical.unsigned_abs() < end
}

/// Full queues beside an empty log: another disk is mounted here, or the log was lost. RocketMQ deletes every queue then.
pub(super) fn refuse_wrong_mount<G: Segment>(
    segments: &Segments<G>,
    loaded: &[LoadedQueue],
    batches: &[LoadedBatchQueue],
) -> Result<(), Error> {
    let simple = loaded.iter().filter(|queue| queue.last.is_some()).count();
    let full = simple + batches.iter().filter(|queue| queue.last.is_some()).count();
    if !segments.is_empty() || full == 0 {
        return Ok(());
    }
    let reason = format!("the commit log is empty, but {full} consume queues hold entries: is the right disk mounted there?");
    let directories = format!("{}, {} and index", queue::DIRECTORY, queue::BATCH_DIRECTORY);
    Err(Error::corrupt(log::DIRECTORY, 0, &format!("{reason} To start anew, move {directories} away")))
}

/// Up to where the queues of a cleanly closed store are complete. All of them are built again when the newest entry of one
/// leads nowhere: its file is damaged, and the end of the log must not be taken from it.
pub(super) fn queues_end<G: Segment>(
    segments: &Segments<G>,
    table: &QueueTable,
    loaded: &[LoadedQueue],
    findings: &mut Vec<Finding>,
) -> Result<u64, Error> {
    let (mut end, mut lost) = (segments.min(), None);
    for queue in loaded {
        if queue.is_damaged {
            lost = Some((queue.place, String::from("its newest file was cut, or its newest entry is none")));
            continue;
        }
        let Some(last) = queue.last.filter(|last| !last.is_blank() && last.physical >= segments.min()) else {
            continue; // nothing, or gone with the first files of the log
        };
        if recovery::was_written(segments, &last)? {
            end = end.max(last.end());
        } else {
            let reason = format!("the newest entry says that a message lies at {}, where the log has none", last.physical);
            lost = Some((queue.place, reason));
        }
    }
    let Some((place, reason)) = lost else { return Ok(end) };
    let directory = format!("{}/{}/{}", queue::DIRECTORY, table.topic_of(place).name, table.queue(place).id);
    if recovery::clean_evidence(segments, 0, [-1; 2]) == segments.min() {
        let reason = format!("{reason}, nor any other: is the right disk mounted at {}?", log::DIRECTORY);
        return Err(Error::corrupt(&directory, 0, &reason));
    }
    let message = format!("{reason}; the queues are built again from the log");
    findings.push(Finding { kind: "queue-damaged", file: directory, offset: 0, length: 0, message });
    Ok(segments.min())
}

/// The bytes of `checkpoint`, and what they say.
pub(super) fn load_checkpoint<S: Storage>(storage: &S) -> Result<(Vec<u8>, Checkpoint), Error> {
    let mut bytes = vec![0; CHECKPOINT_BYTES];
    let read = match storage.len(CHECKPOINT_PATH)? {
        Some(_) => storage.read_at(CHECKPOINT_PATH, 0, &mut bytes)?,
        None => 0,
    };
    bytes.truncate(read);
    let checkpoint = Checkpoint::decode(&bytes);
    Ok((bytes, checkpoint))
}

/// What is known of index files beside themselves.
pub(super) struct IndexClues<'a> {
    pub(super) options: &'a Options,
    /// Geometry that our sidecar names.
    pub(super) known_geometry: Option<Geometry>,
    /// Where our sidecar says that the index lacks messages.
    pub(super) unindexed: Option<u64>,
    /// The store was closed cleanly.
    pub(super) clean: bool,
    pub(super) checkpoint: &'a Checkpoint,
    /// The store was killed, and up to here its index is complete.
    pub(super) derived: Option<Derived>,
}

/// The index files that count, and the offset from which messages have to be indexed again.
///
/// After an abrupt end only files that were complete and synced count: RocketMQ says so by `checkpoint` (store-format
/// §5.2). A store that was closed cleanly has indexed everything, unless its index was removed. A file that names a record
/// at or behind `end` tells of another log: new records there would be taken for indexed already.
pub(super) fn load_index<S: Storage>(
    storage: &S,
    clues: &IndexClues<'_>,
    segments: &Segments<S::Segment>,
    end: u64,
    findings: &mut Vec<Finding>,
) -> Result<(Index, u64), Error> {
    let IndexClues { options, known_geometry, unindexed, clean, checkpoint, derived } = *clues;
    let asked = Geometry { slots: options.index_slots, entries: options.index_entries };
    let candidates: Vec<Geometry> = known_geometry.into_iter().chain([asked]).collect();
    let mut files = index_files::load(storage, &candidates, !options.read_only, findings)?;
    let geometry = files.last().map_or(asked, |file| file.geometry);
    let mut marked = None;
    if !clean {
        // Of files that end in the same millisecond `checkpoint` vouches for the first alone.
        let vouched = derived.and_then(|derived| derived.index).map_or(i64::MIN, |mark| mark.before);
        let complete = |(nth, file): (usize, &SealedFile)| {
            let (time, before) = (file.header.end_timestamp, nth.checked_sub(1).map(|before| files[before].header.end_timestamp));
            let is_synced = before.is_none_or(|before| before < time) || parse_file_name(&file.name).is_some_and(|name| name <= vouched);
            file.header.count >= file.geometry.entries && time <= checkpoint.index && is_synced
        };
        // Without an index nothing is entered that the crash took: files with such a gap would later pass for complete.
        let kept = if options.index || options.read_only { files.len() } else { 0 };
        let trusted = files.iter().take(kept).enumerate().take_while(|&file| complete(file)).count();
        let mark = derived.and_then(|derived| Some((derived.upto, derived.index?))).filter(|_| options.index);
        // A recovery that was cut short may have removed some of the files in between.
        let before = trusted.checked_sub(1).and_then(|last| parse_file_name(&files[last].name)).unwrap_or(0);
        marked = mark.zip(files.get(trusted).cloned()).filter(|((_, mark), file)| {
            parse_file_name(&file.name) == Some(mark.name)
                && mark.before == before
                && (1..=file.geometry.entries).contains(&mark.header.count)
        });
        files.truncate(trusted);
    }
    if let Some(((upto, mark), file)) = marked {
        let active = ActiveFile::rebuild(storage, file, mark.header)?;
        return Ok((Index::new(geometry, files, Some(active)), upto));
    }
    let found = files.len();
    files.truncate(files.iter().take_while(|file| lies_below(file.header.end_physical, end)).count());
    let complete = clean && files.len() == found;
    let known = match files.last() {
        None => segments.min(),
        Some(_) if complete => unindexed.map_or(u64::MAX, |offset| offset.max(segments.min())),
        Some(last) => u64::try_from(last.header.end_physical).unwrap_or(0).max(segments.min()),
    };
    let active = match files.last() {
        Some(last) if last.header.count < last.geometry.entries && options.index => {
            let SealedFile { name, geometry, header } = last.clone();
            files.pop();
            Some(ActiveFile::load(storage, name, geometry, header)?)
        }
        _ => None,
    };
    Ok((Index::new(geometry, files, active), known))
}

/// Smallest offset whose message the log still holds (store-format §3.4).
pub(super) fn correct_min<S: Storage>(
    storage: &S,
    files: &QueueFiles,
    table: &mut QueueTable,
    place: QueueIndex,
    log_min: u64,
) -> Result<(), Error> {
    let (min, next) = (table.queue(place).min, table.queue(place).next());
    let found = partition(min..next.max(min), Doubt::Earlier, |offset| {
        let entry = files.entry(storage, table, place, offset)?;
        Ok(entry.filter(|entry| !entry.is_blank()).map(|entry| entry.physical < log_min))
    })?;
    table.queue_mut(place).min = if min >= next { next } else { found };
    Ok(())
}

/// Position and store time of the newest message that a queue leads to.
pub(super) fn last_message<S: Storage>(
    storage: &S,
    files: &QueueFiles,
    table: &QueueTable,
    log: &LogView<S::Segment>,
) -> Result<Option<(u64, i64)>, Error> {
    let mut newest = None;
    for place in table.places() {
        if let Some(last) = table.queue(place).next().checked_sub(1)
            && let Some(entry) = files.entry(storage, table, place, last)?
            && !entry.is_blank()
        {
            newest = newest.max(Some(entry.physical));
        }
    }
    match newest {
        Some(physical) => Ok(log.store_timestamp(physical)?.map(|time| (physical, time))),
        None => Ok(None),
    }
}
