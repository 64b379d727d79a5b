//! The CRC of a whole record, as its last property (§2.5).
//!
//! `__CRC32#` `\x01`, ten digits, `\x02`: the CRC (31 bits) of all bytes in front of it, least significant digit first.

use crate::format::properties::{RECORD_CRC_BYTES, RECORD_CRC_NAME};

const FRAME: &[u8; RECORD_CRC_BYTES] = b"__CRC32#\x010000000000\x02";
const DIGITS: core::ops::Range<usize> = 9..19;
/// A property whose name, separator and end differ from the true ones by at most so many bits is a damaged one.
const MOST_DAMAGED_BITS: u32 = 2;

/// What the end of a property string says about the CRC of its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trailer {
    /// There is none.
    Absent,
    /// One that was, by its shape and all but one or two bits; or the string ends with zeros, or with the rest of one behind
    /// zeros, as it does when a power cut has taken a sector of the record. No string that was put ends so.
    Damaged,
    /// One with these digits, which may be none.
    Present([u8; 10]),
}

/// The property for the 31-bit `crc`.
pub fn encode(crc: i32) -> [u8; RECORD_CRC_BYTES] {
    let mut out = *FRAME;
    out[DIGITS].copy_from_slice(&digits(crc));
    out
}

/// `crc` as the property says it.
pub fn digits(crc: i32) -> [u8; 10] {
    // Two halves, so that their divisions do not wait for one another.
    let (low, high) = (crc.unsigned_abs() % 100_000, crc.unsigned_abs() / 100_000);
    let mut out = [b'0'; 10];
    let [low, high] = [low, high].map(|half| [half % 10, half / 10 % 10, half / 100 % 10, half / 1000 % 10, half / 10_000]);
    for n in 0..5 {
        out[n] += low[n] as u8;
        out[n + 5] += high[n] as u8;
    }
    out
}

/// The number that `digits` say, `None` if one is no digit.
pub fn number(digits: &[u8; 10]) -> Option<u64> {
    digits.iter().rev().try_fold(0, |number, digit| digit.is_ascii_digit().then(|| number * 10 + u64::from(digit - b'0')))
}

/// Looks at the end of `properties`.
pub fn trailer(properties: &[u8]) -> Trailer {
    if properties.last() == Some(&0) {
        return Trailer::Damaged;
    }
    let Some(last) = properties.last_chunk::<RECORD_CRC_BYTES>() else { return Trailer::Absent };
    let mut found = [0; 10];
    found.copy_from_slice(&last[DIGITS]);
    if last[..DIGITS.start] == FRAME[..DIGITS.start] && last[DIGITS.end] == FRAME[DIGITS.end] {
        return Trailer::Present(found);
    }
    // A power cut that took the sector before leaves zeros up to its border, which may lie within the property.
    let taken = last.iter().take_while(|&&byte| byte == 0).count();
    let is_rest = |at: usize| if DIGITS.contains(&at) { last[at].is_ascii_digit() } else { last[at] == FRAME[at] };
    if taken > 0 && (taken..RECORD_CRC_BYTES).all(is_rest) {
        return Trailer::Damaged;
    }
    let bits = |at: usize| (last[at] ^ FRAME[at]).count_ones();
    let damage: u32 = (0..DIGITS.start).chain(DIGITS.end..RECORD_CRC_BYTES).map(bits).sum();
    if damage <= MOST_DAMAGED_BITS && number(&found).is_some() { Trailer::Damaged } else { Trailer::Absent }
}

const _: () = assert!(RECORD_CRC_NAME.len() + 1 == DIGITS.start && DIGITS.end + 1 == RECORD_CRC_BYTES);
