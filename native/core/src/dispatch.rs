//! From a record to its queue entry and its index keys: one pass, resumable, idempotent.
//!
//! `put` dispatches what it has just written, recovery what it finds in the log; both go through here.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::error::Finding;
use crate::format::hash::{index_key_hash, java_hash, tags_code};
use crate::format::light_queues::{self, LIGHT_QUEUE_ID, is_light_queue, may_multi_dispatch};
use crate::format::marks::{Marks, Space};
use crate::format::properties::{Dispatched, dispatched};
use crate::format::queue_entry::QueueEntry;
use crate::format::record::{Record, SYS_FLAG_INNER_BATCH, Transaction, transaction};
use crate::index::put::Index;
use crate::limits::{MAX_SAFE_INTEGER, QUEUE_ENTRY_BYTES};
use crate::log::segments;
use crate::queue::batch::BatchTable;
use crate::queue::table::{QueueIndex, QueueTable};
use crate::queue::tail::Tail;
use crate::storage::Clock;

/// Topic of messages that wait for their delivery time (store-format §10.1).
pub const SCHEDULE_TOPIC: &[u8] = b"SCHEDULE_TOPIC_XXXX";

/// Blank entries that a gap in a queue may cost; a greater one is not believed.
const MAX_GAP_ENTRIES: u64 = 1_000_000;

/// Greatest queue offset whose place in a file is an offset that crosses the boundary.
const MAX_QUEUE_OFFSET: u64 = MAX_SAFE_INTEGER / QUEUE_ENTRY_BYTES;

/// What dispatch needs to know of a record.
#[derive(Clone, Copy, Debug)]
pub struct Dispatch<'a> {
    pub topic: &'a [u8],
    pub physical: u64,
    pub size: u32,
    pub sys_flag: i32,
    pub store_timestamp: i64,
    pub names: Dispatched<'a>,
    /// What delay levels mean, in ms.
    pub delay_levels: &'a [i64],
}

impl<'a> Dispatch<'a> {
    /// Of a checked record at `physical`.
    pub fn of(record: &Record<'a>, physical: u64, delay_levels: &'a [i64]) -> Self {
        Self {
            topic: record.topic(),
            physical,
            size: record.size(),
            sys_flag: record.sys_flag(),
            store_timestamp: record.store_timestamp(),
            names: dispatched(record.properties()),
            delay_levels,
        }
    }

    /// The queue entry (store-format §3.1, §3.2).
    pub fn queue_entry(&self) -> QueueEntry {
        QueueEntry { physical: self.physical, size: self.size, tags_code: self.tags_code() }
    }

    /// The hash of the tags, or the delivery time of a delayed message.
    fn tags_code(&self) -> i64 {
        if self.topic == SCHEDULE_TOPIC
            && let Some(level) = self.names.delay.and_then(delay_level)
            && let Some(delay) = self.delay_levels.get(level - 1).or(self.delay_levels.last())
        {
            return self.store_timestamp.saturating_add(*delay);
        }
        self.names.tags.map_or(0, tags_code)
    }

    /// The queues that the record goes to beside its own, and its offsets there (§3.6): name, queue id, offset.
    pub fn beside(&self, own_queue_id: i32) -> impl Iterator<Item = (&'a [u8], i32, u64)> {
        let (mut names, mut offsets) = (self.names.multi_dispatch, self.names.multi_queue_offset);
        if !may_multi_dispatch(self.topic) {
            (names, offsets) = (None, None);
        }
        light_queues::entries(names.unwrap_or_default(), offsets.unwrap_or_default())
            .map(move |(name, offset)| (name, if is_light_queue(name) { LIGHT_QUEUE_ID } else { own_queue_id }, offset))
    }

    /// Adds the keys of the message to the index's run (§4.3): UNIQ_KEY, the words of KEYS and, if asked for, TAGS.
    /// `topic_key_hash` is the hash of `topic#`.
    pub fn index(&self, index: &mut Index, clock: &impl Clock, topic_key_hash: i32, with_tags: bool) {
        index.begin(clock);
        if transaction(self.sys_flag) == Transaction::Rollback || index.knows(self.physical) {
            return;
        }
        let mut put = |text_hash: i32| index.put(index_key_hash(text_hash), self.physical, self.store_timestamp);
        if let Some(key) = self.names.uniq_key {
            put(java_hash(topic_key_hash, key));
        }
        if let Some(keys) = self.names.keys {
            let mut from = 0;
            for end in Marks::<Space>::new(keys).chain(core::iter::once(keys.len())) {
                if end > from {
                    put(java_hash(topic_key_hash, &keys[from..end]));
                }
                from = end + 1;
            }
        }
        if with_tags && let Some(tags) = self.names.tags {
            put(java_hash(java_hash(topic_key_hash, b"T#"), tags));
        }
    }
}

/// Whether a record takes an entry in its queue: prepared and rolled back ones do not (§7).
pub fn takes_queue_entry(sys_flag: i32) -> bool {
    matches!(transaction(sys_flag), Transaction::None | Transaction::Commit)
}

/// The delay level that a property DELAY names, from 1.
pub fn delay_level(delay: &[u8]) -> Option<usize> {
    core::str::from_utf8(delay).ok()?.parse().ok().filter(|&level| level > 0)
}

/// Enters a record found in the log into its queue, at the place that its queue offset names, and into the queues that
/// it names beside. With `own` false its own queue is not here: it is a batch queue.
///
/// A queue is dense: what RocketMQ wrote twice for one offset keeps the first record, a gap gets blank entries
/// (durability: Java's own broken queues). Both are reported.
pub fn redispatch_to_queues(
    table: &mut QueueTable,
    batches: &BatchTable,
    record: &Record<'_>,
    dispatch: &Dispatch<'_>,
    own: bool,
    file_entries: u64,
    findings: &mut Vec<Finding>,
) {
    if !takes_queue_entry(dispatch.sys_flag) {
        return;
    }
    let mut report = |flaw: Flaw| {
        let Flaw(kind, message) = flaw;
        let file = segments::path(dispatch.physical);
        findings.push(Finding { kind, file, offset: dispatch.physical, length: u64::from(dispatch.size), message });
    };
    if own && dispatch.sys_flag & SYS_FLAG_INNER_BATCH != 0 {
        return report(Flaw("topic-kind", String::from("an inner batch, but its topic has plain queues; no queue leads to it")));
    }
    let entry = dispatch.queue_entry();
    let mut enter = Enter { table, file_entries, blanks: MAX_GAP_ENTRIES };
    if own {
        enter.at(dispatch.topic, record.queue_id(), record.queue_offset(), entry).unwrap_or_else(&mut report);
    }
    let mut flaw = None;
    for (name, queue_id, offset) in dispatch.beside(record.queue_id()) {
        let entered = if batches.holds(name) {
            // RocketMQ stops dispatching at such a record.
            Err(Flaw("topic-kind", String::from("it has batch queues; the message is not read from it")))
        } else {
            enter.at(name, queue_id, i64::try_from(offset).unwrap_or(i64::MAX), entry)
        };
        // One finding a record: it may name thousands.
        flaw = flaw
            .or(entered.err().map(|Flaw(kind, message)| Flaw(kind, format!("light queue {:?}: {message}", String::from_utf8_lossy(name)))));
    }
    if let Some(flaw) = flaw {
        report(flaw);
    }
}

/// Kind and message of a finding.
struct Flaw(&'static str, String);

/// Enters one record into queues.
struct Enter<'a> {
    table: &'a mut QueueTable,
    file_entries: u64,
    /// Blank entries that its gaps may still cost.
    blanks: u64,
}

impl Enter<'_> {
    fn at(&mut self, topic: &[u8], queue_id: i32, queue_offset: i64, entry: QueueEntry) -> Result<(), Flaw> {
        if !names_a_directory(topic) || queue_id < 0 {
            return Err(Flaw("topic-name", String::from("its topic or queue id cannot name a directory; no queue leads to it")));
        }
        let Ok(offset) = u64::try_from(queue_offset) else {
            return Err(Flaw("queue-gap", format!("queue offset {queue_offset} is negative; no queue leads to it")));
        };
        if offset > MAX_QUEUE_OFFSET {
            return Err(Flaw("queue-gap", format!("queue offset {offset} is more than a queue can hold; no queue leads to it")));
        }
        let table = &mut *self.table;
        if entry.physical < table.hidden_below(topic) {
            return Ok(()); // of a topic that was deleted since
        }
        let place = table.find_or_add(topic, queue_id);
        let next = table.queue(place).next();
        let mut outcome = Ok(());
        if offset > next {
            if next == 0 && table.queue(place).tail.is_empty() {
                start_queue_at(table, place, offset, self.file_entries);
            } else if offset - next <= self.blanks {
                // Those in between may be gone like all before them, or be hidden with a topic that was deleted.
                let queue = table.queue(place);
                let may_be_gone = queue.tail.is_empty() && (queue.min >= next || table.hidden_below(topic) > 0);
                if !table.push_blanks(place, offset) {
                    return Err(too_far(offset, next));
                }
                self.blanks -= offset - next;
                outcome = if may_be_gone {
                    Ok(())
                } else {
                    Err(Flaw("queue-gap", format!("queue offsets {next} to {} have no message", offset - 1)))
                };
            } else {
                return Err(too_far(offset, next));
            }
        } else if offset < next {
            if table.queue(place).tail.get(offset).is_some_and(|given| given.physical == entry.physical) {
                return Ok(()); // the record names the queue twice
            }
            return Err(Flaw("queue-duplicate", format!("queue offset {offset} was given to an earlier message too, which keeps it")));
        }
        table.push(place, entry);
        outcome
    }
}

fn too_far(offset: u64, next: u64) -> Flaw {
    Flaw("queue-gap", format!("queue offset {offset} is too far above {next}; no queue leads to it"))
}

/// The first message that the log still holds of a queue that has no files.
pub fn start_queue_at(table: &mut QueueTable, place: QueueIndex, offset: u64, file_entries: u64) {
    let queue = table.queue_mut(place);
    queue.min = offset;
    queue.tail = Tail::starting_at(offset);
    let file_start = offset - offset % file_entries;
    queue.fill_from = (file_start != offset).then_some(file_start);
}

/// Whether a topic read from a log may become the name of a directory.
pub fn names_a_directory(topic: &[u8]) -> bool {
    !topic.is_empty()
        && topic.len() <= 255
        && topic != b"."
        && topic != b".."
        && !topic.iter().any(|&byte| byte == b'/' || byte < 0x20)
        && core::str::from_utf8(topic).is_ok()
}
