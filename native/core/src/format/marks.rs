//! Certain bytes in a string, found eight at a time.

use core::marker::PhantomData;

use crate::format::big_endian::array_at;

const EACH: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x80 * EACH;

/// Which bytes are looked for.
pub trait Find {
    /// The high bits of those among eight bytes. 0 is never looked for.
    fn find(word: u64) -> u64;
}

/// Positions of the bytes that `F` finds, in order.
#[derive(Clone, Debug)]
pub struct Marks<'a, F> {
    bytes: &'a [u8],
    /// Where the eight bytes at hand stand.
    at: usize,
    /// What they have that was not told yet.
    left: u64,
    /// Where the next ones stand.
    next: usize,
    find: PhantomData<F>,
}

impl<'a, F: Find> Marks<'a, F> {
    #[inline]
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, left: 0, next: 0, find: PhantomData }
    }
}

impl<F: Find> Iterator for Marks<'_, F> {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        while self.left == 0 {
            if self.next >= self.bytes.len() {
                return None;
            }
            self.at = self.next;
            self.next += 8;
            self.left = F::find(word_at(self.bytes, self.at));
        }
        let place = self.at + self.left.trailing_zeros() as usize / 8;
        self.left &= self.left - 1;
        Some(place)
    }
}

/// The eight bytes from `at`, with zeros for those behind the end.
#[inline]
fn word_at(bytes: &[u8], at: usize) -> u64 {
    let rest = bytes.len() - at;
    if rest >= 8 {
        return u64::from_le_bytes(array_at(bytes, at));
    }
    match bytes.last_chunk() {
        Some(last) => u64::from_le_bytes(*last) >> (8 * (8 - rest)),
        None => bytes[at..].iter().rev().fold(0, |word, &byte| word << 8 | u64::from(byte)),
    }
}

/// Bytes 1 and 2.
#[derive(Clone, Debug)]
pub struct OneOrTwo;

impl Find for OneOrTwo {
    #[inline]
    fn find(word: u64) -> u64 {
        let low = word & !HIGH;
        // No sum reaches the byte above.
        (low + 0x7F * EACH) & !((low + 0x7D * EACH) | word) & HIGH
    }
}

/// Spaces.
#[derive(Clone, Debug)]
pub struct Space;

impl Find for Space {
    #[inline]
    fn find(word: u64) -> u64 {
        let other = word ^ (u64::from(b' ') * EACH);
        !(((other & !HIGH) + 0x7F * EACH) | other) & HIGH
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use super::*;

    #[test]
    fn every_byte_is_marked_or_not_beside_every_other() {
        for byte in 0..=u8::MAX {
            for beside in 0..=u8::MAX {
                let word = u64::from_le_bytes([beside, byte, beside, byte, byte, beside, beside, byte]);
                let expected = |marked: fn(u8) -> bool| {
                    word.to_le_bytes().iter().rev().fold(0, |mask, &byte| mask << 8 | if marked(byte) { 0x80 } else { 0 })
                };
                assert_eq!(OneOrTwo::find(word), expected(|byte| byte == 1 || byte == 2));
                assert_eq!(Space::find(word), expected(|byte| byte == b' '));
            }
        }
    }

    #[test]
    fn marks_are_found_at_every_place_of_every_length() {
        for length in 0..40_usize {
            for step in 1..10 {
                let bytes: Vec<u8> = (0..length).map(|at| if at % step == step - 1 { b' ' } else { 0xA0 }).collect();
                let expected: Vec<usize> = (0..length).filter(|at| at % step == step - 1).collect();
                assert_eq!(Marks::<Space>::new(&bytes).collect::<Vec<_>>(), expected);
            }
        }
    }
}
