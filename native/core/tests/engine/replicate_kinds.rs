//! Copying and taking back a log whose messages go to queues of every kind: plain and light ones, batch queues, and
//! extension files beside them.

use crate::support::batches::wire;
use crate::support::store_files::{assert_same_files, lasting_files};
use crate::support::*;
use moraine_core::batch::BatchMessage;
use moraine_core::engine::{GetRequest, GetStatus, Resolved};
use moraine_core::memory::{MemoryClock, MemoryStorage};

const TOPICS: &[u8] = br#"{"topicConfigTable":{"B":{"topicName":"B","attributes":{"queue.type":"BatchCQ"}}}}"#;
const INNER: i32 = 1 << 7;
const MESSAGES: usize = 60;

/// A store that knows topic B for one of batch queues, and keeps extension files for topic T.
fn storage() -> MemoryStorage {
    let storage = MemoryStorage::default();
    storage.place("config/topics.json", TOPICS);
    storage.place("consumequeue_ext/T/0/00000000000000000000", &[0; 200]);
    storage
}

/// Message `n`; where it begins in the log.
fn put_nth(store: &mut Store, clock: &MemoryClock, n: usize) -> u64 {
    clock.set(NOW + 1000 * n as i64);
    let (wired, text) = (wire(1 + n % 4), format!("{n:.<width$}", width = 30 + n * 53 % 200));
    let properties = match n % 3 {
        0 => format!("TAGS\u{1}t{n}\u{2}KEYS\u{1}k{n}\u{2}INNER_MULTI_DISPATCH\u{1}%LMQ%light\u{2}"),
        1 => format!("KEYS\u{1}k{n}\u{2}INNER_NUM\u{1}{}\u{2}", 1 + n % 4),
        _ => format!("TAGS\u{1}t{n}\u{2}KEYS\u{1}k{n}\u{2}"),
    };
    let message = match n % 3 {
        0 => message(text.as_bytes(), properties.as_bytes()),
        1 => BatchMessage { topic: b"B", sys_flag: INNER, ..message(&wired, properties.as_bytes()) },
        _ => BatchMessage { topic: b"B", queue_id: n as i32 / 3 % 2, ..message(text.as_bytes(), properties.as_bytes()) },
    };
    put(store, &[message]).unwrap()[0].0
}

/// (storage, clock, store, where each of the `count` messages begins); entries are written behind in front of message
/// `behind_at`.
fn store_of(count: usize, behind_at: Option<usize>) -> (MemoryStorage, MemoryClock, Store, Vec<u64>) {
    let (storage, clock) = (storage(), MemoryClock::at(NOW));
    let mut store = open_at(&storage, small(), &clock).unwrap();
    let mut starts = Vec::new();
    for n in 0..count {
        if behind_at == Some(n) {
            write_behind(&mut store, &storage);
        }
        starts.push(put_nth(&mut store, &clock, n));
    }
    if behind_at.is_some_and(|at| at >= count) {
        write_behind(&mut store, &storage);
    }
    (storage, clock, store, starts)
}

/// What a queue answers: range, and the offsets and bytes of its records.
fn queue(store: &Store, topic: &[u8], queue_id: i32) -> String {
    let range = store.reader().offsets(topic, queue_id);
    let (mut out, mut offsets) = (vec![0; 1 << 20], vec![0.0; 1000]);
    let mut resolved = Resolved::default();
    let request = GetRequest { topic, queue_id, offset: range.min, max: 1000, max_bytes: 1 << 20, filter: &[] };
    store.reader().resolve(&request, &mut resolved).unwrap();
    let copied = resolved.copy(&mut out, &mut offsets).unwrap();
    if resolved.status != GetStatus::Found {
        // Whether a queue of which nothing is left is still known does not matter.
        return format!("next {}", range.next);
    }
    format!("{range:?} {copied:?} {:?} {:?}", &offsets[..copied.messages], &out[..copied.bytes])
}

fn answers(store: &Store) -> Vec<String> {
    let queues = [(&b"T"[..], 0), (b"%LMQ%light", 0), (b"B", 0), (b"B", 1)];
    let mut answers: Vec<String> = queues.iter().map(|&(topic, id)| queue(store, topic, id)).collect();
    answers.extend((0..MESSAGES).map(|n| {
        let mut found = store.reader().lookup(if n % 3 == 0 { b"T" } else { b"B" }, format!("k{n}").as_bytes()).unwrap();
        format!("{:?}", found.next_record(0, i64::MAX).unwrap().map(<[u8]>::to_vec))
    }));
    answers
}

#[test]
fn a_follower_has_all_kinds_of_queues() {
    let (leader_storage, _, leader, _) = store_of(MESSAGES, None);
    let (mut log, mut piece) = (Vec::new(), Vec::new());
    while (log.len() as u64) < leader.reader().positions().end {
        leader.reader().read_log(log.len() as u64, 1000, &mut piece).unwrap();
        log.extend_from_slice(&piece);
    }
    let expected = answers(&leader);
    close(leader);
    for length in [1, 7, 100, 1000, 5000] {
        let follower_storage = storage();
        let mut follower = open(&follower_storage, small()).unwrap();
        for piece in log.chunks(length) {
            let at = follower.reader().raw_end();
            follower.writer().unwrap().append_log(at, piece).unwrap();
        }
        assert_eq!(answers(&follower), expected);
        assert_eq!(answers(&open(&follower_storage.snapshot(), small()).unwrap()), expected, "after a crash");
        close(follower);
        assert_same_files(&lasting_files(&follower_storage), &lasting_files(&leader_storage), &format!("pieces of {length} bytes"));
    }
}

#[test]
fn taken_back_it_is_a_store_that_never_held_the_rest() {
    for behind_at in [None, Some(1), Some(MESSAGES / 2), Some(MESSAGES)] {
        for kept in (0..=MESSAGES).step_by(if behind_at == Some(MESSAGES) { 1 } else { 7 }) {
            let what = format!("{kept} kept, written behind at {behind_at:?}");
            let (storage, clock, mut store, starts) = store_of(MESSAGES, behind_at);
            let to = starts.get(kept).copied().unwrap_or(store.reader().positions().end);
            store.writer().unwrap().truncate(to).unwrap();
            let (plain_storage, plain_clock, mut plain, _) = store_of(kept, None);
            assert_eq!(answers(&store), answers(&plain), "{what}");
            for n in kept..kept + 20 {
                put_nth(&mut store, &clock, n);
                put_nth(&mut plain, &plain_clock, n);
            }
            assert_eq!(answers(&store), answers(&plain), "{what}: put again");
            close(store);
            close(plain);
            assert_same_files(&lasting_files(&storage), &lasting_files(&plain_storage), &what);
            assert_eq!(
                answers(&open(&storage, small()).unwrap()),
                answers(&open(&plain_storage, small()).unwrap()),
                "{what}: opened again"
            );
        }
    }
}

#[test]
fn a_confirm_offset_hides_messages_of_every_kind_of_queue() {
    let (storage, _, store, starts) = store_of(MESSAGES, None);
    close(store);
    for kept in [0, 1, 10, 31, 59] {
        let mut store = open(&storage.snapshot(), small()).unwrap();
        store.writer().unwrap().confirm(starts[kept]).unwrap();
        let plain = store_of(kept, None).2;
        for (topic, id) in [(&b"T"[..], 0), (b"%LMQ%light", 0), (b"B", 0), (b"B", 1)] {
            assert_eq!(store.reader().offsets(topic, id).max, plain.reader().offsets(topic, id).max, "{kept}");
        }
        store.writer().unwrap().confirm(u64::MAX).unwrap();
        assert_eq!(answers(&store), answers(&open(&storage.snapshot(), small()).unwrap()));
    }
}
