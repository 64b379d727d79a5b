//! A client that does what standard input says, a JSON object a line, and prints what it sees (../README.md).
#![recursion_limit = "512"]

mod consuming;
mod messages;
mod producing;
mod pulling;

use std::collections::HashMap;
use std::io::Write;
use std::sync::Arc;

use rocketmq_client_rust::{ClientConfig, ClientRuntime, ClientRuntimeConfig};
use rocketmq_runtime::{RuntimeConfig, RuntimeOwner};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::sync::{Mutex, RwLock};

use consuming::Consuming;
use producing::Producing;
use pulling::Pulling;

pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A producer or consumer that was started under a name.
enum Part {
    Producer(RwLock<Producing>),
    Consumer(Mutex<Consuming>),
    Lite(Pulling),
}

type Parts = Arc<Mutex<HashMap<String, Arc<Part>>>>;

struct Driver {
    runtime: Arc<ClientRuntime>,
    name_server: String,
    parts: Parts,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let name_server = std::env::args().nth(1).ok_or("the address of the name server is missing")?;
    // As on a machine with many cores: a consumer that finds no thread for its listener drops what was broadcast to it.
    let owner = RuntimeOwner::plan(RuntimeConfig::for_parallelism("driver", 16))?.build()?;
    let telemetry = rocketmq_observability::install_global(&rocketmq_observability::TelemetryBootstrapConfig::default())?;
    let runtime =
        ClientRuntime::try_new(owner.root_context().component("client"), ClientRuntimeConfig::default(), telemetry.handle())?;
    let driver = Arc::new(Driver { runtime, name_server, parts: Parts::default() });
    show(&json!({ "kind": "ready" }));
    let mut lines = BufReader::new(tokio::io::stdin()).lines();
    while let Some(line) = lines.next_line().await? {
        let command: Value = serde_json::from_str(&line)?;
        let driver = Arc::clone(&driver);
        tokio::spawn(async move { carry_out(&driver, command).await });
    }
    // What still runs goes with the process.
    std::process::exit(0);
}

async fn carry_out(driver: &Driver, command: Value) {
    let mut answer = match act(driver, &command).await {
        Ok(Value::Object(answer)) => answer,
        Ok(_) => serde_json::Map::new(),
        Err(error) => {
            show(&json!({ "kind": "failed", "id": command["id"], "error": chain(error.as_ref()) }));
            return;
        }
    };
    answer.insert("kind".into(), "done".into());
    answer.insert("id".into(), command["id"].clone());
    show(&Value::Object(answer));
}

async fn act(driver: &Driver, o: &Value) -> Result<Value, Failure> {
    let name = text(o, "name");
    match text(o, "do").as_str() {
        "producer" => {
            let part = Producing::start(&driver.runtime, driver.config(o), o).await?;
            driver.parts.lock().await.insert(name, Arc::new(Part::Producer(RwLock::new(part))));
        }
        "consumer" => {
            let part = Consuming::start(&driver.runtime, driver.config(o), o).await?;
            driver.parts.lock().await.insert(name, Arc::new(Part::Consumer(Mutex::new(part))));
        }
        "lite" => {
            let part = Pulling::start(&driver.runtime, driver.config(o), o).await?;
            driver.parts.lock().await.insert(name, Arc::new(Part::Lite(part)));
        }
        "stop" => {
            let part = driver.parts.lock().await.remove(&name).ok_or(format!("nothing is called {name}"))?;
            match part.as_ref() {
                Part::Producer(producer) => producer.write().await.stop().await,
                Part::Consumer(consumer) => consumer.lock().await.stop().await,
                Part::Lite(lite) => lite.stop().await,
            }
        }
        what => {
            let by = text(o, "by");
            let part = driver.parts.lock().await.get(&by).cloned().ok_or(format!("nothing is called {by}"))?;
            return match (part.as_ref(), what) {
                (Part::Producer(producer), "send") => producer.read().await.send(o).await,
                (Part::Producer(producer), _) => producer.write().await.act(what, o).await,
                (Part::Lite(lite), _) => lite.act(what, o).await,
                (Part::Consumer(_), _) => Err(format!("a push consumer cannot {what}").into()),
            };
        }
    }
    Ok(Value::Null)
}

impl Driver {
    fn config(&self, o: &Value) -> ClientConfig {
        let mut config = ClientConfig {
            namesrv_addr: Some(self.name_server.clone().into()),
            instance_name: text(o, "name").into(),
            ..Default::default()
        };
        if let Some(ms) = o["pollNameServerMs"].as_u64() {
            // It takes no shorter one.
            config.poll_name_server_interval = (ms as u32).max(10_000);
        }
        if let Some(ms) = o["persistMs"].as_u64() {
            config.persist_consumer_offset_interval = ms as u32;
        }
        config
    }
}

pub fn text(o: &Value, name: &str) -> String {
    o[name].as_str().unwrap_or_default().to_owned()
}

pub fn show(o: &Value) {
    let mut out = std::io::stdout().lock();
    // A test that is gone reads no more.
    let _ = writeln!(out, "{o}");
}

/// The error and its causes: type and first line. The client's codes are in its words alone.
pub fn chain(error: &dyn std::error::Error) -> Vec<Value> {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(|error| json!({ "type": "ClientError", "message": error.to_string().lines().next() })).collect()
}
