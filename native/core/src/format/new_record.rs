//! A record of the commit log, written (§2.1, 2.2, 2.5). The fields' places are in `record.rs`.

use crate::format::crc::{self, Crc32};
use crate::format::properties::RECORD_CRC_BYTES;
use crate::format::record::{Address, Host, MAGIC_V1, MAGIC_V2, SYS_FLAG_BORN_V6, SYS_FLAG_STORE_V6, Transaction, transaction};
use crate::format::record_crc;

/// Ends a property.
const PROPERTY_END: u8 = 2;

/// Bytes in front of the body of a record with two IPv4 addresses.
const HEADER_BYTES: usize = 88;
/// … with two IPv6 addresses.
const GREATEST_HEADER_BYTES: usize = 112;
/// A record, or else what lies behind its body, is put together on the side if it is no longer.
const STAGED_BYTES: usize = 512;

/// Where parts of records are put together, kept from one to the next. What has just gone to memory that no cache holds is
/// slow to be read again, for a CRC.
#[derive(Debug)]
pub struct Staging {
    bytes: [u8; STAGED_BYTES],
    crc: Crc32,
}

impl Default for Staging {
    fn default() -> Self {
        Self { bytes: [0; STAGED_BYTES], crc: Crc32::default() }
    }
}

/// A record to be written.
///
/// The caller has held topic, body and properties against [`limits`](crate::limits): the topic's length has to fit
/// an i16, the properties' with what `record_crc` adds too.
#[derive(Clone, Copy, Debug)]
pub struct NewRecord<'a> {
    pub topic: &'a [u8],
    pub queue_id: i32,
    pub flag: i32,
    /// Written as 0 for prepared and rollback.
    pub queue_offset: u64,
    pub physical_offset: u64,
    /// The bits that tell the hosts' kinds are set from the hosts.
    pub sys_flag: i32,
    pub born_timestamp: i64,
    pub born_host: Host,
    pub store_timestamp: i64,
    pub store_host: Host,
    pub reconsume_times: i32,
    pub prepared_transaction_offset: i64,
    pub body: &'a [u8],
    /// Without a `__CRC32#` of another record ([`without_record_crc`](super::properties::without_record_crc)).
    pub properties: &'a [u8],
}

impl NewRecord<'_> {
    /// Bytes of the record, with the property for its CRC if `record_crc`.
    pub fn size(&self, record_crc: bool) -> u64 {
        let topic_length_bytes = if self.is_v2() { 2 } else { 1 };
        self.header_bytes() as u64
            + self.body.len() as u64
            + topic_length_bytes
            + self.topic.len() as u64
            + 2
            + self.properties.len() as u64
            + self.added_property_bytes(record_crc) as u64
    }

    /// Whether the topic's length takes two bytes: it does not fit an i8.
    ///
    /// RocketMQ decides by UTF-16 units, which is the same for the ASCII that it allows in topics; for others its records
    /// could not be read.
    pub fn is_v2(&self) -> bool {
        self.topic.len() > i8::MAX as usize
    }

    /// Writes the record into `out`.
    ///
    /// # Panics
    /// If the length of `out` is not [`size`](NewRecord::size).
    pub fn write(&self, record_crc: bool, staging: &mut Staging, out: &mut [u8]) {
        assert_eq!(out.len() as u64, self.size(record_crc), "room for a record");
        let Staging { bytes, crc } = staging;
        let body_crc = crc.of(self.body);
        match bytes.get_mut(..out.len()) {
            Some(staged) => {
                self.write_small(record_crc, body_crc, crc, staged);
                out.copy_from_slice(staged);
            }
            None => self.write_large(record_crc, body_crc, bytes, out),
        }
    }

    /// One run over all of it is cheaper than CRCs of its parts.
    fn write_small(&self, record_crc: bool, body_crc: u32, crc: &mut Crc32, out: &mut [u8]) {
        let size = out.len() as u32;
        let (head, rest) = out.split_at_mut(self.header_bytes());
        self.write_header(size, crc::masked(body_crc), head);
        let (body, tail) = rest.split_at_mut(self.body.len());
        body.copy_from_slice(self.body);
        self.write_tail(record_crc, tail);
        if record_crc && let Some((covered, trailer)) = out.split_last_chunk_mut::<RECORD_CRC_BYTES>() {
            *trailer = record_crc::encode(crc::masked(crc.of(covered)));
        }
    }

    fn write_large(&self, record_crc: bool, body_crc: u32, staging: &mut [u8], out: &mut [u8]) {
        let mut head = [0; GREATEST_HEADER_BYTES];
        let head = &mut head[..self.header_bytes()];
        self.write_header(out.len() as u32, crc::masked(body_crc), head);
        let (front, rest) = out.split_at_mut(head.len());
        let (middle, tail) = rest.split_at_mut(self.body.len());
        front.copy_from_slice(head);
        middle.copy_from_slice(self.body);
        let finish = |tail: &mut [u8]| {
            self.write_tail(record_crc, tail);
            if record_crc && let Some((covered, trailer)) = tail.split_last_chunk_mut::<RECORD_CRC_BYTES>() {
                *trailer = record_crc::encode(crc::masked(crc::of_parts(head, self.body, body_crc, covered)));
            }
        };
        match staging.get_mut(..tail.len()) {
            Some(staged) => {
                finish(staged);
                tail.copy_from_slice(staged);
            }
            None => finish(tail),
        }
    }

    /// Everything behind the body, but the CRC.
    #[inline]
    fn write_tail(&self, record_crc: bool, out: &mut [u8]) {
        let mut rest = Unwritten(out);
        if self.is_v2() {
            rest.put(&(self.topic.len() as u16).to_be_bytes());
        } else {
            rest.put(&[self.topic.len() as u8]);
        }
        rest.put(self.topic);
        let properties_bytes = self.properties.len() + self.added_property_bytes(record_crc);
        rest.put(&(properties_bytes as u16).to_be_bytes());
        rest.put(self.properties);
        if record_crc && self.lacks_property_end() {
            rest.put(&[PROPERTY_END]);
        }
    }

    /// Everything in front of the body.
    #[inline]
    fn write_header(&self, size: u32, body_crc: i32, out: &mut [u8]) {
        let (front, behind) = (self.front(size, body_crc), self.behind_hosts());
        let store_timestamp = self.store_timestamp.to_be_bytes();
        match (&self.born_host.address, &self.store_host.address, out.as_chunks_mut::<HEADER_BYTES>()) {
            // Nearly always: a header of one length is put together without looking at it.
            (Address::V4(born), Address::V4(store), ([out], [])) => {
                out[..48].copy_from_slice(&front);
                out[48..52].copy_from_slice(born);
                out[52..56].copy_from_slice(&self.born_host.port.to_be_bytes());
                out[56..64].copy_from_slice(&store_timestamp);
                out[64..68].copy_from_slice(store);
                out[68..72].copy_from_slice(&self.store_host.port.to_be_bytes());
                out[72..].copy_from_slice(&behind);
            }
            _ => {
                let mut to = Unwritten(out);
                to.put(&front);
                to.put_host(&self.born_host);
                to.put(&store_timestamp);
                to.put_host(&self.store_host);
                to.put(&behind);
            }
        }
    }

    /// What stands in front of the host where the message was born.
    #[inline]
    fn front(&self, size: u32, body_crc: i32) -> [u8; 48] {
        let mut front = [0; 48];
        front[..4].copy_from_slice(&size.to_be_bytes());
        front[4..8].copy_from_slice(&if self.is_v2() { MAGIC_V2 } else { MAGIC_V1 }.to_be_bytes());
        front[8..12].copy_from_slice(&body_crc.to_be_bytes());
        front[12..16].copy_from_slice(&self.queue_id.to_be_bytes());
        front[16..20].copy_from_slice(&self.flag.to_be_bytes());
        front[20..28].copy_from_slice(&self.stored_queue_offset().to_be_bytes());
        front[28..36].copy_from_slice(&self.physical_offset.to_be_bytes());
        front[36..40].copy_from_slice(&self.stored_sys_flag().to_be_bytes());
        front[40..].copy_from_slice(&self.born_timestamp.to_be_bytes());
        front
    }

    /// What stands between the host that stored the message and its body.
    #[inline]
    fn behind_hosts(&self) -> [u8; 16] {
        let mut behind = [0; 16];
        behind[..4].copy_from_slice(&self.reconsume_times.to_be_bytes());
        behind[4..12].copy_from_slice(&self.prepared_transaction_offset.to_be_bytes());
        behind[12..].copy_from_slice(&(self.body.len() as u32).to_be_bytes());
        behind
    }

    fn header_bytes(&self) -> usize {
        72 + Host::len(self.born_host.address.is_v6()) + Host::len(self.store_host.address.is_v6())
    }

    fn stored_queue_offset(&self) -> u64 {
        match transaction(self.sys_flag) {
            Transaction::Prepared | Transaction::Rollback => 0,
            Transaction::None | Transaction::Commit => self.queue_offset,
        }
    }

    fn stored_sys_flag(&self) -> i32 {
        let born = if self.born_host.address.is_v6() { SYS_FLAG_BORN_V6 } else { 0 };
        let store = if self.store_host.address.is_v6() { SYS_FLAG_STORE_V6 } else { 0 };
        self.sys_flag & !(SYS_FLAG_BORN_V6 | SYS_FLAG_STORE_V6) | born | store
    }

    pub fn added_property_bytes(&self, record_crc: bool) -> usize {
        if record_crc { RECORD_CRC_BYTES + usize::from(self.lacks_property_end()) } else { 0 }
    }

    fn lacks_property_end(&self) -> bool {
        self.properties.last().is_some_and(|&last| last != PROPERTY_END)
    }
}

/// The bytes that are not written yet.
struct Unwritten<'a>(&'a mut [u8]);

impl Unwritten<'_> {
    #[inline]
    fn put(&mut self, bytes: &[u8]) {
        let (to, rest) = core::mem::take(&mut self.0).split_at_mut(bytes.len());
        to.copy_from_slice(bytes);
        self.0 = rest;
    }

    #[inline]
    fn put_host(&mut self, host: &Host) {
        match &host.address {
            Address::V4(bytes) => self.put(bytes),
            Address::V6(bytes) => self.put(bytes),
        }
        self.put(&host.port.to_be_bytes());
    }
}
