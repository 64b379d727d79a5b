//! A record of the commit log, read (§2.1–2.3, 2.5, 2.8). [`NewRecord`] writes one.
//!
//! b and s are the bytes of the born and the store host: 8 (IPv4) or 20 (IPv6), told by two bits of the sysFlag.
//!
//! | at | type | field |
//! |---|---|---|
//! | 0 | i32 | TOTALSIZE: bytes of the whole record |
//! | 4 | u32 | magic: [`MAGIC_V1`] or [`MAGIC_V2`] |
//! | 8 | i32 | CRC of the body, 31 bits |
//! | 12 | i32 | queue id |
//! | 16 | i32 | flag, the user's |
//! | 20 | i64 | queue offset; 0 for prepared and rollback |
//! | 28 | i64 | physical offset: where this record stands in the log |
//! | 36 | i32 | sysFlag |
//! | 40 | i64 | born timestamp, ms: the client's time |
//! | 48 | b | born host: address, port as i32 |
//! | 48+b | i64 | store timestamp, ms |
//! | 56+b | s | store host |
//! | 56+b+s | i32 | reconsume times |
//! | 60+b+s | i64 | prepared transaction offset |
//! | 68+b+s | i32, n | length of the body, body |
//! | 72+b+s+n | V1 i8, V2 i16; t | length of the topic, topic |
//! | behind | i16, p | length of the property string, property string |

use crate::format::big_endian::{array_at, i16_at, i32_at, i64_at, u32_at};
use crate::format::record_crc::Trailer;
use crate::format::{blank, crc, properties, record_crc};

pub use crate::format::flaw::Flaw;
pub use crate::format::new_record::{NewRecord, Staging};

pub const MAGIC_V1: u32 = 0xDAA3_20A7;
/// A length of the topic of two bytes, since RocketMQ 5.1.
pub const MAGIC_V2: u32 = 0xDAA3_20AB;

pub const SYS_FLAG_COMPRESSED: i32 = 0x1;
pub const SYS_FLAG_TRANSACTION: i32 = 0xC;
pub const SYS_FLAG_BORN_V6: i32 = 0x10;
pub const SYS_FLAG_STORE_V6: i32 = 0x20;
/// The body is a batch that the client unwraps.
pub const SYS_FLAG_NEED_UNWRAP: i32 = 0x40;
pub const SYS_FLAG_INNER_BATCH: i32 = 0x80;

/// Bytes of the smallest record: IPv4 hosts, no body, no topic, no properties.
pub const MIN_BYTES: u32 = 91;
/// So many bytes of a record hold its store timestamp, whatever its hosts.
pub const STORE_TIMESTAMP_PREFIX_BYTES: usize = 76;

const PHYSICAL_OFFSET_AT: usize = 28;
const BORN_HOST_AT: usize = 48;

/// The address of a [`Host`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    V4([u8; 4]),
    V6([u8; 16]),
}

impl Address {
    pub fn bytes(&self) -> &[u8] {
        match self {
            Address::V4(bytes) => bytes,
            Address::V6(bytes) => bytes,
        }
    }

    pub fn is_v6(&self) -> bool {
        matches!(self, Address::V6(_))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Host {
    pub address: Address,
    /// Four bytes in the file, so it may be anything there.
    pub port: i32,
}

impl Host {
    /// Bytes of a host in a record.
    pub fn len(v6: bool) -> usize {
        if v6 { 20 } else { 8 }
    }

    fn at(bytes: &[u8], at: usize, v6: bool) -> Host {
        let address = if v6 { Address::V6(array_at(bytes, at)) } else { Address::V4(array_at(bytes, at)) };
        Host { address, port: i32_at(bytes, at + address.bytes().len()) }
    }
}

/// What a message is in a transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Transaction {
    None,
    Prepared,
    Commit,
    Rollback,
}

/// Bits 2 and 3 of a sysFlag.
pub fn transaction(sys_flag: i32) -> Transaction {
    match sys_flag & SYS_FLAG_TRANSACTION {
        0x4 => Transaction::Prepared,
        0x8 => Transaction::Commit,
        0xC => Transaction::Rollback,
        _ => Transaction::None,
    }
}

/// What stands at a position of the log, by its first 8 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Head {
    /// A record of `size` bytes, if the rest of it holds what this promises.
    Record {
        size: u32,
    },
    /// No record fits in the rest of the file: `size` bytes.
    Blank {
        size: u32,
    },
    /// Size and magic are 0: nothing was written here.
    Empty,
    Bad(Flaw),
}

/// Tells records, blanks and room never written from what is none of them.
pub fn head(bytes: &[u8; 8]) -> Head {
    let said = i32_at(bytes, 0);
    // Negative sizes count as too small.
    let size = u32::try_from(said).unwrap_or(0);
    match u32_at(bytes, 4) {
        MAGIC_V1 | MAGIC_V2 if size >= MIN_BYTES => Head::Record { size },
        MAGIC_V1 | MAGIC_V2 => Head::Bad(Flaw::Size { said }),
        blank::MAGIC if size >= 8 => Head::Blank { size },
        blank::MAGIC => Head::Bad(Flaw::BlankSize { said }),
        0 if said == 0 => Head::Empty,
        found => Head::Bad(Flaw::Magic { found }),
    }
}

/// Store timestamp (ms) of a record of which only the first bytes were read; `None` if they are no record's or too few.
pub fn store_timestamp_of(head: &[u8]) -> Option<i64> {
    if head.len() < BORN_HOST_AT || !matches!(u32_at(head, 4), MAGIC_V1 | MAGIC_V2) {
        return None;
    }
    let at = BORN_HOST_AT + Host::len(i32_at(head, 36) & SYS_FLAG_BORN_V6 != 0);
    head.get(at..at + 8).map(|bytes| i64_at(bytes, 0))
}

/// So many bytes of a record hold the length of its body, whatever its hosts.
pub const BODY_LENGTH_PREFIX_BYTES: usize = 112;

/// Where the body of a record starts, whose first bytes these are.
pub fn body_at(head: &[u8; BODY_LENGTH_PREFIX_BYTES]) -> usize {
    let sys_flag = i32_at(head, 36);
    72 + Host::len(sys_flag & SYS_FLAG_BORN_V6 != 0) + Host::len(sys_flag & SYS_FLAG_STORE_V6 != 0)
}

/// Whether a record of `size` bytes can have the body that its first bytes promise: what a long one is asked before
/// all of it is read.
pub fn body_length_agrees(head: &[u8; BODY_LENGTH_PREFIX_BYTES], size: u32) -> bool {
    let body = i64::from(i32_at(head, body_at(head) - 4));
    let around = i64::from(size) - body;
    // Topic and property string have signed 16-bit lengths.
    (i64::from(MIN_BYTES)..=i64::from(MIN_BYTES) + 24 + 1 + 2 * 32_767).contains(&around) && body >= 0
}

/// A record whose structure holds: its lengths add up to TOTALSIZE, which is the number of its bytes.
///
/// Whether its contents do is for [`Record::check`] to say.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    bytes: &'a [u8],
    body_at: usize,
    body_end: usize,
    topic_at: usize,
    topic_end: usize,
}

impl<'a> Record<'a> {
    /// Takes exactly the bytes of one record.
    pub fn parse(bytes: &'a [u8]) -> Result<Record<'a>, Flaw> {
        let Some(first) = bytes.first_chunk::<8>() else {
            return Err(Flaw::Incomplete { said: MIN_BYTES, given: bytes.len() });
        };
        let size = match head(first) {
            Head::Record { size } => size,
            Head::Bad(flaw) => return Err(flaw),
            Head::Blank { .. } | Head::Empty => return Err(Flaw::Magic { found: u32_at(first, 4) }),
        };
        if size as usize != bytes.len() {
            return Err(Flaw::Incomplete { said: size, given: bytes.len() });
        }
        // From here on every position is at most `size`, which an i32 holds: nothing overflows.
        let total = bytes.len();
        let sys_flag = i32_at(bytes, 36);
        let body_at = 72 + Host::len(sys_flag & SYS_FLAG_BORN_V6 != 0) + Host::len(sys_flag & SYS_FLAG_STORE_V6 != 0);
        let topic_length_bytes = if u32_at(bytes, 4) == MAGIC_V2 { 2 } else { 1 };

        // What must still follow the body: the lengths of topic and properties.
        let smallest = body_at + topic_length_bytes + 2;
        if smallest > total {
            return Err(Flaw::Sum { said: size, sum: smallest });
        }
        let said = i32_at(bytes, body_at - 4);
        let body = length(i64::from(said), total - smallest).ok_or(Flaw::BodyLength { said })?;
        let body_end = body_at + body;
        let topic_at = body_end + topic_length_bytes;

        let said = if topic_length_bytes == 2 { i16_at(bytes, body_end) } else { i16::from(bytes[body_end] as i8) };
        let topic = length(i64::from(said), total - topic_at - 2).ok_or(Flaw::TopicLength { said })?;
        let topic_end = topic_at + topic;

        let said = i16_at(bytes, topic_end);
        let properties_at = topic_end + 2;
        let properties = length(i64::from(said), total - properties_at).ok_or(Flaw::PropertiesLength { said })?;
        if properties_at + properties != total {
            return Err(Flaw::Sum { said: size, sum: properties_at + properties });
        }
        Ok(Record { bytes, body_at, body_end, topic_at, topic_end })
    }

    /// Compares the body's CRC, and the whole record's where it carries one, with what the bytes give.
    ///
    /// An empty body has no CRC to compare, as in RocketMQ. A last property that differs from `__CRC32#` by one or two bits
    /// counts as damage, as do properties that end with zeros.
    pub fn check(&self) -> Result<(), Flaw> {
        let body_crc = crc::crc32(self.body());
        let computed = crc::masked(body_crc);
        if computed != self.body_crc() && !self.body().is_empty() {
            return Err(Flaw::BodyCrc { said: self.body_crc().cast_unsigned(), computed: computed.cast_unsigned() });
        }
        let said = match record_crc::trailer(self.properties()) {
            Trailer::Absent => return Ok(()),
            Trailer::Damaged => return Err(Flaw::RecordCrcName),
            Trailer::Present(said) => said,
        };
        let covered = &self.bytes[..self.bytes.len() - properties::RECORD_CRC_BYTES];
        let computed = crc::masked(crc::around(covered, self.body_at..self.body_end, body_crc));
        if said != record_crc::digits(computed) {
            return Err(Flaw::RecordCrc { said, computed: computed.cast_unsigned() });
        }
        Ok(())
    }

    /// The record as it stands in the log.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// Bytes of the whole record.
    pub fn size(&self) -> u32 {
        u32_at(self.bytes, 0)
    }

    pub fn magic(&self) -> u32 {
        u32_at(self.bytes, 4)
    }

    /// The CRC of the body as the record says it.
    pub fn body_crc(&self) -> i32 {
        i32_at(self.bytes, 8)
    }

    pub fn queue_id(&self) -> i32 {
        i32_at(self.bytes, 12)
    }

    pub fn flag(&self) -> i32 {
        i32_at(self.bytes, 16)
    }

    pub fn queue_offset(&self) -> i64 {
        i64_at(self.bytes, 20)
    }

    pub fn physical_offset(&self) -> i64 {
        i64_at(self.bytes, 28)
    }

    pub fn sys_flag(&self) -> i32 {
        i32_at(self.bytes, 36)
    }

    pub fn born_timestamp(&self) -> i64 {
        i64_at(self.bytes, 40)
    }

    pub fn born_host(&self) -> Host {
        Host::at(self.bytes, BORN_HOST_AT, self.sys_flag() & SYS_FLAG_BORN_V6 != 0)
    }

    pub fn store_timestamp(&self) -> i64 {
        i64_at(self.bytes, self.store_timestamp_at())
    }

    pub fn store_host(&self) -> Host {
        Host::at(self.bytes, self.store_timestamp_at() + 8, self.sys_flag() & SYS_FLAG_STORE_V6 != 0)
    }

    pub fn reconsume_times(&self) -> i32 {
        i32_at(self.bytes, self.body_at - 16)
    }

    pub fn prepared_transaction_offset(&self) -> i64 {
        i64_at(self.bytes, self.body_at - 12)
    }

    pub fn body(&self) -> &'a [u8] {
        &self.bytes[self.body_at..self.body_end]
    }

    pub fn topic(&self) -> &'a [u8] {
        &self.bytes[self.topic_at..self.topic_end]
    }

    pub fn properties(&self) -> &'a [u8] {
        &self.bytes[self.topic_end + 2..]
    }

    fn store_timestamp_at(&self) -> usize {
        BORN_HOST_AT + Host::len(self.sys_flag() & SYS_FLAG_BORN_V6 != 0)
    }
}

/// Makes the bytes of a checked record those of one at another place: its physical offset, and the CRC of the whole record
/// where it has one.
pub fn move_to(record: &mut [u8], physical: u64) {
    let has_crc = Record::parse(record).is_ok_and(|record| matches!(record_crc::trailer(record.properties()), Trailer::Present(_)));
    if let Some(place) = record.get_mut(PHYSICAL_OFFSET_AT..PHYSICAL_OFFSET_AT + 8) {
        place.copy_from_slice(&physical.to_be_bytes());
    }
    if has_crc && let Some((covered, trailer)) = record.split_last_chunk_mut() {
        *trailer = record_crc::encode(crc::crc31(covered));
    }
}

/// A length that was read, if it is one and fits into `room`.
fn length(said: i64, room: usize) -> Option<usize> {
    usize::try_from(said).ok().filter(|&length| length <= room)
}
