//! Batch queue entries are RocketMQ's units.

use moraine_core::batch_dispatch::{count_wire_messages, parse_inner_num};
use moraine_core::format::batch_entry::BatchEntry;
use moraine_core::format::hash::tags_code;
use proptest::prelude::*;

use crate::vectors::{hex, number, text, vector};

#[test]
fn an_entry_is_rocketmqs_unit() {
    let vector = vector("bcq.unit");
    let of = |name: &str| number(&vector.inputs[name]);
    let entry = BatchEntry {
        physical: of("phyOffset").cast_unsigned(),
        size: u32::try_from(of("size")).expect("a u32"),
        tags_code: tags_code(text(&vector.inputs["tags"]).as_bytes()),
        store_timestamp: of("storeTime"),
        base: of("msgBaseOffset").cast_unsigned(),
        messages: u32::try_from(of("batchSize")).expect("a u32"),
    };
    assert_eq!(hex(&entry.encode()), text(&vector.expected["hex"]));
    assert_eq!(BatchEntry::decode(&entry.encode()), Some(entry));
    assert_eq!((entry.next(), entry.end()), (15, 4396));
}

#[test]
fn a_batch_queue_file_has_rocketmqs_size() {
    let bytes = u64::from(moraine_core::options::Options::default().queue_file_entries) * BatchEntry::BYTES as u64;
    assert_eq!(bytes.cast_signed(), number(&vector("consts").expected["batchConsumeQueueFileDefaultSize"]));
}

#[test]
fn what_java_takes_for_the_end_is_no_entry() {
    let good = BatchEntry { physical: 7, size: 8, tags_code: -1, store_timestamp: 9, base: 10, messages: 11 }.encode();
    assert!(BatchEntry::decode(&good).is_some());
    let spoilt = |at: usize, bytes: &[u8]| {
        let mut unit = good;
        unit[at..at + bytes.len()].copy_from_slice(bytes);
        BatchEntry::decode(&unit)
    };
    assert_eq!(spoilt(0, &[0xFF; 8]), None, "a negative offset");
    assert_eq!(spoilt(8, &[0; 4]), None, "no size");
    assert_eq!(spoilt(28, &[0x80]), None, "a negative base");
    assert_eq!(spoilt(28, &[0x7F]), None, "a base that nobody can have reached");
    assert_eq!(spoilt(36, &[0, 0]), None, "no messages");
    assert_eq!(spoilt(36, &[0xFF, 0xFF]), None, "a negative number of messages");
    assert_eq!(BatchEntry::decode(&[0; BatchEntry::BYTES]), None);
}

#[test]
fn inner_num_is_a_positive_16_bit_number() {
    assert_eq!(parse_inner_num(b"2"), Some(2));
    assert_eq!(parse_inner_num(b"32767"), Some(32767));
    for wrong in ["0", "-1", "32768", "", "two", " 2"] {
        assert_eq!(parse_inner_num(wrong.as_bytes()), None, "{wrong:?}");
    }
}

#[test]
fn the_messages_of_rocketmqs_wire_batch_are_counted() {
    let wire = vector("putMessages.batch2");
    let digits = text(&wire.inputs["wireBodyHex"]);
    let body: Vec<u8> = (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).expect("hex")).collect();
    assert_eq!(count_wire_messages(&body), Some(2));
    assert_eq!(count_wire_messages(b""), Some(0));
    for cut in (1..body.len()).filter(|&cut| cut != 54) {
        assert_eq!(count_wire_messages(&body[..cut]), None, "cut at {cut}");
    }
}

proptest! {
    #[test]
    fn any_bytes_are_an_entry_or_none(bytes in any::<[u8; 38]>()) {
        let mut unit = [0; BatchEntry::BYTES];
        unit[..38].copy_from_slice(&bytes);
        unit[38..42].copy_from_slice(&[0xFF; 4]);
        if let Some(entry) = BatchEntry::decode(&unit) {
            prop_assert_eq!(entry.encode(), unit);
        }
    }

    #[test]
    fn any_bytes_are_counted_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Some(count) = count_wire_messages(&bytes) {
            prop_assert!(count as usize * 22 <= bytes.len());
        }
    }
}
