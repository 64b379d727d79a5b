//! Reading from a queue in two halves: resolving (under the lock) and copying (without it).

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;

use super::Reader;
use super::intake::{Intake, Left};
use crate::batch_dispatch::batch_place;
use crate::dispatch::SCHEDULE_TOPIC;
use crate::error::{Code, Error};
use crate::filter::TagFilter;
use crate::format::light_queues;
use crate::format::properties;
use crate::format::record::Record;
use crate::limits::MAX_GET_MESSAGES;
use crate::log::segments::Segments;
use crate::log::view::LogView;
use crate::queue::files::Stretch;
use crate::queue::lookup::{self, QueueOffsets};
use crate::storage::{Clock, FilesBy, ReadMode, Segment, Storage};

/// Entries looked at for one answer at least, while none of them leads to a message.
pub(super) const MIN_SCANNED_ENTRIES: u64 = 800;
/// The same with a filter, which passes most entries by without looking at their messages.
pub(super) const MIN_FILTERED_ENTRIES: u64 = 16_384;
/// Records that stand one behind the other in the log are copied so many bytes at a time: fewer calls, and what is checked then
/// is in the processor's cache still.
const RUN_BYTES: usize = 256 * 1024;

/// What is asked of a queue.
#[derive(Clone, Copy, Debug, Default)]
pub struct GetRequest<'a> {
    pub topic: &'a [u8],
    pub queue_id: i32,
    pub offset: u64,
    /// Greatest number of messages, from 1 to [`MAX_GET_MESSAGES`].
    pub max: usize,
    /// Bytes of messages, exceeded by the first one only.
    pub max_bytes: usize,
    /// The tags wanted, as [`TagFilter::set`] takes them; empty: all.
    pub filter: &'a [u8],
}

/// RocketMQ's GetMessageStatus, by ordinal (store-format §8.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum GetStatus {
    Found = 0,
    NoMatchedMessage = 1,
    MessageWasRemoving = 2,
    OffsetFoundNull = 3,
    OffsetOverflowBadly = 4,
    OffsetOverflowOne = 5,
    OffsetTooSmall = 6,
    #[default]
    NoMatchedLogicQueue = 7,
    NoMessageInQueue = 8,
    OffsetReset = 9,
}

/// What came of one record.
enum Fit {
    Copied,
    /// Its tags are not wanted.
    Unwanted,
    /// It has to wait for the next answer, or for a larger buffer.
    TooLarge,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) physical: u64,
    pub(super) size: u32,
    pub(super) queue_offset: u64,
    /// Queue offset behind it: a batch takes several.
    pub(super) behind: u64,
    /// What is asked for where it cannot be given.
    pub(super) asked: u64,
    /// Its entry and a neighbour do not follow each other in the log: one of them is damaged.
    pub(super) is_doubtful: bool,
}

/// Where the messages of an answer lie. Reused between calls, so that nothing is allocated after warm-up.
#[derive(Debug)]
pub struct Resolved<G> {
    pub status: GetStatus,
    /// Offset to ask for next.
    pub next: u64,
    /// The queue's range.
    pub min: u64,
    pub max: u64,
    /// Bytes of the log between the last message looked at and the visible end.
    pub bytes_behind: u64,
    pub(super) log: LogView<G>,
    topic: Vec<u8>,
    queue_id: i32,
    pub(super) is_batch_queue: bool,
    /// Messages wanted.
    pub(super) most: usize,
    pub(super) filter: TagFilter,
    pub(super) parts: Vec<Part>,
    /// Entries in a file that were left to whoever asks.
    pub(super) left: Option<Left>,
}

/// What [`Resolved::copy`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Copied {
    pub messages: usize,
    pub bytes: usize,
    /// Offset to ask for next: behind the last message copied.
    pub next: u64,
    /// Bytes that the first message needs, when the buffer is too small for it.
    pub needed: usize,
}

impl<G: Segment> Default for Resolved<G> {
    fn default() -> Self {
        Self {
            status: GetStatus::default(),
            next: 0,
            min: 0,
            max: 0,
            bytes_behind: 0,
            log: LogView::new(Segments::empty(1), 0),
            topic: Vec::new(),
            queue_id: 0,
            is_batch_queue: false,
            most: 0,
            filter: TagFilter::default(),
            parts: Vec::new(),
            left: None,
        }
    }
}

impl<S: Storage, C: Clock> Reader<'_, S, C> {
    /// Finds up to `max` messages of a queue from `offset` on, `max_bytes` at most but always one (store-format §8.1).
    ///
    /// RocketMQ's own cuts (8 messages or 64 KiB of what is not in memory, the border of a queue file) do not apply.
    /// One call looks at 800 entries or `max` at most, with a filter at 16,384 or `max`: an answer without messages says
    /// in `next` where to go on.
    pub fn resolve(&self, request: &GetRequest<'_>, into: &mut Resolved<S::Segment>) -> Result<(), Error> {
        self.resolve_or_leave(request, into, false)
    }

    /// As [`Reader::resolve`]; but entries of the queue that lie in one of its files may be left to be read by the caller, who
    /// does not hold the lock then: it gives them to [`Resolved::take_left`].
    pub fn resolve_leaving(&self, request: &GetRequest<'_>, into: &mut Resolved<S::Segment>) -> Result<(), Error> {
        self.resolve_or_leave(request, into, true)
    }

    fn resolve_or_leave(&self, request: &GetRequest<'_>, into: &mut Resolved<S::Segment>, may_leave: bool) -> Result<(), Error> {
        let GetRequest { topic, queue_id, offset, max_bytes, .. } = *request;
        into.begin(request, self.log())?;
        let engine = self.0;
        (into.min, into.max) = (0, 0);
        if let Some(place) = self.batch_queue(topic, queue_id) {
            return self.resolve_batches(place, request, into);
        }
        let Some(place) = engine.queues.find(topic, queue_id).filter(|&place| self.is_queue(place)) else {
            (into.status, into.next) = (GetStatus::NoMatchedLogicQueue, 0);
            return Ok(());
        };
        let QueueOffsets { min, max: end, .. } = lookup::offsets(&engine.queues, place, into.log.end());
        (into.min, into.max) = (min, end);
        (into.status, into.next) = range_status(offset, min, end);
        if into.status != GetStatus::NoMatchedMessage {
            return Ok(());
        }
        let filters = !into.filter.is_all();
        // There the entry holds a delivery time: every message may be wanted, and its record decides.
        let by_record = filters && topic == SCHEDULE_TOPIC;
        let least = if filters { MIN_FILTERED_ENTRIES } else { MIN_SCANNED_ENTRIES };
        let scan = (end - offset).min(least.max(into.most as u64));
        let mut intake = Intake {
            offset,
            scan,
            most: if by_record { scan as usize } else { into.most },
            max_bytes,
            by_hash: filters && !by_record,
            appended: engine.log.end(),
            bytes: 0,
            passed: into.log.end(),
            before: None,
        };
        // With the entries in front and behind, which show whether one leads where it cannot.
        let first = offset.saturating_sub(1).max(min);
        let beside = offset - first + 1;
        let entries = Stretch { from: first, count: scan + beside, likely: into.most as u64 + beside };
        if may_leave
            && !filters
            && let Some((path, at, count)) = engine.queue_files.in_one_file(&engine.queues, place, entries)
        {
            into.left = Some(Left { path, at, count, first, intake, cuts: engine.cuts });
            return Ok(());
        }
        engine
            .queue_files
            .read(&self.files(), &engine.queues, place, entries, |queue_offset, entry| intake.take(into, queue_offset, entry))?;
        into.bytes_behind = into.log.end().saturating_sub(intake.passed);
        Ok(())
    }

    /// Whether what was left of an answer leads on still.
    pub fn leads_on<G>(&self, resolved: &Resolved<G>) -> bool {
        resolved.left.as_ref().is_some_and(|left| left.cuts == self.0.cuts)
    }

    /// How often the end of the log was moved back: as long as it is not, no entry that a file holds changes.
    pub fn cuts(&self) -> u64 {
        self.0.cuts
    }

    /// The log as it is visible now, pinned.
    pub fn log(&self) -> LogView<S::Segment> {
        self.0.log.view(self.0.visible()).by(self.1)
    }

    pub(super) fn files(&self) -> FilesBy<'_, S> {
        FilesBy { storage: self.0.storage.as_ref(), mode: self.1 }
    }
}

/// What the range of a queue says to an offset: status and offset to ask for next; NO_MATCHED_MESSAGE within it.
pub(super) fn range_status(offset: u64, min: u64, max: u64) -> (GetStatus, u64) {
    match () {
        () if max == 0 => (GetStatus::NoMessageInQueue, 0),
        () if offset < min => (GetStatus::OffsetTooSmall, min),
        () if offset == max => (GetStatus::OffsetOverflowOne, offset),
        () if offset > max => (GetStatus::OffsetOverflowBadly, max),
        () => (GetStatus::NoMatchedMessage, offset),
    }
}

impl<G: Segment> Resolved<G> {
    fn begin(&mut self, request: &GetRequest<'_>, log: LogView<G>) -> Result<(), Error> {
        self.filter.set(request.filter)?;
        self.parts.clear();
        self.left = None;
        self.topic.clear();
        self.topic.extend_from_slice(request.topic);
        self.queue_id = request.queue_id;
        self.is_batch_queue = false;
        self.most = request.max.clamp(1, MAX_GET_MESSAGES);
        self.log = log;
        self.bytes_behind = 0;
        Ok(())
    }

    /// How [`Resolved::copy`] reads the log from here on.
    pub fn read_by(&mut self, mode: ReadMode) {
        self.log.set_mode(mode);
    }

    /// Tells the storage of what [`Resolved::copy`] will read, and of `beyond` bytes behind it, up to `most` bytes in all.
    pub fn will_need(&self, beyond: u64, most: u64) {
        let Some(first) = self.parts.iter().map(|part| part.physical).min() else { return };
        let last = self.parts.iter().map(|part| part.physical + u64::from(part.size)).max().unwrap_or(first);
        self.log.will_need(first, (last + beyond).min(first + most));
    }

    /// Bytes of the messages found.
    pub fn bytes(&self) -> usize {
        self.parts.iter().map(|part| part.size as usize).sum()
    }

    /// Messages found.
    pub fn messages(&self) -> usize {
        self.parts.len()
    }

    /// Copies the records back to back into `out` and checks each; `queue_offsets` gets theirs. Those whose tags are not
    /// wanted, whatever their hash says, are left out; where none is left, `status` says so.
    ///
    /// Stops in front of a record that does not fit, or is damaged. When it is the first: `needed` says its size, or
    /// STORE_CORRUPT is returned, with `nextOffset`.
    pub fn copy(&mut self, out: &mut [u8], queue_offsets: &mut [f64]) -> Result<Copied, Error> {
        let mut copied = Copied { next: self.next, ..Copied::default() };
        let most = queue_offsets.len().min(self.most);
        let mut passed = 0;
        // Up to where `out` holds the records that come next. A filter that leaves some out would leave gaps.
        let (mut in_runs, mut filled) = (self.filter.is_all(), 0);
        for (index, part) in self.parts.iter().enumerate() {
            // While this one is checked.
            if let Some(next) = self.parts.get(index + 1).filter(|_| filled <= copied.bytes) {
                self.log.will_copy(next.physical, next.size);
            }
            let room = if copied.messages == most { &mut [] } else { &mut out[copied.bytes..] };
            let may_begin = in_runs && filled <= copied.bytes;
            let run = if may_begin { self.run_bytes(index, room.len(), most - copied.messages) } else { 0 };
            if run > 0 {
                match self.log.read(part.physical, &mut room[..run]) {
                    Ok(true) => filled = copied.bytes + run,
                    Err(cold) if cold.code == Code::Cold => return Err(cold),
                    Ok(false) | Err(_) => in_runs = false, // one by one, which shows where it ends
                }
            }
            let is_there = filled > copied.bytes;
            let fit = match self.copy_part(part, room, copied.messages == 0, is_there) {
                Ok(fit) => fit,
                Err(cold) if cold.code == Code::Cold => return Err(cold),
                // Asked at it, the answer is the error.
                Err(_) if copied.messages > 0 => Fit::TooLarge,
                Err(error) if error.code == Code::Corrupt => return Err(error.number("nextOffset", part.behind as i64)),
                Err(error) => return Err(error),
            };
            match fit {
                Fit::Copied => {
                    queue_offsets[copied.messages] = part.queue_offset as f64;
                    copied.messages += 1;
                    copied.bytes += part.size as usize;
                }
                Fit::Unwanted => {}
                Fit::TooLarge => {
                    copied.next = part.asked;
                    copied.needed = if copied.messages == 0 { part.size as usize } else { 0 };
                    self.bytes_behind = self.log.end().saturating_sub(passed);
                    return Ok(copied);
                }
            }
            passed = part.physical + u64::from(part.size);
        }
        if copied.messages == 0 && !self.parts.is_empty() {
            self.status = GetStatus::NoMatchedMessage;
        }
        Ok(copied)
    }

    /// Bytes of the records from `index` on that stand one behind the other in the log, of `messages` at most, as far as `room`
    /// takes them; 0 where there are not two of them.
    fn run_bytes(&self, index: usize, room: usize, messages: usize) -> usize {
        let parts = &self.parts[index..];
        let Some(first) = parts.first() else { return 0 };
        let most = (room.min(RUN_BYTES) as u64).min(self.log.rest(first.physical));
        let mut bytes = 0;
        let mut count = 0;
        for part in parts.iter().take(messages) {
            let longer = bytes + u64::from(part.size);
            if part.physical != first.physical.saturating_add(bytes) || longer > most {
                break;
            }
            (bytes, count) = (longer, count + 1);
        }
        if count < 2 { 0 } else { bytes as usize }
    }

    /// Copies one record to the front of `room`, unless it is there already or the filter does not want it.
    fn copy_part(&self, part: &Part, room: &mut [u8], is_first: bool, is_there: bool) -> Result<Fit, Error> {
        let size = part.size as usize;
        if let Some(record) = room.get_mut(..size) {
            if is_there {
                self.log.check_record(part.physical, record)?;
            } else {
                self.log.read_record(part.physical, record)?;
            }
            return self.judge(record, part);
        }
        if !is_first {
            return Ok(Fit::TooLarge);
        }
        // Before anybody makes room for what the entry says.
        if !self.log.starts_record(part.physical, part.size)? {
            let reason = format!("the queue entry leads to a record of {size} bytes, there is none");
            return Err(self.log.corrupt(part.physical, &reason));
        }
        if self.filter.is_all() {
            return Ok(Fit::TooLarge);
        }
        let mut record = vec![0; size];
        self.log.read_record(part.physical, &mut record)?;
        Ok(match self.judge(&record, part)? {
            Fit::Unwanted => Fit::Unwanted,
            Fit::Copied | Fit::TooLarge => Fit::TooLarge,
        })
    }

    /// Whether a checked record is wanted.
    fn judge(&self, bytes: &[u8], part: &Part) -> Result<Fit, Error> {
        let Ok(record) = Record::parse(bytes) else {
            return Ok(Fit::Unwanted); // read_record has parsed it
        };
        self.belongs(&record, part)?;
        Ok(if self.filter.is_all() || self.filter.matches(record.properties()) { Fit::Copied } else { Fit::Unwanted })
    }

    /// A queue entry may be damaged too: it never shows a message of another queue, or of another place in it. A light
    /// queue's entry leads to the record of the queue it was put to, which names it.
    ///
    /// RocketMQ can write entries that stand elsewhere in their queue than their records say: those are shown where they
    /// stand, as long as they follow each other in the log.
    fn belongs(&self, record: &Record<'_>, part: &Part) -> Result<(), Error> {
        let is_own = record.topic() == self.topic && record.queue_id() == self.queue_id;
        if is_own && !part.is_doubtful && !self.is_batch_queue {
            return Ok(());
        }
        let names = properties::dispatched(record.properties());
        let (named, offsets) = (names.multi_dispatch.unwrap_or_default(), names.multi_queue_offset.unwrap_or_default());
        if !is_own && !light_queues::items(named).any(|name| name == self.topic) {
            return Err(self.log.corrupt(part.physical, "the queue entry leads to a message of another queue"));
        }
        if !part.is_doubtful && !self.is_batch_queue {
            return Ok(());
        }
        let own = match self.is_batch_queue {
            true => batch_place(record).map(|(base, _)| base),
            false => u64::try_from(record.queue_offset()).ok(),
        };
        let mut beside = light_queues::entries(named, offsets).filter(|(name, _)| *name == self.topic);
        let is_there = (is_own && own == Some(part.queue_offset)) || beside.any(|(_, offset)| offset == part.queue_offset);
        if !is_there {
            return Err(self.log.corrupt(part.physical, "the queue entry leads to a message of another place in the queue"));
        }
        Ok(())
    }
}
