//! Removing what lies below a new minimum: found out under the lock, a piece at a time, and carried out without it.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Writer;
use super::kept::remove_segments;
use crate::error::{Error, IoError};
use crate::format::ext_unit;
use crate::format::kept::Kept;
use crate::format::names;
use crate::index;
use crate::limits::{BATCH_ENTRY_BYTES, QUEUE_ENTRY_BYTES};
use crate::queue::batch::BatchIndex;
use crate::queue::ext;
use crate::queue::table::QueueIndex;
use crate::queue::{DIRECTORY, batch_files};
use crate::storage::{Clock, EntryKind, Storage};

/// Queues looked at while the lock is held.
const QUEUES_AT_ONCE: usize = 256;

/// Where the queues begin when the log begins at a new minimum.
#[derive(Default)]
pub(super) struct Corrections {
    queues_seen: usize,
    batches_seen: usize,
    /// Queue offset, and the address of its unit where its tags code lies in an extension file.
    queues: Vec<(QueueIndex, u64, Option<u64>)>,
    /// Queue offset, and position of its entry.
    batches: Vec<(BatchIndex, u64, u64)>,
    /// Next offsets of queues that no message is left of, by topic and queue id.
    pub(super) emptied: BTreeMap<String, BTreeMap<i32, u64>>,
}

/// Files that nothing leads to any more.
#[derive(Default)]
pub(super) struct Removal {
    pub(super) segments: Vec<u64>,
    /// Directories of queues, and the byte position that they begin at.
    queues: Vec<(String, u64)>,
    /// Paths of index files.
    index: Vec<String>,
    pub(super) gone: Vec<String>,
}

impl<S: Storage, C: Clock> Writer<'_, S, C> {
    /// Looks at some queues; true when there are more.
    pub(super) fn correct_queues(&mut self, minimum: u64, corrections: &mut Corrections) -> Result<bool, Error> {
        let engine = &*self.0;
        let storage = engine.storage.as_ref();
        let mut seen = 0;
        for place in engine.queues.places().skip(corrections.queues_seen).take(QUEUES_AT_ONCE) {
            let (queue, topic) = (engine.queues.queue(place), &engine.queues.topic_of(place).name);
            let threshold = minimum.max(engine.queues.hidden_below(topic.as_bytes()));
            let (mut low, mut high) = (queue.min, queue.next());
            while low < high {
                let middle = low + (high - low) / 2;
                match engine.queue_files.entry(storage, &engine.queues, place, middle)? {
                    Some(entry) if entry.physical < threshold => low = middle + 1,
                    _ => high = middle,
                }
            }
            if low >= queue.next() && queue.next() > 0 {
                corrections.emptied.entry(topic.clone()).or_default().insert(queue.id, queue.next());
            }
            let unit = match engine.queue_files.ext {
                Some(_) => engine.queue_files.entry(storage, &engine.queues, place, low)?,
                None => None,
            };
            corrections.queues.push((place, low, unit.and_then(|entry| ext_unit::offset_of(entry.tags_code))));
            seen += 1;
        }
        corrections.queues_seen += seen;
        if seen > 0 {
            return Ok(true);
        }
        for place in engine.batches.places().skip(corrections.batches_seen).take(QUEUES_AT_ONCE) {
            let (queue, topic) = (engine.batches.queue(place), &engine.batches.topic_of(place).name);
            let threshold = minimum.max(engine.queues.hidden_below(topic.as_bytes()));
            let (min, position) = engine.batch_files.first_at_or_above(storage, &engine.batches, place, threshold)?;
            if min >= queue.next() && queue.next() > 0 {
                corrections.emptied.entry(topic.clone()).or_default().insert(queue.id, queue.next());
            }
            corrections.batches.push((place, min, position));
            seen += 1;
        }
        corrections.batches_seen += seen;
        Ok(seen > 0)
    }

    /// What is to be kept when the log begins at `minimum`.
    pub(super) fn kept_from(&self, minimum: u64, emptied: &BTreeMap<String, BTreeMap<i32, u64>>) -> Kept {
        let mut kept = self.0.kept.kept.clone();
        kept.minimum = minimum;
        for topic in kept.topics.values_mut() {
            topic.next.clear(); // those still without messages are among the emptied ones
        }
        for (name, next) in emptied {
            kept.topics.entry(name.clone()).or_default().next.clone_from(next);
        }
        for topic in kept.topics.values_mut().filter(|topic| topic.hidden_below <= minimum && topic.next.is_empty()) {
            topic.hidden_below = 0; // nothing is left to be hidden, nor a queue that would be shown without a message
        }
        kept.prune();
        kept
    }

    /// Lets log, queues and index begin at `minimum`; returns what is to be removed for it.
    pub(super) fn begin_at(&mut self, minimum: u64, corrections: &Corrections, kept: Kept) -> Removal {
        let engine = &mut *self.0;
        let mut removal = Removal::default();
        for &(place, min, unit) in &corrections.queues {
            let queue = engine.queues.queue_mut(place);
            let before = queue.min;
            queue.min = before.max(min);
            if before / engine.queue_files.file_entries == min / engine.queue_files.file_entries {
                continue;
            }
            let dir = format!("{DIRECTORY}/{}/{}", engine.queues.topic_of(place).name, engine.queues.queue(place).id);
            removal.queues.push((dir, min * QUEUE_ENTRY_BYTES));
            if let Some(address) = unit {
                removal.queues.push((ext::directory(&engine.queues, place), address));
            }
        }
        for &(place, min, position) in &corrections.batches {
            let begin = engine.batch_files.begin_at(&engine.batches, place, position);
            let before = engine.batches.queue(place).held().0;
            let queue = engine.batches.queue_mut(place);
            queue.min = queue.min.max(min);
            if begin > before {
                queue.set_begin(begin);
                removal.queues.push((batch_files::directory(&engine.batches, place), begin * BATCH_ENTRY_BYTES));
            }
        }
        removal.index = engine.index.drop_below(minimum).iter().map(|name| format!("{}/{name}", index::DIRECTORY)).collect();
        engine.kept.garbage.extend(engine.log.drop_below(minimum));
        engine.seals.drop_below(minimum);
        engine.kept.kept = kept;
        removal.segments.clone_from(&engine.kept.garbage);
        removal
    }

    /// Takes note of what was removed.
    pub(super) fn removed(&mut self, removal: &Removal) {
        let engine = &mut *self.0;
        engine.kept.garbage.clone_from(&removal.segments);
        removal.gone.iter().for_each(|path| engine.unsynced.remove(path));
    }
}

impl Removal {
    /// Segments first, the oldest of all first, then what led to them. What is left after a failure is removed by the next run
    /// (queue files that are left do no harm until then).
    pub(super) fn run<S: Storage>(&mut self, storage: &S) -> Result<(), IoError> {
        remove_segments(storage, &mut self.segments)?;
        for (dir, begin) in &self.queues {
            remove_files_below(storage, dir, *begin, &mut self.gone)?;
        }
        for path in &self.index {
            storage.remove(path)?;
            self.gone.push(path.clone());
        }
        if !self.index.is_empty() {
            storage.sync_dir(index::DIRECTORY)?;
        }
        Ok(())
    }
}

/// Removes the files of a queue that end at or below a byte position, the oldest first, each for good before the next
/// one: a power cut leaves no gap. The newest one stays, as RocketMQ has it.
fn remove_files_below<S: Storage>(storage: &S, dir: &str, begin: u64, gone: &mut Vec<String>) -> Result<(), IoError> {
    let entries = storage.list(dir)?.unwrap_or_default();
    let files = entries.into_iter().filter(|entry| entry.kind == EntryKind::File);
    let mut files: Vec<(u64, String)> = files.filter_map(|entry| Some((names::parse_file_name(&entry.name)?, entry.name))).collect();
    files.sort_unstable();
    for pair in files.windows(2) {
        if pair[1].0 > begin {
            break;
        }
        let path = format!("{dir}/{}", pair[0].1);
        storage.remove(&path)?;
        storage.sync_dir(dir)?;
        gone.push(path);
    }
    Ok(())
}
