//! Messages as the engine takes them.

use moraine_core::batch::{BatchMessage, encode};
use moraine_core::format::record::{Address, Host};

/// A batch of messages with one body each to queue 0 of `topic`, with the key `k-N`, N their place in the batch.
pub fn batch(topic: &str, bodies: &[Vec<u8>]) -> Vec<u8> {
    let host = Host { address: Address::V4([127, 0, 0, 1]), port: 10911 };
    let mut batch = Vec::new();
    for (i, body) in bodies.iter().enumerate() {
        let properties = format!("KEYS\x01k-{i}\x02");
        let message = BatchMessage {
            topic: topic.as_bytes(),
            queue_id: 0,
            flag: 0,
            sys_flag: 0,
            reconsume_times: 0,
            born_timestamp: 0,
            prepared_transaction_offset: 0,
            born_host: host,
            store_host: host,
            body,
            properties: properties.as_bytes(),
        };
        encode(&message, &mut batch);
    }
    batch
}
