//! What went wrong, one of each kind: a run that finds several tells of all of them.

use std::collections::BTreeMap;
use std::ops::AddAssign;

#[derive(Debug, Default)]
pub struct Flaws {
    kinds: BTreeMap<String, (u64, String)>,
}

impl Flaws {
    /// Flaws that differ in numbers only are of one kind; the first of each is told whole.
    pub fn note(&mut self, flaw: &str, whole: impl FnOnce() -> String) {
        let first = flaw.lines().next().unwrap_or_default();
        let mut kind: String = first.chars().map(|c| if c.is_ascii_digit() { '#' } else { c }).collect();
        while kind.contains("##") {
            kind = kind.replace("##", "#");
        }
        kind = kind.replace("crashed again: ", "");
        self.kinds.entry(kind.chars().take(160).collect()).or_insert_with(|| (0, whole())).0 += 1;
    }

    pub fn report(&self) {
        if self.kinds.is_empty() {
            return;
        }
        let each = self.kinds.iter().map(|(kind, (count, whole))| format!("{count} times: {kind}\n\n{whole}"));
        let summary: String = self.kinds.iter().map(|(kind, (count, _))| format!("{count:>8} {kind}\n")).collect();
        panic!("{}\n\nIn short:\n{summary}", each.collect::<Vec<_>>().join("\n----\n\n"));
    }
}

/// What another thread has found.
impl AddAssign for Flaws {
    fn add_assign(&mut self, other: Self) {
        for (kind, (count, whole)) in other.kinds {
            self.kinds.entry(kind).or_insert_with(|| (0, whole)).0 += count;
        }
    }
}
