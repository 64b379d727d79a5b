//! Queue entries are RocketMQ's units.

use moraine_core::format::hash::tags_code;
use moraine_core::format::queue_entry::QueueEntry;
use moraine_core::options::Options;
use proptest::prelude::*;

use crate::vectors::{hex, number, text, vector};

#[test]
fn an_entry_is_rocketmqs_unit() {
    let vector = vector("cq.unit");
    let entry = QueueEntry {
        physical: number(&vector.inputs["phyOffset"]).cast_unsigned(),
        size: u32::try_from(number(&vector.inputs["size"])).expect("a u32"),
        tags_code: tags_code(text(&vector.inputs["tags"]).as_bytes()),
    };
    assert_eq!(hex(&entry.encode()), text(&vector.expected["hex"]));
    assert_eq!(QueueEntry::decode(&entry.encode()), Some(entry));
    assert_eq!(entry.end(), 1_073_742_536);
    assert!(!entry.is_blank());
}

#[test]
fn the_blank_entry_is_rocketmqs() {
    assert_eq!(hex(&QueueEntry::BLANK.encode()), text(&vector("cq.preBlankUnit").expected["hex"]));
    let read = QueueEntry::decode(&QueueEntry::BLANK.encode()).expect("an entry");
    assert!(read.is_blank());
}

#[test]
fn a_queue_file_has_rocketmqs_size() {
    let bytes = u64::from(Options::default().queue_file_entries) * QueueEntry::BYTES as u64;
    assert_eq!(bytes.cast_signed(), number(&vector("consts").expected["consumeQueueFileDefaultSize"]));
}

#[test]
fn what_java_takes_for_the_end_is_no_entry() {
    let encoded = |physical: i64, size: i32| {
        let mut bytes = [0; QueueEntry::BYTES];
        bytes[..8].copy_from_slice(&physical.to_be_bytes());
        bytes[8..12].copy_from_slice(&size.to_be_bytes());
        QueueEntry::decode(&bytes)
    };
    assert_eq!(encoded(0, 0), None);
    assert_eq!(encoded(-1, 1), None);
    assert_eq!(encoded(i64::MIN, i32::MAX), None);
    assert_eq!(encoded(0, -1), None);
    assert_eq!(encoded(0, 1).map(|entry| entry.end()), Some(1));
    assert_eq!(encoded(i64::MAX, i32::MAX).map(|entry| entry.end()), Some(i64::MAX as u64 + i32::MAX as u64));
}

proptest! {
    #[test]
    fn any_bytes_are_an_entry_or_none(bytes in any::<[u8; 20]>()) {
        match QueueEntry::decode(&bytes) {
            Some(entry) => prop_assert_eq!(entry.encode(), bytes),
            None => prop_assert!(bytes[0] >= 0x80 || bytes[8] >= 0x80 || bytes[8..12] == [0; 4]),
        }
    }
}
