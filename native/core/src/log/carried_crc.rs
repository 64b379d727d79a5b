//! Whether the CRC at the end of a record is that of another record, from which its message was copied.
//!
//! RocketMQ with default settings neither writes `__CRC32#` nor removes it (§2.5): a message that is put again with the properties
//! that it was read with keeps that of the record it came from, at the place that a hash map gives it, which may be the last.
//! Nothing in such a record tells it from a damaged one of ours. The records around it do: whoever appends gives all of
//! its records a CRC, or none (docs/decisions/0007-whose-crc-it-is.md).

use alloc::vec;
use alloc::vec::Vec;

use super::scan::find_magic;
use super::view::LogView;
use crate::error::Error;
use crate::format::record::{BODY_LENGTH_PREFIX_BYTES, Flaw, Head, Record, body_length_agrees, head};
use crate::format::record_crc::{self, Trailer};
use crate::storage::Segment;

/// So many records behind it are looked at, until one is no copy.
const RECORDS_LOOKED_AT: usize = 16;
/// So many bytes in front of it, the more only if the fewer hold no record that is no copy.
const BYTES_LOOKED_AT: [u64; 2] = [1 << 16, 1 << 22];
/// Where records are copies wherever one looks, so many vouch for each other.
const MANY: usize = 16;
/// A longer record is read only if its inner lengths agree.
const LONG_BYTES: u64 = 1 << 20;

/// What a whole record shows of who appended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// It ends with its own CRC.
    Own,
    /// It has none.
    Without,
    /// It ends with one that is not its own, and nothing else is wrong with it.
    Other,
}

/// Records on one side: the nearest that is no copy, and how many copies were met.
#[derive(Clone, Copy, Default)]
struct Side {
    nearest: Option<Kind>,
    others: usize,
}

impl Side {
    fn meet(&mut self, kind: Kind) {
        match kind {
            Kind::Other => self.others += 1,
            Kind::Own | Kind::Without => self.nearest = Some(kind),
        }
    }
}

/// Whether the record at `at`, whose CRC does not hold, is a whole one that carries another's. Damage wherever that is in doubt.
pub fn is_carried<G: Segment>(view: &LogView<G>, at: u64, bytes: &[u8]) -> Result<bool, Error> {
    if kind(at, bytes) != Some(Kind::Other) {
        return Ok(false);
    }
    let behind = behind(view, at + bytes.len() as u64)?;
    if behind.nearest == Some(Kind::Own) {
        return Ok(false);
    }
    let before = before(view, at)?;
    Ok(match (before.nearest, behind.nearest) {
        (Some(Kind::Own), _) => false,
        (None, None) => before.others + behind.others >= MANY,
        _ => true,
    })
}

/// What the bytes at `at` are, `None` if no whole record that was written for this place.
fn kind(at: u64, bytes: &[u8]) -> Option<Kind> {
    let record = Record::parse(bytes).ok().filter(|record| record.physical_offset() == at as i64)?;
    match record.check() {
        Ok(()) if record_crc::trailer(record.properties()) == Trailer::Absent => Some(Kind::Without),
        Ok(()) => Some(Kind::Own),
        // A sector that a power cut has taken leaves zeros; neither names nor properties have any.
        Err(Flaw::RecordCrc { said, .. }) => {
            let is_number = record_crc::number(&said).is_some_and(|number| i32::try_from(number).is_ok());
            let is_text = !record.topic().contains(&0) && !record.properties().contains(&0);
            (is_number && is_text).then_some(Kind::Other)
        }
        Err(_) => None,
    }
}

fn behind<G: Segment>(view: &LogView<G>, from: u64) -> Result<Side, Error> {
    let mut side = Side::default();
    let mut at = from;
    let mut bytes = Vec::new();
    for _ in 0..RECORDS_LOOKED_AT {
        let mut first = [0; 8];
        let size = match view.read(at, &mut first)?.then(|| head(&first)) {
            Some(Head::Record { size }) if fits(view, at, u64::from(size))? => size,
            Some(Head::Blank { .. }) if let Some(next) = view.segments().next_base(at) => {
                at = next;
                continue;
            }
            _ => break,
        };
        bytes.resize(size as usize, 0);
        let kind = if view.read(at, &mut bytes)? { kind(at, &bytes) } else { None };
        let Some(kind) = kind else { break };
        side.meet(kind);
        if side.nearest.is_some() {
            break;
        }
        at += u64::from(size);
    }
    Ok(side)
}

fn fits<G: Segment>(view: &LogView<G>, at: u64, size: u64) -> Result<bool, Error> {
    let mut prefix = [0; BODY_LENGTH_PREFIX_BYTES];
    Ok(size <= view.rest(at) && (size <= LONG_BYTES || view.read(at, &mut prefix)? && body_length_agrees(&prefix, size as u32)))
}

/// Within the segment of the byte in front of `to`: a log tells where its records are, by magic and position.
fn before<G: Segment>(view: &LogView<G>, to: u64) -> Result<Side, Error> {
    let mut side = Side::default();
    let Some(placed) = to.checked_sub(1).and_then(|last| view.segments().find(last)) else {
        return Ok(side);
    };
    for reach in BYTES_LOOKED_AT {
        let from = to.saturating_sub(reach).max(placed.base);
        let mut window = vec![0; (to - from) as usize];
        if !view.read(from, &mut window)? {
            return Ok(Side::default());
        }
        side = last_in(&window, from);
        if side.nearest.is_some() || from == placed.base {
            break;
        }
    }
    Ok(side)
}

/// The records in a piece of the log that begins at `from`.
fn last_in(window: &[u8], from: u64) -> Side {
    let mut side = Side::default();
    let mut at = 0;
    while let Some(found) = find_magic(&window[at..]) {
        at += found;
        let size = window[at..].first_chunk::<8>().map(head);
        let record = match size {
            Some(Head::Record { size }) => window.get(at..at + size as usize),
            _ => None,
        };
        match record.and_then(|record| kind(from + at as u64, record).map(|kind| (kind, record.len()))) {
            Some((kind, size)) => {
                side.meet(kind);
                at += size;
            }
            None => at += 1,
        }
    }
    side
}
