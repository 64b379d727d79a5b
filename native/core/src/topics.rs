//! Kinds of topics, by RocketMQ's topic table `config/topics.json` (store-format §1.2).

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use crate::error::{Error, Finding};
use crate::format::json::{JsonReader, NotJson};
use crate::storage::{FileStamp, Storage};

/// RocketMQ's topic table. Beside it lies the one before, as `.bak`.
pub const TOPICS_PATH: &str = "config/topics.json";
/// Longest topic table that is read.
const MAX_TOPICS_BYTES: u64 = 256 * 1024 * 1024;

/// Topics whose attributes ask for something else than plain queues.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TopicKinds {
    /// `queue.type` is `BatchCQ`.
    pub batch: BTreeSet<String>,
    /// `cleanup.policy` is `COMPACTION`.
    pub compaction: BTreeSet<String>,
}

/// The topic table as it was read last.
#[derive(Debug, Default)]
pub struct TopicTable {
    pub kinds: TopicKinds,
    stamp: Option<FileStamp>,
    /// It was told that the table cannot be read.
    is_reported: bool,
}

impl TopicTable {
    /// Reads the table, or the one before where it is missing or damaged, as RocketMQ does. Two damaged ones are
    /// reported: no topic has attributes then.
    pub fn load<S: Storage>(storage: &S, findings: &mut Vec<Finding>) -> Result<Self, Error> {
        let stamp = storage.stamp(TOPICS_PATH)?;
        let kinds = read_kinds(storage)?;
        let is_reported = kinds.is_none();
        if is_reported {
            findings.push(unreadable("is not JSON, and there is no .bak beside it; RocketMQ does not start, here no topic has attributes"));
        }
        Ok(Self { kinds: kinds.unwrap_or_default(), stamp, is_reported })
    }

    /// Reads the table again if it was replaced or written since, once for each change; says whether there is another
    /// one now. A table that cannot be read is reported, the first time: what was known stays.
    pub fn refresh<S: Storage>(&mut self, storage: &S, findings: &mut Vec<Finding>) -> Result<bool, Error> {
        let stamp = storage.stamp(TOPICS_PATH)?;
        if stamp == self.stamp {
            return Ok(false);
        }
        self.stamp = stamp;
        let reason = match read_kinds(storage) {
            Ok(Some(kinds)) => {
                self.kinds = kinds;
                return Ok(true);
            }
            Ok(None) => String::from("is not JSON, and there is no .bak beside it"),
            Err(error) => error.message,
        };
        if !self.is_reported {
            self.is_reported = true;
            findings.push(unreadable(&format!("{reason}; topics have the attributes that they had before it was changed")));
        }
        Ok(false)
    }

    /// Whether the topic's messages go to RocketMQ's compaction store.
    pub fn is_compaction(&self, topic: &[u8]) -> bool {
        let compaction = &self.kinds.compaction;
        !compaction.is_empty() && core::str::from_utf8(topic).is_ok_and(|topic| compaction.contains(topic))
    }
}

fn unreadable(message: &str) -> Finding {
    Finding { kind: "topic-table", file: String::from(TOPICS_PATH), offset: 0, length: 0, message: String::from(message) }
}

/// The kinds that the table names, or the one before where it is missing or damaged; none without a table, `None` where
/// all that is there is damaged.
fn read_kinds<S: Storage>(storage: &S) -> Result<Option<TopicKinds>, Error> {
    let mut damaged = false;
    for path in [TOPICS_PATH, "config/topics.json.bak"] {
        let Some(text) = read(storage, path)?.filter(|text| !text.trim_ascii().is_empty()) else { continue };
        match parse(&text) {
            Ok(kinds) => return Ok(Some(kinds)),
            Err(NotJson) => damaged = true,
        }
    }
    Ok((!damaged).then(TopicKinds::default))
}

fn read<S: Storage>(storage: &S, path: &str) -> Result<Option<Vec<u8>>, Error> {
    let Some(bytes) = storage.len(path)? else { return Ok(None) };
    if bytes > MAX_TOPICS_BYTES {
        let reason = format!("{bytes} bytes are too long for a topic table: want at most {MAX_TOPICS_BYTES}");
        return Err(Error::corrupt(path, 0, &reason));
    }
    let mut text = vec![0; bytes as usize];
    let read = storage.read_at(path, 0, &mut text)?;
    text.truncate(read);
    Ok(Some(text))
}

/// The kinds of topics that a topic table names.
pub fn parse(text: &[u8]) -> Result<TopicKinds, NotJson> {
    let mut kinds = TopicKinds::default();
    let mut reader = JsonReader::new(text);
    if !reader.is_object() {
        return Err(NotJson);
    }
    reader.object(|reader, name| match name {
        "topicConfigTable" => {
            kinds = TopicKinds::default();
            reader.object(|reader, topic| {
                kinds.forget(topic);
                reader.object(|reader, name| match name {
                    "attributes" => {
                        kinds.forget(topic);
                        reader.object(|reader, attribute| {
                            let value = reader.string()?;
                            kinds.note(topic, attribute, value.as_deref());
                            Ok(())
                        })
                    }
                    _ => reader.skip(),
                })
            })
        }
        _ => reader.skip(),
    })?;
    if reader.is_at_end() { Ok(kinds) } else { Err(NotJson) }
}

/// Of what is there twice, the last counts.
impl TopicKinds {
    fn forget(&mut self, topic: &str) {
        self.batch.remove(topic);
        self.compaction.remove(topic);
    }

    fn note(&mut self, topic: &str, attribute: &str, value: Option<&str>) {
        let (kind, is_so) = match attribute {
            "queue.type" => (&mut self.batch, value == Some("BatchCQ")),
            "cleanup.policy" => (&mut self.compaction, value == Some("COMPACTION")),
            _ => return,
        };
        if is_so {
            kind.insert(topic.into());
        } else {
            kind.remove(topic);
        }
    }
}
