//! Messages as rocketmq-rust's store takes them: one at a time, or encoded as a batch.

use bytes::{BufMut, Bytes, BytesMut};
use cheetah_string::CheetahString;
use rocketmq_model::common::message::MessageTrait;
use rocketmq_model::common::message::message_batch::MessageExtBatch;
use rocketmq_model::common::message::message_ext::MessageExt;
use rocketmq_model::common::message::message_ext_broker_inner::MessageExtBrokerInner;
use rocketmq_model::common::message::message_single::Message;

pub const TOPIC: &str = "BenchTopic";
pub const QUEUES: u64 = 8;
const TAG: &str = "TagA";

/// 32 characters.
pub fn key(n: u64) -> String {
    format!("7F0000010BAD{n:016X}0000")
}

fn properties(n: u64) -> String {
    format!("TAGS\u{1}{TAG}\u{2}UNIQ_KEY\u{1}{}\u{2}", key(n))
}

/// Bytes that nothing can make smaller.
pub fn body(size: usize) -> Bytes {
    let mut state = 0x2545_f491_u32;
    let next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 24) as u8
    };
    std::iter::repeat_with(next).take(size).collect()
}

fn addressed(message: Message, queue: u64) -> MessageExtBrokerInner {
    let ext = MessageExt { message, ..Default::default() };
    let mut inner = MessageExtBrokerInner { message_ext_inner: ext, ..Default::default() };
    let born = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |time| time.as_millis());
    let ext = &mut inner.message_ext_inner;
    ext.set_queue_id(queue as i32);
    ext.set_born_timestamp(born as i64);
    ext.set_born_host(([127, 0, 0, 1], 40001).into());
    ext.set_store_host(([127, 0, 0, 1], 10911).into());
    inner
}

pub fn single(topic: &CheetahString, body: &Bytes, queue: u64, n: u64) -> MessageExtBrokerInner {
    let mut message = Message::builder().topic(topic.clone()).body(body.clone()).build_unchecked();
    message.set_tags(CheetahString::from_static_str(TAG));
    message.put_property(CheetahString::from_static_str("UNIQ_KEY"), CheetahString::from(key(n)));
    let mut inner = addressed(message, queue);
    inner.properties_string = CheetahString::from(properties(n));
    inner.tags_code = MessageExtBrokerInner::tags_string_to_tags_code(TAG);
    inner
}

/// `count` messages in RocketMQ's wire form: length, magic, CRC, flag, body, properties.
pub fn batch(topic: &CheetahString, body: &Bytes, queue: u64, first: u64, count: u64) -> MessageExtBatch {
    let mut wire = BytesMut::with_capacity(count as usize * (body.len() + 128));
    for n in first..first + count {
        let properties = properties(n);
        wire.put_i32((22 + body.len() + properties.len()) as i32);
        wire.put_bytes(0, 12);
        wire.put_i32(body.len() as i32);
        wire.put_slice(body);
        wire.put_i16(properties.len() as i16);
        wire.put_slice(properties.as_bytes());
    }
    let message = Message::builder().topic(topic.clone()).body(wire.freeze()).build_unchecked();
    MessageExtBatch { message_ext_broker_inner: addressed(message, queue), ..Default::default() }
}
