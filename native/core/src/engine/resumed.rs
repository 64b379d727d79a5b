//! When the running watermark of a killed store counts, and what it proves: how far the log was written, and how far queues
//! and index were complete. RocketMQ may have been here in between, or a backup may have been put back: then it is void.

use alloc::vec::Vec;

use super::close::ABORT_PATH;
use super::live;
use super::rows::{self, Queues};
use super::sidecar::{Sidecar, WATERMARK_PATH, distrusted, last_record, marker_stands, queues_path};
use super::take_over::newest_whole_record;
use super::trusted::{is_there, read_table, stands};
use crate::error::{Error, Finding, IoError};
use crate::format::checkpoint::Checkpoint;
use crate::format::watermark::{Derived, Running};
use crate::log::segments::Segments;
use crate::log::view::LogView;
use crate::options::Options;
use crate::storage::{Segment, Storage};

/// What a store that was not closed says of itself.
pub(super) struct Resumed {
    pub(super) running: Running,
    /// Everything below was written: the log had no hole there when its process died.
    pub(super) written: u64,
    /// The queues as they were at `running.derived`, if their files still hold all of it.
    pub(super) queues: Option<Queues>,
    /// The queues as they were then, if some files do not.
    pub(super) before: Option<Queues>,
}

impl Sidecar {
    /// What the running watermark proves; `None` if there is none, or it is void.
    pub(super) fn resume<S: Storage>(
        &self,
        storage: &S,
        clean: bool,
        checkpoint: &[u8],
        segments: &Segments<S::Segment>,
        options: &Options,
        findings: &mut Vec<Finding>,
    ) -> Result<Option<Resumed>, Error> {
        if clean {
            return Ok(None);
        }
        let Some((mut running, written)) = self.log_resumed(storage, checkpoint, segments, &mut |reason| {
            // Who only reads may see a store that is being written: its files need not belong together.
            findings.extend((!options.read_only).then(|| distrusted(WATERMARK_PATH, reason)));
        })?
        else {
            return Ok(None);
        };
        let (mut queues, mut before) = (None, None);
        if let Some(derived) = running.derived {
            match table(storage, &derived)? {
                Some(table) if !derived.lost && table.are_in_files(storage, derived.upto)? => queues = Some(table),
                Some(table) => before = Some(table),
                None => {
                    let path = queues_path(derived.queues.snapshot);
                    let reason = "it is not the queue table that the watermark speaks of";
                    findings.extend((!options.read_only).then(|| distrusted(path, reason)));
                    running.derived = None;
                }
            }
        }
        Ok(Some(Resumed { running, written, queues, before }))
    }

    /// What the running watermark says of the log, and below which offset all of it was written; `void` hears why it does not
    /// count where that is not RocketMQ's doing.
    pub(super) fn log_resumed<S: Storage>(
        &self,
        storage: &S,
        checkpoint: &[u8],
        segments: &Segments<S::Segment>,
        void: &mut dyn FnMut(&'static str),
    ) -> Result<Option<(Running, u64)>, Error> {
        let Some(mut running) = self.newest.and_then(|newest| newest.running) else { return Ok(None) };
        if !marker_stands(storage)? || !may_be_ours(checkpoint, &running.checkpoint) {
            return Ok(None);
        }
        let written = live::written(storage, running.session)?.filter(|&written| written <= segments.extent());
        if let Err(reason) = reaches(&running, segments) {
            void(reason);
            return Ok(None);
        }
        let view = LogView::new(segments.clone(), running.durable);
        match running.last.filter(|last| last.at >= segments.min()) {
            Some(last) if !is_there(&view, &last, running.durable)? => {
                // Where the process alone died this is the log that it speaks of: the record is damaged.
                let is_damaged = written.is_some() && !stands(&view, last.at);
                let before = if is_damaged { newest_whole_record(&view) } else { None };
                let Some(last) = before.and_then(|at| last_record(&view, at)) else {
                    void("the last durable record of the log is not the one that it names");
                    return Ok(None);
                };
                running.last = Some(last);
            }
            _ => {}
        }
        Ok(Some((running, written.unwrap_or(0).max(running.durable))))
    }

    /// Whether a store was closed: `abort` is not there, nor do we say that it was left open. (A rebuild closes it and says
    /// nothing of queues.)
    pub(super) fn is_closed<S: Storage>(&self, storage: &S, checkpoint: &[u8]) -> Result<bool, IoError> {
        if storage.len(ABORT_PATH)?.is_some() {
            return Ok(false);
        }
        let left_open = self.newest.filter(|newest| newest.closed.is_none()).and_then(|newest| newest.running);
        Ok(match left_open.filter(|running| running.derived.is_some()) {
            Some(running) => !marker_stands(storage)? || !may_be_ours(checkpoint, &running.checkpoint),
            None => true,
        })
    }
}

/// Below which offset the log is known to have been written by what a watermark says that is no clean close's; `None`: nothing
/// of ours says so. That of a store which was closed by a rebuild counts, too.
pub fn written_by_us<S: Storage>(storage: &S, checkpoint: &[u8], segments: &Segments<S::Segment>) -> Result<Option<u64>, Error> {
    let known = Sidecar::read(storage)?.log_resumed(storage, checkpoint, segments, &mut |_| {})?;
    Ok(known.map(|(_, written)| written))
}

/// Whether a store was closed, by `abort` and by what we say ourselves.
pub fn is_closed<S: Storage>(storage: &S, checkpoint: &[u8]) -> Result<bool, Error> {
    Ok(Sidecar::read(storage)?.is_closed(storage, checkpoint)?)
}

fn table<S: Storage>(storage: &S, derived: &Derived) -> Result<Option<Queues>, Error> {
    let Some(bytes) = read_table(storage, &derived.queues)? else { return Ok(None) };
    let decoded = rows::decode(storage, &bytes, derived.queues.snapshot, derived.upto)?;
    Ok(decoded.map(|(queues, _)| queues))
}

/// Whether nobody else has written `checkpoint`: a crash may have left a version before, also one of an earlier opening,
/// which had another confirm offset, or none, or the file without its length; times are taken back and those of index files
/// moved on without a word in the watermark.
fn may_be_ours(bytes: &[u8], ours: &Checkpoint) -> bool {
    let found = Checkpoint::decode(bytes);
    found.master_flushed_offset == ours.master_flushed_offset
        && found.physic <= ours.physic
        && found.logics <= ours.logics
        && found.encode().starts_with(bytes)
}

/// Whether the log can hold what the watermark says to be durable.
fn reaches<G: Segment>(running: &Running, segments: &Segments<G>) -> Result<(), &'static str> {
    let upto = running.derived.map_or(running.durable, |derived| derived.upto);
    let possible = running.min <= segments.min()
        && segments.min() <= upto
        && upto <= running.durable
        && running.durable <= segments.extent()
        && (running.last.is_some() || running.durable == running.min);
    if !possible {
        return Err("the log has other files than the watermark speaks of");
    }
    Ok(())
}

impl Queues {
    /// Whether each queue's files begin and end as they should: what is missing has to be built again.
    fn are_in_files<S: Storage>(&self, storage: &S, upto: u64) -> Result<bool, Error> {
        let Self { plain, files, batches, batch_files } = self;
        for place in plain.places() {
            let queue = plain.queue(place);
            if queue.min >= queue.next() {
                continue;
            }
            let first = files.entry(storage, plain, place, queue.min)?;
            let last = files.entry(storage, plain, place, queue.next() - 1)?;
            // A blank stands for a message that was lost.
            if first.is_none() || !last.is_some_and(|last| last.is_blank() || last.end() <= upto) {
                return Ok(false);
            }
        }
        for place in batches.places() {
            let (first, held) = batches.queue(place).held();
            if first >= held {
                continue;
            }
            let last = batch_files.entry(storage, batches, place, held - 1)?;
            if !last.is_some_and(|last| last.end() <= upto && last.next() <= batches.queue(place).next()) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
