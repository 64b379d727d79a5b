//! The batch: how messages cross the boundary, many in one call.
//!
//! A batch is a run of messages, each a header of [`HEADER_BYTES`] followed by body, topic and property string
//! without gaps, padded to a multiple of 8 bytes. Numbers are little-endian, times and offsets are doubles:
//!
//! | at | type | field |
//! |---|---|---|
//! | 0 | u32 | bytes of this message, header and padding included |
//! | 4 | u32 | body bytes |
//! | 8 | u32 | topic bytes |
//! | 12 | u32 | property bytes |
//! | 16 | i32 | queue id |
//! | 20 | i32 | flag |
//! | 24 | i32 | sysFlag; bits 4 and 5 say that the born and the store address have 16 bytes |
//! | 28 | i32 | reconsume times |
//! | 32 | f64 | born timestamp, ms |
//! | 40 | f64 | prepared transaction offset |
//! | 48 | 16 bytes, u32 | born address (4 or 16 bytes, rest ignored), port |
//! | 68 | 16 bytes, u32 | store address, port |
//! | 88 | – | body, topic, properties |

use alloc::format;
use alloc::vec::Vec;

use crate::error::Error;
use crate::format::record::{Address, Host, SYS_FLAG_BORN_V6, SYS_FLAG_STORE_V6};

/// Bytes before the body of a message.
pub const HEADER_BYTES: usize = 88;

/// One message of a batch.
#[derive(Clone, Copy, Debug)]
pub struct BatchMessage<'a> {
    pub topic: &'a [u8],
    pub queue_id: i32,
    pub flag: i32,
    pub sys_flag: i32,
    pub reconsume_times: i32,
    pub born_timestamp: i64,
    pub prepared_transaction_offset: i64,
    pub born_host: Host,
    pub store_host: Host,
    pub body: &'a [u8],
    pub properties: &'a [u8],
}

/// Reads the messages of a batch one after the other.
#[derive(Clone)]
pub struct BatchReader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> BatchReader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn malformed(&self, what: &str) -> Error {
        Error::argument("batch", format!("batch at byte {}: {what}", self.at))
    }

    fn parse(&mut self) -> Result<BatchMessage<'a>, Error> {
        let rest = &self.bytes[self.at..];
        let Some(header) = rest.first_chunk::<HEADER_BYTES>() else {
            return Err(self.malformed("shorter than a header of 88 bytes"));
        };
        let size = u32_at(header, 0) as usize;
        let body = u32_at(header, 4) as usize;
        let topic = u32_at(header, 8) as usize;
        let properties = u32_at(header, 12) as usize;
        let used = body.checked_add(topic).and_then(|n| n.checked_add(properties)).and_then(|n| n.checked_add(HEADER_BYTES));
        if size > rest.len() || !size.is_multiple_of(8) || used.is_none_or(|used| used > size) {
            return Err(self.malformed("lengths do not add up"));
        }
        let sys_flag = u32_at(header, 24) as i32;
        let (body_at, topic_at, properties_at) = (HEADER_BYTES, HEADER_BYTES + body, HEADER_BYTES + body + topic);
        let message = BatchMessage {
            topic: &rest[topic_at..properties_at],
            queue_id: u32_at(header, 16) as i32,
            flag: u32_at(header, 20) as i32,
            sys_flag,
            reconsume_times: u32_at(header, 28) as i32,
            born_timestamp: f64_at(header, 32) as i64,
            prepared_transaction_offset: f64_at(header, 40) as i64,
            born_host: host_at(header, 48, sys_flag & SYS_FLAG_BORN_V6 != 0),
            store_host: host_at(header, 68, sys_flag & SYS_FLAG_STORE_V6 != 0),
            body: &rest[body_at..topic_at],
            properties: &rest[properties_at..properties_at + properties],
        };
        self.at += size;
        Ok(message)
    }
}

impl<'a> Iterator for BatchReader<'a> {
    type Item = Result<BatchMessage<'a>, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.bytes.len() {
            return None;
        }
        let parsed = self.parse();
        if parsed.is_err() {
            self.at = self.bytes.len();
        }
        Some(parsed)
    }
}

fn u32_at(bytes: &[u8; HEADER_BYTES], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

fn f64_at(bytes: &[u8; HEADER_BYTES], at: usize) -> f64 {
    let mut raw = [0; 8];
    raw.copy_from_slice(&bytes[at..at + 8]);
    f64::from_le_bytes(raw)
}

fn host_at(bytes: &[u8; HEADER_BYTES], at: usize, v6: bool) -> Host {
    let address = if v6 {
        let mut raw = [0; 16];
        raw.copy_from_slice(&bytes[at..at + 16]);
        Address::V6(raw)
    } else {
        Address::V4([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
    };
    Host { address, port: u32_at(bytes, at + 16) as i32 }
}

/// Appends a message to a batch: the counterpart of [`BatchReader`] for callers in Rust.
pub fn encode(message: &BatchMessage<'_>, batch: &mut Vec<u8>) {
    let used = HEADER_BYTES + message.body.len() + message.topic.len() + message.properties.len();
    let start = batch.len();
    for length in [used.next_multiple_of(8), message.body.len(), message.topic.len(), message.properties.len()] {
        batch.extend_from_slice(&(length as u32).to_le_bytes());
    }
    for number in [message.queue_id, message.flag, message.sys_flag, message.reconsume_times] {
        batch.extend_from_slice(&number.to_le_bytes());
    }
    for number in [message.born_timestamp, message.prepared_transaction_offset] {
        batch.extend_from_slice(&(number as f64).to_le_bytes());
    }
    for host in [&message.born_host, &message.store_host] {
        let mut address = [0; 16];
        match &host.address {
            Address::V4(bytes) => address[..4].copy_from_slice(bytes),
            Address::V6(bytes) => address = *bytes,
        }
        batch.extend_from_slice(&address);
        batch.extend_from_slice(&host.port.to_le_bytes());
    }
    for part in [message.body, message.topic, message.properties] {
        batch.extend_from_slice(part);
    }
    batch.resize(start + used.next_multiple_of(8), 0);
}
