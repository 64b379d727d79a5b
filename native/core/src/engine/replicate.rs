//! The log as raw bytes: read for another store, appended from another one, and shown as far as it is confirmed.
//!
//! A leader's bytes come in any pieces (store-format §13.1). They enter the log record by record, each once it is whole and
//! was checked: a record that is bad, or half there when the process dies, was never in it.

use alloc::format;
use alloc::vec::Vec;

use super::batch::Learning;
use super::rebuild::enter;
use super::{Reader, Writer};
use crate::batch_dispatch::{belongs_to_batch_queue, redispatch_to_batch_queue};
use crate::dispatch::{Dispatch, redispatch_to_queues, takes_queue_entry};
use crate::error::{Code, Error, Finding};
use crate::format::record::{BODY_LENGTH_PREFIX_BYTES, Head, Record, body_length_agrees, head};
use crate::limits::{BLANK_HEADER_BYTES, MAX_MESSAGE_BYTES, MAX_SAFE_INTEGER, RECORD_OVERHEAD_BYTES};
use crate::log::scan::{BadReason, Scanner, Step};
use crate::log::segments;
use crate::log::view::LogView;
use crate::queue::batch::BatchTable;
use crate::queue::table::QueueTable;
use crate::recovery::{self, Evidence};
use crate::storage::{Clock, Segment, Storage};

const HEAD_BYTES: usize = BLANK_HEADER_BYTES as usize;
/// Most findings that a store keeps of what comes in: a log of nothing else must not fill the memory.
const MAX_FINDINGS: usize = 10_000;

/// What has come of the record or blank at the end of the log that is not whole yet.
#[derive(Debug, Default)]
pub enum Incoming {
    #[default]
    Nothing,
    /// The first bytes of a record, or of what may become one.
    Record(Vec<u8>),
    /// So many bytes of a blank, which are in the segment already.
    Blank(u64),
}

impl Incoming {
    fn len(&self) -> u64 {
        match self {
            Incoming::Nothing => 0,
            Incoming::Record(bytes) => bytes.len() as u64,
            Incoming::Blank(written) => *written,
        }
    }
}

impl<G: Segment> LogView<G> {
    /// Replaces `out` by up to `max_bytes` raw bytes from `from` on, blanks included, to the end of their segment at
    /// most; nothing at the end of the view. STORE_OFFSET_OUT_OF_RANGE for an offset outside of it.
    pub fn read_raw(&self, from: u64, max_bytes: usize, out: &mut Vec<u8>) -> Result<(), Error> {
        out.clear();
        if from < self.min() || from > self.end() {
            return Err(outside("from", from, self.min(), self.end()));
        }
        let rest = self.rest(from);
        if rest == 0 && from < self.end() {
            return Err(self.corrupt(from, "no commit log file holds this offset"));
        }
        out.resize(usize::try_from(rest).unwrap_or(usize::MAX).min(max_bytes), 0);
        self.read(from, out)?;
        Ok(())
    }
}

impl<S: Storage, C: Clock> Reader<'_, S, C> {
    /// The log as another store may copy it, pinned: to its end, also where that is not visible yet.
    pub fn raw_log(&self) -> LogView<S::Segment> {
        let end = if self.0.poison.is_some() { self.0.durable } else { self.0.log.end() };
        self.0.log.view(end)
    }

    /// Raw bytes of the log: see [`LogView::read_raw`].
    pub fn read_log(&self, from: u64, max_bytes: usize, out: &mut Vec<u8>) -> Result<(), Error> {
        self.raw_log().read_raw(from, max_bytes, out)
    }

    /// Where [`Writer::append_log`] goes on: the end of the log, and behind it what has come of the next record.
    pub fn raw_end(&self) -> u64 {
        self.0.log.end() + self.0.incoming.len()
    }
}

impl<S: Storage, C: Clock> Writer<'_, S, C> {
    /// Appends bytes of another store's log that stand there at `at`, the end of the raw log here; in an empty store, where
    /// a segment starts. Returns the new end of the raw log.
    ///
    /// Pieces may begin and end anywhere, also within a blank, and may run over the border of two segments. Each record
    /// enters the log, its queues and the index as soon as it is whole.
    ///
    /// STORE_CORRUPT for what is no record, is damaged, or was written for another place; STORE_UNSUPPORTED_FORMAT for a
    /// topic that has queues of both kinds; STORE_FULL and STORE_BUSY may go over. After an error the bytes in front of the failure are there, and [`Reader::raw_end`] says where to go on;
    /// of the record that failed nothing is.
    pub fn append_log(&mut self, at: u64, bytes: &[u8]) -> Result<u64, Error> {
        self.check_place(at, bytes.len() as u64)?;
        self.make_room_for_entries()?;
        let mut rest = bytes;
        while !rest.is_empty() {
            match self.take(rest) {
                Ok(taken) => rest = &rest[taken..],
                Err(error) => {
                    self.tell_watches();
                    return Err(self.tell_where_to_go_on(error));
                }
            }
        }
        self.tell_watches();
        Ok(self.0.reader().raw_end())
    }

    /// Shows messages up to `offset` and no further, also those put or appended later; returns the offset in force: of the
    /// last record that ends at or below it, in the log of now.
    ///
    /// It never falls: less than before changes nothing. The first one may hide what was visible, so it is told before
    /// anybody reads. STORE_BUSY while queue entries are being written.
    pub fn confirm(&mut self, offset: u64) -> Result<u64, Error> {
        let asked = offset.min(self.0.log.end());
        let confirmed = match self.0.confirmed {
            Some(before) => self.last_end(before, asked)?,
            None => {
                let log = self.0.log.view(self.0.log.end());
                let start = log.segments().find(asked).map_or(log.min(), |placed| placed.base).min(asked);
                let first = self.last_end(start.max(log.min()), asked)?;
                // Queues that were cut and not entered again would give their offsets to other messages.
                self.hide_from(first).map_err(|error| self.poison_unless_harmless(error))?;
                first
            }
        };
        self.0.confirmed = Some(confirmed);
        self.tell_watches();
        Ok(confirmed)
    }

    /// Refuses to put between two pieces of a record.
    pub(super) fn refuse_between_pieces(&self) -> Result<(), Error> {
        match self.0.incoming.len() {
            0 => Ok(()),
            held => {
                let end = self.0.log.end();
                let message =
                    format!("{held} bytes of a record that is not whole stand at {end}; append the rest of it, or truncate to {end}");
                Err(Error::new(Code::Busy, message))
            }
        }
    }

    fn tell_watches(&mut self) {
        self.0.note_written();
        let visible = self.0.visible();
        self.0.watches.reached(visible);
    }

    fn check_place(&mut self, at: u64, len: u64) -> Result<(), Error> {
        let engine = &mut *self.0;
        let segment_bytes = engine.log.segments().segment_bytes();
        if at.checked_add(len).is_none_or(|end| end > MAX_SAFE_INTEGER - segment_bytes) {
            let message = format!("{len} bytes at {at} end behind the greatest offset of a log, 2^53 - 1");
            return Err(Error::argument("at", message));
        }
        if engine.log.segments().is_empty() && engine.incoming.len() == 0 && at.is_multiple_of(segment_bytes) {
            engine.log.begin_at(at);
            engine.durable = at;
            engine.last_record = at;
        }
        let end = engine.reader().raw_end();
        if at == end {
            return Ok(());
        }
        let start = if engine.log.segments().is_empty() { format!(", or at a multiple of {segment_bytes}") } else { Default::default() };
        let message = format!("the raw log ends at {end}, bytes for {at} cannot be appended: go on there{start}");
        Err(Error::new(Code::OffsetOutOfRange, message).text("argument", "at").number("offset", at as i64).number("endOffset", end as i64))
    }

    /// Takes bytes for what stands at the end of the log, as many as belong to it.
    fn take(&mut self, bytes: &[u8]) -> Result<usize, Error> {
        let engine = &mut *self.0;
        if engine.log.rest() == 0 {
            engine.log.roll(engine.storage.as_ref())?;
        }
        match core::mem::take(&mut engine.incoming) {
            Incoming::Record(held) => self.gather(held, bytes),
            Incoming::Blank(written) => self.take_blank(written, bytes),
            // Too little for any head: a segment that another program filled to the last byte.
            Incoming::Nothing if self.0.log.rest() < BLANK_HEADER_BYTES => self.take_blank(0, bytes),
            Incoming::Nothing => match bytes.first_chunk::<HEAD_BYTES>().map(|first| self.unit(first)).transpose()? {
                Some(Unit::Blank) => self.take_blank(0, bytes),
                Some(Unit::Record(size)) if bytes.len() >= size => self.enter_record(&bytes[..size]).map(|()| size),
                Some(Unit::Record(_)) | None => self.gather(Vec::new(), bytes),
            },
        }
    }

    /// Adds bytes to what is held of a record, in memory of the size that has come. Returns how many it took.
    fn gather(&mut self, mut held: Vec<u8>, bytes: &[u8]) -> Result<usize, Error> {
        let before = held.len();
        let mut wanted = HEAD_BYTES;
        loop {
            let taken = held.len() - before;
            let missing = wanted.saturating_sub(held.len()).min(bytes.len() - taken);
            held.extend_from_slice(&bytes[taken..taken + missing]);
            let taken = taken + missing;
            let first = held.first_chunk::<HEAD_BYTES>().map(|first| self.unit(first)).transpose()?;
            match first {
                Some(Unit::Blank) => return self.take_blank(0, &held).map(|_| taken),
                Some(Unit::Record(size)) if held.len() >= size => return self.enter_record(&held).map(|()| taken),
                Some(Unit::Record(size)) if taken < bytes.len() => wanted = size,
                Some(Unit::Record(size)) if !lengths_agree(&held, size) => return Err(self.corrupt("its lengths cannot add up")),
                Some(Unit::Record(_)) | None => {
                    self.0.incoming = Incoming::Record(held);
                    return Ok(taken);
                }
            }
        }
    }

    /// Writes bytes of a blank, of which `written` are there; the end moves over it when all are.
    fn take_blank(&mut self, written: u64, bytes: &[u8]) -> Result<usize, Error> {
        let engine = &mut *self.0;
        let rest = engine.log.rest();
        let count = usize::try_from(rest - written).unwrap_or(usize::MAX).min(bytes.len());
        if let Err(failed) = engine.log.write_ahead(written, &bytes[..count]) {
            engine.incoming = if written == 0 { Incoming::Nothing } else { Incoming::Blank(written) };
            return Err(failed.into());
        }
        let written = written + count as u64;
        if written == rest {
            engine.log.pass();
        } else {
            engine.incoming = Incoming::Blank(written);
        }
        Ok(count)
    }

    /// Puts a whole record at the end of the log, and into queues and index, as opening does with what it finds.
    pub(super) fn enter_record(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let at = self.0.log.end();
        let record = self.0.log.view(at).checked(at, bytes)?.map_err(|flaw| self.corrupt(&format!("{flaw}")))?;
        if record.physical_offset() != at as i64 {
            return Err(self.corrupt(&format!("{}", BadReason::Misplaced(record.physical_offset()))));
        }
        let engine = &mut *self.0;
        if record.store_timestamp() < engine.last_store_timestamp {
            engine.steps_back += 1; // the leader's clock did
        }
        if record.store_timestamp() <= engine.checkpoint.min_timestamp() {
            engine.take_back_checkpoint(record.store_timestamp())?;
        }
        let dispatch = Dispatch::of(&record, at, &engine.options.delay_levels);
        let mut learning = Learning {
            storage: engine.storage.as_ref(),
            topics: &mut engine.topics,
            findings: &mut engine.findings,
            simple: &engine.queues,
            batches: &mut engine.batches,
            is_fresh: false,
        };
        learning.topic(record.topic())?;
        dispatch.beside(record.queue_id()).try_for_each(|(name, _, _)| learning.kind(name))?;
        engine.log.reserve(bytes.len() as u64)?;
        engine.log.append(bytes.len(), |out| out.copy_from_slice(bytes))?;
        let mut findings = Vec::new();
        enter_queues(&mut engine.queues, &mut engine.batches, &record, &dispatch, engine.queue_files.file_entries, &mut findings);
        if takes_queue_entry(dispatch.sys_flag) {
            engine.watches.appended(dispatch.topic, record.queue_id(), at);
            dispatch.beside(record.queue_id()).for_each(|(name, queue_id, _)| engine.watches.appended(name, queue_id, at));
        }
        if engine.options.index {
            enter(&mut engine.index, &engine.clock, &record, at, engine.options.index_tags);
        }
        findings.truncate(MAX_FINDINGS.saturating_sub(engine.findings.len()));
        engine.findings.append(&mut findings);
        engine.last_record = at;
        engine.last_store_timestamp = record.store_timestamp();
        Ok(())
    }

    /// What begins at the end of the log, by its first bytes.
    fn unit(&self, first: &[u8; HEAD_BYTES]) -> Result<Unit, Error> {
        let rest = self.0.log.rest();
        let reason = match head(first) {
            Head::Record { size } if u64::from(size) <= rest && size <= MAX_MESSAGE_BYTES + RECORD_OVERHEAD_BYTES => {
                return Ok(Unit::Record(size as usize));
            }
            Head::Blank { size } if u64::from(size) == rest => return Ok(Unit::Blank),
            Head::Blank { size } => return Err(self.corrupt(&format!("a blank of {size} bytes, where {rest} are left in the file"))),
            Head::Record { size } => BadReason::TooLong(size),
            Head::Empty => BadReason::Empty,
            Head::Bad(flaw) => BadReason::Flaw(flaw),
        };
        Err(self.corrupt(&format!("{reason}")))
    }

    /// STORE_CORRUPT for what was to stand at the end of the log.
    fn corrupt(&self, reason: &str) -> Error {
        let end = self.0.log.end();
        let base = self.0.log.segments().last().map_or(end, |last| last.base);
        Error::corrupt(&segments::path(base), end, reason)
    }

    fn tell_where_to_go_on(&mut self, error: Error) -> Error {
        let is_refusal = matches!(error.code, Code::Corrupt | Code::UnsupportedFormat);
        let error = if is_refusal { error } else { self.poison_unless_harmless(error) };
        error.number("endOffset", self.0.reader().raw_end() as i64)
    }

    /// Where the last record or blank ends that lies in `from..to`; `from` without one.
    fn last_end(&self, from: u64, to: u64) -> Result<u64, Error> {
        let mut scanner = Scanner::new(self.0.log.view(self.0.log.end()), from, to);
        loop {
            match scanner.step()? {
                Step::Message { .. } | Step::Blank { .. } => {}
                Step::End => return Ok(scanner.position()),
                Step::Bad { at, .. } => match scanner.resync()? {
                    Some(next) => scanner.seek(next),
                    None => return Ok(at),
                },
            }
        }
    }

    /// Takes the entries of records from `from` on out of what the queue files are known to hold, back into memory.
    fn hide_from(&mut self, from: u64) -> Result<(), Error> {
        if from >= self.0.log.end() {
            return Ok(());
        }
        self.refuse_while_writing_behind()?;
        self.cut_queues(from)?;
        let engine = &mut *self.0;
        let (queues, batches, file_entries) = (&mut engine.queues, &mut engine.batches, engine.queue_files.file_entries);
        let mut known = Vec::new(); // told when they were found first
        let evidence = Evidence::Below(engine.log.end());
        recovery::scan(engine.log.segments(), from, evidence, &mut Vec::new(), |at, record| {
            let dispatch = Dispatch::of(record, at, &engine.options.delay_levels);
            enter_queues(queues, batches, record, &dispatch, file_entries, &mut known);
        })?;
        Ok(())
    }
}

/// Enters a record into the queue of its kind, and into those that it names beside.
fn enter_queues(
    queues: &mut QueueTable,
    batches: &mut BatchTable,
    record: &Record<'_>,
    dispatch: &Dispatch<'_>,
    file_entries: u64,
    findings: &mut Vec<Finding>,
) {
    let is_batch = belongs_to_batch_queue(batches, queues, dispatch);
    if is_batch {
        redispatch_to_batch_queue(batches, record, dispatch, false, findings);
    }
    redispatch_to_queues(queues, batches, record, dispatch, !is_batch, file_entries, findings);
}

/// What the bytes at the end of the log begin.
enum Unit {
    Record(usize),
    Blank,
}

/// Whether the first bytes of a record leave it possible.
fn lengths_agree(held: &[u8], size: usize) -> bool {
    held.first_chunk::<BODY_LENGTH_PREFIX_BYTES>().is_none_or(|prefix| body_length_agrees(prefix, size as u32))
}

/// STORE_OFFSET_OUT_OF_RANGE for an offset of the log.
pub(super) fn outside(argument: &'static str, offset: u64, min: u64, end: u64) -> Error {
    let message = format!("{argument} is {offset}; the log goes from {min} to {end}");
    Error::new(Code::OffsetOutOfRange, message)
        .text("argument", argument)
        .number("offset", offset as i64)
        .number("minimum", min as i64)
        .number("maximum", end as i64)
}
