//! Put: checks, queue offsets, the copy into the log, and the dispatch of what was written.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::check::Together;
use super::plans::CHECKPOINT_PATH;
use super::run::Place;
use super::{Engine, Writer};
use crate::batch::{BatchMessage, BatchReader};
use crate::batch_dispatch::batch_entry;
use crate::columns::Columns;
use crate::dispatch::Dispatch;
use crate::error::{Code, Error, Finding, IoError, IoKind};
use crate::format::checkpoint::Checkpoint;
use crate::format::light_queues::LIGHT_QUEUE_ID;
use crate::format::record::{NewRecord, Staging};
use crate::storage::{Clock, Storage};

/// Numbers in the results in front of those of the messages.
pub const RESULT_HEADER: usize = 3;
/// Numbers in the results for each message.
pub const RESULT_STRIDE: usize = 3;

/// A clock this far behind the last message is followed instead of held (durability: time).
const MAX_CLOCK_STEP_BACK_MS: i64 = 600_000;
/// Entries that may wait in memory before puts write them themselves.
const MAX_WAITING_ENTRIES: usize = 4_000_000;

impl<S: Storage, C: Clock> Writer<'_, S, C> {
    /// Appends the messages of a batch (see [`crate::batch`]) in order.
    ///
    /// `results` gets the store timestamp, the end offset and how many watches are ready, then per message physical offset, queue offset and size.
    /// All messages are checked before the first is stored. On an error, the number says how many are stored.
    pub fn put(&mut self, batch: &[u8], results: &mut [f64]) -> Result<usize, (usize, Error)> {
        self.put_read(results, |messages| read_batch(batch, messages), Self::prepare_apart)
    }

    /// As [`Writer::put`], for messages by columns (see [`crate::columns`]).
    pub fn put_columns(&mut self, columns: &Columns<'_>, results: &mut [f64]) -> Result<usize, (usize, Error)> {
        self.put_read(results, |messages| columns.read(messages), Self::prepare_apart)
    }

    /// As [`Writer::put`], for messages of one queue that stay together in one file of the log (store-format §2.9):
    /// either all are stored, or none.
    pub fn put_group(&mut self, batch: &[u8], results: &mut [f64]) -> Result<usize, (usize, Error)> {
        self.put_read(results, |messages| read_batch(batch, messages), Self::prepare_group)
    }

    /// Puts the messages that `read` gives once `prepare` has nothing to refuse.
    fn put_read<'a>(
        &mut self,
        results: &mut [f64],
        read: impl FnOnce(&mut Vec<BatchMessage<'a>>) -> Result<(), Error>,
        prepare: impl FnOnce(&mut Self, &[BatchMessage<'a>], &[f64]) -> Result<(), Error>,
    ) -> Result<usize, (usize, Error)> {
        let mut messages = self.0.run.take_messages();
        let outcome = match read(&mut messages).and_then(|()| prepare(self, &messages, results)) {
            Ok(()) => self.put_checked(&messages, results),
            Err(error) => Err((0, error)),
        };
        self.0.run.keep_messages(messages);
        outcome
    }

    fn prepare_apart(&mut self, messages: &[BatchMessage<'_>], results: &[f64]) -> Result<(), Error> {
        self.prepare(messages, results, Together::Apart)
    }

    fn prepare_group(&mut self, messages: &[BatchMessage<'_>], results: &[f64]) -> Result<(), Error> {
        self.prepare(messages, results, Together::Group)?;
        let bytes: u64 = self.0.run.checked.iter().map(|checked| checked.size).sum();
        let largest = self.0.log.largest_record();
        if messages.is_empty() {
            return Err(Error::argument("batch", "a group has one message at least"));
        }
        if bytes > largest {
            let message = format!("the group has {bytes} bytes of records, a file of the log takes {largest}: it cannot stay together");
            return Err(Error::new(Code::MessageTooLarge, message).text("argument", "messages"));
        }
        if bytes > self.0.log.room() {
            self.0.log.roll(self.0.storage.as_ref()).map_err(|error| self.poison_unless_harmless(error))?;
        }
        Ok(())
    }

    /// Everything that can be refused, before anything has changed.
    fn prepare(&mut self, messages: &[BatchMessage<'_>], results: &[f64], together: Together) -> Result<(), Error> {
        self.refuse_between_pieces()?;
        self.check_batch(messages, together)?;
        let count = messages.len();
        if results.len() < RESULT_HEADER + RESULT_STRIDE * count {
            return Err(Error::argument("results", format!("{} numbers are too few for {count} messages", results.len())));
        }
        self.make_room_for_entries()
    }

    fn put_checked(&mut self, messages: &[BatchMessage<'_>], results: &mut [f64]) -> Result<usize, (usize, Error)> {
        let count = messages.len();
        let store_timestamp = self.0.next_store_timestamp();
        if store_timestamp <= self.0.checkpoint.min_timestamp() || store_timestamp < self.0.checkpoint.index {
            self.0.take_back_checkpoint(store_timestamp).map_err(|e| (0, self.poison_unless_harmless(e)))?;
        }
        let mut stored = 0;
        while stored < count {
            let planned = self.plan_run(messages, stored, store_timestamp);
            let outcome = match planned {
                0 => self.0.log.roll(self.0.storage.as_ref()),
                _ => self.write_run(&messages[stored..stored + planned], stored, store_timestamp),
            };
            if let Err(error) = outcome {
                self.give_up_run(stored);
                let error = self.poison_unless_harmless(error);
                self.sum_up(store_timestamp, results);
                return Err((stored, error));
            }
            let run = &self.0.run.planned;
            for (planned, out) in run.iter().zip(results[RESULT_HEADER + RESULT_STRIDE * stored..].chunks_exact_mut(RESULT_STRIDE)) {
                out.copy_from_slice(&[planned.physical as f64, planned.queue_offset as f64, planned.size as f64]);
            }
            self.0.stats.bytes_put += run.iter().map(|planned| planned.size).sum::<u64>();
            self.0.stats.messages_put += planned as u64;
            stored += planned;
            self.0.run.clear_planned();
        }
        self.sum_up(store_timestamp, results);
        Ok(count)
    }

    /// What was stored may be visible now: the head of the results.
    fn sum_up(&mut self, store_timestamp: i64, results: &mut [f64]) {
        self.0.note_written();
        let visible = self.0.visible();
        self.0.watches.reached(visible);
        let ready = self.0.watches.ready(0) as f64;
        results[..RESULT_HEADER].copy_from_slice(&[store_timestamp as f64, self.0.log.end() as f64, ready]);
    }

    /// Derived entries wait in memory until they are written behind; past a bound the put does it itself.
    pub(super) fn make_room_for_entries(&mut self) -> Result<(), Error> {
        let most = match self.0.entries_on_a_full_disk() {
            most if most > 0 && self.0.disk_full => most.min(MAX_WAITING_ENTRIES),
            _ => MAX_WAITING_ENTRIES,
        };
        while self.pending_entries() > most && !self.0.behind_in_flight {
            let Some(plan) = self.plan_behind() else { break };
            if let Err(failed) = plan.run(self.0.storage.as_ref()) {
                let full = failed.kind == IoKind::Full;
                let error = Error::from(failed);
                if full {
                    self.put_off_behind(plan);
                } else {
                    self.0.poison(error.clone());
                }
                return Err(error);
            }
            self.wrote_behind(plan);
        }
        if self.pending_entries() > most {
            let message = format!("{} queue and index entries wait for the disk; try again when it has caught up", self.pending_entries());
            return Err(Error::new(Code::Busy, message));
        }
        Ok(())
    }

    /// Plans the longest run of messages that fits the active segment, from the message `from` of the put on; returns
    /// their number.
    fn plan_run(&mut self, messages: &[BatchMessage<'_>], from: usize, store_timestamp: i64) -> usize {
        let Engine { log, queues, batches, run, options, .. } = &mut *self.0;
        let (start, room) = (log.end(), log.room());
        let mut end = start;
        run.clear_planned();
        for (checked, message) in messages.iter().enumerate().skip(from) {
            if end - start + run.checked[checked].size > room {
                break;
            }
            let size_of = |properties: &[u8]| record(message, properties, 0, 0, store_timestamp).size(options.record_crc);
            let planned = run.plan(checked, message, end, queues, batches, size_of);
            if end - start + planned.size > room {
                run.unplan(checked, &planned, queues, batches);
                break;
            }
            end += planned.size;
            run.planned.push(planned);
        }
        run.planned.len()
    }

    fn give_up_run(&mut self, from: usize) {
        let Engine { queues, batches, run, .. } = &mut *self.0;
        for (checked, planned) in (from..).zip(&run.planned) {
            run.unplan(checked, planned, queues, batches);
        }
        run.clear_planned();
    }

    /// Writes the planned run, which are these messages, and enters it into queues and index.
    fn write_run(&mut self, messages: &[BatchMessage<'_>], from: usize, store_timestamp: i64) -> Result<(), Error> {
        let engine = &mut *self.0;
        let bytes: u64 = engine.run.planned.iter().map(|planned| planned.size).sum();
        engine.log.reserve(bytes)?;
        let (run, record_crc) = (&engine.run, engine.options.record_crc);
        let mut staging = Staging::default();
        engine.log.append(bytes as usize, |out| {
            let mut rest = out;
            for (message, planned) in messages.iter().zip(&run.planned) {
                let (slot, behind) = rest.split_at_mut(planned.size as usize);
                let properties = run.properties(planned.text, message);
                record(message, properties, planned.queue_offset, planned.physical, store_timestamp).write(record_crc, &mut staging, slot);
                rest = behind;
            }
        })?;
        for ((checked, message), planned) in (from..).zip(messages).zip(&run.planned) {
            let dispatch = Dispatch {
                topic: message.topic,
                physical: planned.physical,
                size: planned.size as u32,
                sys_flag: message.sys_flag,
                store_timestamp,
                names: run.dispatched(checked, planned, message),
                delay_levels: &engine.options.delay_levels,
            };
            if run.checked[checked].takes_entry {
                let entry = dispatch.queue_entry();
                match planned.place {
                    Place::Simple(place) => engine.queues.push(place, entry),
                    Place::Batch(place, messages) => {
                        engine.batches.push(place, batch_entry(&dispatch, planned.queue_offset, messages));
                    }
                }
                engine.watches.appended(message.topic, message.queue_id, planned.physical);
                for &beside in run.beside(planned) {
                    engine.queues.push(beside, entry);
                    engine.watches.appended(engine.queues.topic_of(beside).name.as_bytes(), LIGHT_QUEUE_ID, planned.physical);
                }
            }
            if engine.options.index {
                let key_hash = match planned.place {
                    Place::Simple(place) => engine.queues.topic_of(place).key_hash,
                    Place::Batch(place, _) => engine.batches.topic_of(place).key_hash,
                };
                dispatch.index(&mut engine.index, &engine.clock, key_hash, engine.options.index_tags);
            }
            engine.last_record = planned.physical;
        }
        engine.index.enter(&engine.clock);
        Ok(())
    }

    /// A failure that left nothing behind (no room, no file) may be tried again; any other ends writing.
    pub(super) fn poison_unless_harmless(&mut self, error: Error) -> Error {
        if !matches!(error.code, Code::Full | Code::Busy) {
            self.0.poison(error.clone());
        }
        error
    }
}

impl<S: Storage, C: Clock> Engine<S, C> {
    /// The clock went back behind the times of `checkpoint`, which would vouch for what is put from now on: that it
    /// stands in its queue's files, synced (store-format §5.1). It says less before the first such message is there.
    #[cold]
    pub(super) fn take_back_checkpoint(&mut self, store_timestamp: i64) -> Result<(), Error> {
        let Checkpoint { physic, logics, index, .. } = self.checkpoint;
        let [physic, logics, index] = [physic, logics, index].map(|time| time.min(store_timestamp));
        let checkpoint = Checkpoint { physic, logics, index, ..self.checkpoint };
        self.storage.write_at(CHECKPOINT_PATH, 0, &checkpoint.encode())?;
        let failed = |failed| IoError { kind: IoKind::Other, ..failed };
        self.storage.sync(CHECKPOINT_PATH).map_err(failed)?;
        self.checkpoint = checkpoint;
        Ok(())
    }

    /// Now, but never before the last message, unless the clock went back further than a correction would.
    fn next_store_timestamp(&mut self) -> i64 {
        let now = self.clock.now_ms();
        let behind = self.last_store_timestamp.saturating_sub(now);
        if behind > MAX_CLOCK_STEP_BACK_MS {
            self.findings.push(Finding {
                kind: "clock",
                file: String::new(),
                offset: self.log.end(),
                length: 0,
                message: format!("the clock is {behind} ms behind the last message; store times go back with it"),
            });
            self.last_store_timestamp = now;
            self.steps_back += 1;
        }
        self.last_store_timestamp = self.last_store_timestamp.max(now);
        self.last_store_timestamp
    }
}

/// The messages of a batch (see [`crate::batch`]).
fn read_batch<'a>(batch: &'a [u8], to: &mut Vec<BatchMessage<'a>>) -> Result<(), Error> {
    for message in BatchReader::new(batch) {
        to.push(message?);
    }
    Ok(())
}

pub(super) fn record<'a>(
    message: &BatchMessage<'a>,
    properties: &'a [u8],
    queue_offset: u64,
    physical: u64,
    store_timestamp: i64,
) -> NewRecord<'a> {
    NewRecord {
        topic: message.topic,
        queue_id: message.queue_id,
        flag: message.flag,
        queue_offset,
        physical_offset: physical,
        sys_flag: message.sys_flag,
        born_timestamp: message.born_timestamp,
        born_host: message.born_host,
        store_timestamp,
        store_host: message.store_host,
        reconsume_times: message.reconsume_times,
        prepared_transaction_offset: message.prepared_transaction_offset,
        body: message.body,
        properties,
    }
}
