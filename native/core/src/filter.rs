//! Which messages a subscriber wants: tags, compared by hash on the queue entry first, then as they stand in the record
//! (store-format §8.2).

use alloc::format;
use alloc::vec::Vec;

use crate::error::Error;
use crate::format::hash::java_hash;
use crate::format::properties::dispatched;
use crate::limits::MAX_FILTER_BYTES;

/// Bytes in front of each tag: its length, big-endian.
const LENGTH_BYTES: usize = 2;

/// A set of tags, kept with its encoded form, so that asking with the same filter again costs a comparison.
#[derive(Clone, Debug, Default)]
pub struct TagFilter {
    encoded: Vec<u8>,
    /// Hash and place of each tag, by hash.
    tags: Vec<(i32, usize, usize)>,
}

impl TagFilter {
    /// Takes the tags from `encoded`: for each its length (2 bytes, big-endian) and its UTF-8 bytes. Nothing: all messages.
    pub fn set(&mut self, encoded: &[u8]) -> Result<(), Error> {
        // Nothing is asked of `memcmp` where there is nothing: with the address of no memory it may take longer than the rest of a read.
        if encoded.is_empty() && self.encoded.is_empty() || !encoded.is_empty() && encoded == self.encoded {
            return Ok(());
        }
        self.encoded.clear();
        self.tags.clear();
        if encoded.len() > MAX_FILTER_BYTES {
            let message = format!("the filter has {} bytes; at most {MAX_FILTER_BYTES} are allowed", encoded.len());
            return Err(Error::argument("filter", message));
        }
        let mut at = 0;
        while at < encoded.len() {
            let tag = tag_at(encoded, at).ok_or_else(|| {
                self.tags.clear();
                let message = format!("at byte {at} of {} of the filter there is no tag with its length in front", encoded.len());
                Error::argument("filter", message)
            })?;
            self.tags.push((java_hash(0, tag), at + LENGTH_BYTES, at + LENGTH_BYTES + tag.len()));
            at += LENGTH_BYTES + tag.len();
        }
        self.tags.sort_unstable();
        self.encoded.extend_from_slice(encoded);
        Ok(())
    }

    /// Whether every message passes.
    pub fn is_all(&self) -> bool {
        self.tags.is_empty()
    }

    /// Whether a message whose queue entry has this tags code can have one of the tags.
    #[inline]
    pub fn may_match(&self, tags_code: i64) -> bool {
        self.first_with(tags_code as i32).is_some()
    }

    /// Whether a message with this property string has one of the tags.
    pub fn matches(&self, properties: &[u8]) -> bool {
        let Some(tags) = dispatched(properties).tags else {
            return self.is_all();
        };
        let hash = java_hash(0, tags);
        self.is_all()
            || self.first_with(hash).is_some_and(|first| {
                let same = self.tags[first..].iter().take_while(|(other, ..)| *other == hash);
                same.into_iter().any(|&(_, from, to)| &self.encoded[from..to] == tags)
            })
    }

    /// The first of the tags that have this hash.
    #[inline]
    fn first_with(&self, hash: i32) -> Option<usize> {
        let first = self.tags.partition_point(|&(other, ..)| other < hash);
        self.tags.get(first).is_some_and(|&(found, ..)| found == hash).then_some(first)
    }
}

/// The tag whose length stands at `at`; an empty one is none.
fn tag_at(encoded: &[u8], at: usize) -> Option<&[u8]> {
    let rest = &encoded[at..];
    let (length, behind) = rest.split_first_chunk::<LENGTH_BYTES>()?;
    behind.get(..usize::from(u16::from_be_bytes(*length))).filter(|tag| !tag.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(tags: &[&str]) -> Vec<u8> {
        tags.iter().flat_map(|tag| (tag.len() as u16).to_be_bytes().into_iter().chain(tag.bytes())).collect()
    }

    fn filter(tags: &[&str]) -> TagFilter {
        let mut filter = TagFilter::default();
        filter.set(&encoded(tags)).unwrap();
        filter
    }

    fn with_tags(tags: &str) -> Vec<u8> {
        format!("KEYS\u{1}k\u{2}TAGS\u{1}{tags}\u{2}").into_bytes()
    }

    #[test]
    fn tags_of_one_hash_are_told_apart_by_the_record() {
        let only = filter(&["Aa"]);
        assert!(only.may_match(2112) && !only.may_match(2113), "\"Aa\" and \"BB\" both have the hash 2112");
        assert!(only.matches(&with_tags("Aa")));
        assert!(!only.matches(&with_tags("BB")));
        let both = filter(&["BB", "x", "Aa"]);
        assert!(both.matches(&with_tags("Aa")) && both.matches(&with_tags("BB")) && both.matches(&with_tags("x")));
        assert!(!both.matches(&with_tags("AaAa")));
    }

    #[test]
    fn only_the_low_half_of_a_tags_code_counts() {
        assert!(filter(&["Aa"]).may_match(2112 | 5 << 32));
        let negative = java_hash(0, b"negative hash of a long tag");
        let found = filter(&["negative hash of a long tag"]);
        assert!(found.may_match(i64::from(negative)) && found.may_match(i64::from(negative) & 0xffff_ffff));
    }

    #[test]
    fn without_tags_everything_passes_and_with_tags_nothing_that_has_none() {
        assert!(filter(&[]).is_all() && filter(&[]).matches(b"") && filter(&[]).matches(&with_tags("a")));
        assert!(!filter(&["a"]).matches(b"") && !filter(&["a"]).may_match(0));
    }

    #[test]
    fn tags_are_compared_whole_and_as_characters() {
        assert!(!filter(&["a"]).matches(&with_tags("a || b")));
        assert!(filter(&["中文\u{1F600}"]).matches(&with_tags("中文\u{1F600}")));
    }

    #[test]
    fn what_is_no_filter_is_refused_and_forgotten() {
        let mut filter = filter(&["a"]);
        for bytes in [&[0][..], &[0, 0], &[0, 2, b'a'], &[0, 1, b'a', 0], &[0xff; 65_537]] {
            assert!(filter.set(bytes).is_err(), "{} bytes", bytes.len());
            assert!(filter.is_all());
        }
        filter.set(&encoded(&["b"])).unwrap();
        assert!(filter.matches(&with_tags("b")) && !filter.matches(&with_tags("a")));
    }
}
