//! Recovery by RocketMQ's own evidence: where the log ends, and what of queues and index is to be built again.
//!
//! Evidence gives a provisional watermark. Below it nothing is ever cut: a bad range is fenced (reported, everything
//! around it served). Above it the first bad byte ends the log. Nothing on disk changes here.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::error::{Error, Finding};
use crate::format::queue_entry::QueueEntry;
use crate::format::record::{Head, Record, head};
use crate::log::scan::{BadReason, Scanner, Step};
use crate::log::segments::{self, Segments};
use crate::log::view::LogView;
use crate::storage::Segment;

/// Why a range of the log is known to have held records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// Closed cleanly: everything below this offset was written.
    Below(u64),
    /// Ended abruptly: records stored at or before this time were on disk, by `checkpoint` (store-format §5.1).
    StoredBy(i64),
}

/// Where a scan ended.
#[derive(Debug)]
pub struct LogEnd {
    /// Offset behind the last record: the next one goes here.
    pub end: u64,
    /// Position and store time of the last record, if there was one.
    pub last: Option<(u64, i64)>,
    /// Why no record stands at the end.
    pub reason: Option<BadReason>,
}

/// End of what a cleanly closed log is known to hold: the greatest record end that a queue names (`queues_end`), the
/// records that checkpoint and index name by their starts, and every segment that begins with a whole record.
pub fn clean_evidence<G: Segment>(segments: &Segments<G>, queues_end: u64, starts: [i64; 2]) -> u64 {
    let view = LogView::new(segments.clone(), segments.extent());
    let mut known = if queues_end <= segments.extent() { queues_end } else { 0 };
    let mut record = Vec::new();
    let named = starts.into_iter().filter_map(|start| u64::try_from(start).ok());
    for start in named.chain(segments.iter().rev().map(|placed| placed.base)) {
        if start >= known
            && let Ok(Some(size)) = view.record_at(start, &mut record)
        {
            known = start + size as u64;
        }
    }
    known.max(segments.min())
}

/// Where the log of a store that RocketMQ closed ends, if it is not where queues and index say: it zeroes neither log nor
/// queues when it takes them back (store-format trap 12), so that behind what it put then older records go on, and so do their
/// entries. All of that is in the segment that `known` lies in: it removes those behind. Returns where that begins, too.
///
/// After a power cut what goes on there need not be records: then the log ends there unless a queue leads to that very place
/// (`leads_to`), as it does where the record has been damaged.
pub fn leftovers<G: Segment>(
    segments: &Segments<G>,
    known: u64,
    leads_to: impl Fn(u64) -> Result<bool, Error>,
) -> Result<Option<(u64, u64)>, Error> {
    let Some(segment) = known.checked_sub(1).and_then(|at| segments.find(at)) else { return Ok(None) };
    let view = LogView::new(segments.clone(), segments.extent());
    let mut scanner = Scanner::new(view, segment.base, known);
    let mut newest = None;
    let mut gap = None;
    loop {
        match scanner.step()? {
            Step::Message { bytes, .. } => {
                let Ok(time) = Record::parse(bytes).map(|record| record.store_timestamp()) else { return Ok(None) };
                if gap.is_some() && newest.is_some_and(|newest| time < newest) {
                    return Ok(gap.map(|end| (segment.base, end)));
                }
                (newest, gap) = (Some(time), None);
            }
            Step::Blank { .. } => {}
            Step::End => return Ok(None),
            Step::Bad { at, .. } => {
                gap = Some(at);
                match scanner.resync()? {
                    Some(next) => scanner.seek(next),
                    None => return Ok(if newest.is_none() || leads_to(at)? { None } else { Some((segment.base, at)) }),
                }
            }
        }
    }
}

/// Whether a queue entry leads to a record, or to what is left of one: between its neighbours, but damaged.
pub fn was_written<G: Segment>(segments: &Segments<G>, entry: &QueueEntry) -> Result<bool, Error> {
    let view = LogView::new(segments.clone(), segments.extent());
    if view.starts_record(entry.physical, entry.size)? {
        return Ok(true);
    }
    let (mut first, mut behind) = ([0; 8], [0; 8]);
    Ok(view.rest(entry.physical) >= u64::from(entry.size)
        && view.read(entry.physical, &mut first)?
        && head(&first) != Head::Empty
        && view.read(entry.end(), &mut behind)?
        && !matches!(head(&behind), Head::Bad(_)))
}

/// Where recovery of an abruptly ended log starts: the newest segment whose first record was stored by `time`.
pub fn start_segment<G: Segment>(segments: &Segments<G>, time: i64) -> u64 {
    let view = LogView::new(segments.clone(), segments.extent());
    let mut record = Vec::new();
    for placed in segments.iter().rev() {
        if let Ok(Some(_)) = view.record_at(placed.base, &mut record)
            && Record::parse(&record).is_ok_and(|record| record.store_timestamp() <= time)
        {
            return placed.base;
        }
    }
    segments.min()
}

/// Scans from `from`, gives every record to `each`, and finds the end.
pub fn scan<G: Segment>(
    segments: &Segments<G>,
    from: u64,
    evidence: Evidence,
    findings: &mut Vec<Finding>,
    mut each: impl FnMut(u64, &Record<'_>),
) -> Result<LogEnd, Error> {
    try_scan(segments, from, evidence, findings, |at, record| {
        each(at, record);
        Ok(())
    })
}

/// As [`scan`], and ends with the first error of `each`.
pub fn try_scan<G: Segment>(
    segments: &Segments<G>,
    from: u64,
    evidence: Evidence,
    findings: &mut Vec<Finding>,
    mut each: impl FnMut(u64, &Record<'_>) -> Result<(), Error>,
) -> Result<LogEnd, Error> {
    let view = LogView::new(segments.clone(), segments.extent());
    let mut scanner = Scanner::new(view, from, segments.extent());
    let mut last = None;
    let mut end = from;
    loop {
        match scanner.step()? {
            Step::Message { at, bytes } => {
                end = at + bytes.len() as u64;
                if let Ok(record) = Record::parse(bytes) {
                    last = Some((at, record.store_timestamp()));
                    each(at, &record)?;
                }
            }
            Step::Blank { at, size } => end = at + size,
            Step::End => return Ok(LogEnd { end, last, reason: None }),
            Step::Bad { at, reason } => match records_behind(&mut scanner, evidence, reason, last)? {
                Some(next) => {
                    findings.push(fenced(at, next, reason));
                    scanner.seek(next);
                    end = next;
                }
                None => {
                    return match evidence {
                        Evidence::Below(known) if known > at => {
                            findings.push(fenced(at, known, reason));
                            Ok(LogEnd { end: known, last, reason: Some(reason) })
                        }
                        _ => Ok(LogEnd { end: at, last, reason: Some(reason) }),
                    };
                }
            },
        }
    }
}

/// Where records go on behind a bad place, if the evidence says that they were there.
pub(crate) fn records_behind<G: Segment>(
    scanner: &mut Scanner<G>,
    evidence: Evidence,
    reason: BadReason,
    last: Option<(u64, i64)>,
) -> Result<Option<u64>, Error> {
    // RocketMQ does not look at that number: it keeps the record, and all behind it.
    if matches!(reason, BadReason::Misplaced(_))
        && let Some(next) = scanner.behind_misplaced()?
    {
        return Ok(Some(next));
    }
    let bad = scanner.position();
    match evidence {
        Evidence::Below(known) if bad >= known => Ok(None),
        Evidence::Below(known) => Ok(scanner.resync()?.filter(|&next| next <= known)),
        // Store times do not fall along the log: behind a record that came later nothing is known.
        Evidence::StoredBy(time) if last.is_some_and(|(_, stored)| stored > time) => Ok(None),
        Evidence::StoredBy(time) => {
            let Some(next) = scanner.resync()? else {
                return Ok(None);
            };
            scanner.seek(next);
            let known = loop {
                match scanner.step()? {
                    Step::Message { bytes, .. } => break Record::parse(bytes).is_ok_and(|record| record.store_timestamp() <= time),
                    Step::Blank { .. } => {} // the bad one was the last of its file
                    Step::Bad { .. } | Step::End => break false,
                }
            };
            scanner.seek(bad);
            Ok(known.then_some(next))
        }
    }
}

fn fenced(from: u64, to: u64, reason: BadReason) -> Finding {
    Finding {
        kind: "damaged",
        file: segments::path(from),
        offset: from,
        length: to - from,
        message: format!("{reason}; {} bytes cannot be read, everything around them can", to - from),
    }
}

/// What is dropped when the log is cut at its end, for the report.
pub fn cut_finding<G: Segment>(segments: &Segments<G>, log_end: &LogEnd) -> Option<Finding> {
    let reason = log_end.reason.filter(|&reason| reason != BadReason::Empty && reason != BadReason::Missing)?;
    let file = segments.find(log_end.end).map_or_else(String::new, |placed| segments::path(placed.base));
    Some(Finding {
        kind: "cut",
        file,
        offset: log_end.end,
        length: 0,
        message: format!("{reason}; the log ends here, what lies behind was never acknowledged as written"),
    })
}
