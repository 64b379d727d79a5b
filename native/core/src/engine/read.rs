//! Looking things up: offsets, times, entries, keys.

use alloc::string::String;
use alloc::vec::Vec;

use super::lookup::{Wanted, append};
use super::{Positions, Reader, Stats};
use crate::dispatch::Dispatch;
use crate::error::{Code, Error};
use crate::format::ext_unit::is_address;
use crate::format::hash::{index_key_hash, java_hash};
use crate::format::queue_entry::QueueEntry;
use crate::format::record::Record;
use crate::index::lookup::{Search, Sought};
use crate::log::view::LogView;
use crate::options::Options;
use crate::queue::files::Stretch;
use crate::queue::lookup::{self, QueueOffsets};
use crate::queue::table::QueueIndex;
use crate::queue::topics::Topic;
use crate::storage::{Clock, Segment, Storage};

/// Hash hits that one look-up follows; a key with more keeps its newest.
const MAX_CANDIDATES: usize = 1_000_000;

/// Messages that may have a key: hash hits, to be read and compared without the lock.
#[derive(Debug)]
pub struct Candidates<G> {
    log: LogView<G>,
    topic: Vec<u8>,
    key: Vec<u8>,
    search: Search,
    hit: usize,
    record: Vec<u8>,
}

impl<S: Storage, C: Clock> Reader<'_, S, C> {
    pub fn positions(&self) -> Positions {
        self.0.positions()
    }

    pub fn options(&self) -> &Options {
        &self.0.options
    }

    /// Offsets of a queue; all 0 for one that does not exist.
    pub fn offsets(&self, topic: &[u8], queue_id: i32) -> QueueOffsets {
        if let Some(place) = self.batch_queue(topic, queue_id) {
            return self.batch_offsets(place);
        }
        match self.0.queues.find(topic, queue_id) {
            Some(place) => lookup::offsets(&self.0.queues, place, self.0.visible()),
            // A deleted one has a next offset all the same.
            None => self.0.batches.find(topic, queue_id).map_or_else(QueueOffsets::default, |place| self.batch_offsets(place)),
        }
    }

    /// Store time of the message at a queue offset; `None` where there is none that can be read.
    pub fn time_of(&self, topic: &[u8], queue_id: i32, offset: u64) -> Result<Option<i64>, Error> {
        if let Some(place) = self.batch_queue(topic, queue_id) {
            return self.batch_time_of(place, offset);
        }
        let engine = self.0;
        let range = self.offsets(topic, queue_id);
        match engine.queues.find(topic, queue_id) {
            Some(place) if (range.min..range.max).contains(&offset) => {
                let entry = engine.queue_files.entry(&self.files(), &engine.queues, place, offset)?;
                lookup::store_time(&self.log(), entry)
            }
            _ => Ok(None),
        }
    }

    /// Up to `max` entries of a queue, with the queue offset of the first: `from`, or the queue's minimum above it. In a
    /// batch queue an entry stands for a batch, and the first is the one that holds `from`.
    pub fn entries(&self, topic: &[u8], queue_id: i32, from: u64, max: usize) -> Result<(u64, Vec<QueueEntry>), Error> {
        if let Some(place) = self.batch_queue(topic, queue_id) {
            return self.batch_entries(place, from, max);
        }
        let engine = self.0;
        let range = self.offsets(topic, queue_id);
        let start = from.clamp(range.min, range.max);
        let mut entries = Vec::new();
        if let Some(place) = engine.queues.find(topic, queue_id) {
            let count = (range.max - start).min(max as u64);
            engine.queue_files.read(&self.files(), &engine.queues, place, Stretch::of(start..start + count), |_, entry| {
                entries.push(entry.unwrap_or(QueueEntry::BLANK));
                true
            })?;
        }
        for entry in entries.iter_mut().filter(|entry| is_address(entry.tags_code)) {
            entry.tags_code = self.tags_code_of_record(entry.physical)?;
        }
        Ok((start, entries))
    }

    /// The tags code of an entry whose extension file has none; 0 where its record cannot be read either.
    fn tags_code_of_record(&self, physical: u64) -> Result<i64, Error> {
        let mut bytes = Vec::new();
        match self.log().record_at(physical, &mut bytes) {
            Ok(Some(_)) => {
                let levels = &self.0.options.delay_levels;
                Ok(Record::parse(&bytes).map_or(0, |record| Dispatch::of(&record, physical, levels).queue_entry().tags_code))
            }
            Ok(None) => Ok(0),
            Err(damaged) if damaged.code == Code::Corrupt => Ok(0),
            Err(error) => Err(error),
        }
    }

    /// Messages that may have a key, newest first.
    pub fn lookup(&self, topic: &[u8], key: &[u8]) -> Result<Candidates<S::Segment>, Error> {
        let mut search = Search::default();
        let log = self.lookup_on(topic, key, &mut search)?;
        Ok(Candidates { log, topic: topic.into(), key: key.into(), search, hit: 0, record: Vec::new() })
    }

    /// Searches the index for a key; returns the log that the positions found are in. After an error the same search goes on
    /// where it came to.
    pub fn lookup_on(&self, topic: &[u8], key: &[u8], search: &mut Search) -> Result<LogView<S::Segment>, Error> {
        self.lookup_or_leave(topic, key, search, false)
    }

    /// As [`Reader::lookup_on`]; but entries in a file may be left to be read by the caller, who does not hold the lock then: it
    /// gives them to [`Search::give`], and lets the search go on.
    pub fn lookup_leaving(&self, topic: &[u8], key: &[u8], search: &mut Search) -> Result<LogView<S::Segment>, Error> {
        self.lookup_or_leave(topic, key, search, true)
    }

    fn lookup_or_leave(&self, topic: &[u8], key: &[u8], search: &mut Search, may_leave: bool) -> Result<LogView<S::Segment>, Error> {
        let engine = self.0;
        let log = engine.log.view(engine.visible());
        let key_hash = index_key_hash(java_hash(java_hash(java_hash(0, topic), b"#"), key));
        let min = log.min().max(engine.queues.hidden_below(topic));
        let sought = Sought { key_hash, range: min..log.end(), limit: MAX_CANDIDATES };
        search.go_on(&engine.index, &self.files(), &sought, may_leave)?;
        Ok(log)
    }

    /// Topics that have a queue, in the order of their names.
    pub fn topics(&self) -> Vec<String> {
        let has_queue = |topic: &&Topic<QueueIndex>| topic.places().any(|place| self.is_queue(place));
        let mut names: Vec<String> = self.0.queues.topics().filter(has_queue).map(|topic| topic.name.clone()).collect();
        names.extend(self.batch_topics());
        names.sort_unstable();
        names.dedup();
        names
    }

    /// Queue ids of a topic in ascending order.
    pub fn queues(&self, topic: &[u8]) -> Vec<i32> {
        if self.0.batches.holds(topic) {
            return self.batch_queue_ids(topic);
        }
        let topic = self.0.queues.topic(topic).into_iter();
        topic.flat_map(Topic::places).filter(|&place| self.is_queue(place)).map(|place| self.0.queues.queue(place).id).collect()
    }

    /// Whether a message ever took a place in the queue: prepared ones and failed puts only leave its name in the table,
    /// and a crash its file.
    pub(super) fn is_queue(&self, place: QueueIndex) -> bool {
        let queue = self.0.queues.queue(place);
        queue.next() > 0 && !queue.absent
    }

    pub fn stats(&self) -> Stats {
        let engine = self.0;
        Stats {
            segments_rolled: engine.log.rolls(),
            queues: (engine.queues.places().filter(|&place| self.is_queue(place)).count() + self.batch_queues()) as u64,
            segments: engine.log.segments().iter().len() as u64,
            index_files: (engine.index.sealed.len() + engine.index.full.len() + usize::from(engine.index.active.is_some())) as u64,
            waiting_entries: (engine.queues.waiting_entries() + engine.batches.waiting_entries() + engine.index.waiting_entries()) as u64,
            ..engine.stats
        }
    }
}

impl<G: Segment> Candidates<G> {
    /// The next message that really has the key and was stored in `begin..=end`: its bytes, checked.
    pub fn next_record(&mut self, begin: i64, end: i64) -> Result<Option<&[u8]>, Error> {
        let wanted = Wanted { topic: &self.topic, key: &self.key, begin, end };
        self.record.clear();
        while let Some(&physical) = self.search.found().get(self.hit) {
            self.hit += 1;
            if append(&self.log, physical, &wanted, &mut self.record)? {
                return Ok(Some(&self.record));
            }
        }
        Ok(None)
    }
}
