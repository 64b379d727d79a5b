//! When the sidecar counts (durability: when the watermark counts): RocketMQ may have been here in between, or a backup may
//! have been put back. All of it must hold, or it is void and the store is opened as one of RocketMQ's.

use alloc::vec;
use alloc::vec::Vec;

use super::rows::{self, Queues};
use super::sidecar::{Sidecar, WATERMARK_PATH, distrusted, marker_stands, queues_path};
use super::take_over::newest_whole_record;
use crate::dispatch::takes_queue_entry;
use crate::error::{Error, Finding};
use crate::format::checkpoint::Checkpoint;
use crate::format::crc::{combine, crc32};
use crate::format::record::Record;
use crate::format::watermark::{Closed, LastRecord, TableIdentity};
use crate::limits::MAX_QUEUE_TABLE_BYTES;
use crate::log::segments::Segments;
use crate::log::view::LogView;
use crate::storage::{Segment, Storage};

/// Bytes read at once.
const PIECE_BYTES: usize = 1 << 16;

/// What a clean close said of a store whose log is still as it was then.
pub(super) struct Proven {
    pub(super) closed: Closed,
    /// The queues, if nobody has been in their directories.
    pub(super) queues: Option<Queues>,
    /// The queues as they were, if somebody has, or `abort` is there.
    pub(super) before: Option<Queues>,
}

impl Sidecar {
    /// What the sidecar proves of the store; `None` if it is void. A reason that somebody should know of is reported.
    pub(super) fn prove<S: Storage>(
        &self,
        storage: &S,
        clean: bool,
        checkpoint: &[u8],
        segments: &Segments<S::Segment>,
        findings: &mut Vec<Finding>,
    ) -> Result<Option<Proven>, Error> {
        let closed = match self.newest.and_then(|newest| newest.closed) {
            Some(closed) => closed,
            None => {
                if self.damaged {
                    findings.push(distrusted(WATERMARK_PATH, "a slot of it is damaged"));
                }
                return Ok(None);
            }
        };
        // All of these happen when RocketMQ is used in between, or files are removed on purpose.
        // An open that was killed before it changed anything may have left `abort`: it supersedes this slot first.
        if (!clean && self.damaged) || !marker_stands(storage)? || !is_ours(&closed, checkpoint) {
            return Ok(None);
        }
        if let Err(reason) = same_log(&closed, segments)? {
            findings.push(distrusted(WATERMARK_PATH, reason));
            return Ok(None);
        }
        let path = queues_path(closed.queues.snapshot);
        let Some(bytes) = read_table(storage, &closed.queues)? else {
            findings.push(distrusted(path, "it is not the queue table that the last close has written"));
            return Ok(None);
        };
        let Some((queues, untouched)) = rows::decode(storage, &bytes, closed.queues.snapshot, closed.end)? else {
            findings.push(distrusted(path, "it is no queue table"));
            return Ok(None);
        };
        let is_trusted = clean && untouched && newest_is_there(storage, &queues, &closed, segments)?;
        let (queues, before) = if is_trusted { (Some(queues), None) } else { (None, Some(queues)) };
        Ok(Some(Proven { closed, queues, before }))
    }
}

impl Sidecar {
    /// Below which offset the log of a store without `abort` was written, where the watermark proves no more; 0: it says nothing.
    pub(super) fn written_before<S: Storage>(&self, storage: &S, checkpoint: &[u8], segments: &Segments<S::Segment>) -> Result<u64, Error> {
        match self.log_resumed(storage, checkpoint, segments, &mut |_| {})? {
            Some((_, written)) => Ok(written),
            None => self.closed_without_its_last(storage, checkpoint, segments),
        }
    }

    /// The same where a clean close names a last record that is damaged, in the files that there were then: the end of the last
    /// whole record below. Where another record stands in its place, this is another log.
    fn closed_without_its_last<S: Storage>(&self, storage: &S, checkpoint: &[u8], segments: &Segments<S::Segment>) -> Result<u64, Error> {
        let Some(closed) = self.newest.and_then(|newest| newest.closed) else { return Ok(0) };
        let Some(last) = closed.last else { return Ok(0) };
        if (closed.min, closed.extent) != (segments.min(), segments.extent()) || !marker_stands(storage)? || !is_ours(&closed, checkpoint) {
            return Ok(0);
        }
        let view = LogView::new(segments.clone(), closed.end.min(segments.extent()));
        if stands(&view, last.at) {
            return Ok(0);
        }
        let mut record = Vec::new();
        let Some(at) = newest_whole_record(&view) else { return Ok(0) };
        Ok(view.record_at(at, &mut record)?.map_or(0, |size| at + size as u64))
    }
}

/// Whether a whole record stands at a place.
pub(super) fn stands<G: Segment>(view: &LogView<G>, at: u64) -> bool {
    matches!(view.record_at(at, &mut Vec::new()), Ok(Some(_)))
}

/// Whether nobody else has written `checkpoint` since the close.
fn is_ours(closed: &Closed, checkpoint: &[u8]) -> bool {
    // An open that was killed may have taken back the time of the queues, and nothing else.
    let taken_back = Checkpoint { logics: 0, ..closed.checkpoint };
    [closed.checkpoint, taken_back].iter().any(|ours| checkpoint == ours.encode())
}

/// Whether the log is the one that was closed, and ends where it did.
fn same_log<G: Segment>(closed: &Closed, segments: &Segments<G>) -> Result<Result<(), &'static str>, Error> {
    if (closed.min, closed.extent) != (segments.min(), segments.extent()) || !(closed.min..=closed.extent).contains(&closed.end) {
        return Ok(Err("the log has other files than when the store was closed"));
    }
    let view = LogView::new(segments.clone(), segments.extent());
    match closed.last {
        Some(last) if !is_there(&view, &last, closed.end)? => {
            return Ok(Err("the last record of the log is not the one that was there when the store was closed"));
        }
        None if closed.end != closed.min => return Ok(Err("it names no last record of a log that had some")),
        _ => {}
    }
    let mut behind = [0; 8];
    let behind = &mut behind[..view.rest(closed.end).min(8) as usize];
    if !behind.is_empty() && (!view.read(closed.end, behind)? || behind.iter().any(|&byte| byte != 0)) {
        return Ok(Err("something was written behind the end that the log had when the store was closed"));
    }
    Ok(Ok(()))
}

pub(super) fn is_there<G: Segment>(view: &LogView<G>, last: &LastRecord, end: u64) -> Result<bool, Error> {
    if last.at.saturating_add(u64::from(last.size)) > end || view.rest(last.at) < u64::from(last.size) {
        return Ok(false);
    }
    // In pieces: the size is what a file says, and nothing has to be a record there.
    let (mut piece, mut at, mut crc) = (vec![0; PIECE_BYTES.min(last.size as usize)], 0, 0);
    while at < last.size as usize {
        let piece = &mut piece[..PIECE_BYTES.min(last.size as usize - at)];
        if !view.read(last.at + at as u64, piece)? {
            return Ok(false);
        }
        crc = combine(crc, crc32(piece), piece.len() as u64);
        at += piece.len();
    }
    Ok(crc == last.crc)
}

/// The bytes of the queue table, if they are those that the watermark names.
pub(super) fn read_table<S: Storage>(storage: &S, table: &TableIdentity) -> Result<Option<Vec<u8>>, Error> {
    let (path, len) = (queues_path(table.snapshot), table.bytes);
    // Something that is no file in its place is as good as none.
    let Ok(Some(there)) = storage.len(path) else { return Ok(None) };
    if there != len || len > MAX_QUEUE_TABLE_BYTES {
        return Ok(None);
    }
    let mut bytes = vec![0; len as usize];
    let read = storage.read_at(path, 0, &mut bytes)?;
    Ok((read == bytes.len() && crc32(&bytes) == table.crc).then_some(bytes))
}

/// Whether the queue of the last record leads to it: files that were put back in place leave no trace in directories.
fn newest_is_there<S: Storage>(storage: &S, queues: &Queues, closed: &Closed, segments: &Segments<S::Segment>) -> Result<bool, Error> {
    let Some(last) = closed.last else { return Ok(true) };
    let mut bytes = Vec::new();
    LogView::new(segments.clone(), closed.end).record_at(last.at, &mut bytes)?;
    let Ok(record) = Record::parse(&bytes) else { return Ok(false) };
    if !takes_queue_entry(record.sys_flag()) {
        return Ok(true);
    }
    let Queues { plain, files, batches, batch_files } = queues;
    let (topic, id) = (record.topic(), record.queue_id());
    if let Some(place) = batches.find(topic, id) {
        let newest = batches.queue(place).end().checked_sub(1);
        let entry = newest.map(|newest| batch_files.entry(storage, batches, place, newest)).transpose()?.flatten();
        return Ok(entry.is_some_and(|entry| entry.physical == last.at));
    }
    let Some(place) = plain.find(topic, id) else { return Ok(true) };
    let offset = u64::try_from(record.queue_offset()).unwrap_or(u64::MAX);
    Ok(files.entry(storage, plain, place, offset)?.is_some_and(|entry| entry.physical == last.at))
}
