//! A pull consumer that fetches by itself and is polled.

use std::sync::Arc;

use rocketmq_client_rust::{ClientConfig, ClientOptions, ClientRuntime, DefaultLitePullConsumer};
use rocketmq_model::common::message::message_queue::MessageQueue;
use serde_json::{Value, json};

use crate::{Failure, consuming, messages, text};

pub struct Pulling {
    consumer: DefaultLitePullConsumer,
}

impl Pulling {
    pub async fn start(runtime: &Arc<ClientRuntime>, config: ClientConfig, o: &Value) -> Result<Self, Failure> {
        let consumer = DefaultLitePullConsumer::builder(Arc::clone(runtime))
            .client_options(ClientOptions::legacy(config))
            .consumer_group(text(o, "group"))
            .consume_from_where(consuming::beginning(o))
            .auto_commit(o["autoCommit"].as_bool().unwrap_or(false))
            .pull_batch_size(o["pullBatch"].as_i64().unwrap_or(10) as i32)
            .build()?;
        if let Some(topic) = o["topic"].as_str() {
            consumer.subscribe_with_expression(topic, o["expression"].as_str().unwrap_or("*")).await?;
        }
        consumer.start().await?;
        if let Some(queues) = o["assign"].as_array() {
            // Queues that it is given do not make it look for their brokers.
            for topic in queues.iter().map(|queue| text(queue, "topic")) {
                consumer.fetch_message_queues(&topic).await?;
            }
            consumer.assign(queues.iter().filter_map(messages::queue).collect()).await?;
        }
        Ok(Self { consumer })
    }

    pub async fn act(&self, what: &str, o: &Value) -> Result<Value, Failure> {
        let consumer = &self.consumer;
        match what {
            "poll" => {
                let polled = consumer.poll_with_timeout(o["timeoutMs"].as_u64().unwrap_or(0)).await;
                return Ok(json!({ "messages": polled.iter().map(messages::received).collect::<Vec<_>>() }));
            }
            "commit" => consumer.commit_sync().await,
            "seek" => match (o["to"].as_str(), o["to"].as_i64()) {
                (Some("begin"), _) => consumer.seek_to_begin(&one(o)?).await?,
                (Some("end"), _) => consumer.seek_to_end(&one(o)?).await?,
                (_, Some(offset)) => consumer.seek(&one(o)?, offset).await?,
                _ => return Err(format!("to is {}; it must be begin, end or an offset", o["to"]).into()),
            },
            "committed" => return Ok(json!({ "offset": consumer.committed(&one(o)?).await? })),
            "byTime" => {
                let timestamp = o["timestamp"].as_u64().ok_or("timestamp is missing")?;
                return Ok(json!({ "offset": consumer.offset_for_timestamp(&one(o)?, timestamp).await? }));
            }
            "queues" => {
                let queues = consumer.fetch_message_queues(&text(o, "topic")).await?;
                return Ok(json!({ "queues": queues.iter().map(messages::place).collect::<Vec<_>>() }));
            }
            _ => return Err(format!("a lite pull consumer cannot {what}").into()),
        }
        Ok(Value::Null)
    }

    pub async fn stop(&self) {
        self.consumer.shutdown().await;
    }
}

fn one(o: &Value) -> Result<MessageQueue, Failure> {
    messages::queue(o).ok_or_else(|| "the queue is missing".into())
}
