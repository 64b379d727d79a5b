//! Java's string hash, on which tags codes and index keys stand (§0.1, §3.2, §4.2).

use crate::format::big_endian::array_at;

const ASCII_ONLY: u64 = 0x8080_8080_8080_8080;
/// 31^n, wrapping.
const POWERS: [i32; 9] = {
    let mut powers = [1_i32; 9];
    let mut n = 1;
    while n < 9 {
        powers[n] = powers[n - 1].wrapping_mul(31);
        n += 1;
    }
    powers
};

/// Java's `String.hashCode` of the UTF-8 `text`, continued from `seed`: the hash of what stands before it, 0 to start.
///
/// `h = 31 · h + unit`, wrapping, over the UTF-16 units; bytes that are not UTF-8 count as U+FFFD.
pub fn java_hash(seed: i32, text: &[u8]) -> i32 {
    let mut hash = seed;
    let mut at = 0;
    // Eight units at a time: their products do not wait for one another.
    while at + 8 <= text.len() {
        let units: [u8; 8] = array_at(text, at);
        if u64::from_ne_bytes(units) & ASCII_ONLY != 0 {
            return hash_of_any(hash, &text[at..]);
        }
        let mut sum = 0_i32;
        for (n, &unit) in units.iter().enumerate() {
            sum = sum.wrapping_add(i32::from(unit).wrapping_mul(POWERS[7 - n]));
        }
        hash = hash.wrapping_mul(POWERS[8]).wrapping_add(sum);
        at += 8;
    }
    for (n, &unit) in text[at..].iter().enumerate() {
        if !unit.is_ascii() {
            return hash_of_any(hash, &text[at + n..]);
        }
        hash = hash.wrapping_mul(31).wrapping_add(i32::from(unit));
    }
    hash
}

#[cold]
fn hash_of_any(seed: i32, text: &[u8]) -> i32 {
    let next = |hash: i32, unit: u16| hash.wrapping_mul(31).wrapping_add(i32::from(unit));
    text.utf8_chunks().fold(seed, |hash, chunk| {
        let hash = chunk.valid().encode_utf16().fold(hash, next);
        if chunk.invalid().is_empty() { hash } else { next(hash, 0xFFFD) }
    })
}

/// Tags code of the value of `TAGS`: the hash of the whole string; 0 for none.
pub fn tags_code(tags: &[u8]) -> i64 {
    i64::from(java_hash(0, tags))
}

/// Key hash of an index entry: the absolute value, and 0 for `i32::MIN`, which has none.
pub fn index_key_hash(java_hash: i32) -> u32 {
    if java_hash == i32::MIN { 0 } else { java_hash.unsigned_abs() }
}

/// Number of UTF-16 units of the UTF-8 `text`; bytes that are not UTF-8 count as U+FFFD.
pub fn utf16_len(text: &[u8]) -> usize {
    if text.is_ascii() {
        return text.len();
    }
    text.utf8_chunks().map(|chunk| chunk.valid().encode_utf16().count() + usize::from(!chunk.invalid().is_empty())).sum()
}
