//! The blank: the end of a commit log file that no record fits into (§2.6).
//!
//! | at | type | field |
//! |---|---|---|
//! | 0 | i32 | bytes to the end of the file, these included |
//! | 4 | u32 | [`MAGIC`] |
//!
//! What follows up to the end of the file has no meaning.

use crate::limits::BLANK_HEADER_BYTES;

pub const MAGIC: u32 = 0xCBD4_3194;

/// Whether a record of `record_size` bytes may stand where `rest` bytes are left in the file.
///
/// Room for a blank's header always remains behind it, so that every file can be closed.
pub fn fits(record_size: u64, rest: u64) -> bool {
    record_size.checked_add(BLANK_HEADER_BYTES).is_some_and(|needed| needed <= rest)
}

/// The header of a blank that takes the `size` bytes left in the file.
pub fn write(size: u32, out: &mut [u8; 8]) {
    out[..4].copy_from_slice(&size.to_be_bytes());
    out[4..].copy_from_slice(&MAGIC.to_be_bytes());
}
