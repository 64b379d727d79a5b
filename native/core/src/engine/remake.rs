//! Rebuilding: queues, index or both made again from the log, in files, without a store that is open.
//!
//! One scan of the log; entries go to their files as they come, so that memory is bounded by [`MAX_WAITING_ENTRIES`]
//! (24 MiB, twice that in half-filled buffers), one index file's slots and the names of the queues.
//!
//! A note in `moraine/rebuild` is written before the first file goes, and removed when all are synced: whoever opens the
//! store for writing in between ends the rebuild first. `abort` and `checkpoint` tell RocketMQ and readers meanwhile that
//! no queue is complete.

use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::close::{ABORT_BACKUP_PATH, ABORT_PATH};
use super::found::refuse_unsupported;
use super::known::{load_checkpoint, queues_end, refuse_wrong_mount};
use super::open::Progress;
use super::plans::CHECKPOINT_PATH;
use super::rebuild::enter;
use super::remake_files::{batch_topics, remove_index_files, remove_queue_files, usual_file_bytes};
use super::sidecar::{SIDECAR, Sidecar, marker_stands, write_marker};
use super::trusted::Proven;
use super::written_again::write_log_again;
use crate::batch_dispatch::{belongs_to_batch_queue, redispatch_to_batch_queue};
use crate::dispatch::{Dispatch, redispatch_to_queues, start_queue_at};
use crate::error::{Error, Finding, IoError};
use crate::format::checkpoint::Checkpoint;
use crate::format::index_file::Geometry;
use crate::format::queue_entry::QueueEntry;
use crate::format::rebuild_note::RebuildNote;
use crate::format::record::Record;
use crate::format::watermark::Running;
use crate::index::files as index_files;
use crate::index::put::Index;
use crate::limits::{BATCH_ENTRY_BYTES, CHECKPOINT_BYTES, MAX_QUEUE_TABLE_BYTES, QUEUE_ENTRY_BYTES};
use crate::log::segments::Segments;
use crate::log::view::LogView;
use crate::options::Options;
use crate::queue::batch::BatchTable;
use crate::queue::batch_files::BatchFiles;
use crate::queue::ext::{ExtEnds, ExtFiles, ExtPlan};
use crate::queue::extent::Trust;
use crate::queue::files::QueueFiles;
use crate::queue::table::QueueTable;
use crate::queue::topics::Topic;
use crate::queue::{BATCH_DIRECTORY, DIRECTORY, EXT_DIRECTORY};
use crate::recovery::{self, Evidence};
use crate::storage::{Clock, Storage};
use crate::topics::TopicTable;
use crate::writes::{Unsynced, Writes};

/// The note of a rebuild that is not at its end.
pub const NOTE_PATH: &str = "moraine/rebuild";

/// Entries that wait for their files before those are written.
const WAITING_ENTRIES: usize = 1 << 16;
/// Of many queues each write should carry several entries: so many of each, …
const DENSE_ENTRIES: usize = 16;
/// … but no more than this together.
pub const MAX_WAITING_ENTRIES: usize = 1 << 20;
/// Bytes of index entries in one plan of writes.
const INDEX_BYTES: usize = 1 << 19;
/// Bytes of the log between two reports of progress.
const PROGRESS_BYTES: u64 = 16 << 20;
/// Blank entries that make up for messages that the log has lost, in one queue.
const MAX_LOST_ENTRIES: u64 = 1_000_000;
/// Most findings that are kept.
const MAX_FINDINGS: usize = 10_000;

/// What is to be made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Derived {
    pub queues: bool,
    pub index: bool,
}

/// What came of a rebuild.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rebuilt {
    /// Records of the log.
    pub messages: u64,
    pub findings: Vec<Finding>,
}

/// Makes derived files again. The caller holds the store's lock. What `what` does not name is left as it is.
///
/// STORE_CORRUPT for a log that is no log, STORE_UNSUPPORTED_FORMAT for kinds of stores that are not written. Any error
/// leaves a store that goes on being rebuilt when it is opened for writing.
pub fn rebuild<S: Storage, C: Clock>(
    storage: &S,
    clock: &C,
    options: &Options,
    what: Derived,
    progress: &mut dyn FnMut(Progress),
) -> Result<Rebuilt, Error> {
    let mut findings = Vec::new();
    let topics = TopicTable::load(storage, &mut findings)?;
    refuse_unsupported(storage, &topics.kinds)?;
    let segments = Segments::load(storage, options.segment_bytes, true, &mut findings)?;
    let mut sidecar = Sidecar::read(storage)?;
    let running = log_alone(storage, &segments, &sidecar)?;
    let note = match pending(storage)? {
        Some(note) => RebuildNote { queues: note.queues || what.queues, index: note.index || what.index, ..note },
        None => {
            let note = Note { storage, options, segments: &segments, topics: &topics }.make(what, &mut findings)?;
            if !note.clean {
                // What is noted of the log and the queues is to hold after a power cut, too.
                write_log_again(storage, &segments, note.evidence(), running.as_ref())?;
            }
            note
        }
    };
    begin(storage, &note, &mut sidecar, running)?;
    let mut build = Build::new(storage, clock, options, &topics, note)?;
    let messages = build.scan(&segments, &mut findings, progress)?;
    build.finish()?;
    findings.truncate(MAX_FINDINGS);
    Ok(Rebuilt { messages, findings })
}

/// Ends a rebuild that was ended in the middle; nothing where there is none.
pub(super) fn finish_pending<S: Storage, C: Clock>(
    storage: &S,
    clock: &C,
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), Error> {
    if pending(storage)?.is_some() {
        rebuild(storage, clock, options, Derived { queues: false, index: false }, progress)?;
    } else if storage.len(NOTE_PATH).is_ok_and(|len| len.is_some()) {
        // Void: RocketMQ was here, and has built what was missing by its own rules.
        storage.remove(NOTE_PATH)?;
        storage.sync_dir(SIDECAR)?;
    }
    Ok(())
}

/// The note of a rebuild that was ended in the middle, unless RocketMQ has been here since.
fn pending<S: Storage>(storage: &S) -> Result<Option<RebuildNote>, Error> {
    let Ok(Some(len)) = storage.len(NOTE_PATH) else { return Ok(None) };
    if len > MAX_QUEUE_TABLE_BYTES || !marker_stands(storage)? {
        return Ok(None);
    }
    let mut bytes = vec![0; len as usize];
    let read = storage.read_at(NOTE_PATH, 0, &mut bytes)?;
    Ok(RebuildNote::decode(&bytes[..read]))
}

/// What a note is made from.
struct Note<'a, S: Storage> {
    storage: &'a S,
    options: &'a Options,
    segments: &'a Segments<S::Segment>,
    topics: &'a TopicTable,
}

impl<S: Storage> Note<'_, S> {
    fn make(&self, what: Derived, findings: &mut Vec<Finding>) -> Result<RebuildNote, Error> {
        let Self { storage, options, segments, topics } = *self;
        let (checkpoint_bytes, checkpoint) = load_checkpoint(storage)?;
        let sidecar = Sidecar::read(storage)?;
        let clean = sidecar.is_closed(storage, &checkpoint_bytes)?;
        let proven = sidecar.prove(storage, clean, &checkpoint_bytes, segments, findings)?;
        let resumed = match proven {
            Some(_) => None,
            None => sidecar.resume(storage, clean, &checkpoint_bytes, segments, options, findings)?,
        };
        let mut below = proven.as_ref().map(|proven| proven.closed.end).or(resumed.as_ref().map(|resumed| resumed.written));
        // Then the queues are what the table says: a file cannot know better.
        let is_closed = proven.is_some();
        let said = match (proven, resumed) {
            (Some(proven), _) => proven.queues.or(proven.before),
            (None, Some(resumed)) => resumed.queues.or(resumed.before),
            (None, None) => None,
        };
        // A table without a queue tells no size.
        let said_plain = said.as_ref().filter(|said| !said.plain.is_empty()).map(|said| said.files.file_entries);
        let said_batch = said.as_ref().filter(|said| said.batches.places().next().is_some()).map(|said| said.batch_files.file_entries);
        let queue_bytes = usual_file_bytes(storage, DIRECTORY, QUEUE_ENTRY_BYTES)?;
        let batch_bytes = usual_file_bytes(storage, BATCH_DIRECTORY, BATCH_ENTRY_BYTES)?;
        let ext = storage.list(EXT_DIRECTORY)?.map(|_| usual_file_bytes(storage, EXT_DIRECTORY, 1));
        let asked_entries = u64::from(options.queue_file_entries);
        let entries = |bytes: Option<u64>, unit: u64, said: Option<u64>| bytes.map(|bytes| bytes / unit).or(said).unwrap_or(asked_entries);

        // How far the queues have come: no offset is to be given twice. Files that no queue can have tell nothing.
        let (mut queues, mut batches) = (QueueTable::default(), BatchTable::default());
        let trust = (if clean { Trust::Clean } else { Trust::Crashed }, false);
        let loaded = QueueFiles::load(storage, options.queue_file_entries, trust, &mut queues, &mut Vec::new());
        let loaded_batches =
            BatchFiles::load(storage, options.queue_file_entries, trust, &topics.kinds.batch, &queues, &mut batches, &mut Vec::new());
        let batch_queues = loaded_batches.map(|(_, loaded)| loaded).unwrap_or_default();
        let (mut rows, mut batch_rows) = (Vec::new(), Vec::new());
        if let Some(said) = &said {
            rows.extend(
                said.plain
                    .places()
                    .map(|place| row(said.plain.topic_of(place), said.plain.queue(place).id, said.plain.queue(place).next())),
            );
            batch_rows.extend(
                said.batches
                    .places()
                    .map(|place| row(said.batches.topic_of(place), said.batches.queue(place).id, said.batches.queue(place).next())),
            );
        }
        for queue in batch_queues.iter().filter(|queue| !is_closed && queue.last.is_some_and(|last| last.end() <= segments.extent())) {
            let place = batches.queue(queue.place);
            batch_rows.push(row(batches.topic_of(queue.place), place.id, place.next()));
        }
        if let Ok((_, loaded)) = loaded {
            refuse_wrong_mount(segments, &loaded, &batch_queues)?;
            if clean && below.is_none() {
                let end = queues_end(segments, &queues, &loaded, &mut Vec::new())?;
                let batch_end = batch_queues.iter().filter_map(|queue| queue.last).map(|last| last.end());
                below = Some(batch_end.filter(|&end| end <= segments.extent()).fold(end, u64::max));
            }
            let counts = |last: QueueEntry| !is_closed && (last.end() <= segments.extent() || last.is_blank());
            for queue in loaded.iter().filter(|queue| queue.last.is_some_and(counts)) {
                let place = queues.queue(queue.place);
                rows.push(row(queues.topic_of(queue.place), place.id, place.next()));
            }
        }
        let asked = Geometry { slots: options.index_slots, entries: options.index_entries };
        let candidates: Vec<_> = sidecar.geometry.into_iter().chain([asked]).collect();
        let newest = index_files::load(storage, &candidates, false, &mut Vec::new())?.pop();
        if clean {
            let indexed = newest.as_ref().map_or(-1, |newest| newest.header.end_physical);
            let known = recovery::clean_evidence(segments, below.unwrap_or(0), [checkpoint.confirm_offset, indexed]);
            let written = if is_closed { 0 } else { sidecar.written_before(storage, &checkpoint_bytes, segments)? };
            below = Some(known.max(below.unwrap_or(0)).max(written));
        }
        Ok(RebuildNote {
            queues: what.queues,
            index: what.index,
            clean,
            below,
            stored_by: checkpoint.min_timestamp(),
            queue_file_entries: entries(queue_bytes, QUEUE_ENTRY_BYTES, said_plain),
            batch_file_entries: entries(batch_bytes, BATCH_ENTRY_BYTES, said_batch),
            ext_file_bytes: ext.transpose()?.map(|bytes| bytes.unwrap_or(crate::queue::ext::DEFAULT_FILE_BYTES)),
            geometry: newest.map_or(sidecar.geometry.unwrap_or(asked), |newest| newest.geometry),
            checkpoint,
            rows: greatest(rows),
            batch_rows: greatest(batch_rows),
        })
    }
}

impl RebuildNote {
    /// Why a range of the log is known to have held records.
    fn evidence(&self) -> Evidence {
        self.below.map_or(Evidence::StoredBy(self.stored_by), Evidence::Below)
    }
}

/// One row for each queue: the one that says most.
fn greatest(mut rows: Vec<(String, i32, u64)>) -> Vec<(String, i32, u64)> {
    rows.sort_unstable_by(|a, b| b.cmp(a));
    rows.dedup_by(|a, b| (&a.0, a.1) == (&b.0, b.1));
    rows
}

fn row<P: Copy>(topic: &Topic<P>, id: i32, next: u64) -> (String, i32, u64) {
    (topic.name.clone(), id, next)
}

/// What the watermark may go on saying: how far the log was written, and nothing of what is derived from it.
fn log_alone<S: Storage>(storage: &S, segments: &Segments<S::Segment>, sidecar: &Sidecar) -> Result<Option<Running>, Error> {
    let (checkpoint, _) = load_checkpoint(storage)?;
    let clean = sidecar.is_closed(storage, &checkpoint)?;
    if let Some(Proven { closed, .. }) = sidecar.prove(storage, clean, &checkpoint, segments, &mut Vec::new())? {
        let session = sidecar.next_sequence();
        let running =
            Running { min: closed.min, durable: closed.end, last: closed.last, checkpoint: closed.checkpoint, derived: None, session };
        return Ok(Some(running));
    }
    // Also where a rebuild that died just now had closed the store.
    let resumed = sidecar.log_resumed(storage, &checkpoint, segments, &mut |_| {})?;
    Ok(resumed.map(|(running, _)| Running { derived: None, ..running }))
}

/// Says everywhere that the derived files are not complete, and removes them.
fn begin<S: Storage>(storage: &S, note: &RebuildNote, sidecar: &mut Sidecar, running: Option<Running>) -> Result<(), Error> {
    storage.create_dir(SIDECAR)?;
    write_marker(storage)?;
    let bytes = note.encode();
    storage.remove(NOTE_PATH)?;
    storage.create(NOTE_PATH, 0)?;
    storage.write_at(NOTE_PATH, 0, &bytes)?;
    storage.sync(NOTE_PATH)?;
    storage.sync_dir(SIDECAR)?;
    storage.create(ABORT_BACKUP_PATH, 0)?;
    storage.create(ABORT_PATH, 0)?;
    storage.sync_dir("")?;
    if let Some(newest) = sidecar.newest.as_mut().filter(|_| note.index) {
        newest.unindexed = None;
    }
    sidecar.supersede(storage, running)?;
    if storage.len(CHECKPOINT_PATH)? != Some(CHECKPOINT_BYTES as u64) {
        storage.create(CHECKPOINT_PATH, CHECKPOINT_BYTES as u64)?;
    }
    let logics = if note.queues { 0 } else { note.checkpoint.logics };
    let index = if note.index { 0 } else { note.checkpoint.index };
    write_checkpoint(storage, &Checkpoint { logics, index, ..note.checkpoint })?;
    storage.sync_dir("")?;
    if note.queues {
        for directory in [DIRECTORY, BATCH_DIRECTORY, EXT_DIRECTORY] {
            remove_queue_files(storage, directory)?;
        }
    }
    if note.index {
        remove_index_files(storage)?;
    }
    Ok(())
}

fn write_checkpoint<S: Storage>(storage: &S, checkpoint: &Checkpoint) -> Result<(), IoError> {
    storage.write_at(CHECKPOINT_PATH, 0, &checkpoint.encode())?;
    storage.sync(CHECKPOINT_PATH)
}

/// Derived files, as they grow.
struct Build<'a, S, C> {
    storage: &'a S,
    clock: &'a C,
    options: &'a Options,
    note: RebuildNote,
    queues: QueueTable,
    queue_files: QueueFiles,
    ext_ends: ExtEnds,
    batches: BatchTable,
    batch_files: BatchFiles,
    index: Index,
    unsynced: Unsynced,
    /// End time of the newest index file that is full.
    sealed: i64,
    last_store_timestamp: i64,
}

impl<'a, S: Storage, C: Clock> Build<'a, S, C> {
    fn new(storage: &'a S, clock: &'a C, options: &'a Options, topics: &TopicTable, note: RebuildNote) -> Result<Self, Error> {
        let mut batches = BatchTable::default();
        for topic in batch_topics(storage, &topics.kinds.batch)? {
            batches.add_topic(topic.as_bytes());
        }
        Ok(Self {
            storage,
            clock,
            options,
            queues: QueueTable::default(),
            queue_files: QueueFiles {
                file_entries: note.queue_file_entries,
                ext: note.ext_file_bytes.map(|file_bytes| ExtFiles { file_bytes }),
            },
            ext_ends: ExtEnds::default(),
            batches,
            batch_files: BatchFiles { file_entries: note.batch_file_entries },
            index: Index::new(note.geometry, Vec::new(), None),
            unsynced: Unsynced::default(),
            sealed: 0,
            last_store_timestamp: 0,
            note,
        })
    }

    fn scan(
        &mut self,
        segments: &Segments<S::Segment>,
        findings: &mut Vec<Finding>,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<u64, Error> {
        let evidence = self.note.evidence();
        let log = LogView::new(segments.clone(), segments.extent());
        let (from, total) = (segments.min(), segments.extent() - segments.min());
        let (mut messages, mut told) = (0, from);
        let mut flaws = Vec::new();
        recovery::try_scan(segments, from, evidence, findings, |at, record| {
            messages += 1;
            self.enter(at, record, &mut flaws);
            flaws.truncate(MAX_FINDINGS);
            if at >= told + PROGRESS_BYTES {
                told = at;
                progress(Progress { phase: "log", done: at - from, total });
            }
            if self.waiting() >= self.most_waiting() { self.write(&log) } else { Ok(()) }
        })?;
        findings.append(&mut flaws);
        segments.name_files(findings);
        self.raise();
        self.write(&log)?;
        progress(Progress { phase: "log", done: total, total });
        Ok(messages)
    }

    fn enter(&mut self, at: u64, record: &Record<'_>, flaws: &mut Vec<Finding>) {
        self.last_store_timestamp = record.store_timestamp();
        if self.note.queues {
            let dispatch = Dispatch::of(record, at, &self.options.delay_levels);
            let is_batch = belongs_to_batch_queue(&self.batches, &self.queues, &dispatch);
            if is_batch {
                redispatch_to_batch_queue(&mut self.batches, record, &dispatch, false, flaws);
            }
            redispatch_to_queues(&mut self.queues, &self.batches, record, &dispatch, !is_batch, self.queue_files.file_entries, flaws);
        }
        if self.note.index {
            enter(&mut self.index, self.clock, record, at, self.options.index_tags);
        }
    }

    fn waiting(&self) -> usize {
        self.queues.waiting_entries() + self.batches.waiting_entries() + self.index.waiting_entries()
    }

    fn most_waiting(&self) -> usize {
        (self.queues.waiting_queues() * DENSE_ENTRIES).clamp(WAITING_ENTRIES, MAX_WAITING_ENTRIES)
    }

    /// No queue goes on below where it was, whatever of its messages is left: blank entries stand for the others.
    fn raise(&mut self) {
        for (topic, id, next) in core::mem::take(&mut self.note.rows) {
            let Some(last) = next.checked_sub(1).filter(|_| self.note.queues) else { continue };
            let place = self.queues.find_or_add(topic.as_bytes(), id);
            let has = self.queues.queue(place).next();
            if has > last {
                continue;
            }
            if has == self.queues.queue(place).min || last - has > MAX_LOST_ENTRIES {
                start_queue_at(&mut self.queues, place, last, self.queue_files.file_entries);
            }
            (self.queues.queue(place).next()..next).for_each(|_| self.queues.push(place, QueueEntry::BLANK));
        }
        for (topic, id, next) in core::mem::take(&mut self.note.batch_rows) {
            if self.note.queues && next > 0 {
                let place = self.batches.find_or_add(topic.as_bytes(), id);
                self.batches.raise(place, next);
            }
        }
    }

    /// Writes everything that waits.
    fn write(&mut self, log: &LogView<S::Segment>) -> Result<(), Error> {
        loop {
            let mut writes = Writes::default();
            let (mut queues, mut batches) = (Vec::new(), Vec::new());
            let index = self.index.plan(INDEX_BYTES, u64::MAX, &mut writes);
            let store_time = |physical| log.store_timestamp(physical).ok().flatten();
            let mut units = ExtPlan::new(&self.ext_ends, &store_time);
            self.queue_files.plan(&mut self.queues, u64::MAX, &mut writes, &mut queues, &mut units);
            let ext = units.reached;
            self.batch_files.plan(&self.batches, u64::MAX, &mut writes, &mut batches);
            if writes.is_empty() {
                return Ok(());
            }
            writes.run(self.storage)?;
            self.unsynced.extend(writes.paths());
            queues.into_iter().for_each(|(place, upto)| self.queues.written(place, upto));
            ext.into_iter().for_each(|(place, end)| self.ext_ends.set(place, end));
            batches.into_iter().for_each(|(place, upto)| self.batches.written(place, upto));
            self.batches.settle();
            if let Some(sealed) = index.and_then(|progress| self.index.wrote(&progress)) {
                self.sealed = sealed.end_timestamp;
            }
        }
    }

    /// Everything is in files: syncs them, and says so.
    fn finish(&mut self) -> Result<(), Error> {
        let storage = self.storage;
        if let Some(active) = self.index.active.as_mut() {
            let unsynced = &mut self.unsynced;
            active.write_slots(|writes| {
                unsynced.extend(writes.paths());
                writes.run(storage)
            })?;
        }
        if self.note.queues {
            storage.create_dir(DIRECTORY)?;
        }
        self.unsynced.sync(storage)?;
        let note = &self.note;
        let mut checkpoint = note.checkpoint;
        if note.index {
            checkpoint.index = self.sealed;
        }
        if note.clean && self.last_store_timestamp > 0 {
            (checkpoint.physic, checkpoint.logics) = (self.last_store_timestamp, self.last_store_timestamp);
        }
        write_checkpoint(storage, &checkpoint)?;
        if note.clean {
            storage.remove(ABORT_PATH)?;
            storage.sync_dir("")?;
        }
        storage.remove(NOTE_PATH)?;
        Ok(storage.sync_dir(SIDECAR)?)
    }
}
