//! The log: every record, blank and end of a segment, and what is behind the last one.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use super::keys::Keys;
use super::report::Remedy;
use super::{Halt, Verifier};
use crate::batch_dispatch::parse_inner_num;
use crate::dispatch::{Dispatch, names_a_directory, takes_queue_entry};
use crate::engine::sidecar::WATERMARK_PATH;
use crate::engine::written_by_us;
use crate::format::batch_entry::BatchEntry;
use crate::format::queue_entry::QueueEntry;
use crate::format::record::{Record, SYS_FLAG_INNER_BATCH};
use crate::format::watermark::Watermark;
use crate::limits::QUEUE_ENTRY_BYTES;
use crate::log::scan::{BadReason, Scanner, Step};
use crate::log::segments::path;
use crate::log::view::LogView;
use crate::recovery::{self, Evidence};
use crate::storage::{Segment, Storage};

/// Bytes of the log between two reports of progress.
const STEP_BYTES: u64 = 4 << 20;
/// Without `deep`, so many bytes at the front of each segment, and at the end of the log, are looked at.
const SAMPLE_BYTES: u64 = 256 << 10;
/// Greatest queue offset whose place in a file is an offset of the boundary.
const MAX_QUEUE_OFFSET: u64 = crate::limits::MAX_SAFE_INTEGER / QUEUE_ENTRY_BYTES;

/// What the records say of a queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen {
    /// Queue offset of the first message.
    pub first: u64,
    /// Queue offset behind the last.
    pub next: u64,
    /// Where the record of the last one lies.
    pub last_at: u64,
}

/// Queues by topic and id, as the records name them.
#[derive(Debug, Default)]
pub(super) struct SeenQueues(BTreeMap<Vec<u8>, BTreeMap<i32, Seen>>);

impl SeenQueues {
    pub(super) fn get(&self, topic: &str, id: i32) -> Option<Seen> {
        self.0.get(topic.as_bytes())?.get(&id).copied()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], i32, Seen)> {
        self.0.iter().flat_map(|(topic, queues)| queues.iter().map(|(&id, &seen)| (topic.as_slice(), id, seen)))
    }

    /// Notes messages `offset..next`; the queue as it was before.
    fn note(&mut self, topic: &[u8], id: i32, offset: u64, next: u64, at: u64) -> Option<Seen> {
        if !self.0.contains_key(topic) {
            self.0.insert(topic.to_vec(), BTreeMap::new());
        }
        let queues = self.0.get_mut(topic)?;
        let before = queues.get(&id).copied();
        match queues.get_mut(&id) {
            Some(seen) if offset < seen.next => {}
            Some(seen) => (seen.next, seen.last_at) = (next, at),
            None => drop(queues.insert(id, Seen { first: offset, next, last_at: at })),
        }
        before
    }
}

/// What the scan of the log has seen so far.
#[derive(Default)]
pub(super) struct Walked {
    pub simple: SeenQueues,
    pub batch: SeenQueues,
    last: Option<(u64, i64)>,
}

impl<S: Storage> Verifier<'_, S> {
    pub(super) fn verify_log(&mut self) -> Result<(), Halt> {
        let evidence = self.evidence()?;
        let extent = self.options.live.as_ref().map_or(self.segments.extent(), |live| live.end);
        if self.segments.is_empty() {
            let full = self.places.simple.iter().chain(&self.places.batch).filter(|place| !place.files.is_empty()).count();
            if full > 0 && self.options.live.is_none() {
                self.report.push("log-missing", crate::log::DIRECTORY, 0, 0, Remedy::Salvage, || {
                    format!("the commit log is empty, but {full} queues have files: is the right disk mounted there?")
                });
            }
            return Ok(());
        }
        if self.options.deep {
            let mut keys = Keys::new(&self.index, self.segments.min());
            self.end = self.walk(self.segments.min(), extent, extent, evidence, Some(&mut keys))?;
            keys.finish(self.storage, self.report);
            self.verify_seals()?;
        } else {
            self.sample(extent, evidence)?;
        }
        if self.options.live.is_none() {
            self.verify_behind_the_end()?;
        }
        Ok(())
    }

    /// Why records are known to have been written: as an open of the store finds it.
    fn evidence(&mut self) -> Result<Evidence, Halt> {
        if let Some(live) = &self.options.live {
            return Ok(Evidence::Below(live.end));
        }
        let ours = written_by_us(self.storage, &self.checkpoint_bytes, &self.segments).ok().flatten();
        if !self.clean {
            return Ok(ours.map_or(Evidence::StoredBy(self.checkpoint.min_timestamp()), Evidence::Below));
        }
        let mut known = self.closed_end()?.or(ours).unwrap_or(0);
        for place in &self.places.simple {
            if let Some(entry) = self.last_entry::<QueueEntry>(place)
                && recovery::was_written(&self.segments, &entry).unwrap_or(false)
            {
                known = known.max(entry.end());
            }
        }
        for place in &self.places.batch {
            if let Some(BatchEntry { physical, size, tags_code, .. }) = self.last_entry::<BatchEntry>(place) {
                let entry = QueueEntry { physical, size, tags_code };
                if recovery::was_written(&self.segments, &entry).unwrap_or(false) {
                    known = known.max(entry.end());
                }
            }
        }
        let indexed = self.index.newest_end();
        Ok(Evidence::Below(recovery::clean_evidence(&self.segments, known, [self.checkpoint.confirm_offset, indexed])))
    }

    /// Where our own clean close says that the log ended.
    fn closed_end(&self) -> Result<Option<u64>, Halt> {
        let mut slots = vec![0; 2 * Watermark::BYTES];
        let Ok(read) = self.storage.read_at(WATERMARK_PATH, 0, &mut slots) else { return Ok(None) };
        let closed = Watermark::newest(&slots[..read]).and_then(|newest| newest.closed);
        Ok(closed.filter(|closed| closed.min == self.segments.min()).map(|closed| closed.end.min(self.segments.extent())))
    }

    /// Front of each segment, end of the log.
    fn sample(&mut self, extent: u64, evidence: Evidence) -> Result<(), Halt> {
        let fronts: Vec<(u64, u64)> = self.segments.iter().map(|placed| (placed.base, placed.segment.size().min(SAMPLE_BYTES))).collect();
        let mut reached = self.segments.min();
        for (base, bytes) in fronts {
            if (reached..extent).contains(&base) {
                reached = self.walk(base, extent.min(base + bytes), extent, evidence, None)?;
            }
        }
        let known = match evidence {
            Evidence::Below(known) => known,
            Evidence::StoredBy(_) => 0,
        };
        let from = known.saturating_sub(SAMPLE_BYTES).max(reached);
        let mut scanner = Scanner::new(LogView::new(self.segments.clone(), extent), from, extent);
        let from = if from == reached { from } else { scanner.resync()?.unwrap_or(known) };
        self.end = self.walk(from, extent, extent, evidence, None)?;
        Ok(())
    }

    /// Scans `from..to`; returns where records end.
    fn walk(&mut self, from: u64, to: u64, extent: u64, evidence: Evidence, mut keys: Option<&mut Keys>) -> Result<u64, Halt> {
        let view = LogView::new(self.segments.clone(), extent);
        let mut scanner = Scanner::new(view.clone(), from, extent);
        let (first, mut told) = (self.segments.min(), from);
        loop {
            let position = scanner.position();
            if position >= to {
                return Ok(position);
            }
            if position >= told + STEP_BYTES {
                told = position;
                self.tell("log", position - first, extent - first)?;
            }
            let step = match scanner.step() {
                Ok(step) => step,
                Err(error) => {
                    let next = view.segments().next_base(position).unwrap_or(extent).max(position + 1);
                    self.report.unreadable(&path(self.base_of(position)), &error, Remedy::Salvage);
                    scanner.seek(next);
                    continue;
                }
            };
            let (at, reason) = match step {
                Step::Message { at, bytes } => {
                    if let Ok(record) = Record::parse(bytes) {
                        self.verify_record(at, &record, keys.as_deref_mut());
                    }
                    continue;
                }
                Step::Blank { .. } => continue,
                Step::End => return Ok(position),
                Step::Bad { at, reason } => (at, reason),
            };
            match recovery::records_behind(&mut scanner, evidence, reason, self.walked.last)? {
                Some(next) => {
                    self.damaged(at, next, reason);
                    scanner.seek(next);
                }
                None => return Ok(self.verify_end(at, reason, evidence)),
            }
        }
    }

    fn damaged(&mut self, from: u64, to: u64, reason: BadReason) {
        let file = path(self.base_of(from));
        self.report.damaged(&file, from, to, || format!("{reason}; {} bytes cannot be read", to - from));
    }

    fn base_of(&self, offset: u64) -> u64 {
        self.segments.find(offset).map_or(0, |placed| placed.base)
    }

    /// What stands where no record follows.
    fn verify_end(&mut self, at: u64, reason: BadReason, evidence: Evidence) -> u64 {
        match evidence {
            Evidence::Below(known) if known > at => {
                self.damaged(at, known, reason);
                known
            }
            _ => {
                if !matches!(reason, BadReason::Empty | BadReason::Missing) {
                    let file = path(self.base_of(at));
                    self.report.push("cut", &file, at, 0, Remedy::Open, || {
                        format!("{reason}; the log ends here, what lies behind was never acknowledged as written")
                    });
                }
                at
            }
        }
    }

    /// Holds what a record says of itself against what was seen before it, and notes it for its queues.
    fn verify_record(&mut self, at: u64, record: &Record<'_>, keys: Option<&mut Keys>) {
        let dispatch = Dispatch::of(record, at, &self.options.delay_levels);
        self.walked.last = Some((at, record.store_timestamp()));
        self.last_store_timestamp = Some(record.store_timestamp());
        if let Some(keys) = keys {
            keys.record(self.storage, (self.base_of(at), at), record, &dispatch, self.report);
        }
        let is_shown = self.options.live.as_ref().is_none_or(|live| at < live.queues_below);
        if !takes_queue_entry(dispatch.sys_flag) || !is_shown {
            return;
        }
        let is_inner = dispatch.sys_flag & SYS_FLAG_INNER_BATCH != 0;
        let topic = core::str::from_utf8(dispatch.topic).unwrap_or_default();
        if self.places.batch_topics.contains(topic) || (is_inner && !self.places.simple_topics.contains(topic)) {
            let base = batch_range(record, &dispatch);
            self.note(true, dispatch.topic, record.queue_id(), base.map(|(base, count)| (base, base + u64::from(count))), &dispatch);
        } else if is_inner {
            self.complain("topic-kind", &dispatch, || String::from("an inner batch, but its topic has plain queues; no queue leads to it"));
        } else {
            let offset = u64::try_from(record.queue_offset()).ok().filter(|&offset| offset <= MAX_QUEUE_OFFSET);
            self.note(false, dispatch.topic, record.queue_id(), offset.map(|offset| (offset, offset + 1)), &dispatch);
        }
        for (name, id, offset) in dispatch.beside(record.queue_id()) {
            self.note(false, name, id, (offset <= MAX_QUEUE_OFFSET).then_some((offset, offset + 1)), &dispatch);
        }
    }

    fn note(&mut self, batch: bool, topic: &[u8], id: i32, range: Option<(u64, u64)>, dispatch: &Dispatch<'_>) {
        let Some((offset, next)) = range.filter(|_| names_a_directory(topic) && id >= 0) else {
            return self.complain("queue-name", dispatch, || {
                String::from("its topic, queue id or queue offset is none that a queue can have; no queue leads to it")
            });
        };
        let seen = if batch { &mut self.walked.batch } else { &mut self.walked.simple };
        let at = dispatch.physical;
        if let Some(before) = seen.note(topic, id, offset, next, at).filter(|before| offset < before.next) {
            self.complain("queue-duplicate", dispatch, || {
                let topic = String::from_utf8_lossy(topic).to_string();
                format!(
                    "queue offset {offset} of queue {id} of {topic} was given to an earlier message, too: the queue had come to {} already",
                    before.next
                )
            });
        }
    }

    fn complain(&mut self, kind: &'static str, dispatch: &Dispatch<'_>, message: impl FnOnce() -> String) {
        let file = path(self.base_of(dispatch.physical));
        self.report.push(kind, &file, dispatch.physical, u64::from(dispatch.size), Remedy::None, message);
    }

    /// Behind the last record there is nothing but zeros.
    fn verify_behind_the_end(&mut self) -> Result<(), Halt> {
        let limit = if self.options.deep { u64::MAX } else { SAMPLE_BYTES };
        let mut buffer = vec![0; 1 << 20];
        let placed: Vec<_> = self.segments.iter().filter(|placed| placed.base + placed.segment.size() > self.end).cloned().collect();
        for placed in placed {
            let size = placed.segment.size();
            let mut at = self.end.saturating_sub(placed.base);
            let last = size.min(at.saturating_add(limit));
            while at < last {
                let len = (last - at).min(buffer.len() as u64) as usize;
                let bytes = &mut buffer[..len];
                if let Err(error) = placed.segment.read_at(at, bytes) {
                    self.report.unreadable(&path(placed.base), &error.into(), Remedy::Salvage);
                    break;
                }
                if let Some(found) = bytes.iter().position(|&byte| byte != 0) {
                    let offset = placed.base + at + found as u64;
                    self.report.push("stale", &path(placed.base), offset, 0, Remedy::Open, || {
                        String::from(
                            "bytes behind the end of the log that are not zero: RocketMQ leaves such when it cuts the log; nobody reads them",
                        )
                    });
                    break;
                }
                at += len as u64;
                self.tell("log", self.end, self.end)?;
            }
        }
        Ok(())
    }
}

/// Queue offset of the first message of a record in a batch queue, and how many it has (store-format §2.8).
pub(super) fn batch_range(record: &Record<'_>, dispatch: &Dispatch<'_>) -> Option<(u64, u32)> {
    let (base, count) = match (dispatch.names.inner_base, dispatch.names.inner_num) {
        (Some(base), Some(number)) => (core::str::from_utf8(base).ok()?.parse::<i64>().ok()?, parse_inner_num(number)?),
        _ => (record.queue_offset(), 1),
    };
    Some((u64::try_from(base).ok().filter(|&base| base <= crate::limits::MAX_BATCH_BASE)?, count))
}
