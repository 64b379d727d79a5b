//! Hashes are Java's.

use moraine_core::format::hash::{index_key_hash, java_hash, tags_code, utf16_len};
use moraine_core::format::index_file::Geometry;
use proptest::prelude::*;

use crate::vectors::{hex, number, text, vectors};

#[test]
fn tags_codes_are_rocketmqs() {
    for vector in vectors("tagsCode.") {
        let code = tags_code(text(&vector.inputs["tags"]).as_bytes());
        assert_eq!(code, number(&vector.expected["tagsCode"]), "{}", vector.name);
        assert_eq!(hex(&code.to_be_bytes()), text(&vector.expected["cqFieldHex"]), "{}", vector.name);
    }
    assert_eq!(tags_code(b""), 0);
}

#[test]
fn index_hashes_and_slots_are_rocketmqs() {
    let geometry = Geometry { slots: 5_000_000, entries: 20_000_000 };
    for vector in vectors("indexHash.") {
        let hash = java_hash(0, text(&vector.inputs["key"]).as_bytes());
        let slot = geometry.slot_of(index_key_hash(hash));
        assert_eq!(i64::from(hash), number(&vector.expected["javaHashCode"]), "{}", vector.name);
        assert_eq!(i64::from(index_key_hash(hash)), number(&vector.expected["indexKeyHash"]), "{}", vector.name);
        assert_eq!(i64::from(slot), number(&vector.expected["slotOf5000000"]), "{}", vector.name);
        assert_eq!(geometry.slot_at(slot).cast_signed(), number(&vector.expected["slotByteOffset"]), "{}", vector.name);
    }
}

#[test]
fn bytes_that_are_no_text_count_as_replacement_characters() {
    let replacement = "a\u{FFFD}b".as_bytes();
    assert_eq!(java_hash(0, b"a\xFFb"), java_hash(0, replacement));
    assert_eq!(utf16_len(b"a\xFFb"), 3);
}

/// The definition, unit by unit.
fn by_definition(seed: i32, text: &[u8]) -> i32 {
    String::from_utf8_lossy(text).encode_utf16().fold(seed, |hash, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}

proptest! {
    #[test]
    fn the_hash_follows_its_definition(seed in any::<i32>(), text in prop_oneof!["[ -~]{0,60}", "\\PC{0,40}"]) {
        prop_assert_eq!(java_hash(seed, text.as_bytes()), by_definition(seed, text.as_bytes()));
        prop_assert_eq!(utf16_len(text.as_bytes()), text.encode_utf16().count());
    }

    #[test]
    fn any_bytes_have_a_hash(seed in any::<i32>(), bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        prop_assert_eq!(java_hash(seed, &bytes), by_definition(seed, &bytes));
        prop_assert_eq!(utf16_len(&bytes), String::from_utf8_lossy(&bytes).encode_utf16().count());
    }

    #[test]
    fn a_hash_goes_on_where_the_last_ended(topic in "[A-Za-z0-9_-]{1,30}", key in "\\PC{0,30}") {
        let joined = format!("{topic}#{key}");
        let prefix = java_hash(java_hash(0, topic.as_bytes()), b"#");
        prop_assert_eq!(java_hash(prefix, key.as_bytes()), java_hash(0, joined.as_bytes()));
    }
}
