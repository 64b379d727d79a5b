//! Forward scan of the log: what stands at a position, and where records go on behind damage.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::view::LogView;
use crate::error::Error;
use crate::format::record::{Flaw, Head, MAGIC_V1, MAGIC_V2, head};
use crate::storage::Segment;

/// Bytes read at once; a longer record gets a window of its own length.
const WINDOW_BYTES: u64 = 1 << 20;
/// The disk is told of so much ahead of the window, so that it works while records are checked.
const AHEAD_BYTES: u64 = 16 << 20;

/// What stands at the scanner's position.
#[derive(Debug)]
pub enum Step<'a> {
    /// A whole, checked record.
    Message { at: u64, bytes: &'a [u8] },
    /// The rest of a segment that no record uses.
    Blank { at: u64, size: u64 },
    /// Neither: why not. The position stays; [`Scanner::resync`] finds where records go on.
    Bad { at: u64, reason: BadReason },
    /// The end of the range.
    End,
}

/// Why no record stands at a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BadReason {
    /// Zeros: nothing was written there, or it was lost.
    Empty,
    /// The bytes are no record.
    Flaw(Flaw),
    /// A record that was written for another position (store-format trap 12).
    Misplaced(i64),
    /// The length runs over the end of the segment or the range.
    TooLong(u32),
    /// No segment holds this offset.
    Missing,
}

impl core::fmt::Display for BadReason {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            BadReason::Empty => f.write_str("zeros where a record should start"),
            BadReason::Flaw(flaw) => write!(f, "{flaw}"),
            BadReason::Misplaced(says) => write!(f, "the record there says that it was written at {says}"),
            BadReason::TooLong(size) => write!(f, "a record of {size} bytes does not fit what the log holds there"),
            BadReason::Missing => f.write_str("no commit log file holds this offset"),
        }
    }
}

/// An item of [`Scanner::next_item`]; the bytes of a message are in [`Scanner::message`].
#[derive(Clone, Debug, PartialEq)]
pub enum ScanItem {
    Message { at: u64, size: u32 },
    Blank { at: u64, size: u64 },
    Damaged { at: u64, size: u64, reason: String },
}

/// Walks a view from a position to its end.
#[derive(Debug)]
pub struct Scanner<G> {
    view: LogView<G>,
    at: u64,
    to: u64,
    window: Vec<u8>,
    /// Offset of the window's first byte.
    window_at: u64,
    /// Up to where the disk has been told that the log will be read.
    told: u64,
    /// Place of the last message in the window.
    message: (usize, usize),
}

/// What was found at a position, as places in the window.
enum Found {
    Message(usize, usize),
    Blank(u64),
    Bad(BadReason),
    End,
}

impl<G: Segment> Scanner<G> {
    /// Scans `from..to`, cut to what the view holds.
    pub fn new(view: LogView<G>, from: u64, to: u64) -> Self {
        let at = from.max(view.min());
        let to = to.min(view.end());
        Self { view, at, to, window: Vec::new(), window_at: 0, told: from, message: (0, 0) }
    }

    /// The next position to be looked at.
    pub fn position(&self) -> u64 {
        self.at
    }

    /// Goes on at `at`.
    pub fn seek(&mut self, at: u64) {
        self.at = at;
    }

    /// Where a record ends that says that it lies elsewhere, if the next one, or a blank, stands right behind it: then one
    /// number in it is damaged, and the log goes on.
    pub fn behind_misplaced(&mut self) -> Result<Option<u64>, Error> {
        let mut size = [0; 4];
        if !self.view.read(self.at, &mut size)? {
            return Ok(None);
        }
        let next = self.at + u64::from(u32::from_be_bytes(size));
        Ok(matches!(self.look(next)?, Found::Message(..) | Found::Blank(_)).then_some(next))
    }

    /// Looks at the position, and moves over a message or a blank.
    pub fn step(&mut self) -> Result<Step<'_>, Error> {
        let at = self.at;
        Ok(match self.look(at)? {
            Found::Message(start, size) => {
                self.at = at + size as u64;
                self.message = (start, size);
                Step::Message { at, bytes: &self.window[start..start + size] }
            }
            Found::Blank(size) => {
                self.at = at + size;
                Step::Blank { at, size }
            }
            Found::Bad(reason) => Step::Bad { at, reason },
            Found::End => Step::End,
        })
    }

    /// Moves over a message, a blank or a damaged range; `None` at the end.
    pub fn next_item(&mut self) -> Result<Option<ScanItem>, Error> {
        Ok(match self.step()? {
            Step::Message { at, bytes } => Some(ScanItem::Message { at, size: bytes.len() as u32 }),
            Step::Blank { at, size } => Some(ScanItem::Blank { at, size }),
            Step::Bad { at, reason } => {
                let next = self.resync()?.unwrap_or(self.to);
                self.at = next;
                Some(ScanItem::Damaged { at, size: next - at, reason: format!("{reason}") })
            }
            Step::End => None,
        })
    }

    /// The record that the last step moved over.
    pub fn message(&self) -> &[u8] {
        &self.window[self.message.0..self.message.0 + self.message.1]
    }

    /// The first position above the present one where a whole record stands that was written for it; the position
    /// does not move. The lengths that the bad record states are tried first, the whole one and that of its fields, the shorter
    /// one before the longer: in one of them a bit may have turned over that makes it reach over the next record. Then every byte.
    pub fn resync(&mut self) -> Result<Option<u64>, Error> {
        let from = self.at;
        for size in self.stated_sizes()?.into_iter().flatten() {
            let next = from + u64::from(size);
            if next < self.to && matches!(self.look(next)?, Found::Message(..) | Found::Blank(_)) {
                return Ok(Some(next));
            }
        }
        let mut at = from + 1;
        while at < self.to {
            if !self.load(at, 8)? {
                match self.view.segments().next_base(at) {
                    Some(base) => at = base,
                    None => return Ok(None),
                }
                continue;
            }
            let start = (at - self.window_at) as usize;
            match find_magic(&self.window[start..]) {
                Some(found) => {
                    let candidate = at + found as u64;
                    if matches!(self.look(candidate)?, Found::Message(..)) {
                        return Ok(Some(candidate));
                    }
                    at = candidate + 1;
                }
                // The last seven bytes may begin a head that goes on behind the window.
                None => at = (self.window_at + self.window.len() as u64 - 7).max(at + 1),
            }
        }
        Ok(None)
    }

    /// The lengths that the bad record at the position states, the shorter first; none where they make no sense together.
    fn stated_sizes(&mut self) -> Result<[Option<u32>; 2], Error> {
        let mut first = [0; 8];
        if !self.view.read(self.at, &mut first)? {
            return Ok([None; 2]);
        }
        let Head::Record { size } = head(&first) else { return Ok([None; 2]) };
        Ok(match self.look(self.at)? {
            Found::Bad(BadReason::Flaw(Flaw::Sum { sum, .. })) => match u32::try_from(sum) {
                Ok(sum) if sum > 0 => [Some(size.min(sum)), Some(size.max(sum))],
                _ => [None; 2],
            },
            Found::Bad(BadReason::Flaw(flaw)) if flaw.is_about_lengths() => [None; 2],
            _ => [Some(size), None],
        })
    }

    fn look(&mut self, at: u64) -> Result<Found, Error> {
        if at >= self.to {
            return Ok(Found::End);
        }
        if self.view.segments().find(at).is_none() {
            return Ok(Found::Bad(BadReason::Missing));
        }
        if !self.load(at, 8)? {
            // Fewer than eight bytes are left: of the range, or of a segment that another program filled to the last byte.
            let rest = self.view.rest(at);
            return Ok(if rest > self.to - at || rest == 0 { Found::End } else { Found::Blank(rest) });
        }
        let start = (at - self.window_at) as usize;
        let mut first = [0; 8];
        first.copy_from_slice(&self.window[start..start + 8]);
        let size = match head(&first) {
            Head::Record { size } => size,
            Head::Blank { size } => return Ok(self.blank(at, size)),
            Head::Empty => return Ok(Found::Bad(BadReason::Empty)),
            Head::Bad(flaw) => return Ok(Found::Bad(BadReason::Flaw(flaw))),
        };
        if u64::from(size) > self.view.rest(at).min(self.to - at) || !self.lengths_agree(at, size)? {
            return Ok(Found::Bad(BadReason::TooLong(size)));
        }
        if !self.load(at, u64::from(size))? {
            return Ok(Found::Bad(BadReason::TooLong(size)));
        }
        let start = (at - self.window_at) as usize;
        let bytes = &self.window[start..start + size as usize];
        Ok(match self.view.checked(at, bytes)? {
            Ok(record) if record.physical_offset() == at as i64 => Found::Message(start, size as usize),
            Ok(record) => Found::Bad(BadReason::Misplaced(record.physical_offset())),
            Err(flaw) => Found::Bad(BadReason::Flaw(flaw)),
        })
    }

    /// A blank reaches to the end of its segment; one that says otherwise is not believed (§2.6).
    fn blank(&self, at: u64, size: u32) -> Found {
        match self.view.segments().find(at) {
            Some(placed) if at + u64::from(size) == placed.base + placed.segment.size() => Found::Blank(u64::from(size)),
            _ => Found::Bad(BadReason::TooLong(size)),
        }
    }

    /// For a record longer than a window: whether its inner lengths can add up, before that much is read.
    fn lengths_agree(&mut self, at: u64, size: u32) -> Result<bool, Error> {
        if u64::from(size) <= WINDOW_BYTES {
            return Ok(true);
        }
        let mut prefix = [0; crate::format::record::BODY_LENGTH_PREFIX_BYTES];
        Ok(self.view.read(at, &mut prefix)? && crate::format::record::body_length_agrees(&prefix, size))
    }

    /// Half of what is ahead has been read: the disk hears of the next half.
    fn tell_ahead(&mut self, at: u64) {
        let wanted = (at + AHEAD_BYTES).min(self.to);
        if wanted >= self.told + AHEAD_BYTES / 2 || (wanted == self.to && self.told < wanted) {
            self.view.will_need(self.told.max(at), wanted);
            self.told = wanted;
        }
    }

    /// Makes the window hold `need` bytes from `at`; false where the range or the segment ends before.
    fn load(&mut self, at: u64, need: u64) -> Result<bool, Error> {
        let held = self.window_at + self.window.len() as u64;
        if at >= self.window_at && at + need <= held {
            return Ok(true);
        }
        let rest = self.view.rest(at).min(self.to.saturating_sub(at));
        if rest < need {
            return Ok(false);
        }
        let len = rest.min(need.max(WINDOW_BYTES)) as usize;
        self.tell_ahead(at);
        self.window.resize(len, 0);
        self.window_at = at;
        if self.view.read(at, &mut self.window)? {
            return Ok(true);
        }
        self.window.clear();
        Ok(false)
    }
}

/// Position of the first possible record head: a length, then one of the two magics.
pub(super) fn find_magic(bytes: &[u8]) -> Option<usize> {
    let (v1, v2) = (MAGIC_V1.to_be_bytes(), MAGIC_V2.to_be_bytes());
    let mut from = 4;
    while let Some(found) = bytes.get(from..)?.iter().position(|&byte| byte == v1[0]) {
        let at = from + found;
        match bytes.get(at..at + 4) {
            Some(four) if four == v1 || four == v2 => return Some(at - 4),
            Some(_) => from = at + 1,
            None => return None,
        }
    }
    None
}
