//! What a reader sees of the log: segments pinned at one moment, bytes below the position visible then.
//!
//! A view needs no lock and outlives rolls and retention.

use alloc::format;
use alloc::vec::Vec;

use super::carried_crc;
use super::segments::{Segments, path};
use crate::error::Error;
use crate::format::record::{Flaw, Head, Record, STORE_TIMESTAMP_PREFIX_BYTES, head, store_timestamp_of};
use crate::storage::{ReadMode, Segment};

/// A pinned piece of the log: `min()..end()`.
#[derive(Debug)]
pub struct LogView<G> {
    segments: Segments<G>,
    end: u64,
    mode: ReadMode,
}

impl<G> Clone for LogView<G> {
    fn clone(&self) -> Self {
        Self { segments: self.segments.clone(), end: self.end, mode: self.mode }
    }
}

impl<G: Segment> LogView<G> {
    pub fn new(segments: Segments<G>, end: u64) -> Self {
        Self { segments, end, mode: ReadMode::Usual }
    }

    /// The same, read in a certain way.
    pub fn by(mut self, mode: ReadMode) -> Self {
        self.set_mode(mode);
        self
    }

    pub fn set_mode(&mut self, mode: ReadMode) {
        self.mode = mode;
    }

    /// `from..to` will be read soon.
    pub fn will_need(&self, from: u64, to: u64) {
        let to = to.min(self.end);
        let mut at = from;
        while at < to
            && let Some(placed) = self.segments.find(at)
        {
            let end = placed.base + placed.segment.size();
            placed.segment.will_need(at - placed.base, to.min(end) - placed.base);
            at = end;
        }
    }

    /// The record of `size` bytes at `offset` will be copied next.
    pub fn will_copy(&self, offset: u64, size: u32) {
        if self.mode == ReadMode::Usual
            && let Some(placed) = self.segments.find(offset)
        {
            placed.segment.will_copy(offset - placed.base, u64::from(size));
        }
    }

    pub fn min(&self) -> u64 {
        self.segments.min()
    }

    /// Offset behind the last visible byte.
    pub fn end(&self) -> u64 {
        self.end
    }

    pub fn segments(&self) -> &Segments<G> {
        &self.segments
    }

    /// Bytes from `offset` to the end of its segment or of the view, 0 where the view holds nothing.
    pub fn rest(&self, offset: u64) -> u64 {
        match self.segments.find(offset) {
            Some(placed) => (placed.base + placed.segment.size()).min(self.end).saturating_sub(offset),
            None => 0,
        }
    }

    /// Copies bytes that lie within one segment and the view; false where they do not.
    pub fn read(&self, offset: u64, out: &mut [u8]) -> Result<bool, Error> {
        if self.rest(offset) < out.len() as u64 {
            return Ok(false);
        }
        let Some(placed) = self.segments.find(offset) else {
            return Ok(false);
        };
        placed.segment.read_by(self.mode, offset - placed.base, out)?;
        Ok(true)
    }

    /// Copies the record of `out.len()` bytes at `offset` and checks it: that it is a record, whole, and written
    /// for this position. STORE_CORRUPT says where and why.
    pub fn read_record<'b>(&self, offset: u64, out: &'b mut [u8]) -> Result<Record<'b>, Error> {
        if !self.read(offset, out)? {
            let reason = format!("a record of {} bytes does not fit what the log holds there", out.len());
            return Err(self.corrupt(offset, &reason));
        }
        self.check_record(offset, out)
    }

    /// Checks the bytes that were read at `offset`, as [`LogView::read_record`] does.
    pub fn check_record<'b>(&self, offset: u64, bytes: &'b [u8]) -> Result<Record<'b>, Error> {
        match self.checked(offset, bytes)? {
            Ok(record) if record.physical_offset() == offset as i64 => Ok(record),
            Ok(record) => {
                let reason = format!("the record there says that it was written at {}", record.physical_offset());
                Err(self.corrupt(offset, &reason))
            }
            Err(flaw) => Err(self.corrupt(offset, &format!("{flaw}"))),
        }
    }

    /// The record that stands at `offset` with these bytes, or what is wrong with it.
    pub fn checked<'b>(&self, offset: u64, bytes: &'b [u8]) -> Result<Result<Record<'b>, Flaw>, Error> {
        let record = match Record::parse(bytes) {
            Ok(record) => record,
            Err(flaw) => return Ok(Err(flaw)),
        };
        Ok(match record.check() {
            Err(flaw @ Flaw::RecordCrc { .. }) if !carried_crc::is_carried(self, offset, bytes)? => Err(flaw),
            Ok(()) | Err(Flaw::RecordCrc { .. }) => Ok(record),
            Err(flaw) => Err(flaw),
        })
    }

    /// The checked record that starts at `offset`, into `into` (replaced). `None` where none starts: outside the
    /// log, at a blank, within a record. STORE_CORRUPT where one starts that is damaged behind its magic.
    pub fn record_at(&self, offset: u64, into: &mut Vec<u8>) -> Result<Option<usize>, Error> {
        into.clear();
        Ok(self.append_record(offset, into)?.map(|record| record.size() as usize))
    }

    /// As [`LogView::record_at`], behind what `into` has. Where no record comes of it, bytes may stand there all the same.
    pub fn append_record<'b>(&self, offset: u64, into: &'b mut Vec<u8>) -> Result<Option<Record<'b>>, Error> {
        let mut first = [0; 8];
        if !self.read(offset, &mut first)? {
            return Ok(None);
        }
        match head(&first) {
            Head::Record { size } => {
                if u64::from(size) > self.rest(offset) {
                    let reason = format!("a record of {size} bytes does not fit what the log holds there");
                    return Err(self.corrupt(offset, &reason));
                }
                let start = into.len();
                into.resize(start + size as usize, 0);
                self.read_record(offset, &mut into[start..]).map(Some)
            }
            Head::Blank { .. } | Head::Empty | Head::Bad(_) => Ok(None),
        }
    }

    /// Whether the head of a record of `size` bytes stands at `offset`, with room for the rest.
    pub fn starts_record(&self, offset: u64, size: u32) -> Result<bool, Error> {
        let mut first = [0; 8];
        Ok(self.rest(offset) >= u64::from(size) && self.read(offset, &mut first)? && head(&first) == Head::Record { size })
    }

    /// Store time of the record at `offset`, read from its head alone; `None` where no record can be.
    pub fn store_timestamp(&self, offset: u64) -> Result<Option<i64>, Error> {
        let mut prefix = [0; STORE_TIMESTAMP_PREFIX_BYTES];
        if !self.read(offset, &mut prefix)? {
            return Ok(None);
        }
        Ok(store_timestamp_of(&prefix))
    }

    /// STORE_CORRUPT for a place in the log.
    pub fn corrupt(&self, offset: u64, reason: &str) -> Error {
        let file = self.segments.find(offset).map_or(0, |placed| placed.base);
        Error::corrupt(&path(file), offset, reason)
    }
}
