//! The bloom filter of a bit map (§3.5): which bits stand for a consumer group of a topic.

use alloc::vec::Vec;

/// Geometry of a filter: `RocketMQ` makes it from the error rate and the number of groups expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bloom {
    /// Hashes for each key.
    pub hashes: u32,
    /// Bits of the filter, a multiple of 8.
    pub bits: u32,
}

impl Bloom {
    /// RocketMQ's default: 20 % errors with 32 groups.
    pub const DEFAULT: Bloom = Bloom { hashes: 3, bits: 112 };

    /// Bits of a key, `group#topic`: bit p is `1 << (p % 8)` of byte p / 8.
    pub fn positions(&self, key: &[u8]) -> Vec<u32> {
        let hash = murmur3_128_low(key);
        let (first, second) = (hash as u32 as i32, (hash >> 32) as u32 as i32);
        let position = |i: i32| {
            let mixed = first.wrapping_add(i.wrapping_mul(second));
            let mixed = if mixed < 0 { !mixed } else { mixed };
            mixed.cast_unsigned() % self.bits.max(1)
        };
        (1..=self.hashes as i32).map(position).collect()
    }
}

/// Low half of MurmurHash3 (x64, 128 bits, seed 0).
fn murmur3_128_low(key: &[u8]) -> u64 {
    const C1: u64 = 0x87C3_7B91_1142_53D5;
    const C2: u64 = 0x4CF5_AD43_2745_937F;
    let (mut h1, mut h2) = (0_u64, 0_u64);
    let mix1 = |k: u64| k.wrapping_mul(C1).rotate_left(31).wrapping_mul(C2);
    let mix2 = |k: u64| k.wrapping_mul(C2).rotate_left(33).wrapping_mul(C1);
    let (blocks, tail) = key.as_chunks::<16>();
    for block in blocks {
        h1 ^= mix1(little_endian(&block[..8]));
        h1 = h1.rotate_left(27).wrapping_add(h2).wrapping_mul(5).wrapping_add(0x52DC_E729);
        h2 ^= mix2(little_endian(&block[8..]));
        h2 = h2.rotate_left(31).wrapping_add(h1).wrapping_mul(5).wrapping_add(0x3849_5AB5);
    }
    let (low, high) = tail.split_at(tail.len().min(8));
    h2 ^= mix2(little_endian(high));
    h1 ^= mix1(little_endian(low));
    h1 ^= key.len() as u64;
    h2 ^= key.len() as u64;
    h1 = h1.wrapping_add(h2);
    h2 = h2.wrapping_add(h1);
    finish(h1).wrapping_add(finish(h2))
}

fn little_endian(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, &byte| number << 8 | u64::from(byte))
}

fn finish(mut k: u64) -> u64 {
    k = (k ^ (k >> 33)).wrapping_mul(0xFF51_AFD7_ED55_8CCD);
    k = (k ^ (k >> 33)).wrapping_mul(0xC4CE_B9FE_1A85_EC53);
    k ^ (k >> 33)
}
