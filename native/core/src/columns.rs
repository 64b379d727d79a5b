//! Columns: how messages cross the boundary whose bodies and property strings stand in memory already, as a broker has them
//! from the wire. What a message needs is an index away, and nothing is copied on the way to the log.
//!
//! What few values serve many messages stands in *tables*, one piece of bytes, numbers little-endian:
//!
//! | type | field |
//! |---|---|
//! | u32 | topics |
//! | u32 | born hosts |
//! | 24 bytes | store host |
//! | 24 bytes each | born hosts |
//! | u32, bytes, each | topics: length, name |
//!
//! A host is an address (16 bytes, of which an IPv4 one takes the first 4), u32 port, u32 1 for IPv6.

use alloc::format;
use alloc::vec::Vec;

use crate::batch::BatchMessage;
use crate::error::{Code, Error};
use crate::format::record::{Address, Host, SYS_FLAG_BORN_V6, SYS_FLAG_STORE_V6};

/// Bytes of a host in the tables.
const HOST_BYTES: usize = 24;
const TABLES_HEADER_BYTES: usize = 8 + HOST_BYTES;

/// Messages by columns. A column has a value for each message, or none at all: then the default holds for all.
#[derive(Clone, Copy, Debug, Default)]
pub struct Columns<'a> {
    /// See the head of this file.
    pub tables: &'a [u8],
    /// What `bodies` and `properties` point into.
    pub bytes: &'a [u8],
    /// Where each body begins and ends in `bytes`: two numbers a message.
    pub bodies: &'a [u32],
    /// The same of the property strings. Default: none has properties.
    pub properties: &'a [u32],
    pub queue_ids: &'a [i32],
    /// Places in the tables. Default: the first.
    pub topics: &'a [u32],
    pub born_hosts: &'a [u32],
    /// Default: 0.
    pub flags: &'a [i32],
    pub sys_flags: &'a [i32],
    pub reconsume_times: &'a [i32],
    pub prepared_transaction_offsets: &'a [f64],
    /// ms since the epoch. Default: `born_timestamp`.
    pub born_timestamps: &'a [f64],
    pub born_timestamp: f64,
}

/// The tables, taken apart.
struct Tables<'a> {
    topics: Vec<&'a [u8]>,
    born_hosts: Vec<Host>,
    store_host: Host,
}

impl<'a> Columns<'a> {
    /// Number of messages.
    pub fn len(&self) -> usize {
        self.queue_ids.len()
    }

    pub fn is_empty(&self) -> bool {
        self.queue_ids.is_empty()
    }

    /// Appends the messages to `to`. An error has the place of the message that it is about.
    pub fn read(&self, to: &mut Vec<BatchMessage<'a>>) -> Result<(), Error> {
        let tables = Tables::of(self.tables)?;
        self.check_lengths()?;
        to.try_reserve(self.len())
            .map_err(|_| Error::new(Code::Busy, format!("there is no memory for {} messages; put fewer in one call", self.len())))?;
        for index in 0..self.len() {
            to.push(self.message(&tables, index).map_err(|error| error.number("message", index as i64))?);
        }
        Ok(())
    }

    fn check_lengths(&self) -> Result<(), Error> {
        let count = self.len();
        if self.bodies.len() != 2 * count {
            return Err(wrong_length("bodies", self.bodies.len(), 2 * count));
        }
        let optional = [
            ("properties", self.properties.len(), 2 * count),
            ("topicOf", self.topics.len(), count),
            ("bornHostOf", self.born_hosts.len(), count),
            ("flags", self.flags.len(), count),
            ("sysFlags", self.sys_flags.len(), count),
            ("reconsumeTimes", self.reconsume_times.len(), count),
            ("preparedTransactionOffsets", self.prepared_transaction_offsets.len(), count),
            ("bornTimestamps", self.born_timestamps.len(), count),
        ];
        match optional.into_iter().find(|&(_, found, wanted)| found != 0 && found != wanted) {
            Some((name, found, wanted)) => Err(wrong_length(name, found, wanted)),
            None => Ok(()),
        }
    }

    #[inline]
    fn message(&self, tables: &Tables<'a>, index: usize) -> Result<BatchMessage<'a>, Error> {
        let topic = or_default(self.topics, index) as usize;
        let born_host = or_default(self.born_hosts, index) as usize;
        let (Some(&topic), Some(&born_host)) = (tables.topics.get(topic), tables.born_hosts.get(born_host)) else {
            let message = format!("topic {topic} of {}, born host {born_host} of {}", tables.topics.len(), tables.born_hosts.len());
            return Err(Error::argument("columns", message));
        };
        let flags = or_default(self.sys_flags, index) & !(SYS_FLAG_BORN_V6 | SYS_FLAG_STORE_V6);
        let born_v6 = if born_host.address.is_v6() { SYS_FLAG_BORN_V6 } else { 0 };
        let store_v6 = if tables.store_host.address.is_v6() { SYS_FLAG_STORE_V6 } else { 0 };
        Ok(BatchMessage {
            topic,
            queue_id: self.queue_ids[index],
            flag: or_default(self.flags, index),
            sys_flag: flags | born_v6 | store_v6,
            reconsume_times: or_default(self.reconsume_times, index),
            born_timestamp: self.born_timestamps.get(index).copied().unwrap_or(self.born_timestamp) as i64,
            prepared_transaction_offset: or_default(self.prepared_transaction_offsets, index) as i64,
            born_host,
            store_host: tables.store_host,
            body: self.range("bodies", self.bodies, index)?,
            properties: if self.properties.is_empty() { &[] } else { self.range("properties", self.properties, index)? },
        })
    }

    #[inline]
    fn range(&self, name: &'static str, ends: &[u32], index: usize) -> Result<&'a [u8], Error> {
        let (from, to) = (ends[2 * index] as usize, ends[2 * index + 1] as usize);
        self.bytes
            .get(from..to)
            .ok_or_else(|| Error::argument(name, format!("{from} to {to} is no range of the {} bytes", self.bytes.len())))
    }
}

impl<'a> Tables<'a> {
    fn of(bytes: &'a [u8]) -> Result<Self, Error> {
        Self::parse(bytes).ok_or_else(|| Error::argument("tables", "the tables of topics and hosts do not add up"))
    }

    fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (topics, hosts) = (u32_at(bytes, 0)? as usize, u32_at(bytes, 4)? as usize);
        let hosts_end = hosts.checked_mul(HOST_BYTES)?.checked_add(TABLES_HEADER_BYTES)?;
        let born_hosts = bytes.get(TABLES_HEADER_BYTES..hosts_end)?.chunks_exact(HOST_BYTES).map(host).collect::<Option<Vec<_>>>()?;
        let mut names = Vec::with_capacity(topics.min(bytes.len() / 4));
        let mut at = hosts_end;
        for _ in 0..topics {
            let end = (at + 4).checked_add(u32_at(bytes, at)? as usize)?;
            names.push(bytes.get(at + 4..end)?);
            at = end;
        }
        Some(Self { topics: names, born_hosts, store_host: host(bytes.get(8..TABLES_HEADER_BYTES)?)? })
    }
}

fn host(bytes: &[u8]) -> Option<Host> {
    let address: [u8; 16] = *bytes.first_chunk()?;
    let [a, b, c, d, ..] = address;
    let address = if u32_at(bytes, 20)? == 1 { Address::V6(address) } else { Address::V4([a, b, c, d]) };
    Some(Host { address, port: u32_at(bytes, 16)? as i32 })
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|raw| u32::from_le_bytes(*raw))
}

#[inline]
fn or_default<T: Copy + Default>(column: &[T], index: usize) -> T {
    column.get(index).copied().unwrap_or_default()
}

fn wrong_length(name: &'static str, found: usize, wanted: usize) -> Error {
    Error::argument(name, format!("{name} has {found} numbers; the messages need {wanted}"))
}
