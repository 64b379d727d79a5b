//! `config/moraine.json`: what no log can give back (durability: what no log can give back).
//!
//! ```text
//! {"version": 1, "minimum": 4096, "topics": {"T": {"hiddenBelow": 9000, "next": {"0": 60}}}, "crc": 12345}
//! ```
//!
//! `minimum`: nothing of the log below this physical offset counts. `hiddenBelow`: messages of a deleted topic that lie below
//! this physical offset are in no queue. `next`: by queue id, the offset that the next message of a queue gets that the log
//! holds no message of. `crc`: CRC-32 of the text without it, as it is written here.

use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};

use crate::format::crc::crc32;
use crate::format::json::{JsonReader, NotJson};

/// A later version may say what this one must not overlook.
const VERSION: u64 = 1;

/// What is kept beside the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    /// Physical offset below which nothing counts.
    pub minimum: u64,
    pub topics: BTreeMap<String, KeptTopic>,
}

/// What is kept of a topic. One whose name is that of a light queue stands for that queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeptTopic {
    /// Physical offset below which its messages are in no queue; 0: none is hidden.
    pub hidden_below: u64,
    /// Next offset of queues without messages, by queue id.
    pub next: BTreeMap<i32, u64>,
}

impl Kept {
    pub fn hidden_below(&self, topic: &str) -> u64 {
        self.topics.get(topic).map_or(0, |topic| topic.hidden_below)
    }

    /// The next offset of a queue without messages; 0 where nothing is said of it.
    pub fn next(&self, topic: &str, id: i32) -> u64 {
        self.topics.get(topic).and_then(|topic| topic.next.get(&id)).copied().unwrap_or(0)
    }

    /// Forgets topics of which nothing is said.
    pub fn prune(&mut self) {
        self.topics.retain(|_, topic| topic.hidden_below > 0 || !topic.next.is_empty());
    }

    pub fn encode(&self) -> String {
        let body = self.body();
        let crc = crc32(body.as_bytes());
        body + ",\n\t\"crc\":" + &crc.to_string() + "\n}\n"
    }

    fn body(&self) -> String {
        let mut text = String::from("{\n\t\"version\":1,\n\t\"minimum\":");
        text += &self.minimum.to_string();
        text += ",\n\t\"topics\":{";
        for (number, (name, topic)) in self.topics.iter().enumerate() {
            text += if number > 0 { ",\n\t\t" } else { "\n\t\t" };
            quote(name, &mut text);
            text += ":{\"hiddenBelow\":";
            text += &topic.hidden_below.to_string();
            text += ",\"next\":{";
            for (number, (id, next)) in topic.next.iter().enumerate() {
                text += if number > 0 { ",\"" } else { "\"" };
                text += &id.to_string();
                text += "\":";
                text += &next.to_string();
            }
            text += "}}";
        }
        text + "\n\t}"
    }

    /// What a text says. An error also where it is damaged, or of a later version.
    pub fn parse(text: &[u8]) -> Result<Self, NotJson> {
        let (mut kept, mut version, mut crc) = (Self::default(), None, None);
        let mut reader = JsonReader::new(text);
        reader.object(|reader, name| match name {
            "version" => reader.number().map(|number| version = number),
            "crc" => reader.number().map(|number| crc = number),
            "minimum" => reader.number().map(|number| kept.minimum = number.unwrap_or(0)),
            "topics" => reader.object(|reader, name| {
                let topic = KeptTopic::read(reader)?;
                kept.topics.insert(name.into(), topic);
                Ok(())
            }),
            _ => reader.skip(),
        })?;
        let whole = reader.is_at_end() && version == Some(VERSION) && crc == Some(u64::from(crc32(kept.body().as_bytes())));
        if whole { Ok(kept) } else { Err(NotJson) }
    }
}

impl KeptTopic {
    fn read(reader: &mut JsonReader<'_>) -> Result<Self, NotJson> {
        let mut topic = Self::default();
        reader.object(|reader, name| match name {
            "hiddenBelow" => reader.number().map(|number| topic.hidden_below = number.unwrap_or(0)),
            "next" => reader.object(|reader, id| {
                let next = reader.number()?;
                if let (Ok(id), Some(next)) = (id.parse(), next) {
                    topic.next.insert(id, next);
                }
                Ok(())
            }),
            _ => reader.skip(),
        })?;
        Ok(topic)
    }
}

/// A JSON string. Topics have no characters that need more than this; what else a log brought is in \u form.
fn quote(name: &str, out: &mut String) {
    out.push('"');
    for character in name.chars() {
        match character {
            '"' | '\\' => {
                out.push('\\');
                out.push(character);
            }
            control if control < ' ' => {
                let digit = |shift: u32| char::from_digit(u32::from(control) >> shift & 15, 16).unwrap_or('0');
                out.push_str("\\u00");
                out.push(digit(4));
                out.push(digit(0));
            }
            plain => out.push(plain),
        }
    }
    out.push('"');
}
