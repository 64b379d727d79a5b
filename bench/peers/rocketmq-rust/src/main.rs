//! rocketmq-rust's store under the workloads of the benchmarks:
//! `rocketmq-rust-bench DIR --mode async|sync|read|key --messages N [--size N] [--batch N] [--tasks N] [--readers N]`
//! prints one line of JSON. `read` and `key` first fill a directory that has no messages.

mod messages;
mod options;
mod process;
mod workloads;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use cheetah_string::CheetahString;
use dashmap::DashMap;
use rocketmq_model::common::config::TopicConfig;
use rocketmq_runtime::{RuntimeConfig, RuntimeOwner};
use rocketmq_store::*;

use crate::messages::{QUEUES, TOPIC};
use crate::options::{Mode, Options};

/// As RocketMQ's Java store is measured: a quarter of the messages, at most so many.
const MOST_WARM_UP: u64 = 200_000;
const LONGEST_DISPATCH: Duration = Duration::from_secs(120);

fn main() -> Result<()> {
    let options = Options::parse(std::env::args().skip(1))?;
    let owner = RuntimeOwner::plan(RuntimeConfig::broker_default())?.build()?;
    let topics = Arc::new(DashMap::<CheetahString, Arc<TopicConfig>>::new());
    topics.insert(TOPIC.into(), Arc::new(TopicConfig::with_queues(TOPIC, QUEUES as u32, QUEUES as u32)));
    let factory = StoreFactoryConfig::try_new(
        Arc::new(settings(&options)),
        Arc::new(StoreRuntimeConfig::default()),
        topics,
        None,
        false,
        StoreTelemetry::noop(),
    )
    .context("the store does not take its settings")?;
    let opened = StoreFactory::open(factory, owner.root_context().component("bench"));
    let (mut store, _table) = opened.map_err(|error| anyhow::anyhow!("{error:?}"))?.into_parts();
    owner.block_on(async {
        store.init().await.map_err(|error| anyhow::anyhow!("{error:?}"))?;
        ensure!(store.load().await, "the store was not loaded");
        store.start().await.map_err(|error| anyhow::anyhow!("{error:?}"))
    })?;
    let store = Arc::new(store);
    settle(&store, 0)?;

    let line = {
        let store = store.clone();
        owner.block_on(async move { tokio::spawn(work(store, options)).await })??
    };
    let stored = line.stored();
    settle(&store, stored)?;
    let mut store = Arc::try_unwrap(store).ok().context("a task still holds the store")?;
    let closed = owner.block_on(async { store.shutdown_gracefully().await.map(|_| ()) });
    closed.map_err(|error| anyhow::anyhow!("{error:?}"))?;
    println!("{}", line.json());
    // The runtime's own threads need not be waited for.
    std::process::exit(0);
}

fn settings(options: &Options) -> MessageStoreConfig {
    MessageStoreConfig {
        store_path_root_dir: options.dir.as_str().into(),
        flush_disk_type: match options.mode {
            Mode::Sync => FlushDiskType::SyncFlush,
            _ => FlushDiskType::AsyncFlush,
        },
        // Its wait of 50 µs takes more than a millisecond where one task puts.
        commit_log_micro_batch_enabled: false,
        ha_listen_port: 0,
        ha_listen_address: std::net::Ipv4Addr::LOCALHOST.into(),
        timer_wheel_enable: false,
        disk_max_used_space_ratio: 95,
        ..MessageStoreConfig::default()
    }
}

/// Waits until so many messages are in the queues, and the index has caught up with the log.
fn settle(store: &StorePorts, messages: u64) -> Result<()> {
    let start = Instant::now();
    while store.dispatch_behind_bytes() > 0 || stored(store) < messages {
        ensure!(start.elapsed() < LONGEST_DISPATCH, "queues and index did not catch up");
        std::thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

fn stored(store: &StorePorts) -> u64 {
    (0..QUEUES).map(|queue| store.get_max_offset_in_queue(&TOPIC.into(), queue as i32) as u64).sum()
}

async fn work(store: Arc<StorePorts>, options: Options) -> Result<process::Line> {
    let warm_up = options.whole_batches((options.messages / 4).min(MOST_WARM_UP));
    match options.mode {
        Mode::Async | Mode::Sync => {
            workloads::put(&store, &options, 0, warm_up).await?;
            let reader = options.readers.then(|| {
                let (store, until) = (store.clone(), warm_up + options.messages);
                tokio::spawn(async move { workloads::follow(&store, until).await })
            });
            let clock = process::Clock::start();
            let put = workloads::put(&store, &options, warm_up, options.messages).await?;
            let mut line = clock.line(put, warm_up + put, options.tasks);
            if let Some(reader) = reader {
                reader.await??;
                line.consumed_after(clock.elapsed());
            }
            Ok(line)
        }
        Mode::Read | Mode::Key => {
            if stored(&store) == 0 {
                workloads::put(&store, &options, 0, options.messages).await?;
                settle(&store, options.messages)?;
            }
            let measured = |from: u64, count: u64| {
                let (store, options) = (store.clone(), options.clone());
                async move {
                    match options.mode {
                        Mode::Read => workloads::read(&store, count).await,
                        _ => workloads::look_up(&store, options.messages, from, count).await,
                    }
                }
            };
            measured(0, options.messages / 4).await?;
            let clock = process::Clock::start();
            let found = measured(1, options.messages).await?;
            Ok(clock.line(found, options.messages, 1))
        }
    }
}
