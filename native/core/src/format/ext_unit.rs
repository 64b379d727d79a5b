//! A unit of a consume queue's extension files (§3.5): what stands for the tags code of one entry.
//!
//! | at | type | field |
//! |---|---|---|
//! | 0 | i16 | bytes of the unit |
//! | 2 | i64 | tags code |
//! | 10 | i64 | store time, in ms |
//! | 18 | i16 | bytes of the bit map |
//! | 20 | | bit map of the consumers that want the message |
//!
//! The entry has the unit's **address** in place of its tags code: byte offset + `i64::MIN`.

use alloc::vec::Vec;

use crate::format::big_endian::{i16_at, i64_at};

/// Greatest tags code that is an address; a hash is above.
const MAX_ADDRESS: i64 = i32::MIN as i64 - 1;
/// Bytes in front of the bit map.
const HEAD_BYTES: usize = 20;
/// Bytes that stay free at the end of a file, for the mark.
const SPARE_BYTES: u64 = 4;
/// Stands where no unit fitted any more: −1.
pub const END_MARK: [u8; 2] = [0xFF; 2];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExtUnit<'a> {
    pub tags_code: i64,
    pub store_timestamp: i64,
    pub bit_map: &'a [u8],
}

impl<'a> ExtUnit<'a> {
    /// Longest bit map: the unit's size is a signed 16-bit field.
    pub const MAX_BIT_MAP_BYTES: usize = i16::MAX as usize - HEAD_BYTES;

    /// Bytes of the unit.
    pub fn size(&self) -> u64 {
        (HEAD_BYTES + self.bit_map.len()) as u64
    }

    /// Appends the unit; its bit map has [`ExtUnit::MAX_BIT_MAP_BYTES`] at most.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.size() as i16).to_be_bytes());
        out.extend_from_slice(&self.tags_code.to_be_bytes());
        out.extend_from_slice(&self.store_timestamp.to_be_bytes());
        out.extend_from_slice(&(self.bit_map.len() as i16).to_be_bytes());
        out.extend_from_slice(self.bit_map);
    }

    /// The unit at the front of `bytes`; `None` where there is none, or not all of one.
    pub fn decode(bytes: &'a [u8]) -> Option<Self> {
        let unit = bytes.get(..unit_bytes(bytes)?)?;
        let bit_map = usize::try_from(i16_at(unit, 18)).ok()?;
        let bit_map = unit.get(HEAD_BYTES..HEAD_BYTES.checked_add(bit_map)?)?;
        Some(Self { tags_code: i64_at(unit, 2), store_timestamp: i64_at(unit, 10), bit_map })
    }
}

/// Bytes of the unit at the front of `bytes`, of which two are enough; `None` where none begins.
pub fn unit_bytes(bytes: &[u8]) -> Option<usize> {
    let size = usize::try_from(i16::from_be_bytes(*bytes.first_chunk()?)).ok()?;
    (size >= HEAD_BYTES).then_some(size)
}

/// Whether a tags code is the address of a unit.
pub fn is_address(tags_code: i64) -> bool {
    tags_code <= MAX_ADDRESS
}

/// Address of the unit at a byte offset.
pub fn address_of(offset: u64) -> i64 {
    i64::MIN.saturating_add_unsigned(offset)
}

/// Byte offset of the unit with that address; `None` for a tags code.
pub fn offset_of(address: i64) -> Option<u64> {
    is_address(address).then(|| address.wrapping_sub(i64::MIN).cast_unsigned())
}

/// Where a unit of `size` bytes goes in files of `file_bytes` whose units end at `end`: its byte offset, and where the
/// mark goes when that is in the next file.
pub fn place(end: u64, size: u64, file_bytes: u64) -> (u64, Option<u64>) {
    let in_file = end % file_bytes;
    if in_file + size + SPARE_BYTES <= file_bytes {
        return (end, None);
    }
    let mark = (in_file > 0 && in_file + END_MARK.len() as u64 <= file_bytes).then_some(end);
    (end - in_file + file_bytes, mark)
}
