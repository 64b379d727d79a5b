//! Entries of a queue, taken into an answer one by one; where they lie in a file, by whoever asks, without the lock.

use alloc::string::String;

use super::resolve::{GetStatus, Part, Resolved};
use crate::format::ext_unit::is_address;
use crate::format::queue_entry::QueueEntry;
use crate::limits::QUEUE_ENTRY_BYTES;
use crate::storage::Segment;

/// How far the entries of a queue belong to an answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Intake {
    /// Queue offset asked for, and how many from it on are looked at.
    pub(super) offset: u64,
    pub(super) scan: u64,
    /// Messages at most, and their bytes; one may have more.
    pub(super) most: usize,
    pub(super) max_bytes: usize,
    /// Whether the tags code of an entry says that its message is not wanted.
    pub(super) by_hash: bool,
    /// The end of the log, above what is visible of it.
    pub(super) appended: u64,
    /// Bytes of the messages so far.
    pub(super) bytes: usize,
    /// Behind the last one looked at.
    pub(super) passed: u64,
    /// Where the entry before leads.
    pub(super) before: Option<u64>,
}

impl Intake {
    /// Takes the next entry; `None` where a file holds none. Says whether to go on.
    pub(super) fn take<G: Segment>(&mut self, into: &mut Resolved<G>, queue_offset: u64, entry: Option<QueueEntry>) -> bool {
        let physical = entry.filter(|entry| !entry.is_blank()).map(|entry| entry.physical);
        let is_doubtful = physical.is_some_and(|physical| self.before.is_some_and(|before| physical <= before));
        self.before = physical.or(self.before);
        if queue_offset < self.offset {
            return true;
        }
        if let Some(last) = into.parts.last_mut().filter(|last| last.behind == queue_offset) {
            last.is_doubtful |= is_doubtful;
        }
        if queue_offset >= self.offset + self.scan {
            return false;
        }
        let is_hidden = |entry: QueueEntry| (into.log.end()..self.appended).contains(&entry.physical);
        if entry.is_some_and(|entry| !entry.is_blank() && is_hidden(entry)) {
            return false; // written behind, and then the sync of its message failed
        }
        let found = entry.filter(|entry| !entry.is_blank() && entry.physical >= into.log.min());
        if let Some(entry) = found
            && (into.parts.len() >= self.most || (!into.parts.is_empty() && self.bytes + entry.size as usize > self.max_bytes))
        {
            return false;
        }
        // Where the extension file has no tags code the record decides, as in RocketMQ.
        let may_match = |entry: QueueEntry| is_address(entry.tags_code) || into.filter.may_match(entry.tags_code);
        let wanted = !self.by_hash || entry.is_some_and(may_match);
        match found {
            Some(entry) if wanted => {
                self.bytes += entry.size as usize;
                let (QueueEntry { physical, size, .. }, behind, asked) = (entry, queue_offset + 1, queue_offset);
                into.parts.push(Part { physical, size, queue_offset, behind, asked, is_doubtful });
                into.status = GetStatus::Found;
            }
            None if wanted && into.parts.is_empty() => into.status = GetStatus::MessageWasRemoving,
            _ => {}
        }
        self.passed = found.map_or(self.passed, |entry| entry.physical + u64::from(entry.size));
        into.next = queue_offset + 1;
        true
    }
}

/// Entries in a file, to be read without the lock.
#[derive(Clone, Debug)]
pub(super) struct Left {
    pub(super) path: String,
    /// Where the first stands, and how many they are.
    pub(super) at: u64,
    pub(super) count: u64,
    /// Queue offset of the first.
    pub(super) first: u64,
    pub(super) intake: Intake,
    /// How often the end of the log had been moved back.
    pub(super) cuts: u64,
}

impl<G: Segment> Resolved<G> {
    /// Which entries were left: path of the file, where they stand in it, their bytes.
    pub fn left(&self) -> Option<(&str, u64, usize)> {
        self.left.as_ref().map(|left| (left.path.as_str(), left.at, (left.count * QUEUE_ENTRY_BYTES) as usize))
    }

    /// Takes the entries that were left, as they stand in the file. False where they do not make the answer, which has to be
    /// resolved under the lock then: there is a blank one among them, one that does not lead into the log, or there are too few.
    pub fn take_left(&mut self, raw: &[u8]) -> bool {
        let Some(Left { first, mut intake, count, .. }) = self.left.take() else { return false };
        let entries = raw.as_chunks::<{ QUEUE_ENTRY_BYTES as usize }>().0;
        if entries.len() as u64 != count {
            return false;
        }
        for (queue_offset, raw) in (first..).zip(entries) {
            let entry =
                QueueEntry::decode(raw).filter(|entry| !entry.is_blank() && (self.log.min()..self.log.end()).contains(&entry.physical));
            if entry.is_none() {
                return false;
            }
            if !intake.take(self, queue_offset, entry) {
                self.bytes_behind = self.log.end().saturating_sub(intake.passed);
                return true;
            }
        }
        false
    }
}
