//! Java's string hash, on which tags codes and index keys stand (§0.1, §3.2, §4.2).

use crate::format::big_endian::array_at;

const ASCII_ONLY: u64 = 0x8080_8080_8080_8080;
/// Every other byte, every other two bytes.
const BYTES: u64 = 0x00FF_00FF_00FF_00FF;
const PAIRS: u64 = 0x0000_FFFF_0000_FFFF;
/// 31^2, 31^4, and 31^8, wrapping.
const POWER_2: u64 = 31 * 31;
const POWER_4: i32 = 31 * 31 * 31 * 31;
const POWER_8: i32 = POWER_4.wrapping_mul(POWER_4);

/// Java's `String.hashCode` of the UTF-8 `text`, continued from `seed`: the hash of what stands before it, 0 to start.
///
/// `h = 31 · h + unit`, wrapping, over the UTF-16 units; bytes that are not UTF-8 count as U+FFFD.
pub fn java_hash(seed: i32, text: &[u8]) -> i32 {
    let mut hash = seed;
    let mut at = 0;
    while at + 8 <= text.len() {
        let word = u64::from_le_bytes(array_at(text, at));
        if word & ASCII_ONLY != 0 {
            return hash_of_any(hash, &text[at..]);
        }
        let [first, second] = hashes_of_4(word);
        hash = hash.wrapping_mul(POWER_8).wrapping_add(first.wrapping_mul(POWER_4)).wrapping_add(second);
        at += 8;
    }
    if at + 4 <= text.len() {
        let word = u64::from(u32::from_le_bytes(array_at(text, at)));
        if word & ASCII_ONLY != 0 {
            return hash_of_any(hash, &text[at..]);
        }
        hash = hash.wrapping_mul(POWER_4).wrapping_add(hashes_of_4(word)[0]);
        at += 4;
    }
    for (n, &unit) in text[at..].iter().enumerate() {
        if !unit.is_ascii() {
            return hash_of_any(hash, &text[at + n..]);
        }
        hash = hash.wrapping_mul(31).wrapping_add(i32::from(unit));
    }
    hash
}

/// The hashes of the first and the last four of eight ASCII bytes: of two neighbours each at once, then of four. None of the
/// sums and products reaches the bits of another.
#[inline]
fn hashes_of_4(word: u64) -> [i32; 2] {
    let twos = (word & BYTES) * 31 + ((word >> 8) & BYTES);
    let fours = (twos & PAIRS) * POWER_2 + ((twos >> 16) & PAIRS);
    [fours as u32 as i32, (fours >> 32) as i32]
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
