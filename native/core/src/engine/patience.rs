//! How long whoever writes entries behind lets them wait for more of the same queues.

use super::Behind;

/// Longest time that entries of many queues wait for more of the same queues.
pub const LONGEST_PATIENCE_MS: u64 = 10_000;

/// What was decided before. Times are ms of a clock that nobody sets.
#[derive(Debug, Default)]
pub struct Patience {
    /// End of the log when the interval before ended.
    end: u64,
    /// When entries were first left waiting.
    since: Option<u64>,
    /// A round was broken off for something more urgent.
    unfinished: bool,
}

impl Patience {
    /// What to write now: queue entries where it pays, or nothing else is to be done, or they have waited long enough.
    pub fn decide(&mut self, now_ms: u64, due: bool, end: u64, worth_it: bool) -> Behind {
        let quiet = due && core::mem::replace(&mut self.end, end) == end;
        let is_long = |since: u64| now_ms.saturating_sub(since) >= LONGEST_PATIENCE_MS;
        if quiet || worth_it || self.unfinished || self.since.is_some_and(is_long) {
            return Behind::All;
        }
        self.since.get_or_insert(now_ms);
        Behind::Index
    }

    /// A round has ended, with everything written or broken off.
    pub fn wrote(&mut self, kinds: Behind, finished: bool) {
        if kinds == Behind::All {
            self.unfinished = !finished;
            self.since = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queue_entries_wait_until_it_pays_or_nothing_is_put_or_long_enough() {
        let mut patience = Patience::default();
        assert_eq!(patience.decide(0, true, 100, false), Behind::Index);
        assert_eq!(patience.decide(0, false, 100, false), Behind::Index, "asked in the middle of an interval");
        assert_eq!(patience.decide(0, true, 200, true), Behind::All);
        patience.wrote(Behind::All, false);
        assert_eq!(patience.decide(0, false, 300, false), Behind::All, "the round goes on");
        patience.wrote(Behind::All, true);
        assert_eq!(patience.decide(0, true, 300, false), Behind::Index);
        assert_eq!(patience.decide(0, true, 300, false), Behind::All, "an interval without a put");
        patience.wrote(Behind::All, true);
        assert_eq!(patience.decide(0, true, 400, false), Behind::Index);
        assert_eq!(patience.decide(LONGEST_PATIENCE_MS, false, 500, false), Behind::All);
    }
}
