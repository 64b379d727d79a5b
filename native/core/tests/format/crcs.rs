//! CRCs are zlib's, and those of parts make that of the whole.

use moraine_core::format::crc::{around, combine, crc31, crc32};
use proptest::prelude::*;

use crate::vectors::{number, text, vectors};

#[test]
fn crcs_are_rocketmqs() {
    for vector in vectors("bodyCRC.") {
        let body = text(&vector.inputs["bodyUtf8"]).as_bytes();
        assert_eq!(format!("{:08x}", crc32(body)), text(&vector.expected["rawCrc32Hex"]), "{}", vector.name);
        assert_eq!(i64::from(crc31(body)), number(&vector.expected["storedInt"]), "{}", vector.name);
        assert_eq!(format!("{:08x}", crc31(body)), text(&vector.expected["storedHex"]), "{}", vector.name);
    }
}

#[test]
fn lengths_beyond_any_memory_combine() {
    // x^(8n) · x^(8m) = x^(8(n + m)): appending zeros twice is appending them at once.
    let zeros_appended = |crc: u32, n: u64| combine(crc, 0, n);
    for (n, m) in [(1 << 40, 1 << 41), (u64::MAX - 7, 7), (0, 0xFFFF_FFFF), (u64::MAX, 0)] {
        assert_eq!(zeros_appended(zeros_appended(0x89AB_CDEF, n), m), zeros_appended(0x89AB_CDEF, n + m), "{n} + {m}");
    }
}

proptest! {
    #[test]
    fn two_parts_make_the_whole(a in proptest::collection::vec(any::<u8>(), 0..300), b in proptest::collection::vec(any::<u8>(), 0..5000)) {
        let whole = [&a[..], &b[..]].concat();
        prop_assert_eq!(combine(crc32(&a), crc32(&b), b.len() as u64), crc32(&whole));
    }

    #[test]
    fn a_known_middle_need_not_be_read(
        before in proptest::collection::vec(any::<u8>(), 0..200),
        body in proptest::collection::vec(any::<u8>(), 0..6000),
        after in proptest::collection::vec(any::<u8>(), 0..200),
    ) {
        let whole = [&before[..], &body[..], &after[..]].concat();
        let range = before.len()..before.len() + body.len();
        prop_assert_eq!(around(&whole, range, crc32(&body)), crc32(&whole));
    }
}
