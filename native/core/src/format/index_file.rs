//! The index file (§4): a hash table on disk, from keys to physical offsets.
//!
//! Header of 40 bytes, then the slots (i32: number of the newest entry of a chain, 0 for none), then the entries.
//! **Entry 0 is never used.**
//!
//! | at | type | header | | at | type | entry |
//! |---|---|---|---|---|---|---|
//! | 0 | i64 | store time of the first entry, ms | | 0 | i32 | key hash |
//! | 8 | i64 | store time of the last entry, ms | | 4 | i64 | physical offset |
//! | 16 | i64 | physical offset of the first | | 12 | i32 | seconds after the header's first time |
//! | 24 | i64 | physical offset of the last | | 16 | i32 | number of the entry before in the chain |
//! | 32 | i32 | slots in use | | | | |
//! | 36 | i32 | number of the next entry | | | | |

use alloc::format;
use alloc::string::String;

use crate::format::big_endian::{i32_at, i64_at, u32_at};
use crate::limits::{INDEX_ENTRY_BYTES, INDEX_HEADER_BYTES, INDEX_SLOT_BYTES};

/// How many slots and entries a file has. It is not written in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    pub slots: u32,
    pub entries: u32,
}

impl Geometry {
    pub fn file_bytes(&self) -> u64 {
        self.entry_at(self.entries)
    }

    /// The slot that a key hash belongs to.
    pub fn slot_of(&self, key_hash: u32) -> u32 {
        key_hash.checked_rem(self.slots).unwrap_or(0)
    }

    /// Byte position of a slot.
    pub fn slot_at(&self, slot: u32) -> u64 {
        INDEX_HEADER_BYTES + INDEX_SLOT_BYTES * u64::from(slot)
    }

    /// Byte position of an entry.
    pub fn entry_at(&self, number: u32) -> u64 {
        self.slot_at(self.slots) + INDEX_ENTRY_BYTES * u64::from(number)
    }

    /// The geometry of a file of this length, if it can be one of four entries to a slot, RocketMQ's default.
    pub fn from_file_bytes(bytes: u64) -> Option<Geometry> {
        const BYTES_PER_SLOT: u64 = INDEX_SLOT_BYTES + 4 * INDEX_ENTRY_BYTES;
        let tables = bytes.checked_sub(INDEX_HEADER_BYTES)?;
        if tables == 0 || !tables.is_multiple_of(BYTES_PER_SLOT) {
            return None;
        }
        let slots = i32::try_from(tables / BYTES_PER_SLOT).ok()?;
        let entries = slots.checked_mul(4)?;
        Some(Geometry { slots: slots.unsigned_abs(), entries: entries.unsigned_abs() })
    }
}

/// What is left of a slot's value in a file whose next entry has the number `count`: 0, no chain, if it cannot be one.
pub fn decode_slot(bytes: &[u8; 4], count: u32) -> u32 {
    let value = u32::try_from(i32::from_be_bytes(*bytes)).unwrap_or(0);
    if value > count { 0 } else { value }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    pub begin_timestamp: i64,
    pub end_timestamp: i64,
    pub begin_physical: i64,
    pub end_physical: i64,
    pub slots_used: u32,
    /// Number of the next entry: 1 in an empty file.
    pub count: u32,
}

impl Default for Header {
    fn default() -> Self {
        Self { begin_timestamp: 0, end_timestamp: 0, begin_physical: 0, end_physical: 0, slots_used: 0, count: 1 }
    }
}

impl Header {
    pub const BYTES: usize = INDEX_HEADER_BYTES as usize;

    pub fn encode(&self) -> [u8; Header::BYTES] {
        let mut out = [0; Header::BYTES];
        out[..8].copy_from_slice(&self.begin_timestamp.to_be_bytes());
        out[8..16].copy_from_slice(&self.end_timestamp.to_be_bytes());
        out[16..24].copy_from_slice(&self.begin_physical.to_be_bytes());
        out[24..32].copy_from_slice(&self.end_physical.to_be_bytes());
        out[32..36].copy_from_slice(&self.slots_used.to_be_bytes());
        out[36..].copy_from_slice(&self.count.to_be_bytes());
        out
    }

    /// A count that is not positive reads as 1, a negative number of slots as 0.
    pub fn decode(bytes: &[u8; Header::BYTES]) -> Header {
        Header {
            begin_timestamp: i64_at(bytes, 0),
            end_timestamp: i64_at(bytes, 8),
            begin_physical: i64_at(bytes, 16),
            end_physical: i64_at(bytes, 24),
            slots_used: u32::try_from(i32_at(bytes, 32)).unwrap_or(0),
            count: u32::try_from(i32_at(bytes, 36)).unwrap_or(1).max(1),
        }
    }

    /// The header of a new file behind one that is full. It begins where that one ended, so that the time of its
    /// first entry is told from there (§4.3).
    pub fn following(previous: &Header) -> Header {
        Header {
            begin_timestamp: previous.end_timestamp.max(0),
            end_timestamp: previous.end_timestamp.max(0),
            begin_physical: previous.end_physical.max(0),
            end_physical: previous.end_physical.max(0),
            ..Header::default()
        }
    }

    /// The next entry, for a slot that holds `previous` (0 for none). Its number, which the slot gets, is the
    /// [`count`](Header::count) before (§4.2). The caller has seen that the file has room.
    pub fn add(&mut self, key_hash: u32, physical: i64, store_timestamp: i64, previous: u32) -> IndexEntry {
        let time_diff = time_diff(self.begin_timestamp, store_timestamp);
        if self.count <= 1 {
            self.begin_timestamp = store_timestamp;
            self.begin_physical = physical;
        }
        if previous == 0 {
            self.slots_used = self.slots_used.saturating_add(1);
        }
        self.count = self.count.saturating_add(1);
        self.end_timestamp = store_timestamp;
        self.end_physical = physical;
        IndexEntry { key_hash, physical, time_diff, previous }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IndexEntry {
    pub key_hash: u32,
    pub physical: i64,
    /// Seconds after the begin time of the file; negative only in damage.
    pub time_diff: i32,
    /// Number of the entry before in the chain, 0 for none.
    pub previous: u32,
}

impl IndexEntry {
    pub const BYTES: usize = INDEX_ENTRY_BYTES as usize;

    pub fn encode(&self) -> [u8; IndexEntry::BYTES] {
        let mut out = [0; IndexEntry::BYTES];
        out[..4].copy_from_slice(&self.key_hash.to_be_bytes());
        out[4..12].copy_from_slice(&self.physical.to_be_bytes());
        out[12..16].copy_from_slice(&self.time_diff.to_be_bytes());
        out[16..].copy_from_slice(&self.previous.to_be_bytes());
        out
    }

    /// A negative number of the entry before reads as 0.
    pub fn decode(bytes: &[u8; IndexEntry::BYTES]) -> IndexEntry {
        IndexEntry {
            key_hash: u32_at(bytes, 0),
            physical: i64_at(bytes, 4),
            time_diff: i32_at(bytes, 12),
            previous: u32::try_from(i32_at(bytes, 16)).unwrap_or(0),
        }
    }
}

/// Whole seconds from `begin_timestamp` to `store_timestamp` (both ms), within 0 ..= `i32::MAX`; 0 if there is no begin.
pub fn time_diff(begin_timestamp: i64, store_timestamp: i64) -> i32 {
    if begin_timestamp <= 0 {
        return 0;
    }
    let seconds = store_timestamp.saturating_sub(begin_timestamp) / 1000;
    // Cannot overflow: clamped to what an i32 holds.
    seconds.clamp(0, i64::from(i32::MAX)) as i32
}

const DAY_MS: i64 = 86_400_000;
/// 9999-12-31 23:59:59.999, the last moment with a name of 17 digits.
const LAST_NAMED_MS: i64 = 253_402_300_799_999;

/// Name of an index file made at this local time (ms since 1970-01-01 00:00 local): `yyyyMMddHHmmssSSS`.
///
/// Times outside of the years 1970 to 9999 get the nearest name within.
pub fn file_name(local_ms: i64) -> String {
    let local_ms = local_ms.clamp(0, LAST_NAMED_MS);
    let (year, month, day) = date_of(local_ms / DAY_MS);
    let ms = local_ms % DAY_MS;
    format!("{year:04}{month:02}{day:02}{:02}{:02}{:02}{:03}", ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000)
}

/// The local time in the name of an index file, ms; `None` unless the name is one that [`file_name`] makes.
pub fn parse_file_name(name: &str) -> Option<i64> {
    if name.len() != 17 || !name.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let number = |from: usize, to: usize| name.get(from..to)?.parse::<i64>().ok();
    let days = days_before(number(0, 4)?, number(4, 6)?, number(6, 8)?);
    let ms = number(8, 10)? * 3_600_000 + number(10, 12)? * 60_000 + number(12, 14)? * 1000 + number(14, 17)?;
    let local_ms = days * DAY_MS + ms;
    // 31 April, hour 24 and their like would come back under another name.
    (file_name(local_ms) == name).then_some(local_ms)
}

/// Days of 400 years: the calendar repeats after them.
const ERA_DAYS: i64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01. Years are counted from March, so that the leap day is their last.
const EPOCH_DAYS: i64 = 719_468;

/// Year, month and day of the `days`-th day after 1970-01-01, Gregorian.
fn date_of(days: i64) -> (i64, i64, i64) {
    let shifted = days + EPOCH_DAYS;
    let era = shifted.div_euclid(ERA_DAYS);
    let day_of_era = shifted.rem_euclid(ERA_DAYS);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    (year, month, day)
}

/// Days from 1970-01-01 to a date. For a date that does not exist, some number: the caller checks.
fn days_before(year: i64, month: i64, day: i64) -> i64 {
    let march_year = year - i64::from(month <= 2);
    let era = march_year.div_euclid(400);
    let year_of_era = march_year.rem_euclid(400);
    let march_month = (month + 9) % 12;
    let day_of_year = (153 * march_month + 2) / 5 + day - 1;
    era * ERA_DAYS + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - EPOCH_DAYS
}
