//! Messages to write records from: their own bytes, so that a test can change one thing and keep the rest.

use std::net::SocketAddr;

use moraine_core::format::record::{Address, Host, NewRecord, Staging};
use proptest::prelude::*;

#[derive(Clone, Debug)]
pub struct Message {
    pub topic: Vec<u8>,
    pub queue_id: i32,
    pub flag: i32,
    pub queue_offset: u64,
    pub physical_offset: u64,
    pub sys_flag: i32,
    pub born_timestamp: i64,
    pub born_host: Host,
    pub store_timestamp: i64,
    pub store_host: Host,
    pub reconsume_times: i32,
    pub prepared_transaction_offset: i64,
    pub body: Vec<u8>,
    pub properties: Vec<u8>,
}

impl Message {
    /// The message of the vector `record.v1.noProps`, on which the others of golden.json build.
    pub fn plain() -> Message {
        Message {
            topic: b"TopicTest".to_vec(),
            queue_id: 3,
            flag: 0,
            queue_offset: 0,
            physical_offset: 0,
            sys_flag: 0,
            born_timestamp: 1_700_000_000_000,
            born_host: host("10.0.0.1:40001"),
            store_timestamp: 1_700_000_000_123,
            store_host: host("127.0.0.1:10911"),
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body: b"Hello RocketMQ".to_vec(),
            properties: Vec::new(),
        }
    }

    pub fn record(&self) -> NewRecord<'_> {
        NewRecord {
            topic: &self.topic,
            queue_id: self.queue_id,
            flag: self.flag,
            queue_offset: self.queue_offset,
            physical_offset: self.physical_offset,
            sys_flag: self.sys_flag,
            born_timestamp: self.born_timestamp,
            born_host: self.born_host,
            store_timestamp: self.store_timestamp,
            store_host: self.store_host,
            reconsume_times: self.reconsume_times,
            prepared_transaction_offset: self.prepared_transaction_offset,
            body: &self.body,
            properties: &self.properties,
        }
    }

    /// The bytes of its record, written over what stood there before.
    pub fn written(&self, record_crc: bool) -> Vec<u8> {
        let record = self.record();
        let mut out = vec![0xEE; usize::try_from(record.size(record_crc)).expect("a size")];
        record.write(record_crc, &mut Staging::default(), &mut out);
        out
    }
}

/// `10.0.0.1:40001` or `[2001:db8::2]:40001`.
pub fn host(text: &str) -> Host {
    let socket: SocketAddr = text.parse().expect("address and port");
    let address = match socket {
        SocketAddr::V4(v4) => Address::V4(v4.ip().octets()),
        SocketAddr::V6(v6) => Address::V6(v6.ip().octets()),
    };
    Host { address, port: i32::from(socket.port()) }
}

fn any_host() -> impl Strategy<Value = Host> {
    let address = prop_oneof![any::<[u8; 4]>().prop_map(Address::V4), any::<[u8; 16]>().prop_map(Address::V6)];
    (address, any::<i32>()).prop_map(|(address, port)| Host { address, port })
}

/// Bodies around everything that decides how a CRC is computed.
fn any_body() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..64),
        proptest::collection::vec(any::<u8>(), 0..2000),
        proptest::collection::vec(any::<u8>(), 4000..9000),
    ]
}

prop_compose! {
    /// Any message that can be written: every field at its full range, topics of both versions, hosts of both kinds.
    pub fn any_message()(
        topic in prop_oneof!["[A-Za-z0-9_%|-]{1,127}", "%RETRY%[A-Za-z0-9_-]{121,248}", "[^\\x00]{1,20}"],
        (queue_id, flag, sys_flag, reconsume_times) in any::<(i32, i32, i32, i32)>(),
        (queue_offset, physical_offset) in (0..=i64::MAX as u64, 0..=i64::MAX as u64),
        (born_timestamp, store_timestamp, prepared_transaction_offset) in any::<(i64, i64, i64)>(),
        (born_host, store_host) in (any_host(), any_host()),
        body in any_body(),
        properties in prop_oneof![
            // A string of properties that ends with a zero is a damaged one.
            proptest::collection::vec(any::<u8>(), 0..100).prop_filter("ends with a zero", |bytes| bytes.last() != Some(&0)),
            proptest::collection::vec(("[A-Z_]{1,12}", "[a-z0-9 ]{1,30}"), 0..6)
                .prop_map(|pairs| pairs.iter().flat_map(|(name, value)| format!("{name}\x01{value}\x02").into_bytes()).collect()),
        ],
    ) -> Message {
        Message {
            topic: topic.into_bytes(), queue_id, flag, queue_offset, physical_offset, sys_flag, born_timestamp, born_host,
            store_timestamp, store_host, reconsume_times, prepared_transaction_offset, body, properties,
        }
    }
}
