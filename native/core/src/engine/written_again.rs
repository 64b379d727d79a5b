//! A log whose writer died: what was read of it may be in the page cache only. It is written once more, and synced.

use alloc::vec;
use alloc::vec::Vec;

use crate::error::{Error, IoError};
use crate::format::watermark::Running;
use crate::log;
use crate::log::append::LogWriter;
use crate::log::segments::Segments;
use crate::recovery::{self, Evidence};
use crate::storage::{Segment, Storage};

/// Bytes written again at once.
const PIECE_BYTES: usize = 1 << 16;

/// A sync alone is not enough: after one that failed the page cache holds what the disk has not, and counts it as written.
pub(super) fn write_again<G: Segment>(segment: &G, from: u64, to: u64) -> Result<(), IoError> {
    let mut piece = vec![0; to.saturating_sub(from).min(PIECE_BYTES as u64) as usize];
    let mut at = from;
    segment.reserve(to)?;
    while at < to {
        let piece = &mut piece[..(to - at).min(PIECE_BYTES as u64) as usize];
        segment.read_at(at, piece)?;
        segment.fill(at, piece.len(), |out| out.copy_from_slice(piece))?;
        at += piece.len() as u64;
    }
    segment.sync(from, to)
}

/// Everything up to the end of the log that is not known to be durable: by `running`, or by the time up to which records were
/// on disk.
pub(super) fn write_log_again<S: Storage>(
    storage: &S,
    segments: &Segments<S::Segment>,
    evidence: Evidence,
    running: Option<&Running>,
) -> Result<(), Error> {
    if segments.is_empty() {
        return Ok(());
    }
    let from = match (running, evidence) {
        (Some(running), _) => running.durable,
        (None, Evidence::StoredBy(time)) => recovery::start_segment(segments, time),
        (None, Evidence::Below(_)) => segments.min(),
    };
    let end = recovery::scan(segments, from, evidence, &mut Vec::new(), |_, _| {})?.end;
    storage.sync_dir(log::DIRECTORY)?;
    storage.sync_dir("")?;
    Ok(LogWriter::new(segments.clone(), end).between(from).try_for_each(|(segment, from, to)| write_again(segment.as_ref(), from, to))?)
}
