//! Opening: load what is there, find the end of the log, build what queues and index lack, and only then change files.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::close::ABORT_PATH;
use super::plans::CHECKPOINT_PATH;
use super::{Engine, Stats};
use crate::dispatch::{Dispatch, redispatch_to_queue};
use crate::error::{Code, Error, Finding};
use crate::format::checkpoint::Checkpoint;
use crate::format::hash::java_hash;
use crate::format::index_file::{Geometry, parse_file_name};
use crate::format::record::Record;
use crate::index::active::ActiveFile;
use crate::index::files::{self as index_files, SealedFile};
use crate::index::put::Index;
use crate::limits::CHECKPOINT_BYTES;
use crate::log::append::LogWriter;
use crate::log::segments::{self, Segments};
use crate::options::Options;
use crate::queue::files::{LoadedQueue, QueueFiles, Trust};
use crate::queue::table::{QueueIndex, QueueTable};
use crate::recovery::{self, Evidence, LogEnd};
use crate::storage::{Clock, Segment, Storage};
use crate::{kinds, log, queue};

/// How far an open has come, in bytes of the log.
#[derive(Clone, Copy, Debug)]
pub struct Progress {
    /// `log`: scanning and dispatching.
    pub phase: &'static str,
    pub done: u64,
    pub total: u64,
}

/// Bytes of the log between two reports of progress.
const PROGRESS_BYTES: u64 = 64 * 1024 * 1024;

impl<S: Storage, C: Clock> Engine<S, C> {
    /// Opens the store in `storage`, recovering what an abrupt end left (durability: recovery, without a watermark).
    ///
    /// To write, the caller holds the store's lock already. Read-only, nothing is changed: what queues and index lack
    /// is built in memory. STORE_UNSUPPORTED_FORMAT for kinds of stores that may only be read, STORE_CORRUPT for
    /// directories that cannot be one store.
    pub fn open(storage: Arc<S>, clock: C, options: Options, progress: &mut dyn FnMut(Progress)) -> Result<Self, Error> {
        let write = !options.read_only;
        let mut findings = Vec::new();
        let clean = storage.len(ABORT_PATH)?.is_none();
        if write {
            refuse_unsupported(storage.as_ref())?;
        }
        let segments = Segments::load(storage.as_ref(), options.segment_bytes, write, &mut findings)?;
        let checkpoint = load_checkpoint(storage.as_ref())?;
        let mut queues = QueueTable::default();
        let trust = if clean { Trust::Clean } else { Trust::Crashed };
        let (queue_files, loaded) =
            QueueFiles::load(storage.as_ref(), options.queue_file_entries, trust, write, &mut queues, &mut findings)?;
        refuse_wrong_mount(&segments, &loaded)?;
        let (mut index, mut index_known) =
            load_index(storage.as_ref(), &options, clean, &checkpoint, &segments, segments.extent(), &mut findings)?;

        let (evidence, queues_known) = if clean {
            let queues_end = queues_end(&segments, &queues, &loaded, &mut findings)?;
            let indexed = index.newest().map_or(-1, |newest| newest.end_physical);
            let known = recovery::clean_evidence(&segments, queues_end, [checkpoint.confirm_offset, indexed]);
            (Evidence::Below(known), queues_end)
        } else {
            if !segments.is_empty() {
                findings.push(unclean());
            }
            let time = checkpoint.min_timestamp();
            (Evidence::StoredBy(time), recovery::start_segment(&segments, time))
        };
        let mut touched: Vec<QueueIndex> = Vec::new();
        for queue in &loaded {
            let held = queue_files.cut(storage.as_ref(), &mut queues, queue.place, queues_known)?;
            if held != queues.queue(queue.place).next() {
                touched.push(queue.place);
            }
        }

        let indexed_to = index.newest().map_or(0, |newest| newest.end_physical);
        let mut index_names = index.names();
        let from = if options.index { queues_known.min(index_known) } else { queues_known };
        let total = segments.extent().saturating_sub(from);
        let mut reported = 0;
        let mut dispatch_findings = Vec::new();
        let log_end = recovery::scan(&segments, from, evidence, &mut findings, |at, record| {
            if at >= queues_known {
                redispatch_to_queue(&mut queues, record, &Dispatch::of(record, at), queue_files.file_entries, &mut dispatch_findings);
            }
            if options.index && at >= index_known {
                enter(&mut index, &clock, record, at, options.index_tags);
            }
            if at - from >= reported + PROGRESS_BYTES {
                reported = at - from;
                progress(Progress { phase: "log", done: reported, total });
            }
        })?;
        findings.append(&mut dispatch_findings);
        if !lies_below(indexed_to, log_end.end) {
            (index, index_known) = load_index(storage.as_ref(), &options, clean, &checkpoint, &segments, log_end.end, &mut Vec::new())?;
            index_names = index.names();
            if options.index {
                let from = index_known.min(log_end.end);
                recovery::scan(&segments, from, Evidence::Below(log_end.end), &mut Vec::new(), |at, record| {
                    if at < log_end.end {
                        enter(&mut index, &clock, record, at, options.index_tags);
                    }
                })?;
            }
        }
        findings.extend(recovery::cut_finding(&segments, &log_end));
        progress(Progress { phase: "log", done: total, total });

        let min = segments.min();
        let log_view = log::view::LogView::new(segments.clone(), log_end.end);
        let places: Vec<QueueIndex> = queues.places().collect();
        for place in places {
            correct_min(storage.as_ref(), &queue_files, &mut queues, place, min)?;
        }
        let (last_record, last_store_timestamp) = match log_end.last {
            Some(last) => last,
            None => last_message(storage.as_ref(), &queue_files, &queues, &log_view)?.unwrap_or((min, 0)),
        };
        let mut engine = Self {
            log: LogWriter::new(segments, log_end.end),
            durable: log_end.end,
            storage,
            clock,
            options,
            queues,
            queue_files,
            index,
            last_record,
            last_store_timestamp,
            checkpoint,
            unsynced: BTreeSet::new(),
            behind_in_flight: false,
            clean,
            findings,
            poison: None,
            closed: false,
            stats: Stats::default(),
            run: Vec::new(),
        };
        engine.options.segment_bytes = engine.log.segments().segment_bytes();
        engine.options.queue_file_entries = engine.queue_files.file_entries as u32;
        if write {
            engine.take_over(from, &log_end, &touched, &index_names)?;
        }
        Ok(engine)
    }

    /// Brings the files to what was found, and marks the store as open. Every step can be repeated.
    fn take_over(
        &mut self,
        scanned_from: u64,
        log_end: &LogEnd,
        touched: &[QueueIndex],
        index_names: &BTreeSet<String>,
    ) -> Result<(), Error> {
        let storage = Arc::clone(&self.storage);
        if storage.len(CHECKPOINT_PATH)? != Some(CHECKPOINT_BYTES as u64) {
            storage.create(CHECKPOINT_PATH, CHECKPOINT_BYTES as u64)?;
        }
        storage.create(ABORT_PATH, 0)?;
        storage.write_at(ABORT_PATH, 0, self.options.process_id.to_string().as_bytes())?;
        storage.sync_dir("")?;
        self.cut_log(log_end.end)?;
        if !self.clean {
            // What was read may be in the page cache only: its writer died before the sync.
            self.log.between(scanned_from).try_for_each(|(segment, from, to)| segment.sync(from, to))?;
        }
        for &place in touched {
            self.queue_files.clear_behind(storage.as_ref(), &self.queues, place, &mut self.unsynced)?;
        }
        self.drop_distrusted_index_files(index_names)
    }

    /// Removes the segments behind the end, and zeroes the rest of the one that it lies in: RocketMQ leaves stale
    /// records there, and takes them for new ones (store-format trap 12).
    fn cut_log(&mut self, end: u64) -> Result<(), Error> {
        let mut segments = self.log.segments().clone();
        for placed in segments.split_off(end + 1).iter().rev() {
            self.storage.remove(&segments::path(placed.base))?;
        }
        if let Some(active) = segments.last() {
            let at = end.saturating_sub(active.base);
            if at < active.segment.size() {
                active.segment.zero_from(at)?;
            }
            self.storage.sync_dir(log::DIRECTORY)?;
        }
        self.log = LogWriter::new(segments, end);
        Ok(())
    }

    /// Index files that were left out of the index: what they lead to is indexed again in new ones, which may get the
    /// names of these.
    fn drop_distrusted_index_files(&mut self, trusted: &BTreeSet<String>) -> Result<(), Error> {
        let mut entries = self.storage.list(crate::index::DIRECTORY)?.unwrap_or_default();
        entries.retain(|entry| parse_file_name(&entry.name).is_some() && !trusted.contains(&entry.name));
        for entry in &entries {
            self.storage.remove(&format!("{}/{}", crate::index::DIRECTORY, entry.name))?;
        }
        if !entries.is_empty() {
            self.storage.sync_dir(crate::index::DIRECTORY)?;
        }
        Ok(())
    }
}

/// Enters the keys of a record found in the log.
fn enter(index: &mut Index, clock: &impl Clock, record: &Record<'_>, at: u64, with_tags: bool) {
    let key_hash = java_hash(java_hash(0, record.topic()), b"#");
    Dispatch::of(record, at).index(index, clock, key_hash, with_tags);
    index.enter(clock);
}

/// Whether the newest record that an index names can be in a log that ends at `end`. An index of nothing says 0.
fn lies_below(end_physical: i64, end: u64) -> bool {
    end_physical <= 0 || end_physical.unsigned_abs() < end
}

fn refuse_unsupported<S: Storage>(storage: &S) -> Result<(), Error> {
    let reasons = kinds::unsupported(storage)?;
    if reasons.is_empty() {
        return Ok(());
    }
    let message = format!("this store cannot be written yet: {}; open it with readOnly: true, or with RocketMQ", reasons.join("; "));
    Err(Error::new(Code::UnsupportedFormat, message))
}

/// Full queues beside an empty log: another disk is mounted here, or the log was lost. RocketMQ deletes every queue then.
fn refuse_wrong_mount<G: Segment>(segments: &Segments<G>, loaded: &[LoadedQueue]) -> Result<(), Error> {
    let full = loaded.iter().filter(|queue| queue.last.is_some()).count();
    if !segments.is_empty() || full == 0 {
        return Ok(());
    }
    let reason = format!("the commit log is empty, but {full} consume queues hold entries: is the right disk mounted there?");
    Err(Error::corrupt(log::DIRECTORY, 0, &format!("{reason} To start anew, move {} and index away", queue::DIRECTORY)))
}

/// Up to where the queues of a cleanly closed store are complete. All of them are built again when the newest entry of one
/// leads nowhere: its file is damaged, and the end of the log must not be taken from it.
fn queues_end<G: Segment>(
    segments: &Segments<G>,
    table: &QueueTable,
    loaded: &[LoadedQueue],
    findings: &mut Vec<Finding>,
) -> Result<u64, Error> {
    let (mut end, mut lost) = (segments.min(), None);
    for queue in loaded {
        let Some(last) = queue.last.filter(|last| !last.is_blank() && last.physical >= segments.min()) else {
            continue; // nothing, or gone with the first files of the log
        };
        if recovery::was_written(segments, &last)? {
            end = end.max(last.end());
        } else {
            lost = Some((queue.place, last.physical));
        }
    }
    let Some((place, physical)) = lost else { return Ok(end) };
    let directory = format!("{}/{}/{}", queue::DIRECTORY, table.topic_of(place).name, table.queue(place).id);
    let reason = format!("the newest entry says that a message lies at {physical}, where the log has none");
    if recovery::clean_evidence(segments, 0, [-1; 2]) == segments.min() {
        let reason = format!("{reason}, nor any other: is the right disk mounted at {}?", log::DIRECTORY);
        return Err(Error::corrupt(&directory, 0, &reason));
    }
    let message = format!("{reason}; the queues are built again from the log");
    findings.push(Finding { kind: "queue-damaged", file: directory, offset: 0, length: 0, message });
    Ok(segments.min())
}

fn load_checkpoint<S: Storage>(storage: &S) -> Result<Checkpoint, Error> {
    let mut bytes = [0; CHECKPOINT_BYTES];
    let read = match storage.len(CHECKPOINT_PATH)? {
        Some(_) => storage.read_at(CHECKPOINT_PATH, 0, &mut bytes)?,
        None => 0,
    };
    Ok(Checkpoint::decode(&bytes[..read]))
}

/// The index files that count, and the offset from which messages have to be indexed again.
///
/// After an abrupt end only files that were complete and synced count: RocketMQ says so by `checkpoint` (store-format
/// §5.2). A store that was closed cleanly has indexed everything, unless its index was removed. A file that names a record
/// at or behind `end` tells of another log: new records there would be taken for indexed already.
fn load_index<S: Storage>(
    storage: &S,
    options: &Options,
    clean: bool,
    checkpoint: &Checkpoint,
    segments: &Segments<S::Segment>,
    end: u64,
    findings: &mut Vec<Finding>,
) -> Result<(Index, u64), Error> {
    let asked = Geometry { slots: options.index_slots, entries: options.index_entries };
    let mut files = index_files::load(storage, asked, findings)?;
    let geometry = files.last().map_or(asked, |file| file.geometry);
    if !clean {
        let complete = |file: &SealedFile| file.header.count >= file.geometry.entries && file.header.end_timestamp <= checkpoint.index;
        let trusted = files.iter().take_while(|file| complete(file)).count();
        files.truncate(trusted);
    }
    let found = files.len();
    files.truncate(files.iter().take_while(|file| lies_below(file.header.end_physical, end)).count());
    let complete = clean && files.len() == found;
    let known = match files.last() {
        None => segments.min(),
        Some(_) if complete => u64::MAX,
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

fn unclean() -> Finding {
    Finding {
        kind: "unclean",
        file: String::from(ABORT_PATH),
        offset: 0,
        length: 0,
        message: String::from(
            "the store was not closed, or is open elsewhere; queues and index were built again from the log where needed",
        ),
    }
}

/// Smallest offset whose message the log still holds (store-format §3.4).
fn correct_min<S: Storage>(storage: &S, files: &QueueFiles, table: &mut QueueTable, place: QueueIndex, log_min: u64) -> Result<(), Error> {
    let (mut low, mut high) = (table.queue(place).min, table.queue(place).next());
    if low >= high {
        table.queue_mut(place).min = high;
        return Ok(());
    }
    while low < high {
        let middle = low + (high - low) / 2;
        match files.entry(storage, table, place, middle)? {
            Some(entry) if entry.physical < log_min => low = middle + 1,
            _ => high = middle,
        }
    }
    table.queue_mut(place).min = low;
    Ok(())
}

/// Position and store time of the newest message that a queue leads to.
fn last_message<S: Storage>(
    storage: &S,
    files: &QueueFiles,
    table: &QueueTable,
    log: &log::view::LogView<S::Segment>,
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
