//! Opening: load what is there, find the end of the log, build what queues and index lack, and only then change files.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::close::{ABORT_BACKUP_PATH, ABORT_PATH};
use super::complete::{Complete, correct_batch_mins, cut_batch_queues, last_batch, take_over_batch_queues};
use super::kept::KeptFile;
use super::known::{IndexClues, correct_min, last_message, lies_below, load_checkpoint, load_index, queues_end, refuse_wrong_mount};
use super::plans::CHECKPOINT_PATH;
use super::replicate::Incoming;
use super::retention::Retention;
use super::run::Run;
use super::sidecar::{Sidecar, write_marker};
use super::trusted::Proven;
use super::{Engine, Stats};
use crate::batch_dispatch::{belongs_to_batch_queue, redispatch_to_batch_queue};
use crate::dispatch::{Dispatch, redispatch_to_queues};
use crate::error::{Code, Error, Finding};
use crate::format::hash::java_hash;
use crate::format::index_file::parse_file_name;
use crate::format::record::Record;
use crate::index::put::Index;
use crate::limits::CHECKPOINT_BYTES;
use crate::log::append::LogWriter;
use crate::log::segments::{self, Segments};
use crate::options::Options;
use crate::queue::batch::{BatchIndex, BatchTable};
use crate::queue::batch_files::BatchFiles;
use crate::queue::ext::{ExtEnds, ExtFiles};
use crate::queue::files::QueueFiles;
use crate::queue::load::Trust;
use crate::queue::table::{QueueIndex, QueueTable};
use crate::queue::tail::Tail;
use crate::recovery::{self, Evidence, LogEnd};
use crate::storage::{Clock, Segment, Storage};
use crate::topics::{TopicKinds, TopicTable};
use crate::writes::Unsynced;
use crate::{kinds, log};

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
        let topics = TopicTable::load(storage.as_ref(), &mut findings)?;
        if write {
            refuse_unsupported(storage.as_ref(), &topics.kinds)?;
        }
        let sidecar = Sidecar::read(storage.as_ref())?;
        let mut segments = Segments::load(storage.as_ref(), options.segment_bytes, write, &mut findings)?;
        let mut kept = KeptFile::load(storage.as_ref(), &mut segments, &mut findings)?;
        let (checkpoint_bytes, mut checkpoint) = load_checkpoint(storage.as_ref())?;
        let mut proven = sidecar.prove(storage.as_ref(), clean, &checkpoint_bytes, &segments, &options, &mut findings)?;
        let trusted = proven.as_mut().and_then(|proven| proven.queues.take());
        let is_trusted = trusted.is_some();
        let trust = if clean { Trust::Clean } else { Trust::Crashed };
        let noticed = findings.len();
        let (mut queues, mut queue_files, loaded) = match trusted {
            Some((queues, queue_files)) => (queues, queue_files, Vec::new()),
            None => {
                let mut queues = QueueTable::default();
                let (queue_files, loaded) =
                    QueueFiles::load(storage.as_ref(), options.queue_file_entries, trust, write, &mut queues, &mut findings)?;
                (queues, queue_files, loaded)
            }
        };
        let sidecar_withheld = findings.len() > noticed;
        kept.hide(&mut queues);
        queue_files.ext = ExtFiles::load(storage.as_ref(), &mut findings)?;
        let mut batches = BatchTable::default();
        let (batch_files, loaded_batches) = BatchFiles::load(
            storage.as_ref(),
            options.queue_file_entries,
            (trust, write),
            &topics.kinds.batch,
            &queues,
            &mut batches,
            &mut findings,
        )?;
        refuse_wrong_mount(&segments, &loaded, &loaded_batches)?;
        let clues = IndexClues { options: &options, known_geometry: sidecar.geometry, clean, checkpoint: &checkpoint };
        let (mut index, mut index_known) = load_index(storage.as_ref(), &clues, &segments, segments.extent(), &mut findings)?;

        let lost = proven.as_ref().and_then(|proven| proven.lost(&queues));
        let rebuilt = lost.is_some();
        // Who removes all of them wants them to be built again.
        findings.extend(lost.filter(|_| !loaded.is_empty()));
        let (evidence, complete) = if let Some(Proven { closed, .. }) = &proven
            && (is_trusted || rebuilt)
        {
            let end = closed.end;
            let complete = Complete::of_clean_store(storage.as_ref(), &segments, end, &loaded, &batches, &loaded_batches, &mut findings)?;
            (Evidence::Below(end), Complete { simple: if rebuilt { segments.min() } else { end }, ..complete })
        } else if clean {
            let queues_end = queues_end(&segments, &queues, &loaded, &mut findings)?;
            let complete =
                Complete::of_clean_store(storage.as_ref(), &segments, queues_end, &loaded, &batches, &loaded_batches, &mut findings)?;
            let indexed = index.newest().map_or(-1, |newest| newest.end_physical);
            let known = recovery::clean_evidence(&segments, complete.end, [checkpoint.confirm_offset, indexed]);
            (Evidence::Below(known), complete)
        } else {
            if !segments.is_empty() {
                findings.push(unclean());
            }
            let time = checkpoint.min_timestamp();
            let known = recovery::start_segment(&segments, time);
            let complete = Complete::of_crashed_store(storage.as_ref(), segments.min(), known, &loaded, &batches, &loaded_batches)?;
            (Evidence::StoredBy(time), complete)
        };
        let vouched = recovery::start_segment(&segments, checkpoint.min_timestamp());
        let mut touched: Vec<QueueIndex> = Vec::new();
        for queue in &loaded {
            if rebuilt {
                // Also what the files do not reach in front of their first entry.
                (queues.queue_mut(queue.place).min, queues.queue_mut(queue.place).tail) = (0, Tail::default());
                touched.push(queue.place);
                continue;
            }
            let held = queue_files.cut(storage.as_ref(), &mut queues, queue.place, complete.simple)?;
            if held != queues.queue(queue.place).next() {
                touched.push(queue.place);
            }
        }
        let touched_batches = cut_batch_queues(storage.as_ref(), &batch_files, &mut batches, complete.batch)?;

        let indexed_to = index.newest().map_or(0, |newest| newest.end_physical);
        let mut index_names = index.names();
        let from = if options.index { complete.least().min(index_known) } else { complete.least() };
        let total = segments.extent().saturating_sub(from);
        let mut reported = 0;
        let mut dispatch_findings = Vec::new();
        let log_end = recovery::scan(&segments, from, evidence, &mut findings, |at, record| {
            if at >= complete.least() {
                let dispatch = Dispatch::of(record, at, &options.delay_levels);
                let is_batch = belongs_to_batch_queue(&batches, &queues, &dispatch);
                if is_batch && at >= complete.batch.max(queues.hidden_below(dispatch.topic)) {
                    redispatch_to_batch_queue(&mut batches, record, &dispatch, &mut dispatch_findings);
                }
                if at >= complete.simple {
                    redispatch_to_queues(&mut queues, record, &dispatch, !is_batch, queue_files.file_entries, &mut dispatch_findings);
                }
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
        if let Some(proven) = &proven {
            proven.raise(&mut queues, queue_files.file_entries);
        }
        if !lies_below(indexed_to, log_end.end) {
            (index, index_known) = load_index(storage.as_ref(), &clues, &segments, log_end.end, &mut Vec::new())?;
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
        if !is_trusted {
            queues.places().try_for_each(|place| correct_min(storage.as_ref(), &queue_files, &mut queues, place, min))?;
        }
        correct_batch_mins(storage.as_ref(), &batch_files, &mut batches, min)?;
        kept.settle(storage.as_ref(), (&queue_files, &mut queues), (&batch_files, &mut batches), log_end.end, &mut findings)?;
        let (last_record, last_store_timestamp) = match (log_end.last, &proven) {
            (Some(last), _) => last,
            (None, Some(Proven { closed, .. })) => closed.last.map_or((min, 0), |last| (last.at, last.store_timestamp)),
            (None, None) => last_message(storage.as_ref(), &queue_files, &queues, &log_view)?
                .max(last_batch(storage.as_ref(), &batch_files, &batches, &log_view)?)
                .unwrap_or((min, 0)),
        };
        if last_store_timestamp > 0 {
            // As RocketMQ does it: recovery sets it, and a close leaves it (store-format §5.1).
            checkpoint.confirm_offset = last_record as i64;
        }
        let mut engine = Self {
            log: LogWriter::new(segments, log_end.end),
            durable: log_end.end,
            storage,
            clock,
            options,
            queues,
            queue_files,
            ext_ends: ExtEnds::default(),
            batches,
            batch_files,
            topics,
            watches: Default::default(),
            index,
            last_record,
            last_store_timestamp,
            confirmed: None,
            incoming: Incoming::default(),
            cuts: 0,
            checkpoint,
            unsynced: Unsynced::default(),
            behind_in_flight: false,
            clean,
            sidecar,
            sidecar_withheld,
            kept,
            retention: Retention::default(),
            findings,
            poison: None,
            closed: false,
            stats: Stats::default(),
            run: Run::default(),
        };
        engine.options.segment_bytes = engine.log.segments().segment_bytes();
        engine.options.queue_file_entries = engine.queue_files.file_entries as u32;
        if write {
            if complete.least() < vouched {
                engine.take_back_queues()?;
            }
            engine.take_over(from, &log_end, &touched, &touched_batches, &index_names)?;
        }
        Ok(engine)
    }

    /// Queues are built again that `checkpoint` calls complete: it says so no more, until they are. A second crash would
    /// leave some of them half built.
    fn take_back_queues(&mut self) -> Result<(), Error> {
        if self.storage.len(CHECKPOINT_PATH)?.is_none() {
            return Ok(());
        }
        self.checkpoint.logics = 0;
        self.storage.write_at(CHECKPOINT_PATH, 0, &self.checkpoint.encode())?;
        Ok(self.storage.sync(CHECKPOINT_PATH)?)
    }

    /// Brings the files to what was found, and marks the store as open. Every step can be repeated.
    fn take_over(
        &mut self,
        scanned_from: u64,
        log_end: &LogEnd,
        touched: &[QueueIndex],
        touched_batches: &[BatchIndex],
        index_names: &BTreeSet<String>,
    ) -> Result<(), Error> {
        let storage = Arc::clone(&self.storage);
        // First: what the sidecar alone tells of, such as a queue that was removed, is being built again, and nothing else
        // makes the next open do it should this one be killed.
        storage.create(ABORT_BACKUP_PATH, 0)?;
        storage.create(ABORT_PATH, 0)?;
        storage.write_at(ABORT_PATH, 0, self.options.process_id.to_string().as_bytes())?;
        storage.sync_dir("")?;
        self.sidecar.supersede(storage.as_ref())?;
        if storage.len(CHECKPOINT_PATH)? != Some(CHECKPOINT_BYTES as u64) {
            storage.create(CHECKPOINT_PATH, CHECKPOINT_BYTES as u64)?;
        }
        write_marker(storage.as_ref())?;
        storage.sync_dir("")?;
        self.cut_log(log_end.end)?;
        if !self.clean {
            // What was read may be in the page cache only: its writer died before the sync.
            self.log.between(scanned_from).try_for_each(|(segment, from, to)| segment.sync(from, to))?;
        }
        for &place in touched {
            self.queue_files.clear_behind(storage.as_ref(), &self.queues, place, &mut self.unsynced)?;
        }
        if let Some(ext) = self.queue_files.ext {
            self.ext_ends = ext.take_over(storage.as_ref(), &self.queue_files, &self.queues, &mut self.unsynced)?;
        }
        take_over_batch_queues(storage.as_ref(), &self.batch_files, &self.batches, touched_batches, &mut self.unsynced)?;
        self.take_over_kept()?;
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
pub(super) fn enter(index: &mut Index, clock: &impl Clock, record: &Record<'_>, at: u64, with_tags: bool) {
    let key_hash = java_hash(java_hash(0, record.topic()), b"#");
    Dispatch::of(record, at, &[]).index(index, clock, key_hash, with_tags);
    index.enter(clock);
}

fn refuse_unsupported<S: Storage>(storage: &S, topics: &TopicKinds) -> Result<(), Error> {
    let reasons = kinds::unsupported(storage, topics)?;
    if reasons.is_empty() {
        return Ok(());
    }
    let message = format!("this store cannot be written yet: {}; open it with readOnly: true, or with RocketMQ", reasons.join("; "));
    Err(Error::new(Code::UnsupportedFormat, message))
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
