//! Where something begins to hold in a queue, whose entries may be damaged.

use core::ops::Range;

use crate::error::Error;

/// How often a search is taken up again behind an entry that misled it.
const MAX_AGAIN: usize = 8;

/// Where a search ends that two entries lead to different places, which of them is damaged being unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    Earlier,
    Later,
}

/// The first position of `range` from which on entries are not below something: `is_below` says it of each, `None` of one
/// that cannot be read, which goes with what stands in front of it. One that says something wrong decides about itself alone.
pub(crate) fn partition(range: Range<u64>, doubt: Doubt, is_below: impl Fn(u64) -> Result<Option<bool>, Error>) -> Result<u64, Error> {
    let mut rest = range;
    let mut found = bisect(rest.clone(), &is_below)?;
    for _ in 0..MAX_AGAIN {
        // A search that was misled ends at the entry that did it.
        let says = |position: Option<u64>| position.filter(|position| rest.contains(position)).map_or(Ok(None), &is_below);
        if says(Some(found + 1))? == Some(true) && (doubt == Doubt::Later || says(Some(found + 2))? == Some(true)) {
            rest.start = found + 2;
        } else if says(found.checked_sub(2))? == Some(false) && says(found.checked_sub(3))? == Some(false) {
            rest.end = found - 2;
        } else {
            break;
        }
        found = bisect(rest.clone(), &is_below)?;
    }
    Ok(found)
}

fn bisect(range: Range<u64>, is_below: &impl Fn(u64) -> Result<Option<bool>, Error>) -> Result<u64, Error> {
    let (mut low, mut high) = (range.start, range.end);
    while low < high {
        let middle = low + (high - low) / 2;
        let (mut at, mut found) = (middle, is_below(middle)?);
        while found.is_none() && at > low {
            at -= 1;
            found = is_below(at)?;
        }
        if found == Some(false) { high = at } else { low = middle + 1 }
    }
    Ok(low)
}

#[cfg(test)]
mod tests {
    use alloc::format;
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn one_entry_that_cannot_be_read_or_says_something_wrong_misleads_nobody() {
        for count in 0..20_u64 {
            for bound in 0..=count {
                for damaged in 0..count {
                    for says in [None, Some(true), Some(false)] {
                        let mut entries: Vec<Option<bool>> = (0..count).map(|n| Some(n < bound)).collect();
                        entries[damaged as usize] = says;
                        let of = |doubt| partition(0..count, doubt, |at| Ok(entries[at as usize])).unwrap();
                        let (earlier, later) = (of(Doubt::Earlier), of(Doubt::Later));
                        let case = format!("{earlier} to {later} for {bound} of {count}: {damaged} says {says:?}");
                        assert!(earlier <= later && later.abs_diff(bound) <= 2 && earlier.abs_diff(bound) <= 2, "{case}");
                        let is_near = bound.abs_diff(damaged) <= 2;
                        assert!(is_near || (earlier, later) == (bound, bound), "{case}");
                        assert!(later + 1 >= bound, "{case}");
                    }
                }
            }
        }
    }
}
