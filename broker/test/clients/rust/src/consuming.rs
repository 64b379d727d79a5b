//! A push consumer: prints what comes; messages of some tags fail so many times.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rocketmq_client_rust::{
    ClientConfig, ClientResult, ClientRuntime, ConsumeConcurrentlyContext, ConsumeConcurrentlyStatus, ConsumeOrderlyContext,
    ConsumeOrderlyStatus, DefaultMQPushConsumer, MQPushConsumer, MessageListenerConcurrently, MessageListenerOrderly,
};
use rocketmq_model::common::consumer::consume_from_where::ConsumeFromWhere;
use rocketmq_model::common::message::message_ext::MessageExt;
use rocketmq_protocol::protocol::heartbeat::message_model::MessageModel;
use serde_json::{Value, json};

use crate::{Failure, messages, show, text};

pub struct Consuming {
    consumer: DefaultMQPushConsumer,
}

#[derive(Clone)]
struct Listener {
    name: String,
    fail: Value,
    work: Duration,
}

impl Listener {
    fn take(&self, all: &[&MessageExt]) -> bool {
        let good = all.iter().all(|message| {
            let tag = message.get_tags().map(|tag| tag.to_string()).unwrap_or_default();
            i64::from(message.reconsume_times()) >= self.fail[tag].as_i64().unwrap_or(0)
        });
        let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64);
        for message in all {
            show(&json!({
                "kind": "message", "consumer": self.name, "good": good, "of": all.len(), "at": at, "message": messages::received(message),
            }));
        }
        if !self.work.is_zero() {
            std::thread::sleep(self.work);
        }
        good
    }
}

impl MessageListenerConcurrently for Listener {
    fn consume_message(&self, all: &[&MessageExt], _: &ConsumeConcurrentlyContext) -> ClientResult<ConsumeConcurrentlyStatus> {
        // The context is not the listener's to change: the broker decides how long a message waits.
        Ok(if self.take(all) { ConsumeConcurrentlyStatus::ConsumeSuccess } else { ConsumeConcurrentlyStatus::ReconsumeLater })
    }
}

impl MessageListenerOrderly for Listener {
    fn consume_message(&self, all: &[&MessageExt], _: &mut ConsumeOrderlyContext) -> ClientResult<ConsumeOrderlyStatus> {
        Ok(if self.take(all) { ConsumeOrderlyStatus::Success } else { ConsumeOrderlyStatus::SuspendCurrentQueueAMoment })
    }
}

/// Where a group begins that has no offsets.
pub fn beginning(o: &Value) -> ConsumeFromWhere {
    match o["from"].as_str() {
        Some("LAST_OFFSET") => ConsumeFromWhere::ConsumeFromLastOffset,
        Some("TIMESTAMP") => ConsumeFromWhere::ConsumeFromTimestamp,
        _ => ConsumeFromWhere::ConsumeFromFirstOffset,
    }
}

impl Consuming {
    pub async fn start(runtime: &Arc<ClientRuntime>, config: ClientConfig, o: &Value) -> Result<Self, Failure> {
        let client_id = config.build_mq_client_id();
        let mut builder = DefaultMQPushConsumer::builder(Arc::clone(runtime))
            .client_config(config)
            .consumer_group(text(o, "group"))
            .consume_from_where(beginning(o));
        if let Some(timestamp) = o["timestamp"].as_str() {
            builder = builder.consume_timestamp(timestamp);
        }
        if let Some(most) = o["batch"].as_u64() {
            builder = builder.consume_message_batch_max_size(most as u32);
        }
        if o["broadcasting"].as_bool() == Some(true) {
            // Its offsets go into a folder that it does not make.
            let home = std::path::PathBuf::from(std::env::var("HOME")?).join(".rocketmq_offsets");
            std::fs::create_dir_all(home.join(client_id).join(text(o, "group")))?;
            builder = builder.message_model(MessageModel::Broadcasting);
        }
        if let Some(times) = o["maxReconsumeTimes"].as_i64() {
            builder = builder.max_reconsume_times(times as i32);
        }
        if let Some(ms) = o["suspendMs"].as_u64() {
            builder = builder.suspend_current_queue_time_millis(ms);
        }
        let mut consumer = builder.build();
        for subscription in o["subscriptions"].as_array().ok_or("there are no subscriptions")? {
            let expression = subscription["expression"].as_str().unwrap_or("*");
            consumer.subscribe(text(subscription, "topic").as_str(), expression).await?;
        }
        let listener = Listener {
            name: text(o, "name"),
            fail: o["fail"].clone(),
            work: Duration::from_millis(o["workMs"].as_u64().unwrap_or(0)),
        };
        if o["orderly"].as_bool() == Some(true) {
            consumer.register_message_listener_orderly(listener);
        } else {
            consumer.register_message_listener_concurrently(listener);
        }
        consumer.start().await?;
        Ok(Self { consumer })
    }

    pub async fn stop(&mut self) {
        Box::pin(self.consumer.shutdown()).await;
    }
}
