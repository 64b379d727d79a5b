//! Batch topics, inner batches, and what can be read of them.

use moraine_core::batch::BatchMessage;
use moraine_core::engine::{GetRequest, GetStatus, Resolved};
use moraine_core::error::Error;
use moraine_core::format::batch_entry::BatchEntry;
use moraine_core::memory::{MemoryClock, MemoryStorage};

use super::{NOW, Put, Store, message, put};

pub const INNER: i32 = 0xC0;
pub const TOPICS: &str = r#"{"topicConfigTable":{"B":{"attributes":{"queue.type":"BatchCQ"}},"T":{"attributes":{}}}}"#;

pub fn with_topics() -> MemoryStorage {
    let storage = MemoryStorage::default();
    storage.place("config/topics.json", TOPICS.as_bytes());
    storage
}

/// A wire batch of `count` messages (store-format §2.9).
pub fn wire(count: usize) -> Vec<u8> {
    let mut out = Vec::new();
    for n in 0..count {
        let body = format!("inner {n}");
        out.extend_from_slice(&(22 + body.len() as i32).to_be_bytes());
        out.extend_from_slice(&[0; 12]);
        out.extend_from_slice(&(body.len() as i32).to_be_bytes());
        out.extend_from_slice(body.as_bytes());
        out.extend_from_slice(&[0; 2]);
    }
    out
}

pub fn plain<'a>(body: &'a [u8]) -> BatchMessage<'a> {
    BatchMessage { topic: b"B", ..message(body, b"TAGS\x01TagB\x02") }
}

/// Puts an inner batch to queue 0 of `B`; physical offset, queue offset, size.
pub fn put_inner(store: &mut Store, count: usize) -> Put {
    let body = wire(count);
    let properties = format!("UNIQ_KEY\u{1}key{count}\u{2}INNER_NUM\u{1}{count}\u{2}");
    let batch = BatchMessage { topic: b"B", sys_flag: INNER, ..message(&body, properties.as_bytes()) };
    put(store, &[batch]).unwrap()[0]
}

pub fn refusal(store: &mut Store, message: BatchMessage<'_>) -> Error {
    let (stored, error) = put(store, &[message]).unwrap_err();
    assert_eq!(stored, 0);
    error
}

/// Status, next offset, queue offsets of the records.
pub fn ask(store: &Store, offset: u64, max: usize) -> (GetStatus, u64, Vec<u64>) {
    let mut resolved = Resolved::default();
    let request = GetRequest { topic: b"B", queue_id: 0, offset, max, max_bytes: 1 << 20, filter: &[] };
    store.reader().resolve(&request, &mut resolved).unwrap();
    let (mut out, mut offsets) = (vec![0; 1 << 20], vec![0.0; max.max(1)]);
    let copied = resolved.copy(&mut out, &mut offsets).unwrap();
    (resolved.status, copied.next, offsets[..copied.messages].iter().map(|&offset| offset as u64).collect())
}

/// Every record's queue offset, read one after the other as a consumer does.
pub fn walk(store: &Store) -> Vec<u64> {
    let mut found = Vec::new();
    let mut offset = store.reader().offsets(b"B", 0).min;
    loop {
        let (status, next, bases) = ask(store, offset, 7);
        found.extend(bases);
        if status != GetStatus::Found {
            return found;
        }
        assert!(next > offset);
        offset = next;
    }
}

pub fn units(storage: &MemoryStorage) -> Vec<BatchEntry> {
    let paths = storage.paths().into_iter().filter(|path| path.starts_with("batchconsumequeue/B/0/"));
    let bytes: Vec<u8> = paths.flat_map(|path| storage.contents(&path).unwrap()).collect();
    bytes.as_chunks::<{ BatchEntry::BYTES }>().0.iter().map_while(BatchEntry::decode).collect()
}

/// Inner batches of 1 to 5 messages with plain puts between; the bases.
pub fn fill(store: &mut Store, clock: &MemoryClock, puts: std::ops::Range<usize>) -> Vec<u64> {
    let put_one = |n: usize| {
        clock.set(NOW + 10 * n as i64);
        match n % 3 {
            0 => put(store, &[plain(format!("m{n}").as_bytes())]).unwrap()[0].1,
            _ => put_inner(store, 1 + n % 5).1,
        }
    };
    puts.map(put_one).collect()
}

pub fn bases(puts: usize) -> (Vec<u64>, u64) {
    let sizes = (0..puts).map(|n| if n % 3 == 0 { 1 } else { 1 + n as u64 % 5 });
    let mut next = 0;
    let bases = sizes
        .map(|size| {
            next += size;
            next - size
        })
        .collect();
    (bases, next)
}
