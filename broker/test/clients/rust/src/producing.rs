//! A producer.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rocketmq_client_rust::{ArcSendCallback, ClientConfig, ClientRuntime, DefaultMQProducer};
use rocketmq_model::common::message::message_queue::MessageQueue;
use rocketmq_model::common::message::message_single::Message;
use serde_json::{Value, json};

use crate::{Failure, chain, messages, text};

pub struct Producing {
    producer: DefaultMQProducer,
    timeout: u64,
}

impl Producing {
    pub async fn start(runtime: &Arc<ClientRuntime>, config: ClientConfig, o: &Value) -> Result<Self, Failure> {
        let timeout = o["timeoutMs"].as_u64().unwrap_or(10_000);
        let mut builder = DefaultMQProducer::builder(Arc::clone(runtime))
            .client_config(config)
            .producer_group(text(o, "group"))
            .send_msg_timeout(timeout as u32);
        if let Some(retries) = o["retries"].as_u64() {
            builder = builder.retry_times_when_send_failed(retries as u32).retry_times_when_send_async_failed(retries as u32);
        }
        if let Some(queues) = o["topicQueues"].as_u64() {
            builder = builder.default_topic_queue_nums(queues as u32);
        }
        if let Some(bytes) = o["compressOver"].as_u64() {
            builder = builder.compress_msg_body_over_howmuch(bytes as u32);
        }
        if let Some(bytes) = o["maxMessageSize"].as_u64() {
            builder = builder.max_message_size(bytes as u32);
        }
        let mut producer = builder.build();
        producer.start().await?;
        Ok(Self { producer, timeout })
    }

    pub async fn send(&self, o: &Value) -> Result<Value, Failure> {
        let given = o["messages"].as_array().ok_or("there are no messages")?;
        let all = given.iter().map(messages::message).collect::<Result<Vec<_>, _>>()?;
        let queue = messages::queue(&o["queue"]);
        let results = match text(o, "mode").as_str() {
            "batch" => vec![self.batch(all, queue).await],
            "async" => self.with_callbacks(all, queue).await?,
            mode => {
                let mut results = Vec::new();
                for message in all {
                    results.push(self.one(mode, message, queue.clone()).await);
                }
                results
            }
        };
        Ok(json!({ "results": results }))
    }

    /// What is asked about messages and queues.
    pub async fn act(&mut self, what: &str, o: &Value) -> Result<Value, Failure> {
        let topic = text(o, "topic");
        let producer = &mut self.producer;
        match what {
            "publishQueues" => {
                let queues = producer.fetch_publish_message_queues(&topic).await?;
                Ok(json!({ "queues": queues.iter().map(messages::place).collect::<Vec<_>>() }))
            }
            "offsets" => {
                let queue = messages::queue(o).ok_or("the queue is missing")?;
                let mut answer = json!({
                    "min": producer.min_offset(&queue).await?,
                    "max": producer.max_offset(&queue).await?,
                    "earliestStoreTime": producer.earliest_msg_store_time(&queue).await?,
                });
                if let Some(timestamp) = o["timestamp"].as_u64() {
                    answer["byTime"] = producer.search_offset(&queue, timestamp).await?.into();
                }
                Ok(answer)
            }
            "query" => {
                let (begin, end) = (o["begin"].as_u64().unwrap_or(0), o["end"].as_u64().unwrap_or(u64::MAX));
                let found = producer.query_message(&topic, &text(o, "key"), 32, begin, end).await?;
                Ok(json!({ "messages": found.message_list().iter().map(messages::received).collect::<Vec<_>>() }))
            }
            "view" => {
                let found = producer.view_message(&topic, &text(o, "msgId")).await?;
                Ok(json!({ "message": messages::received(&found) }))
            }
            _ => Err(format!("a producer cannot {what}").into()),
        }
    }

    async fn one(&self, mode: &str, message: Message, queue: Option<MessageQueue>) -> Value {
        let producer = &self.producer;
        let result = match (mode, queue) {
            ("oneway", None) => producer.send_oneway(message).await.map(|()| None),
            ("oneway", Some(queue)) => producer.send_oneway_to_queue(message, queue).await.map(|()| None),
            ("selector", _) => {
                let key = message.keys().map(|keys| keys.join(" ")).unwrap_or_default();
                let hash = key.bytes().fold(0usize, |hash, byte| hash * 31 + usize::from(byte));
                let select = |queues: &[MessageQueue], _: &Message, hash: &usize| queues.get(hash % queues.len()).cloned();
                producer.send_with_selector_timeout(message, select, hash, self.timeout).await
            }
            (_, None) => producer.send_with_timeout(message, self.timeout).await,
            (_, Some(queue)) => producer.send_to_queue_with_timeout(message, queue, self.timeout).await,
        };
        match result {
            Ok(Some(result)) => messages::sent(&result),
            Ok(None) => json!({}),
            Err(error) => json!({ "error": chain(&error) }),
        }
    }

    async fn batch(&self, all: Vec<Message>, queue: Option<MessageQueue>) -> Value {
        let result = match queue {
            None => self.producer.send_batch_with_timeout(all, self.timeout).await,
            Some(queue) => self.producer.send_batch_to_queue_with_timeout(all, queue, self.timeout).await,
        };
        match result {
            Ok(result) => messages::sent(&result),
            Err(error) => json!({ "error": chain(&error) }),
        }
    }

    async fn with_callbacks(&self, all: Vec<Message>, queue: Option<MessageQueue>) -> Result<Vec<Value>, Failure> {
        let results = Arc::new(Mutex::new(vec![Value::Null; all.len()]));
        for (at, message) in all.into_iter().enumerate() {
            let kept = Arc::clone(&results);
            let callback = move |result: Option<&_>, error: Option<&rocketmq_client_rust::ClientError>| {
                let shown = match (result, error) {
                    (Some(result), _) => messages::sent(result),
                    (None, Some(error)) => json!({ "error": chain(error) }),
                    (None, None) => json!({ "error": [{ "type": "ClientError", "message": "neither result nor error" }] }),
                };
                kept.lock().expect("a callback panicked")[at] = shown;
            };
            match queue.clone() {
                None => self.producer.send_with_callback_timeout(message, callback, self.timeout).await?,
                // Not send_to_queue_with_callback: that of 1.0.0 sends a broken batch.
                Some(queue) => {
                    let select = |_: &[MessageQueue], _: &Message, queue: &MessageQueue| Some(queue.clone());
                    let callback = Some(Arc::new(callback) as ArcSendCallback);
                    self.producer.send_with_selector_callback_timeout(message, select, queue, callback, self.timeout).await?
                }
            }
        }
        for _ in 0..600 {
            {
                let results = results.lock().expect("a callback panicked");
                if results.iter().all(|result| !result.is_null()) {
                    return Ok(results.clone());
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        Err("callbacks did not come".into())
    }

    pub async fn stop(&mut self) {
        Box::pin(self.producer.shutdown()).await;
    }
}
