//! Messages and send results as JSON.

use rocketmq_client_rust::SendResult;
use rocketmq_model::common::message::message_builder::MessageBuilder;
use rocketmq_model::common::message::message_ext::MessageExt;
use rocketmq_model::common::message::message_queue::MessageQueue;
use rocketmq_model::common::message::message_single::Message;
use rocketmq_model::result::SendStatus;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::{Failure, text};

pub fn message(o: &Value) -> Result<Message, Failure> {
    let times = o["bodyTimes"].as_u64().unwrap_or(1) as usize;
    let body = text(o, "body").repeat(times);
    let mut builder = MessageBuilder::new().topic(text(o, "topic")).body_slice(body.as_bytes());
    if let Some(tags) = o["tags"].as_str() {
        builder = builder.tags(tags);
    }
    if let Some(keys) = o["keys"].as_str() {
        builder = builder.keys(keys.split(' ').map(String::from).collect());
    }
    if let Some(flag) = o["flag"].as_i64() {
        builder = builder.flag_bits(flag as i32);
    }
    if let Some(level) = o["delayLevel"].as_i64() {
        builder = builder.delay_level(level as i32);
    }
    if let Some(properties) = o["properties"].as_object() {
        for (name, value) in properties {
            let value = value.as_str().unwrap_or_default();
            // Names that RocketMQ reserves have methods of their own.
            builder = match name.as_str() {
                "TIMER_DELAY_MS" => builder.delay_millis(value.parse()?),
                name => builder.raw_property(name, value)?,
            };
        }
    }
    Ok(builder.build()?)
}

pub fn queue(o: &Value) -> Option<MessageQueue> {
    let queue_id = o["queueId"].as_i64()? as i32;
    Some(MessageQueue::from_parts(text(o, "topic"), text(o, "brokerName"), queue_id))
}

pub fn place(queue: &MessageQueue) -> Value {
    json!({ "topic": queue.topic().as_str(), "brokerName": queue.broker_name().as_str(), "queueId": queue.queue_id() })
}

pub fn sent(result: &SendResult) -> Value {
    let status = match result.send_status {
        SendStatus::SendOk => "SEND_OK",
        SendStatus::FlushDiskTimeout => "FLUSH_DISK_TIMEOUT",
        SendStatus::FlushSlaveTimeout => "FLUSH_SLAVE_TIMEOUT",
        SendStatus::SlaveNotAvailable => "SLAVE_NOT_AVAILABLE",
    };
    let to = result.message_queue.as_ref();
    json!({
        "status": status,
        "msgId": result.msg_id.as_deref(),
        "offsetMsgId": result.offset_msg_id,
        "topic": to.map(|queue| queue.topic().as_str()),
        "brokerName": to.map(|queue| queue.broker_name().as_str()),
        "queueId": to.map(|queue| queue.queue_id()),
        "queueOffset": result.queue_offset,
        "transactionId": result.transaction_id,
        "regionId": result.region_id,
        "traceOn": result.trace_on,
    })
}

pub fn received(m: &MessageExt) -> Value {
    let properties: Map<String, Value> = m.properties().iter().map(|(name, value)| (name.to_string(), value.as_str().into())).collect();
    let body = m.body().unwrap_or_default();
    let digest: String = Sha256::digest(&body).iter().map(|byte| format!("{byte:02x}")).collect();
    let mut o = json!({
        "topic": m.topic().as_str(),
        "brokerName": m.broker_name(),
        "queueId": m.queue_id(),
        "queueOffset": m.queue_offset(),
        "msgId": properties.get("UNIQ_KEY").cloned().unwrap_or_else(|| m.msg_id().as_str().into()),
        "commitLogOffset": m.commit_log_offset(),
        "storeSize": m.store_size(),
        "tags": properties.get("TAGS"),
        "keys": properties.get("KEYS"),
        "flag": m.flag(),
        "sysFlag": m.sys_flag(),
        "reconsumeTimes": m.reconsume_times(),
        "bornTimestamp": m.born_timestamp(),
        "storeTimestamp": m.store_timestamp(),
        "bornHost": m.born_host().to_string(),
        "storeHost": m.store_host().to_string(),
        "preparedTransactionOffset": m.prepared_transaction_offset(),
        "bodyCrc": m.body_crc(),
        "bodyLength": body.len(),
        "bodySha256": digest,
    });
    if body.len() <= 200 {
        o["body"] = String::from_utf8_lossy(&body).into();
    }
    o["properties"] = Value::Object(properties);
    o
}
