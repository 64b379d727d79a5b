//! What the engine's tests share: a small store in memory, messages, and what can be read back.
#![allow(dead_code)] // each test file uses its part

pub mod batches;
pub mod killed;
pub mod store_files;

use std::sync::Arc;

use moraine_core::batch::{self, BatchMessage};
use moraine_core::engine::put::RESULT_HEADER;
use moraine_core::engine::{Engine, GetRequest, GetStatus, Resolved};
use moraine_core::error::Error;
use moraine_core::format::record::{Address, Host, Record};
use moraine_core::memory::{MemoryClock, MemoryStorage};
use moraine_core::options::Options;

pub type Store = Engine<MemoryStorage, MemoryClock>;

pub const NOW: i64 = 1_700_000_000_000;

/// Small sizes, so that files roll after a few messages.
pub fn small() -> Options {
    Options { segment_bytes: 4096, queue_file_entries: 10, index_slots: 16, index_entries: 32, ..Options::default() }
}

pub fn open(storage: &MemoryStorage, options: Options) -> Result<Store, Error> {
    open_at(storage, options, &MemoryClock::at(NOW))
}

#[allow(clippy::arc_with_non_send_sync)] // one thread
pub fn open_at(storage: &MemoryStorage, options: Options, clock: &MemoryClock) -> Result<Store, Error> {
    Engine::open(Arc::new(storage.clone()), clock.clone(), options, &mut |_| {})
}

/// Physical offset, queue offset and size of a message.
pub type Put = (u64, u64, u64);

/// A message of topic `T`, queue 0.
pub fn message<'a>(body: &'a [u8], properties: &'a [u8]) -> BatchMessage<'a> {
    let host = Host { address: Address::V4([127, 0, 0, 1]), port: 10911 };
    BatchMessage {
        topic: b"T",
        queue_id: 0,
        flag: 0,
        sys_flag: 0,
        reconsume_times: 0,
        born_timestamp: NOW - 5,
        prepared_transaction_offset: 0,
        born_host: host,
        store_host: host,
        body,
        properties,
    }
}

/// Puts messages in one batch; (physical offset, queue offset, size) of each.
pub fn put(store: &mut Store, messages: &[BatchMessage<'_>]) -> Result<Vec<Put>, (usize, Error)> {
    let mut bytes = Vec::new();
    messages.iter().for_each(|message| batch::encode(message, &mut bytes));
    let mut results = vec![0.0; RESULT_HEADER + 3 * messages.len()];
    let count = store.writer().map_err(|e| (0, e))?.put(&bytes, &mut results)?;
    Ok(results[RESULT_HEADER..RESULT_HEADER + 3 * count]
        .chunks(3)
        .map(|three| (three[0] as u64, three[1] as u64, three[2] as u64))
        .collect())
}

/// Puts `count` messages with the bodies `m0`, `m1` …, the keys `k0` …, one after the other.
pub fn put_numbered(store: &mut Store, count: usize) -> Vec<(u64, u64, u64)> {
    (0..count).map(|n| put_number(store, n)).collect()
}

pub fn put_number(store: &mut Store, n: usize) -> (u64, u64, u64) {
    let (body, properties) = (format!("m{n}"), format!("TAGS\u{1}t\u{2}KEYS\u{1}k{n}\u{2}"));
    put(store, &[message(body.as_bytes(), properties.as_bytes())]).unwrap()[0]
}

pub fn flush(store: &mut Store, storage: &MemoryStorage) {
    if let Some(plan) = store.writer().unwrap().plan_flush() {
        plan.run(storage).unwrap();
        store.writer().unwrap().flushed(plan);
    }
}

pub fn write_behind(store: &mut Store, storage: &MemoryStorage) {
    while let Some(plan) = store.writer().unwrap().plan_behind() {
        plan.run(storage).unwrap();
        store.writer().unwrap().wrote_behind(plan);
    }
}

pub fn close(mut store: Store) {
    store.writer().unwrap().close().unwrap();
}

/// An answer of `get`: status, next offset, bodies.
pub type Answer = (GetStatus, u64, Vec<String>);

pub fn get(store: &Store, topic: &str, queue_id: i32, offset: u64, max: usize) -> Result<Answer, Error> {
    get_filtered(store, topic, queue_id, offset, max, &[])
}

pub fn get_filtered(store: &Store, topic: &str, queue_id: i32, offset: u64, max: usize, filter: &[u8]) -> Result<Answer, Error> {
    let mut resolved = Resolved::default();
    let request = GetRequest { topic: topic.as_bytes(), queue_id, offset, max, max_bytes: 1 << 20, filter };
    store.reader().resolve(&request, &mut resolved)?;
    let mut out = vec![0; 1 << 20];
    let mut offsets = vec![0.0; max];
    let copied = resolved.copy(&mut out, &mut offsets)?;
    let mut bodies = Vec::new();
    let mut rest = &out[..copied.bytes];
    while !rest.is_empty() {
        let size = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
        bodies.push(String::from_utf8(Record::parse(&rest[..size]).unwrap().body().to_vec()).unwrap());
        rest = &rest[size..];
    }
    Ok((resolved.status, copied.next, bodies))
}

/// Bodies of every message of queue 0 of topic `T`, from the minimum on.
pub fn all(store: &Store) -> Vec<String> {
    let min = store.reader().offsets(b"T", 0).min;
    let (_, _, bodies) = get(store, "T", 0, min, 1000).unwrap();
    bodies
}

pub fn lookup(store: &Store, key: &str) -> Vec<String> {
    let mut candidates = store.reader().lookup(b"T", key.as_bytes()).unwrap();
    let mut bodies = Vec::new();
    while let Some(bytes) = candidates.next_record(0, i64::MAX).unwrap() {
        bodies.push(String::from_utf8(Record::parse(bytes).unwrap().body().to_vec()).unwrap());
    }
    bodies
}

pub fn numbered(range: std::ops::Range<usize>) -> Vec<String> {
    range.map(|n| format!("m{n}")).collect()
}

/// Kinds of all that was noticed.
pub fn findings(store: &Store) -> Vec<&'static str> {
    store.reader().health().unwrap().findings.iter().map(|finding| finding.kind).collect()
}
