//! The workloads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result, ensure};
use cheetah_string::CheetahString;
use rocketmq_store::*;

use crate::messages::{self, QUEUES, TOPIC};
use crate::options::Options;

const MAX_READ: i32 = 32;

/// Puts the messages from `from` on, each task waiting for its own; answers with their number.
pub async fn put(store: &Arc<StorePorts>, options: &Options, from: u64, count: u64) -> Result<u64> {
    let calls = count / options.batch;
    let next = Arc::new(AtomicU64::new(0));
    let tasks: Vec<_> = (0..options.tasks)
        .map(|_| {
            let (store, next, batch) = (store.clone(), next.clone(), options.batch);
            let (topic, body) = (CheetahString::from_static_str(TOPIC), messages::body(options.size));
            tokio::spawn(async move {
                loop {
                    let call = next.fetch_add(1, Ordering::Relaxed);
                    if call >= calls {
                        return Ok(());
                    }
                    let (queue, n) = (call % QUEUES, from + call * batch);
                    let result = if batch == 1 {
                        store.put_message_shared(messages::single(&topic, &body, queue, n)).await
                    } else {
                        store.put_messages_shared(messages::batch(&topic, &body, queue, n, batch)).await
                    };
                    let status = result.put_message_status();
                    ensure!(status == PutMessageStatus::PutOk, "a put answered {status:?}");
                }
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    Ok(calls * options.batch)
}

/// Takes messages from the front of all queues on, until `until` of them are taken.
pub async fn follow(store: &StorePorts, until: u64) -> Result<()> {
    let mut offsets = [0; QUEUES as usize];
    let mut taken = 0;
    while taken < until {
        let before = taken;
        for (queue, offset) in offsets.iter_mut().enumerate() {
            taken += next(store, queue as i32, offset).await?;
        }
        if taken == before {
            tokio::task::yield_now().await;
        }
    }
    Ok(())
}

/// Reads 32 messages at most and moves the offset behind them; 0 at the end of the queue.
async fn next(store: &StorePorts, queue: i32, offset: &mut i64) -> Result<u64> {
    let (group, topic) = (CheetahString::from_static_str("bench"), CheetahString::from_static_str(TOPIC));
    let found = store.get_message(&group, &topic, queue, *offset, MAX_READ, None).await.context("a read answered nothing")?;
    let count = found.message_count().max(0) as u64;
    if count > 0 {
        *offset = found.next_begin_offset();
    }
    Ok(count)
}

/// Reads at least `count` messages, queue by queue, again from the front at the end.
pub async fn read(store: &StorePorts, count: u64) -> Result<u64> {
    let (mut taken, mut queue, mut offset) = (0, 0, 0);
    while taken < count {
        let found = next(store, queue, &mut offset).await?;
        if found == 0 {
            ensure!(offset > 0, "queue {queue} has no messages");
            (queue, offset) = ((queue + 1) % QUEUES as i32, 0);
        }
        taken += found;
    }
    Ok(taken)
}

/// Looks up `count` of the keys of `messages` messages, in no order. It keeps UNIQ_KEY under an index type of its own.
pub async fn look_up(store: &StorePorts, messages: u64, seed: u64, count: u64) -> Result<u64> {
    let mut state = 0x9e37_79b9_7f4a_7c15 ^ seed;
    for _ in 0..count {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        let request = QueryMessageRequest {
            topic: CheetahString::from_static_str(TOPIC),
            key: CheetahString::from(messages::key(state % messages)),
            max_num: 32,
            begin: 0,
            end: i64::MAX,
            index_type: Some(CheetahString::from_static_str("U")),
            last_key: None,
        };
        let found = store.query_message_with_options(&request).await.context("a query answered nothing")?;
        ensure!(!found.message_maped_list.is_empty(), "a key was not found");
    }
    Ok(count)
}
