//! What counts of what an open found: up to where the log is known to have been written, and the queues are complete.
//!
//! There is one answer for each way in which a store can have ended; a new kind of evidence is a new one here.

use alloc::string::String;

use super::close::ABORT_PATH;
use super::complete::Complete;
use super::found::Found;
use super::known::queues_end;
use super::resumed::Resumed;
use super::rows::Queues;
use super::trusted::Proven;
use crate::error::{Error, Finding};
use crate::format::watermark::{Closed, Derived};
use crate::recovery::{self, Evidence};
use crate::storage::Storage;

/// Where the scan of the log begins, and what it does with damage.
pub(super) struct Counts {
    /// Why a range of the log is known to have held records.
    pub evidence: Evidence,
    /// The offsets below which queues need no record.
    pub complete: Complete,
    /// The queues of these kinds have lost files: what is left of them is dropped.
    pub lost: Lost,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Lost {
    pub plain: bool,
    pub batches: bool,
}

impl<S: Storage> Found<S> {
    pub fn counts(&mut self, storage: &S) -> Result<Counts, Error> {
        let lost = self.lost();
        if let Some(resumed) = self.resumed.as_ref().map(|resumed| (resumed.written, resumed.running.derived)) {
            return self.killed(storage, resumed, lost);
        }
        match &self.proven {
            Some(Proven { closed, before: None, .. }) => Ok(Counts {
                evidence: Evidence::Below(closed.end),
                complete: Complete { simple: closed.end, batch: closed.end, end: closed.end },
                lost,
            }),
            Some(Proven { closed: Closed { end, .. }, .. }) if lost.plain || lost.batches => self.with_lost_queues(storage, *end, lost),
            // Nothing but `abort` came since.
            Some(Proven { closed: Closed { end, .. }, .. }) if !self.clean => {
                Ok(Counts { evidence: Evidence::Below(*end), ..self.ended_abruptly(storage)? })
            }
            _ if self.clean => self.closed_by_others(storage),
            _ => self.ended_abruptly(storage),
        }
    }

    /// Holds the queues against what the sidecar says of them, where somebody has been in their directories.
    fn lost(&mut self) -> Lost {
        // An open before this one may have said so, and died while it built them again.
        let said = |resumed: &Resumed| resumed.running.derived.is_some_and(|derived| derived.lost);
        let resumed = self.resumed.as_ref().and_then(|resumed| Some((resumed.before.as_ref()?, said(resumed))));
        let proven = self.proven.as_ref().and_then(|proven| Some((proven.before.as_ref()?, false)));
        let Some((before, is_said)) = resumed.or(proven) else { return Lost::default() };
        let (plain, batches) = (before.lost(&self.queues.plain), before.lost_batches(&self.queues.batches));
        let is_resumed = resumed.is_some();
        let lost = Lost { plain: is_resumed || plain.is_some(), batches: is_resumed || batches.is_some() };
        if !is_said {
            // Who removes all of them wants them to be built again.
            self.findings.extend(plain.filter(|_| !self.loaded.is_empty()));
            self.findings.extend(batches.filter(|_| !self.loaded_batches.is_empty()));
        }
        lost
    }

    /// Closed by us: the log ends where the sidecar says.
    fn with_lost_queues(&mut self, storage: &S, end: u64, lost: Lost) -> Result<Counts, Error> {
        let min = self.segments.min();
        let complete = match lost.batches {
            true => Complete { simple: end, batch: min, end },
            false => Complete { simple: end, ..self.complete_of_clean_store(storage, end)? },
        };
        let simple = if lost.plain { min } else { end };
        Ok(Counts { evidence: Evidence::Below(end), complete: Complete { simple, ..complete }, lost })
    }

    /// Killed, but the running watermark counts.
    fn killed(&mut self, storage: &S, (written, derived): (u64, Option<Derived>), lost: Lost) -> Result<Counts, Error> {
        let evidence = Evidence::Below(written);
        match derived {
            Some(derived) => {
                self.findings.push(unclean());
                let from = if lost.plain { self.segments.min() } else { derived.upto };
                Ok(Counts { evidence, complete: Complete { simple: from, batch: from, end: from }, lost })
            }
            None => Ok(Counts { evidence, ..self.ended_abruptly(storage)? }),
        }
    }

    /// Closed cleanly, but nothing of ours says how.
    fn closed_by_others(&mut self, storage: &S) -> Result<Counts, Error> {
        let queues_end = queues_end(&self.segments, &self.queues.plain, &self.loaded, &mut self.findings)?;
        let complete = self.complete_of_clean_store(storage, queues_end)?;
        let indexed = self.index.newest().map_or(-1, |newest| newest.end_physical);
        let known = recovery::clean_evidence(&self.segments, complete.end.max(self.written), [self.checkpoint.confirm_offset, indexed]);
        // By what we said of it, RocketMQ has taken nothing back since.
        let leftovers = match self.written {
            0 => recovery::leftovers(&self.segments, known, |at| self.a_queue_leads_to(storage, at))?,
            _ => None,
        };
        let (complete, known) = match leftovers {
            // An entry there may lead into the middle of a later record.
            Some((from, end)) => (Complete { simple: complete.simple.min(from), batch: complete.batch.min(from), end }, end),
            None => (complete, known),
        };
        Ok(Counts { evidence: Evidence::Below(known), complete, lost: Lost::default() })
    }

    fn a_queue_leads_to(&self, storage: &S, at: u64) -> Result<bool, Error> {
        if !self.loaded_batches.is_empty() {
            return Ok(true); // not looked into
        }
        let Queues { plain, files, .. } = &self.queues;
        for queue in self.loaded.iter().filter(|queue| queue.last.is_some_and(|last| last.end() > at)) {
            if files.leads_to(storage, plain, queue.place, at)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn complete_of_clean_store(&mut self, storage: &S, simple_end: u64) -> Result<Complete, Error> {
        let Self { segments, loaded, queues, loaded_batches, findings, .. } = self;
        Complete::of_clean_store(storage, segments, simple_end, loaded, &queues.batches, loaded_batches, findings)
    }

    /// Killed, or open elsewhere: `checkpoint` says up to which time records and queues were on disk.
    fn ended_abruptly(&mut self, storage: &S) -> Result<Counts, Error> {
        if !self.segments.is_empty() {
            self.findings.push(unclean());
        }
        let time = self.checkpoint.min_timestamp();
        let known = recovery::start_segment(&self.segments, time);
        let Self { segments, loaded, queues, loaded_batches, .. } = self;
        let complete = Complete::of_crashed_store(storage, segments.min(), known, loaded, &queues.batches, loaded_batches)?;
        Ok(Counts { evidence: Evidence::StoredBy(time), complete, lost: Lost::default() })
    }
}

fn unclean() -> Finding {
    Finding {
        kind: "unclean",
        file: String::from(ABORT_PATH),
        offset: 0,
        length: 0,
        message: String::from(
            "the store was not closed, or is open elsewhere; queues and index were built again from the log where needed",
        ),
    }
}
