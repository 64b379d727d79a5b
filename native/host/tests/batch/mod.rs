//! Messages as the engine takes them.

use moraine_core::batch::{BatchMessage, encode};
use moraine_core::format::record::{Address, Host};

/// A batch of messages with one body each to queue 0 of `topic`, with the key `k-N`, N their place in the batch.
pub fn batch(topic: &str, bodies: &[Vec<u8>]) -> Vec<u8> {
    let mut batch = Vec::new();
    for (i, body) in bodies.iter().enumerate() {
        add(topic, body, &format!("KEYS\x01k-{i}\x02"), 0, &mut batch);
    }
    batch
}

/// Adds a message to queue 0 of `topic` to a batch.
pub fn add(topic: &str, body: &[u8], properties: &str, born_timestamp: i64, batch: &mut Vec<u8>) {
    let host = Host { address: Address::V4([127, 0, 0, 1]), port: 10911 };
    let message = BatchMessage {
        topic: topic.as_bytes(),
        queue_id: 0,
        flag: 0,
        sys_flag: 0,
        reconsume_times: 0,
        born_timestamp,
        prepared_transaction_offset: 0,
        born_host: host,
        store_host: host,
        body,
        properties: properties.as_bytes(),
    };
    encode(&message, batch);
}
