//! Where a record does not fit, the file ends with a blank.

use moraine_core::format::blank;
use moraine_core::format::record::{Head, head};

use crate::vectors::{hex, number, text, vector, vectors};

#[test]
fn a_record_fits_where_rocketmq_finds_room_and_else_a_blank_stands() {
    for vector in vectors("endOfFile.") {
        let record_size = number(&vector.inputs["recordSize"]).cast_unsigned();
        let rest = number(&vector.inputs["maxBlank"]).cast_unsigned();
        let expected = vector.expected;
        assert_eq!(blank::fits(record_size, rest), expected["status"] == "PUT_OK", "{}", vector.name);
        if expected["status"] == "END_OF_FILE" {
            let mut out = [0; 8];
            blank::write(u32::try_from(rest).expect("a u32"), &mut out);
            assert_eq!(hex(&out), text(&expected["first8Hex"]), "{}", vector.name);
            assert_eq!(i64::from(head_size(&out)), number(&expected["wroteBytes"]), "{}", vector.name);
        }
    }
}

fn head_size(bytes: &[u8; 8]) -> u32 {
    match head(bytes) {
        Head::Blank { size } => size,
        other => panic!("{other:?} instead of a blank"),
    }
}

#[test]
fn the_magic_is_rocketmqs() {
    assert_eq!(format!("{:08x}", blank::MAGIC), text(&vector("consts").expected["BLANK_MAGIC"]));
}

#[test]
fn a_record_of_any_size_may_be_asked_for() {
    assert!(!blank::fits(u64::MAX, u64::MAX));
    assert!(blank::fits(0, 8));
    assert!(!blank::fits(0, 7));
}
