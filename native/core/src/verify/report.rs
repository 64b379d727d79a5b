//! What is found: gathered, places that adjoin put together, bounded.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::error::{Error, Finding};

/// Most faults that are listed; of the others the number is told.
pub const MAX_FAULTS: usize = 10_000;

/// What mends a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Remedy {
    None,
    Open,
    Salvage,
    RebuildQueues,
    RebuildIndex,
    Delete,
    Config,
    ByHand,
}

impl Remedy {
    pub fn text(self) -> &'static str {
        match self {
            Remedy::None => "nothing has to be done",
            Remedy::Open => "opening the store for writing, or starting RocketMQ on it, mends this",
            Remedy::Salvage => {
                "put the file back from a copy of the store; or \"moraine salvage DIR OUT\" saves every whole record into a new store"
            }
            Remedy::RebuildQueues => "\"moraine rebuild DIR --queues\" makes the queues again from the log",
            Remedy::RebuildIndex => "\"moraine rebuild DIR --index\" makes the index again from the log",
            Remedy::Delete => "delete the file while the store is closed: it is made again",
            Remedy::Config => "put the file, or its .bak, back from a copy of the store",
            Remedy::ByHand => "move it out of the store",
        }
    }
}

/// A finding, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub finding: Finding,
    pub remedy: Remedy,
}

#[derive(Default)]
pub(super) struct Report {
    faults: Vec<Fault>,
    /// How many places each of them stands for.
    counts: Vec<u64>,
    /// The newest fault of each file.
    newest: BTreeMap<String, usize>,
    places: BTreeSet<(String, u64)>,
    more: u64,
    /// Ranges of the log without readable records.
    damaged: Vec<(u64, u64)>,
}

impl Report {
    /// Adds a fault; one that adjoins the last one of its file and kind makes that longer. A place is told once.
    pub(super) fn push(
        &mut self,
        kind: &'static str,
        file: &str,
        offset: u64,
        length: u64,
        remedy: Remedy,
        message: impl FnOnce() -> String,
    ) {
        if let Some(&at) = self.newest.get(file)
            && self.faults[at].finding.kind == kind
            && length > 0
            && self.faults[at].finding.offset + self.faults[at].finding.length == offset
        {
            self.faults[at].finding.length += length;
            self.counts[at] += 1;
            return;
        }
        if self.faults.len() >= MAX_FAULTS {
            self.more += 1;
            return;
        }
        if !self.places.insert((file.to_string(), offset)) {
            return;
        }
        self.newest.insert(file.to_string(), self.faults.len());
        self.counts.push(1);
        self.faults.push(Fault { finding: Finding { kind, file: file.to_string(), offset, length, message: message() }, remedy });
    }

    /// A range of the log that holds no readable record.
    pub(super) fn damaged(&mut self, file: &str, from: u64, to: u64, message: impl FnOnce() -> String) {
        if self.damaged.len() < MAX_FAULTS {
            self.damaged.push((from, to));
        }
        self.push("damaged", file, from, to - from, Remedy::Salvage, message);
    }

    /// Whether a physical offset lies in such a range: what leads there was told already.
    pub(super) fn is_damaged(&self, physical: u64) -> bool {
        let after = self.damaged.partition_point(|&(from, _)| from <= physical);
        after.checked_sub(1).is_some_and(|at| physical < self.damaged[at].1)
    }

    /// What loading noticed, with its remedy.
    pub(super) fn noticed(&mut self, finding: Finding, clean: bool) {
        let remedy = match finding.kind {
            "stray-file" => Remedy::ByHand,
            "log-gap" => Remedy::Salvage,
            "queue-gap" if clean => Remedy::RebuildQueues,
            "index-geometry" => Remedy::RebuildIndex,
            "topic-table" => Remedy::Config,
            _ => Remedy::Open,
        };
        let Finding { kind, file, offset, length, message } = finding;
        self.push(kind, &file, offset, length, remedy, || message);
    }

    /// A file or directory that cannot be read, or not be what it should be.
    pub(super) fn unreadable(&mut self, file: &str, error: &Error, remedy: Remedy) {
        let named = error.details.iter().find_map(|(name, detail)| match (name, detail) {
            (&"file" | &"path", crate::error::Detail::Text(text)) if !text.is_empty() => Some(text.clone()),
            _ => None,
        });
        self.push("unreadable", &named.unwrap_or_else(|| file.to_string()), 0, 0, remedy, || error.message.clone());
    }

    pub(super) fn finish(self) -> Vec<Fault> {
        let Self { mut faults, counts, more, .. } = self;
        for (fault, count) in faults.iter_mut().zip(counts) {
            if count > 1 {
                fault.finding.message = format!("{}; and so on at the {} places behind it", fault.finding.message, count - 1);
            }
        }
        if more > 0 {
            let message = format!("{more} more findings are not listed");
            let finding = Finding { kind: "more", file: String::new(), offset: 0, length: 0, message };
            faults.push(Fault { finding, remedy: Remedy::None });
        }
        faults
    }
}
