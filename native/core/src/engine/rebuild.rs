//! Where the log ends, and what its records give back to queues and index. In memory: no file changes here.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::complete::{correct_batch_mins, cut_batch_queues, last_batch};
use super::counts::Counts;
use super::found::Found;
use super::known::{IndexClues, correct_min, last_message, lies_below, load_index};
use super::open::Progress;
use super::rows::Queues;
use super::trusted::Proven;
use crate::batch_dispatch::{belongs_to_batch_queue, redispatch_to_batch_queue};
use crate::dispatch::{Dispatch, redispatch_to_queues};
use crate::error::Error;
use crate::format::hash::java_hash;
use crate::format::record::Record;
use crate::index::put::Index;
use crate::limits::{BATCH_ENTRY_BYTES, QUEUE_ENTRY_BYTES};
use crate::log::view::LogView;
use crate::options::Options;
use crate::queue::DIRECTORY;
use crate::queue::batch::BatchIndex;
use crate::queue::batch_files::{BatchFiles, directory};
use crate::queue::files::{QueueFiles, retract_missing};
use crate::queue::table::QueueIndex;
use crate::queue::tail::Tail;
use crate::recovery::{self, Evidence, LogEnd};
use crate::storage::{Clock, Storage};

/// Bytes of the log between two reports of progress.
const PROGRESS_BYTES: u64 = 64 * 1024 * 1024;

/// What was found beyond what the files say.
pub(super) struct Rebuilt {
    pub log_end: LogEnd,
    /// Where the scan of the log began.
    pub scanned_from: u64,
    /// Position and store time of the last record.
    pub last: (u64, i64),
    /// Queues whose files hold more than counts.
    pub touched: Vec<QueueIndex>,
    pub touched_batches: Vec<BatchIndex>,
    /// The index files that count.
    pub index_names: BTreeSet<String>,
}

impl<S: Storage> Found<S> {
    pub fn rebuild(
        &mut self,
        storage: &S,
        clock: &impl Clock,
        options: &Options,
        counts: &Counts,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Rebuilt, Error> {
        if self.is_resumed() && !options.read_only {
            // Queues that came later may have files, which hold more than the log has kept, and not in one piece.
            QueueFiles::add_others(storage, &mut self.queues.plain)?;
            BatchFiles::add_others(storage, &self.queues.plain, &mut self.queues.batches)?;
        }
        let touched = self.drop_plain_entries(storage, counts)?;
        let touched_batches = self.drop_batch_entries(storage, counts)?;
        self.retract_missing_files();
        let indexed_to = self.index.newest().map_or(0, |newest| newest.end_physical);
        let mut index_names = self.index.names();
        let least = counts.complete.least();
        let scanned_from = if options.index { least.min(self.index_known) } else { least };
        let log_end = self.scan(clock, options, counts, scanned_from, progress)?;
        if let Some(before) = self.take_before() {
            before.raise(&mut self.queues.plain, self.queues.files.file_entries, &mut self.findings);
            before.raise_batches(&mut self.queues.batches);
        }
        if !lies_below(indexed_to, log_end.end) {
            index_names = self.index_again(storage, clock, options, log_end.end)?;
        }
        self.findings.extend(recovery::cut_finding(&self.segments, &log_end));
        self.correct_mins(storage)?;
        self.kept.settle(storage, &mut self.queues, (self.segments.min(), log_end.end), &mut self.findings)?;
        let last = self.last_record(storage, &log_end)?;
        Ok(Rebuilt { log_end, scanned_from, last, touched, touched_batches, index_names })
    }

    /// The queues as the sidecar says that they were, where their files are not.
    fn take_before(&mut self) -> Option<Queues> {
        let proven = self.proven.as_mut().and_then(|proven| proven.before.take());
        proven.or_else(|| self.resumed.as_mut().and_then(|resumed| resumed.before.take()))
    }

    /// Killed, and the queues are those that the watermark speaks of: their files may hold more, and not in one piece.
    fn is_resumed(&self) -> bool {
        self.resumed.is_some() && self.queues_said
    }

    /// Forgets the entries that the scan makes again; the queues whose files are to be cleared of them.
    fn drop_plain_entries(&mut self, storage: &S, counts: &Counts) -> Result<Vec<QueueIndex>, Error> {
        if self.is_resumed() {
            return Ok(self.queues.plain.places().collect());
        }
        let (table, mut touched) = (&mut self.queues.plain, Vec::new());
        for queue in &self.loaded {
            if counts.lost.plain {
                // Also what the files do not reach in front of their first entry.
                (table.queue_mut(queue.place).min, table.queue_mut(queue.place).tail) = (0, Tail::default());
                touched.push(queue.place);
                continue;
            }
            let held = self.queues.files.cut(storage, table, queue.place, counts.complete.simple)?;
            let (min, next) = (table.queue(queue.place).min, table.queue(queue.place).next());
            if min >= next && !self.clean {
                // Where none is left, the files do not say where the queue begins: a crash may have taken the first of them.
                (table.queue_mut(queue.place).min, table.queue_mut(queue.place).tail) = (0, Tail::default());
            }
            // After a crash all of them: what another one has cleared may be in the page cache only.
            if held != table.queue(queue.place).next() || queue.behind.is_some() || !self.clean {
                touched.push(queue.place);
            }
            if queue.last.is_some_and(|last| !last.is_blank() && last.end() <= self.segments.min()) {
                // Its files tell of nothing that is still there, and may not tell of all that is gone.
                table.queue_mut(queue.place).min = table.queue(queue.place).next();
            }
        }
        Ok(touched)
    }

    fn drop_batch_entries(&mut self, storage: &S, counts: &Counts) -> Result<Vec<BatchIndex>, Error> {
        if self.is_resumed() {
            return Ok(self.queues.batches.places().collect());
        }
        if self.queues_said {
            return Ok(Vec::new()); // none of their entries leads behind the end, whatever a damaged one says
        }
        let table = &mut self.queues.batches;
        if counts.lost.batches {
            let touched: Vec<_> = self.loaded_batches.iter().map(|queue| queue.place).collect();
            touched.iter().for_each(|&place| table.load(place, 0, 0, 0, 0));
            return Ok(touched);
        }
        let mut touched = cut_batch_queues(storage, &self.queues.batch_files, table, &self.segments, counts.complete.batch)?;
        for &place in touched.iter().filter(|_| !self.clean) {
            if table.queue(place).is_empty() {
                table.load(place, 0, 0, 0, 0); // as of a plain queue
            }
        }
        for queue in &self.loaded_batches {
            if queue.behind.is_some() || !self.clean {
                touched.push(queue.place);
            }
            if queue.last.is_some_and(|last| last.end() <= self.segments.min()) {
                let next = table.queue(queue.place).next();
                table.queue_mut(queue.place).min = next; // as of a plain queue
            }
        }
        Ok(touched)
    }

    /// A file that is missing costs messages only in front of where its queue goes on: entries behind that are made again.
    fn retract_missing_files(&mut self) {
        let Self { queues: Queues { plain, batches, .. }, findings, .. } = self;
        if findings.iter().all(|finding| finding.kind != "queue-gap") {
            return;
        }
        for place in self.loaded.iter().map(|queue| queue.place) {
            let dir = format!("{DIRECTORY}/{}/{}", plain.topic_of(place).name, plain.queue(place).id);
            retract_missing(findings, &dir, plain.queue(place).next() * QUEUE_ENTRY_BYTES);
        }
        for place in self.loaded_batches.iter().map(|queue| queue.place) {
            retract_missing(findings, &directory(batches, place), batches.queue(place).held().1 * BATCH_ENTRY_BYTES);
        }
    }

    /// Goes through the log and enters what queues and index lack.
    fn scan(
        &mut self,
        clock: &impl Clock,
        options: &Options,
        counts: &Counts,
        from: u64,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<LogEnd, Error> {
        let Counts { complete, evidence, .. } = *counts;
        let total = self.segments.extent().saturating_sub(from);
        let (mut reported, mut dispatch_findings) = (0, Vec::new());
        let file_entries = self.queues.files.file_entries;
        let (plain, batches, index) = (&mut self.queues.plain, &mut self.queues.batches, &mut self.index);
        let index_known = self.index_known;
        let log_end = recovery::scan(&self.segments, from, evidence, &mut self.findings, |at, record| {
            if at >= complete.least() {
                let dispatch = Dispatch::of(record, at, &options.delay_levels);
                let is_batch = belongs_to_batch_queue(batches, plain, &dispatch);
                let hidden_below = if is_batch { plain.hidden_below(dispatch.topic) } else { 0 };
                if is_batch && at >= complete.batch.max(hidden_below) {
                    redispatch_to_batch_queue(batches, record, &dispatch, hidden_below > 0, &mut dispatch_findings);
                }
                if at >= complete.simple {
                    redispatch_to_queues(plain, batches, record, &dispatch, !is_batch, file_entries, &mut dispatch_findings);
                }
            }
            if options.index && at >= index_known {
                enter(index, clock, record, at, options.index_tags);
            }
            if at - from >= reported + PROGRESS_BYTES {
                reported = at - from;
                progress(Progress { phase: "log", done: reported, total });
            }
        })?;
        self.findings.append(&mut dispatch_findings);
        self.segments.name_files(&mut self.findings);
        progress(Progress { phase: "log", done: total, total });
        Ok(log_end)
    }

    /// The index tells of records behind the end of the log: it is loaded without those files, and filled up again.
    fn index_again(&mut self, storage: &S, clock: &impl Clock, options: &Options, end: u64) -> Result<BTreeSet<String>, Error> {
        let Self { segments, sidecar, clean, checkpoint, .. } = self;
        let unindexed = sidecar.newest.and_then(|newest| newest.unindexed);
        let clues = IndexClues { options, known_geometry: sidecar.geometry, unindexed, clean: *clean, checkpoint, derived: None };
        let (mut index, known) = load_index(storage, &clues, segments, end, &mut Vec::new())?;
        let names = index.names();
        if options.index {
            recovery::scan(segments, known.min(end), Evidence::Below(end), &mut Vec::new(), |at, record| {
                if at < end {
                    enter(&mut index, clock, record, at, options.index_tags);
                }
            })?;
        }
        (self.index, self.index_said) = (index, false);
        Ok(names)
    }

    /// Smallest offsets whose messages the log still holds. Those of the sidecar are right already.
    fn correct_mins(&mut self, storage: &S) -> Result<(), Error> {
        let min = self.segments.min();
        let derived = self.resumed.as_ref().and_then(|resumed| resumed.running.derived);
        if self.queues_said && derived.is_none_or(|derived| derived.min == min) {
            return Ok(());
        }
        let queues = &mut self.queues;
        queues.plain.places().try_for_each(|place| correct_min(storage, &queues.files, &mut queues.plain, place, min))?;
        correct_batch_mins(storage, &queues.batch_files, &mut queues.batches, min)
    }

    fn last_record(&self, storage: &S, log_end: &LogEnd) -> Result<(u64, i64), Error> {
        let (min, queues) = (self.segments.min(), &self.queues);
        let log = LogView::new(self.segments.clone(), log_end.end);
        Ok(match (log_end.last, &self.proven) {
            (Some(last), _) => last,
            (None, Some(Proven { closed, .. })) => closed.last.map_or((min, 0), |last| (last.at, last.store_timestamp)),
            (None, None) if self.resumed.is_some() => {
                let last = self.resumed.as_ref().and_then(|resumed| resumed.running.last);
                last.map_or((min, 0), |last| (last.at, last.store_timestamp))
            }
            (None, None) => last_message(storage, &queues.files, &queues.plain, &log)?
                .max(last_batch(storage, &queues.batch_files, &queues.batches, &log)?)
                .unwrap_or((min, 0)),
        })
    }
}

/// Enters the keys of a record found in the log.
pub(super) fn enter(index: &mut Index, clock: &impl Clock, record: &Record<'_>, at: u64, with_tags: bool) {
    let key_hash = java_hash(java_hash(0, record.topic()), b"#");
    Dispatch::of(record, at, &[]).index(index, clock, key_hash, with_tags);
    index.enter(clock);
}
