//! Messages by key: several keys of a topic in one go, a piece at a time.
//!
//! What is asked crosses the boundary as one run of bytes: the topic, then each key, each behind its length in bytes, a u32
//! whose lowest byte comes first.

use alloc::format;
use alloc::vec::Vec;

use crate::error::{Code, Error};
use crate::format::properties::dispatched;
use crate::format::record::Record;
use crate::index::lookup::Search;
use crate::limits::MAX_LOOKUP_BYTES;
use crate::log::view::LogView;
use crate::storage::Segment;

/// Bytes of a length.
const LENGTH_BYTES: usize = 4;
/// Memory of a lookup that is kept for the next one.
const KEPT_BYTES: usize = 1 << 20;

/// What a lookup of one key is after.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    pub topic: &'a [u8],
    pub key: &'a [u8],
    /// Least and greatest store time, ms.
    pub begin: i64,
    pub end: i64,
}

/// A lookup of keys, and how far it has come. Each key has its messages newest first, without repeats.
#[derive(Debug)]
pub struct Lookup<G> {
    asked: Vec<u8>,
    begin: i64,
    end: i64,
    /// Most messages of a key.
    max: usize,
    /// Bytes of the topic, and where the next key's length stands in `asked`.
    topic: usize,
    next: usize,
    /// The key whose hits are being read: where it stands, the log that they are in, and which is the next one.
    key: (usize, usize),
    log: Option<LogView<G>>,
    search: Search,
    hit: usize,
    counts: Vec<f64>,
    bytes: u64,
}

impl<G> Default for Lookup<G> {
    fn default() -> Self {
        Self {
            asked: Vec::new(),
            begin: 0,
            end: 0,
            max: 0,
            topic: 0,
            next: 0,
            key: (0, 0),
            log: None,
            search: Search::default(),
            hit: 0,
            counts: Vec::new(),
            bytes: 0,
        }
    }
}

impl<G: Segment> Lookup<G> {
    /// Begins anew: `max` messages of each key that were stored in `begin..=end` (ms).
    pub fn begin(&mut self, asked: &[u8], begin: i64, end: i64, max: usize) -> Result<(), Error> {
        let topic = check(asked)?;
        self.let_go();
        if self.asked.try_reserve(asked.len()).is_err() {
            return Err(Error::new(Code::Busy, "there is no memory for the keys; look up fewer at once"));
        }
        self.asked.extend_from_slice(asked);
        (self.begin, self.end, self.max) = (begin, end, max);
        (self.topic, self.next, self.bytes) = (topic, LENGTH_BYTES + topic, 0);
        Ok(())
    }

    /// Appends records to `into`, back to back, the first key's first. `look` searches the index, as
    /// [`super::Reader::lookup_on`]. False: `into` has `most` bytes or more, and there may be more records.
    pub fn go_on(
        &mut self,
        mut look: impl FnMut(&Wanted<'_>, &mut Search) -> Result<LogView<G>, Error>,
        into: &mut Vec<u8>,
        most: usize,
    ) -> Result<bool, Error> {
        while self.log.is_some() || self.next_key() {
            let (from, to) = self.key;
            let (topic, key) = (&self.asked[LENGTH_BYTES..LENGTH_BYTES + self.topic], &self.asked[from..to]);
            let wanted = Wanted { topic, key, begin: self.begin, end: self.end };
            let log = match self.log.take() {
                Some(log) => log,
                None => look(&wanted, &mut self.search)?,
            };
            let Some(count) = self.counts.last_mut() else { break };
            while (*count as usize) < self.max
                && let Some(&physical) = self.search.found().get(self.hit)
            {
                if into.len() >= most {
                    self.log = Some(log);
                    return Ok(false);
                }
                self.hit += 1;
                let start = into.len();
                if append(&log, physical, &wanted, into)? {
                    *count += 1.0;
                    self.bytes += (into.len() - start) as u64;
                }
                if self.bytes > MAX_LOOKUP_BYTES {
                    let message =
                        format!("what was looked up has more than {MAX_LOOKUP_BYTES} bytes; ask for fewer messages or keys at once");
                    return Err(Error::argument("options.max", message));
                }
            }
        }
        Ok(true)
    }

    /// Steps to the next key that a message may have; those that none can have are answered at once.
    fn next_key(&mut self) -> bool {
        while let Some(bytes) = length_at(&self.asked, self.next) {
            let from = self.next + LENGTH_BYTES;
            self.counts.push(0.0);
            self.next = from + bytes;
            if bytes > 0 {
                self.key = (from, self.next);
                self.search.clear();
                self.hit = 0;
                return true;
            }
        }
        false
    }

    /// How many messages each key has, of those that were come to.
    pub fn counts(&self) -> &[f64] {
        &self.counts
    }

    /// Forgets what was asked and found, and keeps memory for the next one.
    pub fn let_go(&mut self) {
        self.log = None;
        if self.asked.capacity() > KEPT_BYTES {
            (self.asked, self.counts) = (Vec::new(), Vec::new());
        }
        self.asked.clear();
        self.counts.clear();
        self.search.clear();
    }
}

impl Wanted<'_> {
    /// Whether a record is one: keys are compared as they are, since different ones share a hash.
    fn is(&self, record: &Record<'_>) -> bool {
        if record.topic() != self.topic || !(self.begin..=self.end).contains(&record.store_timestamp()) {
            return false;
        }
        let names = dispatched(record.properties());
        names.uniq_key == Some(self.key) || names.keys.is_some_and(|keys| keys.split(|&byte| byte == b' ').any(|word| word == self.key))
    }
}

/// Appends the record of a hit, where it is wanted; nothing otherwise.
///
/// A hit that cannot be read hides a message, it never shows a wrong one: stale index entries lead anywhere.
pub(super) fn append<G: Segment>(log: &LogView<G>, physical: u64, wanted: &Wanted<'_>, into: &mut Vec<u8>) -> Result<bool, Error> {
    let start = into.len();
    let is_wanted = match log.append_record(physical, into) {
        Ok(Some(record)) => wanted.is(&record),
        Ok(None) => false,
        Err(error) if error.code == Code::Corrupt => false,
        Err(error) => return Err(error),
    };
    if !is_wanted {
        into.truncate(start);
    }
    Ok(is_wanted)
}

/// How many keys are asked for.
pub fn keys_in(asked: &[u8]) -> usize {
    let mut keys: usize = 0;
    let mut at = 0;
    while let Some(bytes) = length_at(asked, at) {
        keys += 1;
        at += LENGTH_BYTES + bytes;
    }
    keys.saturating_sub(1)
}

/// What is asked as it crosses: the counterpart of [`Lookup::begin`] for callers in Rust.
pub fn asked<'a>(topic: &'a [u8], keys: impl IntoIterator<Item = &'a [u8]>) -> Vec<u8> {
    let mut asked = Vec::new();
    for text in core::iter::once(topic).chain(keys) {
        asked.extend_from_slice(&(text.len() as u32).to_le_bytes());
        asked.extend_from_slice(text);
    }
    asked
}

/// Bytes of the topic, where lengths and bytes add up.
fn check(asked: &[u8]) -> Result<usize, Error> {
    let mut at = 0;
    while let Some(bytes) = length_at(asked, at) {
        at += LENGTH_BYTES + bytes;
    }
    match length_at(asked, 0) {
        Some(topic) if at == asked.len() => Ok(topic),
        _ => Err(Error::argument("asked", "what is asked for is no topic with keys: lengths do not add up")),
    }
}

/// The length that stands at a place, of something that is there as a whole.
fn length_at(asked: &[u8], at: usize) -> Option<usize> {
    let (length, rest) = asked.get(at..)?.split_first_chunk::<LENGTH_BYTES>()?;
    let length = u32::from_le_bytes(*length) as usize;
    (length <= rest.len()).then_some(length)
}
