//! Property strings decode by RocketMQ's rules.

use std::collections::BTreeMap;

use moraine_core::format::properties::{Dispatched, dispatched, ends_like_record_crc, pairs, without_record_crc};
use moraine_core::format::record::Record;
use proptest::prelude::*;

use crate::messages::Message;
use crate::vectors::{text, vector};

#[test]
fn the_decoding_rules_are_rocketmqs() {
    let vector = vector("properties.decodeRules");
    let decoded: BTreeMap<_, _> = pairs(text(&vector.inputs["string"]).as_bytes())
        .map(|(name, value)| (String::from_utf8_lossy(name), String::from_utf8_lossy(value)))
        .collect();
    let expected = vector.expected["map"].as_object().expect("a map");
    assert_eq!(decoded.len(), expected.len());
    for (name, value) in expected {
        assert_eq!(decoded.get(name.as_str()).map(AsRef::as_ref), value.as_str(), "{name}");
    }
}

#[test]
fn dispatch_finds_each_of_its_properties() {
    let string = b"TAGS\x01t\x02KEYS\x01k1 k2\x02UNIQ_KEY\x01u\x02DELAY\x013\x02WAIT\x01true\x02\
        INNER_MULTI_DISPATCH\x01%LMQ%a,b\x02INNER_MULTI_QUEUE_OFFSET\x010,\x02INNER_NUM\x015\x02INNER_BASE\x0110";
    assert_eq!(
        dispatched(string),
        Dispatched {
            tags: Some(b"t"),
            keys: Some(b"k1 k2"),
            uniq_key: Some(b"u"),
            delay: Some(b"3"),
            multi_dispatch: Some(b"%LMQ%a,b"),
            multi_queue_offset: Some(b"0,"),
            inner_num: Some(b"5"),
            inner_base: Some(b"10"),
        }
    );
    assert_eq!(dispatched(b""), Dispatched::default());
}

#[test]
fn the_last_property_of_a_name_wins_unless_it_is_empty() {
    assert_eq!(dispatched(b"TAGS\x01a\x02TAGS\x01b\x02TAGS\x01\x02").tags, Some(&b"b"[..]));
}

#[test]
fn another_records_crc_is_taken_off() {
    assert_eq!(without_record_crc(b"TAGS\x01a\x02"), None);
    assert_eq!(without_record_crc(b"TAGS\x01#__CRC32#\x02"), None);
    assert_eq!(without_record_crc(b"x__CRC32#\x011\x02"), None);
    assert_eq!(without_record_crc(b"__CRC32#\x02"), None);
    assert_eq!(without_record_crc(b"__CRC32#\x010123456789\x02").as_deref(), Some(&b""[..]));
    assert_eq!(without_record_crc(b"A\x01b\x02__CRC32#\x01\x02C\x01d").as_deref(), Some(&b"A\x01b\x02C\x01d"[..]));
    assert_eq!(without_record_crc(b"__CRC32#\x011\x02A\x01b\x02__CRC32#\x012").as_deref(), Some(&b"A\x01b\x02"[..]));
}

#[test]
fn a_string_that_would_be_taken_for_a_damaged_crc_is_known() {
    for (string, alike) in [
        (&b"TAGS\x01a\x02"[..], false),
        (b"__CRC32#\x010123456789\x02", true),
        (b"A\x01b\x02__CRC32\"\x010123456789\x02", true),
        (b"__CRC32\"\x01012345678x\x02", false),
        (b"__CRC64#\x010123456789\x02", false),
        (b"__CRC16#\x010123456789\x02", true),
        (b"__crc32#\x010123456789\x02", false),
    ] {
        assert_eq!(ends_like_record_crc(string), alike, "{string:?}");
        let written = Message { properties: string.to_vec(), ..Message::plain() }.written(false);
        let checked = Record::parse(&written).expect("a record").check();
        assert_eq!(checked.is_err(), alike, "{string:?}: {checked:?}");
        // With a CRC of its own behind it, any string is what it is.
        let written = Message { properties: string.to_vec(), ..Message::plain() }.written(true);
        assert_eq!(Record::parse(&written).expect("a record").check(), Ok(()));
    }
}

#[test]
fn a_record_written_again_gets_its_own_crc() {
    let first = Message { properties: b"TAGS\x01TagA\x02".to_vec(), ..Message::plain() };
    let written = first.written(true);
    let read = Record::parse(&written).expect("a record");
    let properties = without_record_crc(read.properties()).expect("the CRC of the first");
    let second = Message { properties, queue_offset: 1, ..first.clone() };
    assert_eq!(second.properties, first.properties);
    assert_eq!(second.written(true).len(), written.len());
}

/// The rules, segment by segment.
fn by_definition(string: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    string
        .split(|&byte| byte == 2)
        .filter_map(|segment| {
            let at = segment.iter().position(|&byte| byte == 1)?;
            let (name, value) = (&segment[..at], &segment[at + 1..]);
            (!name.is_empty() && !value.is_empty()).then(|| (name.to_vec(), value.to_vec()))
        })
        .collect()
}

/// Bytes rich in those that have a meaning, and in their neighbours.
fn any_string() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(prop_oneof![4 => 0..5_u8, 2 => Just(b'#'), 3 => any::<u8>()], 0..80)
}

proptest! {
    #[test]
    fn any_string_decodes_by_the_rules(string in any_string()) {
        let found: Vec<_> = pairs(&string).map(|(name, value)| (name.to_vec(), value.to_vec())).collect();
        prop_assert_eq!(found, by_definition(&string));
    }

    #[test]
    fn taking_the_crc_off_takes_nothing_else(
        before in any_string(),
        after in any_string(),
        digits in proptest::collection::vec(any::<u8>().prop_filter("no end", |&b| b != 2), 0..12),
    ) {
        let mut string = before.clone();
        if !string.is_empty() {
            string.push(2);
        }
        string.extend_from_slice(b"__CRC32#\x01");
        string.extend_from_slice(&digits);
        string.push(2);
        string.extend_from_slice(&after);
        let kept = without_record_crc(&string).expect("it is there");
        prop_assert!(without_record_crc(&kept).is_none());
        prop_assert_eq!(by_definition(&kept), [by_definition(&before), by_definition(&after)].concat());
    }
}
