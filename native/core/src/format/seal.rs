//! `moraine/seals`: the digests of finished segments, one row of 40 bytes for each, in the order in which they were sealed.
//!
//! | at | type | field |
//! |---|---|---|
//! | 0 | 8 bytes | `MORAINES` |
//! | 8 | u64 | offset of the segment's first byte |
//! | 16 | u64 | its size; 0: what was said of segments that end behind the offset does not hold any more |
//! | 24 | u64 | XXH64 of its bytes, seed 0 |
//! | 32 | u32 | CRC-32 of everything before |
//! | 36 | u32 | 0 |
//!
//! Of two rows for one segment the later one counts.

use alloc::collections::BTreeMap;

use crate::format::big_endian::{array_at, u32_at};
use crate::format::crc::crc32;
use crate::limits::MAX_SAFE_INTEGER;

const MAGIC: [u8; 8] = *b"MORAINES";
const CRC_AT: usize = 32;

/// What was said of a finished segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seal {
    pub base: u64,
    /// Bytes; 0 takes back what was said of segments that end behind `base`.
    pub size: u64,
    pub digest: u64,
}

impl Seal {
    pub const BYTES: usize = 40;

    pub fn encode(&self) -> [u8; Self::BYTES] {
        let mut out = [0; Self::BYTES];
        out[..8].copy_from_slice(&MAGIC);
        for (field, at) in [self.base, self.size, self.digest].iter().zip([8, 16, 24]) {
            out[at..at + 8].copy_from_slice(&field.to_be_bytes());
        }
        let crc = crc32(&out[..CRC_AT]);
        out[CRC_AT..CRC_AT + 4].copy_from_slice(&crc.to_be_bytes());
        out
    }

    /// `None` for bytes that are no row, or a damaged one.
    pub fn decode(row: &[u8; Self::BYTES]) -> Option<Self> {
        let field = |at| u64::from_be_bytes(array_at(row, at));
        let seal = Self { base: field(8), size: field(16), digest: field(24) };
        let is_whole = row[..8] == MAGIC && u32_at(row, CRC_AT) == crc32(&row[..CRC_AT]);
        (is_whole && seal.base.checked_add(seal.size)? <= MAX_SAFE_INTEGER).then_some(seal)
    }
}

/// What the rows of a piece of a file say, added to what those in front of it said, by the first bytes of segments. Returns how
/// many bytes of it are rows.
pub fn read(piece: &[u8], seals: &mut BTreeMap<u64, Seal>) -> usize {
    let mut rows = 0;
    for seal in piece.as_chunks::<{ Seal::BYTES }>().0.iter().map_while(Seal::decode) {
        enter(seals, seal);
        rows += 1;
    }
    rows * Seal::BYTES
}

/// Adds what one more row says.
pub fn enter(seals: &mut BTreeMap<u64, Seal>, seal: Seal) {
    if seal.size == 0 {
        seals.retain(|_, said| said.base + said.size <= seal.base);
    } else {
        seals.insert(seal.base, seal);
    }
}
