//! How the log is read for an answer: what stands together comes in one call, and what is wrong with one record costs no other.

use std::sync::Arc;

use crate::faulty::FaultyStorage;
use crate::support::{NOW, message, small};
use moraine_core::batch;
use moraine_core::engine::put::RESULT_HEADER;
use moraine_core::engine::{Copied, Engine, GetRequest, Resolved};
use moraine_core::error::{Code, Error};
use moraine_core::format::record::Record;
use moraine_core::memory::MemoryClock;
use moraine_core::options::Options;

const COUNT: usize = 12;
const BODY: &[u8] = &[b'x'; 100];

type Store = Engine<FaultyStorage, MemoryClock>;

#[allow(clippy::arc_with_non_send_sync)] // one thread
fn open(storage: &FaultyStorage) -> Store {
    let options = Options { queue_file_entries: 1000, ..small() };
    Engine::open(Arc::new(storage.clone()), MemoryClock::at(NOW), options, &mut |_| {}).unwrap()
}

/// A store of messages that go to so many queues by turns, and the physical offset and size of each.
fn filled(storage: &FaultyStorage, queues: usize) -> (Store, Vec<(u64, u64)>) {
    let mut store = open(storage);
    let mut bytes = Vec::new();
    for n in 0..COUNT {
        let mut one = message(BODY, b"");
        one.queue_id = (n % queues) as i32;
        batch::encode(&one, &mut bytes);
    }
    let mut results = vec![0.0; RESULT_HEADER + 3 * COUNT];
    assert_eq!(store.writer().unwrap().put(&bytes, &mut results).unwrap(), COUNT);
    let put = results[RESULT_HEADER..].chunks(3).map(|one| (one[0] as u64, one[2] as u64)).collect();
    (store, put)
}

/// What an answer from `offset` on copies into `room` bytes, and how often it reads the log for that.
fn copied(storage: &FaultyStorage, store: &Store, offset: u64, room: usize) -> (Result<Copied, Error>, u32) {
    let mut resolved = Resolved::default();
    let request = GetRequest { topic: b"T", offset, max: COUNT, max_bytes: 1 << 20, ..GetRequest::default() };
    store.reader().resolve(&request, &mut resolved).unwrap();
    storage.reads.count.set(0);
    let mut out = vec![0; room];
    let copied = resolved.copy(&mut out, &mut [0.0; COUNT]);
    if let Ok(Copied { bytes, .. }) = copied {
        let mut rest = &out[..bytes];
        while let Some(size) = rest.first_chunk().map(|size| u32::from_be_bytes(*size) as usize) {
            assert_eq!(Record::parse(&rest[..size]).unwrap().body(), BODY);
            rest = &rest[size..];
        }
    }
    (copied, storage.reads.count.get())
}

#[test]
fn records_that_follow_each_other_are_read_in_one_call() {
    let storage = FaultyStorage::default();
    let (store, put) = filled(&storage, 1);
    let (all, reads) = copied(&storage, &store, 0, 1 << 20);
    assert_eq!((all.unwrap().messages, reads), (COUNT, 1));
    // Where the buffer ends within them, too.
    let (some, reads) = copied(&storage, &store, 2, (3 * put[0].1 + 10) as usize);
    let some = some.unwrap();
    assert_eq!((some.messages, some.next, reads), (3, 5, 1));
}

#[test]
fn records_with_others_between_them_are_read_one_by_one() {
    let storage = FaultyStorage::default();
    let (store, _) = filled(&storage, 2);
    let (half, reads) = copied(&storage, &store, 0, 1 << 20);
    assert_eq!((half.unwrap().messages, reads), (COUNT / 2, COUNT as u32 / 2));
}

#[test]
fn an_answer_reads_the_entries_of_its_messages_and_the_two_beside_them() {
    const ENTRY_BYTES: usize = 20;
    let storage = FaultyStorage::default();
    let (mut store, _) = filled(&storage, 1);
    for _ in 0..9 {
        drop(store);
        store = filled(&storage, 1).0;
        store.writer().unwrap().close().unwrap();
    }
    let store = open(&storage);
    let entries_read = |offset, max| {
        storage.reads.file_bytes.set(0);
        let mut resolved = Resolved::default();
        let request = GetRequest { topic: b"T", offset, max, max_bytes: 1 << 20, ..GetRequest::default() };
        store.reader().resolve(&request, &mut resolved).unwrap();
        assert_eq!(resolved.messages(), max);
        storage.reads.file_bytes.get() / ENTRY_BYTES
    };
    assert_eq!(entries_read(50, 1), 3);
    assert_eq!(entries_read(0, 1), 2, "there is none in front");
    assert_eq!(entries_read(50, 32), 34);
    assert!(entries_read(5, 100) >= 100);
}

#[test]
fn a_record_that_cannot_be_read_costs_none_that_can() {
    let storage = FaultyStorage::default();
    let (store, put) = filled(&storage, 1);
    storage.reads.unreadable.set(Some(put[5].0 + 50));
    let (before, _) = copied(&storage, &store, 0, 1 << 20);
    let before = before.unwrap();
    assert_eq!((before.messages, before.next), (5, 5));
    assert_eq!(copied(&storage, &store, 5, 1 << 20).0.unwrap_err().code, Code::Io);
    let (behind, reads) = copied(&storage, &store, 6, 1 << 20);
    assert_eq!((behind.unwrap().messages, reads), (COUNT - 6, 1));
}

#[test]
fn a_damaged_record_ends_an_answer_in_front_of_it() {
    let storage = FaultyStorage::default();
    let (store, put) = filled(&storage, 1);
    let log = "commitlog/00000000000000000000";
    storage.memory.change(log, put[5].0 as usize + 100, |byte| *byte ^= 1);
    let (before, _) = copied(&storage, &store, 0, 1 << 20);
    let before = before.unwrap();
    assert_eq!((before.messages, before.next), (5, 5));
    let error = copied(&storage, &store, 5, 1 << 20).0.unwrap_err();
    assert_eq!(error.code, Code::Corrupt);
    assert_eq!(copied(&storage, &store, 6, 1 << 20).0.unwrap().messages, COUNT - 6);
}
