//! Units of extension files, and the bits of their bit maps.

use moraine_core::format::bloom::Bloom;
use moraine_core::format::ext_unit::{END_MARK, ExtUnit, address_of, is_address, offset_of, place};
use proptest::prelude::*;

use crate::vectors::{hex, number, text, vector};

const MAP: [u8; 8] = [1, 2, 3, 4, 5, 6, 7, 8];

#[test]
fn units_stand_where_rocketmq_puts_them() {
    let vector = vector("cqext.units");
    let file_bytes = number(&vector.inputs["fileSize"]).cast_unsigned();
    let mut units = vec![
        ExtUnit { tags_code: 12345, store_timestamp: 1_700_000_000_123, bit_map: &MAP },
        ExtUnit { tags_code: -5, store_timestamp: 1_700_000_000_124, bit_map: &[] },
    ];
    units.resize(10, ExtUnit { tags_code: 7, store_timestamp: 1_700_000_000_125, bit_map: &MAP });
    let (mut file, mut end, mut addresses) = (Vec::new(), 0, Vec::new());
    for unit in units {
        let (at, mark) = place(end, unit.size(), file_bytes);
        if let Some(mark) = mark {
            assert_eq!(mark, file.len() as u64);
            file.extend_from_slice(&END_MARK);
        }
        file.resize(usize::try_from(at).expect("small"), 0);
        unit.encode(&mut file);
        assert_eq!(ExtUnit::decode(&file[usize::try_from(at).expect("small")..]), Some(unit));
        addresses.push(address_of(at));
        end = at + unit.size();
    }
    assert_eq!(hex(&file[..256]), text(&vector.expected["file0Hex"]));
    for (n, name) in [(0, "addr1"), (1, "addr2"), (9, "addr10")] {
        assert_eq!(addresses[n], number(&vector.expected[name]), "{name}");
    }
    let greatest = number(&vector.expected["MAX_ADDR"]);
    assert!(is_address(greatest) && !is_address(greatest + 1));
}

#[test]
fn no_hash_of_tags_is_an_address() {
    for tags_code in [0, i64::from(i32::MIN), i64::from(i32::MAX), 1_700_000_000_123] {
        assert!(!is_address(tags_code));
        assert_eq!(offset_of(tags_code), None);
    }
    assert_eq!(offset_of(address_of(48)), Some(48));
}

#[test]
fn a_unit_that_is_cut_or_says_too_much_is_none() {
    let mut bytes = Vec::new();
    ExtUnit { tags_code: 1, store_timestamp: 2, bit_map: &MAP }.encode(&mut bytes);
    for cut in 0..bytes.len() {
        assert_eq!(ExtUnit::decode(&bytes[..cut]), None, "cut at {cut}");
    }
    let mut long_map = bytes.clone();
    long_map[19] = 9;
    assert_eq!(ExtUnit::decode(&long_map), None, "the bit map reaches past the unit");
    assert_eq!(ExtUnit::decode(&END_MARK), None);
    assert_eq!(ExtUnit::decode(&[0; 64]), None);
}

#[test]
fn the_bits_of_a_group_are_rocketmqs() {
    let vector = vector("bloom.default");
    let bloom = Bloom::DEFAULT;
    assert_eq!(i64::from(bloom.bits), number(&vector.expected["m"]));
    assert_eq!(i64::from(bloom.hashes), number(&vector.expected["k"]));
    let positions = bloom.positions(text(&vector.inputs["key"]).as_bytes());
    assert_eq!(format!("{positions:?}"), text(&vector.expected["bitPositions"]));
}

proptest! {
    #[test]
    fn a_unit_never_crosses_files(end in 0_u64..1_000_000, size in 20_u64..1000, file in 1024_u64..100_000) {
        let (at, _) = place(end, size, file);
        prop_assert!(at >= end && at / file == (at + size + 3) / file);
    }

    #[test]
    fn any_bytes_are_a_unit_or_none(bytes in prop::collection::vec(any::<u8>(), 0..80)) {
        if let Some(unit) = ExtUnit::decode(&bytes) {
            prop_assert!(unit.size() as usize <= bytes.len());
        }
    }
}

#[test]
fn an_extension_file_has_rocketmqs_size() {
    let bytes = moraine_core::queue::ext::DEFAULT_FILE_BYTES;
    assert_eq!(bytes.cast_signed(), number(&vector("consts").expected["consumeQueueExtFileDefaultSize"]));
}
