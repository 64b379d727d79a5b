//! Operations, carried out on a store and on the model.

use std::collections::BTreeMap;
use std::sync::Arc;

use moraine_core::batch::{self, BatchMessage};
use moraine_core::engine::put::{RESULT_HEADER, RESULT_STRIDE};
use moraine_core::engine::{BehindPlan, Engine, FlushPlan, Writer};
use moraine_core::error::{Code, Error};
use moraine_core::format::record::{Address, Host};
use moraine_core::memory::MemoryClock;
use moraine_core::options::{Compat, FlushMode, Options};

use super::faulty::FaultyStorage;
use super::model::{Kind, Message, Model};
use super::operations::{Body, Change, Draft, Operation, Place, Question, TOPIC_TABLE, Wrong};
use super::questions::{Outcome, Store, ask, ask_everything, same, sys_flag, well};
use super::support::{NOW, small};

/// How often each operation had an effect, and what came of it.
pub type Counts = BTreeMap<&'static str, u64>;

/// Carries out a sequence; the error says at which operation the store differs from the model, and how.
pub fn run(operations: &[Operation], counts: &mut Counts) -> Outcome {
    let mut run = Run::new()?;
    for (number, operation) in operations.iter().enumerate() {
        run.apply(operation, counts).map_err(|flaw| format!("operation {number}, {operation:?}: {flaw}"))?;
    }
    run.finish(counts).map_err(|flaw| format!("at the end: {flaw}"))
}

struct Run {
    storage: FaultyStorage,
    clock: MemoryClock,
    now: i64,
    options: Options,
    store: Store,
    flush: Option<FlushPlan<FaultyStorage>>,
    behind: Option<BehindPlan>,
    model: Model,
}

#[allow(clippy::arc_with_non_send_sync)] // one thread
fn open(storage: &FaultyStorage, clock: &MemoryClock, options: &Options) -> Result<Store, Error> {
    Engine::open(Arc::new(storage.clone()), clock.clone(), options.clone(), &mut |_| {})
}

fn kind(options: &Options) -> Kind {
    Kind { sync: options.flush == FlushMode::Sync, record_crc: options.record_crc, index: options.index }
}

impl Run {
    fn new() -> Result<Self, String> {
        let (storage, clock, options) = (FaultyStorage::default(), MemoryClock::at(NOW), small());
        storage.memory.place("config/topics.json", TOPIC_TABLE.as_bytes());
        let store = well("open", open(&storage, &clock, &options))?;
        let model = Model::new(options.segment_bytes, kind(&options));
        Ok(Self { storage, clock, now: NOW, options, store, flush: None, behind: None, model })
    }

    fn apply(&mut self, operation: &Operation, counts: &mut Counts) -> Outcome {
        let name = match operation {
            Operation::Put(drafts) => self.put(drafts)?,
            Operation::PutGroup(drafts) => self.put_group(drafts)?,
            Operation::PutWrong(drafts, at, wrong) => self.put_wrong(drafts, *at, *wrong)?,
            Operation::PutOnFullDisk(drafts) => self.put_on_full_disk(drafts)?,
            Operation::Ask(question) => {
                ask(&self.store, &self.model, question)?;
                question_name(question)
            }
            Operation::PlanFlush => self.plan_flush(),
            Operation::FinishFlush => self.finish_flush()?,
            Operation::Flush => self.flush()?,
            Operation::PlanBehind => self.plan_behind(),
            Operation::RunBehind(writes) => self.run_behind(*writes),
            Operation::FinishBehind => self.finish_behind()?,
            Operation::PutOffBehind => self.put_off_behind(),
            Operation::WriteBehind => self.write_behind()?,
            Operation::Clock(step) => {
                self.now += step;
                self.clock.set(self.now);
                if *step < 0 { "clock back" } else { "clock forward" }
            }
            Operation::Close(change) => self.close(change, counts)?,
            Operation::Crash(change) => self.crash(self.model.end, change, counts)?,
            Operation::TornCrash(kept, change) => self.torn_crash(*kept, change, counts)?,
            Operation::ReadOnly => self.read_only()?,
            Operation::Poison => self.poison(),
        };
        *counts.entry(name).or_default() += 1;
        Ok(())
    }

    /// Everything is asked of the store as it is, and again when it was opened again.
    fn finish(mut self, counts: &mut Counts) -> Outcome {
        ask_everything(&self.store, &self.model)?;
        let change = Change { index: self.options.index, record_crc: self.options.record_crc, ..Change::default() };
        self.close(&change, counts)?;
        ask_everything(&self.store, &self.model)
    }

    /// Puts a batch of messages that are right, unless the store may not be written.
    fn put(&mut self, drafts: &[Draft]) -> Result<&'static str, String> {
        // One after the other on a copy: how long a body is may depend on where the message before it ends.
        let mut copy = self.model.copy();
        let messages: Vec<Message> = drafts
            .iter()
            .map(|draft| {
                let message = copy.message(draft, false);
                copy.append(message.clone(), 0);
                message
            })
            .collect();
        let outcome = self.hand_over(&messages);
        if self.model.poisoned {
            return refused("put into a poisoned store", outcome, Code::Poisoned);
        }
        if self.options.compat == Compat::V4_9 && messages.iter().any(|message| message.topic.len() > 127) {
            return refused("put of a topic too long for 4.9", outcome, Code::InvalidArgument);
        }
        self.stored(messages, outcome)?;
        Ok(if drafts.len() == 1 { "put" } else { "put batch" })
    }

    /// Holds the results of a put that went well against the model, which takes it over.
    fn stored(&mut self, messages: Vec<Message>, outcome: Result<Vec<f64>, (usize, Error)>) -> Outcome {
        let results = outcome.map_err(|(stored, error)| format!("put failed after {stored}: {error}"))?;
        let time = self.model.tick(self.now);
        // Store time, end of the log, and how many watched queues got something: nobody watches.
        let mut expected = vec![time as f64, 0.0, 0.0];
        for message in messages {
            let put = self.model.append(message, time);
            expected.extend([put.physical as f64, put.queue_offset.unwrap_or(0) as f64, put.size as f64]);
        }
        expected[1] = self.model.end as f64;
        same("results", &results, &expected)
    }

    /// A plain batch: consecutive offsets of one queue, never over the end of a file.
    fn put_group(&mut self, drafts: &[Draft]) -> Result<&'static str, String> {
        let queue = drafts.first().map_or(0, |first| first.queue);
        // Half of them have nothing in them that no group takes.
        let plain = drafts.len().is_multiple_of(2);
        let of_group = |draft: &Draft| match plain {
            true => Draft { queue, transaction: 0, delay: None, body: short(&draft.body), ..draft.clone() },
            false => Draft { queue, body: short(&draft.body), ..draft.clone() },
        };
        let drafts: Vec<Draft> = drafts.iter().map(of_group).collect();
        let messages: Vec<Message> = drafts.iter().map(|draft| self.model.message(draft, true)).collect();
        let bytes: u64 = messages.iter().map(|message| message.size).sum();
        let mut batch = Vec::new();
        messages.iter().for_each(|message| batch::encode(&batch_message(message), &mut batch));
        let mut results = vec![0.0; RESULT_HEADER + RESULT_STRIDE * messages.len()];
        let put = |mut writer: Writer<'_, FaultyStorage, MemoryClock>| writer.put_group(&batch, &mut results);
        let outcome = self.store.writer().map_err(|error| (0, error)).and_then(put).map(|_| results);
        let is_of_group = |draft: &Draft| draft.transaction == 0 && draft.delay.is_none_or(|level| level == 0);
        match () {
            () if self.model.poisoned => refused("put into a poisoned store", outcome, Code::Poisoned),
            () if self.options.compat == Compat::V4_9 && messages[0].topic.len() > 127 => {
                refused("put of a topic too long for 4.9", outcome, Code::InvalidArgument)
            }
            () if !drafts.iter().all(is_of_group) => refused("group with what no group takes", outcome, Code::InvalidArgument),
            () if bytes > self.model.segment_bytes - 8 => refused("group too large for a file", outcome, Code::MessageTooLarge),
            () => {
                self.model.make_room(bytes);
                self.stored(messages, outcome)?;
                Ok("put group")
            }
        }
    }

    fn hand_over(&mut self, messages: &[Message]) -> Result<Vec<f64>, (usize, Error)> {
        let batch: Vec<_> = messages.iter().map(batch_message).collect();
        self.hand_over_batch(&batch)
    }

    fn hand_over_batch(&mut self, messages: &[BatchMessage<'_>]) -> Result<Vec<f64>, (usize, Error)> {
        let mut bytes = Vec::new();
        messages.iter().for_each(|message| batch::encode(message, &mut bytes));
        let mut results = vec![0.0; RESULT_HEADER + RESULT_STRIDE * messages.len()];
        self.store.writer().map_err(|error| (0, error))?.put(&bytes, &mut results)?;
        Ok(results)
    }

    fn put_wrong(&mut self, drafts: &[Draft], at: usize, wrong: Wrong) -> Result<&'static str, String> {
        let plain = |draft: &Draft| self.model.message(&Draft { inner: 0, ..draft.clone() }, false);
        let mut messages: Vec<Message> = drafts.iter().map(plain).collect();
        let message = &mut messages[at];
        let mut code = Code::InvalidArgument;
        match wrong {
            Wrong::Body => message.body = vec![0; self.model.segment_bytes as usize],
            Wrong::Properties => message.given_properties = vec![b'p'; 32_768],
            Wrong::QueueId => message.queue_id = -1,
            Wrong::Topic => message.topic = String::from("../T"),
            Wrong::InnerBatch | Wrong::Port => {}
        }
        if matches!(wrong, Wrong::Body | Wrong::Properties) {
            code = Code::MessageTooLarge;
        }
        let mut batch: Vec<_> = messages.iter().map(batch_message).collect();
        match wrong {
            Wrong::InnerBatch => batch[at].sys_flag |= 0x80,
            Wrong::Port => batch[at].born_host.port = 65_536,
            _ => {}
        }
        let outcome = self.hand_over_batch(&batch);
        let too_long = |message: &Message| self.options.compat == Compat::V4_9 && message.topic.len() > 127;
        match () {
            () if self.model.poisoned => code = Code::Poisoned,
            () if messages[..at].iter().any(too_long) => code = Code::InvalidArgument,
            () if too_long(&messages[at]) => code = Code::InvalidArgument,
            () => {}
        }
        refused("put of a wrong message", outcome, code)
    }

    fn put_on_full_disk(&mut self, drafts: &[Draft]) -> Result<&'static str, String> {
        let messages: Vec<Message> = drafts.iter().map(|draft| self.model.message(draft, false)).collect();
        self.storage.full.log.set(true);
        let outcome = self.hand_over(&messages);
        self.storage.full.log.set(false);
        let too_long = |message: &Message| self.options.compat == Compat::V4_9 && message.topic.len() > 127;
        match () {
            () if self.model.poisoned => return refused("put into a poisoned store", outcome, Code::Poisoned),
            () if messages.iter().any(too_long) => return refused("put of a topic too long for 4.9", outcome, Code::InvalidArgument),
            () => {}
        }
        self.model.tick(self.now);
        refused("put on a full disk", outcome, Code::Full)
    }

    fn plan_flush(&mut self) -> &'static str {
        if self.flush.is_some() || self.model.poisoned {
            return "idle";
        }
        self.flush = self.store.writer().ok().and_then(|mut writer| writer.plan_flush());
        if self.flush.is_some() { "flush planned" } else { "idle" }
    }

    fn finish_flush(&mut self) -> Result<&'static str, String> {
        let Some(plan) = self.flush.take() else { return Ok("idle") };
        if self.model.poisoned {
            return Ok("idle");
        }
        plan.run(&self.storage).map_err(|failed| format!("{failed:?}"))?;
        self.model.durable = plan.end();
        well("writer", self.store.writer())?.flushed(plan);
        Ok("flush finished")
    }

    fn flush(&mut self) -> Result<&'static str, String> {
        self.finish_flush()?;
        if self.plan_flush() == "idle" {
            same("durable", &(self.model.poisoned || self.model.durable == self.model.end), &true)?;
            return Ok("idle");
        }
        self.finish_flush()?;
        same("durable", &self.model.durable, &self.model.end)?;
        Ok("flush")
    }

    fn plan_behind(&mut self) -> &'static str {
        if self.behind.is_some() || self.model.poisoned {
            return "idle";
        }
        self.behind = self.store.writer().ok().and_then(|mut writer| writer.plan_behind());
        if self.behind.is_some() { "write-behind planned" } else { "idle" }
    }

    fn run_behind(&mut self, writes: usize) -> &'static str {
        let Some(plan) = &self.behind else { return "idle" };
        self.storage.full.files_left.set(Some(writes));
        let outcome = plan.run(&self.storage);
        self.storage.full.files_left.set(None);
        if outcome.is_err() { "write-behind in part" } else { "write-behind whole" }
    }

    fn finish_behind(&mut self) -> Result<&'static str, String> {
        let Some(plan) = self.behind.take() else { return Ok("idle") };
        if self.model.poisoned {
            return Ok("idle");
        }
        plan.run(&self.storage).map_err(|failed| format!("{failed:?}"))?;
        well("writer", self.store.writer())?.wrote_behind(plan);
        Ok("write-behind finished")
    }

    fn put_off_behind(&mut self) -> &'static str {
        match (self.behind.take(), self.store.writer()) {
            (Some(plan), Ok(mut writer)) => {
                writer.put_off_behind(plan);
                "write-behind put off"
            }
            _ => "idle",
        }
    }

    fn write_behind(&mut self) -> Result<&'static str, String> {
        self.finish_behind()?;
        let mut name = "idle";
        while self.plan_behind() != "idle" {
            self.finish_behind()?;
            name = "write-behind of everything";
        }
        if !self.model.kind.sync && !self.model.poisoned {
            same("waiting entries", &self.store.reader().stats().waiting_entries, &0)?;
        }
        Ok(name)
    }

    fn close(&mut self, change: &Change, counts: &mut Counts) -> Result<&'static str, String> {
        if self.model.poisoned {
            return self.crash(self.model.end, change, counts);
        }
        self.finish_flush()?;
        self.finish_behind()?;
        well("close", well("writer", self.store.writer())?.close())?;
        same("abort is gone", &self.storage.memory.contents("abort"), &None)?;
        self.reopen(self.model.end, true, change, counts)?;
        Ok("close and open")
    }

    fn crash(&mut self, end: u64, change: &Change, counts: &mut Counts) -> Result<&'static str, String> {
        self.storage.memory = self.storage.memory.snapshot();
        let name = if self.model.kind.sync { "crash of a synchronous store" } else { "crash of an asynchronous store" };
        self.reopen(end, false, change, counts)?;
        Ok(name)
    }

    /// Loses bytes of the log that no sync covers.
    fn torn_crash(&mut self, kept: Place, change: &Change, counts: &mut Counts) -> Result<&'static str, String> {
        let unsynced = self.model.end - self.model.durable;
        let mut cut = self.model.durable + kept.within(unsynced).min(unsynced);
        let torn = self.model.log.iter().find(|message| (message.physical..message.end()).contains(&cut));
        if let Some(message) = torn.filter(|message| !message.record_crc) {
            // What covers only the body cannot tell that properties are gone.
            cut = message.physical;
        }
        self.storage.memory = self.storage.memory.snapshot();
        let mut lost = false;
        for path in self.storage.memory.paths().into_iter().filter(|path| path.starts_with("commitlog/")) {
            let base: u64 = path[10..].parse().map_err(|_| format!("{path} is no file of the log"))?;
            let mut bytes = self.storage.memory.contents(&path).unwrap_or_default();
            let from = (cut.saturating_sub(base) as usize).min(bytes.len());
            lost |= bytes[from..].iter().any(|&byte| byte != 0);
            bytes[from..].fill(0);
            self.storage.memory.place(&path, &bytes);
        }
        // A blank counts once its header is there.
        let blank = self.model.blanks.iter().find(|&&(at, size)| (at + 8..at + size).contains(&cut)).map(|&(at, size)| at + size);
        let end = self.model.log.iter().map(Message::end).chain(self.model.blanks.iter().map(|&(at, size)| at + size));
        let end = blank.or(end.filter(|&end| end <= cut).max()).unwrap_or(0);
        self.crash(end, change, counts)?;
        Ok(if lost { "crash with a torn log" } else { "idle" })
    }

    fn reopen(&mut self, end: u64, clean: bool, change: &Change, counts: &mut Counts) -> Outcome {
        self.count_rolls(counts);
        (self.flush, self.behind) = (None, None);
        for (bit, path) in
            ["consumequeue", "index", "checkpoint", "batchconsumequeue"].iter().enumerate().filter(|(bit, _)| change.lose & (1 << bit) != 0)
        {
            self.storage.memory.remove_tree(path);
            *counts.entry(["queues lost", "index lost", "checkpoint lost", "batch queues lost"][bit]).or_default() += 1;
        }
        self.options = Options {
            flush: if change.sync { FlushMode::Sync } else { FlushMode::Async },
            record_crc: change.record_crc,
            index: change.index,
            index_tags: change.index_tags,
            compat: if change.compat_4 { Compat::V4_9 } else { Compat::V5 },
            ..small()
        };
        if change.other_sizes {
            self.options = Options { segment_bytes: 8192, queue_file_entries: 7, ..self.options.clone() };
        }
        self.model.reopen(end, kind(&self.options), clean);
        if self.model.log.is_empty() && self.storage.memory.paths().iter().all(|path| !path.starts_with("commitlog/")) {
            self.model.segment_bytes = self.options.segment_bytes;
        }
        self.store = well("open", open(&self.storage, &self.clock, &self.options))?;
        ask_everything(&self.store, &self.model)
    }

    fn count_rolls(&self, counts: &mut Counts) {
        let stats = self.store.reader().stats();
        let entries = u64::from(self.store.reader().options().queue_file_entries);
        *counts.entry("rolls of the log").or_default() += stats.segments_rolled;
        *counts.entry("full index files").or_default() += stats.index_files.saturating_sub(1);
        *counts.entry("full queue files").or_default() += self.model.queues.values().map(|queue| queue.len() as u64 / entries).sum::<u64>();
    }

    /// Another process looks into the store as it is now.
    fn read_only(&mut self) -> Result<&'static str, String> {
        let memory = &self.storage.memory;
        let before: Vec<_> = memory.paths().into_iter().map(|path| (memory.contents(&path), path)).collect();
        let options = Options { read_only: true, flush: FlushMode::Async, index: true, ..self.options.clone() };
        let mut reader = well("open read-only", open(&self.storage, &self.clock, &options))?;
        let refusal = reader.writer().err().map(|error| error.code);
        same("writer of a read-only store", &refusal, &Some(Code::ReadOnly))?;
        let mut model = self.model.copy();
        model.reopen(self.model.end, kind(&options), false);
        ask_everything(&reader, &model)?;
        let memory = &self.storage.memory;
        let after: Vec<_> = memory.paths().into_iter().map(|path| (memory.contents(&path), path)).collect();
        same("files after a read-only open are as before", &(before == after), &true)?;
        Ok("read-only open")
    }

    fn poison(&mut self) -> &'static str {
        if self.model.poisoned {
            return "idle";
        }
        self.store.poison(Error::new(Code::Io, "fdatasync failed"));
        self.model.poisoned = true;
        "poisoned"
    }
}

/// Of a group each message is measured by itself, so none of them fills a file.
fn short(body: &Body) -> Body {
    match body {
        Body::Filling(rest) => Body::Bytes(*rest),
        Body::Bytes(length) => Body::Bytes(*length % 400),
        Body::Record(pick) => Body::Record(*pick),
    }
}

/// What a refused put must have answered; nothing was stored.
fn refused(what: &'static str, outcome: Result<Vec<f64>, (usize, Error)>, code: Code) -> Result<&'static str, String> {
    let found = outcome.map(|_| ()).map_err(|(stored, error)| (stored, error.code));
    same(what, &found, &Err((0, code)))?;
    Ok(what)
}

fn batch_message(message: &Message) -> BatchMessage<'_> {
    let host = |v6: bool| Host { address: if v6 { Address::V6([6; 16]) } else { Address::V4([127, 0, 0, 1]) }, port: 10911 };
    BatchMessage {
        topic: message.topic.as_bytes(),
        queue_id: message.queue_id,
        flag: 0,
        sys_flag: sys_flag(message),
        reconsume_times: 0,
        born_timestamp: NOW - 5,
        prepared_transaction_offset: 0,
        born_host: host(message.v6 & 1 != 0),
        store_host: host(message.v6 & 2 != 0),
        body: &message.body,
        properties: &message.given_properties,
    }
}

fn question_name(question: &Question) -> &'static str {
    match question {
        Question::Get { .. } => "get",
        Question::GetTags { .. } => "get by tags",
        Question::Entries { .. } => "entries",
        Question::Offsets { .. } => "offsets",
        Question::ByTime { upper: false, .. } => "offset by time, lower",
        Question::ByTime { .. } => "offset by time, upper",
        Question::TimeOf { .. } => "time of",
        Question::Lookup { .. } => "look-up",
        Question::Scan { .. } => "scan",
        Question::At { .. } => "at",
        Question::Names => "topics and queues",
        Question::Positions => "positions",
        Question::Stats => "stats",
        Question::Health => "health",
    }
}
