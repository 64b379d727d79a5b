//! Deleting a topic: its messages are in no queue any more, its queues go, and what comes later goes on at their offsets.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Writer;
use super::expire::{Access, sync_log};
use super::kept::{self, remove_queues};
use crate::dispatch::names_a_directory;
use crate::error::{Error, IoError};
use crate::format::kept::Kept;
use crate::queue::batch::BatchIndex;
use crate::queue::table::QueueIndex;
use crate::storage::{Clock, Storage};

/// A topic as it was when it was to go.
struct Doomed {
    topic: String,
    /// Its messages below this physical offset are hidden.
    below: u64,
    queues: Vec<(QueueIndex, i32, u64)>,
    batches: Vec<(BatchIndex, i32, u64)>,
}

/// Deletes a topic, or the light queue of that name. False where there is none.
///
/// The log keeps its messages until they expire: `at` and `scan` show them, `get`, `lookup` and all that asks for topics
/// and queues do not, and a rebuild from the log brings none back. Its topic table and consumer offsets are the
/// caller's. Not while queue entries are being written (STORE_BUSY); a failure leaves the topic as it was, or deleted with files left
/// that the next open removes.
pub fn delete_topic<S: Storage, C: Clock>(access: &impl Access<S, C>, storage: &S, topic: &[u8]) -> Result<bool, Error> {
    let name = match core::str::from_utf8(topic) {
        Ok(name) if names_a_directory(topic) => name,
        _ => return Err(Error::argument("topic", format!("{:?} is no name of a topic", String::from_utf8_lossy(topic)))),
    };
    let found = access.engine(|engine| {
        let writer = engine.writer()?;
        writer.refuse_while_busy()?;
        Ok(writer.doom(name))
    })?;
    let Some(doomed) = found else { return Ok(false) };
    access.engine(|engine| Ok(engine.forget_watermark()?))?;
    // What is hidden must not be given to other messages by a power cut.
    sync_log(access, storage)?;
    let kept = access.engine(|engine| Ok(engine.writer()?.kept_without(&doomed)))?;
    kept::write(storage, &kept)?;
    let ids = access.engine(|engine| Ok(engine.writer()?.forget(&doomed, kept)))?;
    let outcome = remove_queues(storage, name, &ids);
    access.engine(|engine| {
        engine.behind_in_flight = false;
        Ok(())
    })?;
    let gone = outcome.map_err(|failed: IoError| Error::from(failed))?;
    access.engine(|engine| {
        gone.iter().for_each(|path| engine.unsynced.remove(path));
        Ok(true)
    })
}

impl<S: Storage, C: Clock> Writer<'_, S, C> {
    /// The topic with its queues; `None` where no message ever took a place in one.
    fn doom(&self, topic: &str) -> Option<Doomed> {
        let engine = &*self.0;
        let plain = engine.queues.topic(topic.as_bytes()).into_iter().flat_map(|topic| topic.places());
        let queues: Vec<_> = plain.map(|place| (place, engine.queues.queue(place).id, engine.queues.queue(place).next())).collect();
        let ids = engine.batches.topic(topic.as_bytes()).into_iter().flat_map(|topic| topic.queue_ids());
        let places = ids.filter_map(|id| engine.batches.find(topic.as_bytes(), id));
        let batches: Vec<_> = places.map(|place| (place, engine.batches.queue(place).id, engine.batches.queue(place).next())).collect();
        let is_shown = queues.iter().any(|&(place, ..)| engine.queues.queue(place).next() > 0 && !engine.queues.queue(place).absent)
            || batches.iter().any(|&(place, ..)| engine.batches.queue(place).is_shown());
        is_shown.then(|| Doomed { topic: topic.into(), below: engine.log.end(), queues, batches })
    }

    fn kept_without(&self, doomed: &Doomed) -> Kept {
        let mut kept = self.0.kept.kept.clone();
        kept.minimum = kept.minimum.max(self.0.log.segments().min());
        let topic = kept.topics.entry(doomed.topic.clone()).or_default();
        topic.hidden_below = doomed.below;
        let plain = doomed.queues.iter().map(|&(_, id, next)| (id, next));
        topic.next = plain.chain(doomed.batches.iter().map(|&(_, id, next)| (id, next))).filter(|&(_, next)| next > 0).collect();
        kept
    }

    /// Takes the queues out of the tables; returns the ids of those whose files go. Until they are gone nothing is written
    /// behind: a topic that is made again has files of the same names.
    fn forget(&mut self, doomed: &Doomed, kept: Kept) -> Vec<i32> {
        let engine = &mut *self.0;
        let mut ids = Vec::new();
        for &(place, id, next) in &doomed.queues {
            if engine.queues.queue(place).tail.first() > next {
                engine.queues.queue_mut(place).min = next; // messages of the topic made again are in files already
                continue;
            }
            engine.queues.begin_anew(place, next, engine.queue_files.file_entries);
            engine.ext_ends.set(place, 0);
            ids.push(id);
        }
        for &(place, id, next) in &doomed.batches {
            if engine.batches.begin_anew_at(place, doomed.below, next) {
                ids.push(id);
            }
        }
        engine.queues.settle();
        engine.batches.settle();
        engine.queues.hide(&doomed.topic, doomed.below);
        engine.kept.kept = kept;
        engine.behind_in_flight = true;
        ids
    }
}
