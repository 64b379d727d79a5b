//! What went wrong, one of each kind: a run that finds several tells of all of them.

use std::collections::BTreeMap;

use super::verify::FIRST_FILE_LOST;

/// What the engine does not keep yet. It is counted and told, and does not fail a run.
///
/// A store that was not closed has no record of its own of how far its queues go. Where a power cut takes the entry of a
/// queue's first file and leaves that of a later one, neither of them synced, the queue is taken to begin with the later.
///
/// After a failed sync the page cache holds what the disk has not, and counts as clean: a store that is opened again without
/// a power cut in between believes it, and calls durable what its own sync does not write.
const KNOWN: [&str; 2] = [FIRST_FILE_LOST, REOPENED_AFTER_FAILED_SYNC];

/// What was found in memory when the store was opened again is not on the disk: see [`KNOWN`].
pub const REOPENED_AFTER_FAILED_SYNC: &str = "what a failed sync had lost was called durable";

#[derive(Debug, Default)]
pub struct Flaws {
    kinds: BTreeMap<String, (u64, String)>,
    known: BTreeMap<&'static str, u64>,
}

impl Flaws {
    /// Flaws that differ in numbers only are of one kind; the first of each is told whole.
    pub fn note(&mut self, flaw: &str, whole: impl FnOnce() -> String) {
        if let Some(known) = KNOWN.into_iter().find(|known| flaw.contains(known)) {
            *self.known.entry(known).or_default() += 1;
            return;
        }
        let first = flaw.lines().next().unwrap_or_default();
        let mut kind: String = first.chars().map(|c| if c.is_ascii_digit() { '#' } else { c }).collect();
        while kind.contains("##") {
            kind = kind.replace("##", "#");
        }
        kind = kind.replace("crashed again: ", "");
        self.kinds.entry(kind.chars().take(160).collect()).or_insert_with(|| (0, whole())).0 += 1;
    }

    pub fn report(&self) {
        self.known.iter().for_each(|(known, count)| println!("{count:>8} times, not kept yet: {known}"));
        if self.kinds.is_empty() {
            return;
        }
        let each = self.kinds.iter().map(|(kind, (count, whole))| format!("{count} times: {kind}\n\n{whole}"));
        let summary: String = self.kinds.iter().map(|(kind, (count, _))| format!("{count:>8} {kind}\n")).collect();
        panic!("{}\n\nIn short:\n{summary}", each.collect::<Vec<_>>().join("\n----\n\n"));
    }
}
