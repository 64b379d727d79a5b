//! Kinds of RocketMQ stores that this engine can read but not write yet (durability: recovery, last point).

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use crate::error::Error;
use crate::storage::{EntryKind, Storage};

/// RocketMQ's topic table; its attributes name the kinds of queues.
const TOPICS_PATH: &str = "config/topics.json";
/// Longest topic table that is looked at.
const MAX_TOPICS_BYTES: u64 = 256 * 1024 * 1024;

/// What a plain writer would harm, each as a sentence; empty for a store that can be written.
pub fn unsupported<S: Storage>(storage: &S) -> Result<Vec<String>, Error> {
    let mut reasons = Vec::new();
    let topics = read_text(storage, TOPICS_PATH)?;
    if holds_directory(storage, "batchconsumequeue")? || names_attribute(&topics, b"queue.type", b"BatchCQ") {
        reasons.push(String::from("it has batch consume queues (queue.type=BatchCQ)"));
    }
    if holds_directory(storage, "compaction/compactionLog")? || names_attribute(&topics, b"cleanup.policy", b"COMPACTION") {
        reasons.push(String::from("it has compaction topics (cleanup.policy=COMPACTION)"));
    }
    if holds_directory(storage, "consumequeue_ext")? {
        reasons.push(String::from("it has consume queue extension files (enableConsumeQueueExt)"));
    }
    for entry in storage.list("consumequeue")?.unwrap_or_default() {
        if entry.kind == EntryKind::File && entry.name == "CURRENT" {
            reasons.push(String::from("its consume queues are a RocksDB database (storeType=defaultRocksDB)"));
        }
    }
    for entry in storage.list("")?.unwrap_or_default() {
        if entry.kind == EntryKind::Directory && entry.name.starts_with("dledger-") {
            reasons.push(format!("its log belongs to DLedger ({})", entry.name));
        }
    }
    Ok(reasons)
}

fn holds_directory<S: Storage>(storage: &S, dir: &str) -> Result<bool, Error> {
    Ok(storage.list(dir)?.unwrap_or_default().iter().any(|entry| entry.kind == EntryKind::Directory))
}

fn read_text<S: Storage>(storage: &S, path: &str) -> Result<Vec<u8>, Error> {
    let mut bytes = vec![0; storage.len(path)?.unwrap_or(0).min(MAX_TOPICS_BYTES) as usize];
    if !bytes.is_empty() {
        let read = storage.read_at(path, 0, &mut bytes)?;
        bytes.truncate(read);
    }
    Ok(bytes)
}

/// Whether `"name" : "value"` stands in a JSON text, with or without RocketMQ's `+` before the name.
fn names_attribute(text: &[u8], name: &[u8], value: &[u8]) -> bool {
    let mut rest = text;
    while let Some(at) = rest.windows(name.len()).position(|window| window == name) {
        rest = &rest[at + name.len()..];
        let after = rest.iter().position(|byte| !matches!(byte, b'"' | b':' | b' ' | b'\t' | b'\r' | b'\n'));
        if after.is_some_and(|after| rest[after..].starts_with(value)) {
            return true;
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::names_attribute;

    #[test]
    fn an_attribute_is_found_by_name_and_value() {
        let text = br#"{"attributes":{"queue.type" : "BatchCQ"}}"#;
        assert!(names_attribute(text, b"queue.type", b"BatchCQ"));
        assert!(!names_attribute(text, b"queue.type", b"SimpleCQ"));
        assert!(!names_attribute(br#"{"BatchCQ":1,"queue.type":"SimpleCQ"}"#, b"queue.type", b"BatchCQ"));
    }
}
