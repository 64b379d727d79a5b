//! Appending: the only code that moves the write position.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::segments::{Placed, Segments, path};
use super::{DIRECTORY, view::LogView};
use crate::error::{Error, IoError, IoKind};
use crate::format::blank;
use crate::limits::BLANK_HEADER_BYTES;
use crate::storage::{Segment, Storage};

/// The log with its write position.
#[derive(Debug)]
pub struct LogWriter<G> {
    segments: Segments<G>,
    end: u64,
    /// A segment was made whose directory entry is not synced yet.
    directory_dirty: bool,
    rolls: u64,
}

impl<G: Segment> LogWriter<G> {
    pub fn new(segments: Segments<G>, end: u64) -> Self {
        Self { segments, end, directory_dirty: false, rolls: 0 }
    }

    pub fn segments(&self) -> &Segments<G> {
        &self.segments
    }

    /// Offset behind the last record, where the next one goes.
    pub fn end(&self) -> u64 {
        self.end
    }

    pub fn rolls(&self) -> u64 {
        self.rolls
    }

    /// What readers may see when the log is visible up to `visible`.
    pub fn view(&self, visible: u64) -> LogView<G> {
        LogView::new(self.segments.clone(), visible)
    }

    /// Bytes that records can still take in the active segment: what is left, less the header of the blank (§2.6).
    pub fn room(&self) -> u64 {
        match self.active() {
            Some(active) => (active.base + active.segment.size() - self.end).saturating_sub(BLANK_HEADER_BYTES),
            None => 0,
        }
    }

    /// Greatest record that fits an empty segment.
    pub fn largest_record(&self) -> u64 {
        self.segments.segment_bytes() - BLANK_HEADER_BYTES
    }

    /// Makes the next segment, and ends the active one with a blank. Nothing has changed when this fails.
    pub fn roll<S: Storage<Segment = G>>(&mut self, storage: &S) -> Result<(), Error> {
        let base = match self.active() {
            Some(active) => active.base + active.segment.size(),
            // An empty log starts where its first segment would, which is 0 unless recovery left a position.
            None => self.end - self.end % self.segments.segment_bytes(),
        };
        if let Some(active) = self.active() {
            active.segment.reserve((self.end - active.base + BLANK_HEADER_BYTES).min(active.segment.size()))?;
        }
        if self.segments.is_empty() {
            storage.create_dir(DIRECTORY)?;
        }
        let segment = storage.create_segment(&path(base), self.segments.segment_bytes())?;
        if self.segments.is_empty() {
            // Queue files are written before the log is synced: after a power cut they must not stand beside no log,
            // which looks as if another disk was mounted.
            let synced = segment.sync(0, 0).and_then(|()| storage.sync_dir(DIRECTORY)).and_then(|()| storage.sync_dir(""));
            synced.map_err(past_mending)?;
        }
        self.directory_dirty = true;
        if let Some(active) = self.active()
            && let Err(failed) = self.write_blank(active)
        {
            // Or the next attempt would find it there.
            storage.remove(&path(base)).map_err(past_mending)?;
            return Err(failed.into());
        }
        self.segments.push(Placed { base, segment });
        self.end = base;
        self.rolls += 1;
        Ok(())
    }

    fn write_blank(&self, active: &Placed<G>) -> Result<(), IoError> {
        let at = self.end - active.base;
        let rest = active.segment.size() - at;
        if rest < BLANK_HEADER_BYTES {
            return Ok(()); // exactly full: only a log that another program wrote ends like this
        }
        fill(active, at, BLANK_HEADER_BYTES as usize, |out| {
            let mut header = [0; BLANK_HEADER_BYTES as usize];
            blank::write(rest as u32, &mut header);
            out.copy_from_slice(&header);
        })
    }

    /// Makes sure that `len` bytes can be written at the end, which must be within [`LogWriter::room`].
    pub fn reserve(&self, len: u64) -> Result<(), IoError> {
        match self.active() {
            Some(active) => active.segment.reserve(self.end - active.base + len),
            None => Ok(()),
        }
    }

    /// Writes `len` reserved bytes at the end and moves it. `len` is within [`LogWriter::room`].
    pub fn append(&mut self, len: usize, write: impl FnOnce(&mut [u8])) -> Result<(), IoError> {
        let Some(active) = self.active().cloned() else {
            return Ok(()); // room() was 0: nothing is appended without a roll before
        };
        fill(&active, self.end - active.base, len, write)?;
        self.end += len as u64;
        Ok(())
    }

    /// Bytes from the end to the end of its segment, 0 where the next record needs a new one.
    pub fn rest(&self) -> u64 {
        self.active().map_or(0, |active| active.base + active.segment.size() - self.end)
    }

    /// Lets a log without segments begin at `at`, where one starts.
    pub fn begin_at(&mut self, at: u64) {
        if self.segments.is_empty() {
            self.end = at;
        }
    }

    /// Writes bytes of a blank, which begins at the end, `ahead` bytes into it. The end moves with [`LogWriter::pass`].
    pub fn write_ahead(&self, ahead: u64, bytes: &[u8]) -> Result<(), IoError> {
        let Some(active) = self.active() else {
            return Ok(()); // rest() was 0
        };
        let at = self.end - active.base + ahead;
        active.segment.reserve(at + bytes.len() as u64)?;
        fill(active, at, bytes.len(), |out| out.copy_from_slice(bytes))
    }

    /// Empties the segment behind the end again.
    pub fn clear_ahead(&self) -> Result<(), IoError> {
        match self.active() {
            Some(active) if self.end < active.base + active.segment.size() => active.segment.zero_from(self.end - active.base),
            _ => Ok(()),
        }
    }

    /// Moves the end over a blank that was written to the end of the segment.
    pub fn pass(&mut self) {
        self.end += self.rest();
    }

    /// Goes on with `segments`, which hold nothing behind `end`.
    pub fn cut(&mut self, segments: Segments<G>, end: u64) {
        self.segments = segments;
        self.end = end;
    }

    /// Lets the log begin at `minimum`, where a segment starts; returns where those in front of it start.
    pub fn drop_below(&mut self, minimum: u64) -> Vec<u64> {
        self.segments.drop_below(minimum).iter().map(|dropped| dropped.base).collect()
    }

    /// Whether the directory has to be synced before records in its newest segment can be called durable; asks once.
    pub fn take_directory_dirty(&mut self) -> bool {
        core::mem::take(&mut self.directory_dirty)
    }

    fn active(&self) -> Option<&Placed<G>> {
        self.segments.last().filter(|last| self.end >= last.base && self.end <= last.base + last.segment.size())
    }

    /// The segments that hold bytes between `from` and the end.
    pub fn between(&self, from: u64) -> impl Iterator<Item = (Arc<G>, u64, u64)> + '_ {
        self.segments.iter().filter_map(move |placed| {
            let start = from.max(placed.base);
            let end = self.end.min(placed.base + placed.segment.size());
            (start < end).then(|| (Arc::clone(&placed.segment), start - placed.base, end - placed.base))
        })
    }
}

/// Fills a range at the end of the log, or leaves it empty: what a full disk let through could be whole records, which
/// would be found when the store is opened again although their put has failed.
fn fill<G: Segment>(active: &Placed<G>, at: u64, len: usize, write: impl FnOnce(&mut [u8])) -> Result<(), IoError> {
    active.segment.fill(at, len, write).map_err(|failed| match failed.kind {
        IoKind::Full | IoKind::Busy => active.segment.zero_from(at).map_or_else(past_mending, |()| failed),
        _ => failed,
    })
}

/// A failure on the way back: what is on disk is not known any more, whatever its kind.
fn past_mending(failed: IoError) -> IoError {
    IoError { kind: IoKind::Other, ..failed }
}
