//! Small stores of every kind of queue, in several files of each sort, that have ended in one of four ways.

use moraine_core::batch::BatchMessage;
use moraine_core::format::checkpoint::Checkpoint;
use moraine_core::memory::{MemoryClock, MemoryStorage};
use moraine_core::options::Options;

use crate::model::*;
use crate::support::batches::{INNER, TOPICS, wire};
use crate::support::killed::{checkpoint, running, watermark};
use crate::support::*;

/// How a store has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    Closed,
    /// The process died; its system runs on.
    Killed,
    /// As RocketMQ leaves one: without a sidecar.
    ClosedWithoutSidecar,
    KilledWithoutSidecar,
    /// Nor with a checksum over whole records, which it does not write by itself.
    ClosedByRocketmq,
}

pub struct Image {
    pub ending: Ending,
    pub storage: MemoryStorage,
    pub model: Model,
    pub options: Options,
    /// Messages before this one are known to have been on disk: damage there is no end of the log.
    pub known: usize,
    /// The message that the watermark of a killed store names: if it is not there, that says nothing.
    pub named: Option<usize>,
    /// Messages from this one on are in no queue file.
    pub in_files: usize,
}

/// What is put.
#[derive(Clone, Debug, Default)]
pub struct Draft {
    pub queue: usize,
    pub body: String,
    pub tagged: bool,
    pub keys: Vec<usize>,
    /// Of [`LIGHT_QUEUES`].
    pub light: Vec<usize>,
    /// Messages in it, in a batch queue.
    pub inner: usize,
    /// Prepared, or taken back: without a place in its queue.
    pub transaction: i32,
}

impl Draft {
    /// The `n`th of a series in which everything occurs.
    fn numbered(n: usize) -> Self {
        let body = format!("body {n} ").repeat(1 + n % 3);
        let base = Self { queue: n % 2, body, tagged: n.is_multiple_of(2), keys: vec![n % 3, 3], ..Self::default() };
        match n % 8 {
            2 | 6 => Self { queue: BATCH_QUEUES.start, inner: 2 + n % 3, keys: vec![n % 3], ..base },
            3 => Self { queue: 2, light: vec![0, 1], ..base },
            5 => Self { light: vec![0], ..base },
            7 if n == 7 => Self { transaction: 4, ..base },
            _ => base,
        }
    }
}

pub fn options(ending: Ending) -> Options {
    let record_crc = ending != Ending::ClosedByRocketmq;
    Options { record_crc, segment_bytes: 1024, queue_file_entries: 4, index_slots: 4, index_entries: 16, ..small() }
}

/// Puts a message, and notes it.
pub fn put_one(store: &mut Store, model: &mut Model, draft: &Draft, time: i64) {
    let (topic, queue_id) = QUEUES[draft.queue];
    let mut properties = String::new();
    if draft.tagged {
        properties.push_str("TAGS\u{1}a\u{2}");
    }
    if !draft.keys.is_empty() {
        let keys: Vec<&str> = draft.keys.iter().map(|&key| KEYS[key]).collect();
        properties.push_str(&format!("KEYS\u{1}{}\u{2}", keys.join(" ")));
    }
    if !draft.light.is_empty() {
        let names: Vec<&str> = draft.light.iter().map(|&light| QUEUES[LIGHT_QUEUES.start + light].0).collect();
        properties.push_str(&format!("INNER_MULTI_DISPATCH\u{1}{}\u{2}", names.join(",")));
    }
    let inner = wire(draft.inner);
    if draft.inner > 0 {
        properties.push_str(&format!("INNER_NUM\u{1}{}\u{2}", draft.inner));
    }
    let body = if draft.inner > 0 { &inner } else { draft.body.as_bytes() };
    let sys_flag = if draft.inner > 0 { INNER } else { draft.transaction };
    let one = BatchMessage { topic: topic.as_bytes(), queue_id, sys_flag, ..message(body, properties.as_bytes()) };
    let (physical, offset, size) = put(store, &[one]).unwrap()[0];
    let mut bytes = Vec::new();
    assert_eq!(store.reader().log().record_at(physical, &mut bytes).unwrap(), Some(size as usize));
    let mut places = Vec::new();
    if draft.transaction == 0 {
        let taken = draft.inner.max(1) as u64;
        places.push(Place { queue: draft.queue, offset, taken });
        for queue in draft.light.iter().map(|light| LIGHT_QUEUES.start + light) {
            places.push(Place { queue, offset: model.next[queue], taken: 1 });
        }
    }
    for place in &places {
        model.next[place.queue] = place.offset + place.taken;
    }
    model.messages.push(Message { physical, bytes, time, places, keys: draft.keys.clone(), topic });
}

impl Image {
    pub fn new(ending: Ending) -> Self {
        let storage = MemoryStorage::default();
        storage.boot(1);
        storage.place("config/topics.json", TOPICS.as_bytes());
        storage.place("consumequeue_ext/U/0/00000000000000000000", &[0; 66]);
        let options = options(ending);
        let clock = MemoryClock::at(NOW);
        let mut model = Model::default();
        let mut store = open_at(&storage, options.clone(), &clock).unwrap();
        let mut put_next = |store: &mut Store, n: usize| {
            let time = NOW + 700 * n as i64;
            clock.set(time);
            put_one(store, &mut model, &Draft::numbered(n), time);
        };
        let is_killed = matches!(ending, Ending::Killed | Ending::KilledWithoutSidecar);
        (0..14).for_each(|n| put_next(&mut store, n));
        if is_killed {
            checkpoint(&mut store, &storage);
            (14..17).for_each(|n| put_next(&mut store, n));
            write_behind(&mut store, &storage);
            watermark(&mut store, &storage);
            (17..22).for_each(|n| put_next(&mut store, n));
            drop(store);
        } else {
            close(store);
            store = open_at(&storage, options.clone(), &clock).unwrap();
            (14..22).for_each(|n| put_next(&mut store, n));
            close(store);
        }
        if !matches!(ending, Ending::Closed | Ending::Killed) {
            storage.remove_tree("moraine");
            storage.place("lock", b"lock");
        }
        let synced = Checkpoint::decode(&storage.contents("checkpoint").unwrap()).min_timestamp();
        let known = match ending {
            // The one behind a damaged record says when that was written.
            Ending::KilledWithoutSidecar => model.messages.partition_point(|message| message.time <= synced) - 1,
            _ => model.messages.len(),
        };
        assert!(known > 6 && (known < 20) == (ending == Ending::KilledWithoutSidecar), "{known} of {ending:?}");
        let named = running(&storage).and_then(|running| running.last).map(|last| model.at(last.at).unwrap());
        assert_eq!(named.is_some(), ending == Ending::Killed);
        let in_files = if is_killed { 17 } else { model.messages.len() };
        Self { ending, storage, model, options, known, named, in_files }
    }

    /// The message whose record a byte of the log lies in; else the first one behind, or their number.
    pub fn message_at(&self, place: u64) -> (usize, bool) {
        let number = self.model.messages.partition_point(|message| message.end() <= place);
        (number, self.model.messages.get(number).is_some_and(|message| message.physical <= place))
    }
}

/// Where a file of the log begins.
pub fn base_of(path: &str) -> Option<u64> {
    path.strip_prefix("commitlog/").and_then(|name| name.parse().ok())
}
