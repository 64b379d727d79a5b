//! The store as plain vectors: what was put, in order, and what every question about it must answer.

use std::collections::BTreeMap;

use super::operations::{BATCHES, Body, Draft, KEYS, LIGHT, SCHEDULE, TAGS, queues};

pub const COMMIT: i32 = 2;
pub const ROLLBACK: i32 = 3;

/// RocketMQ's default delay levels from 1 on, in seconds.
const DELAYS: [i64; 18] = [1, 5, 10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1200, 1800, 3600, 7200];
/// A `__CRC32#` as it came with a message of another store.
const STALE_CRC: &[u8] = b"__CRC32#\x010123456789\x02";
const BLANK_HEADER: u64 = 8;
/// The `__CRC32#` property: name, separator, ten digits, end.
const CRC_PROPERTY: u64 = 20;
/// What is left free by a record that goes to light queues: how long the list of its offsets may become.
const LIGHT_MARGIN: u64 = 64;
/// A clock further behind than this is followed.
const HELD_MS: i64 = 600_000;

/// A message as it must be found again.
#[derive(Clone, Debug)]
pub struct Message {
    pub topic: String,
    pub queue_id: i32,
    /// None for what takes no place in its queue.
    pub queue_offset: Option<u64>,
    pub physical: u64,
    pub size: u64,
    pub time: i64,
    pub transaction: i32,
    pub v6: u8,
    pub body: Vec<u8>,
    /// The property string as it is put.
    pub given_properties: Vec<u8>,
    /// The property string as it is stored, without the CRC of the record.
    pub properties: Vec<u8>,
    pub record_crc: bool,
    pub tags: Option<&'static str>,
    pub keys: Vec<&'static str>,
    /// Messages of an inner batch; 0 for a plain message.
    pub inner: u8,
    /// Light queues that it goes to beside its own.
    pub light: Vec<&'static str>,
    pub tags_code: i64,
    /// Whether the store indexed keys when the message was put.
    pub indexed: bool,
}

impl Message {
    pub fn end(&self) -> u64 {
        self.physical + self.size
    }

    /// Offsets that it takes in its queue.
    pub fn offsets(&self) -> u64 {
        u64::from(self.inner.max(1))
    }

    pub fn has_key(&self, key: &str) -> bool {
        self.keys.contains(&key) && self.transaction != ROLLBACK
    }
}

/// What the options say, as far as answers depend on them.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    pub sync: bool,
    pub record_crc: bool,
    pub index: bool,
}

#[derive(Debug)]
pub struct Model {
    pub segment_bytes: u64,
    pub kind: Kind,
    /// All messages, in the order of the log.
    pub log: Vec<Message>,
    /// (position, bytes) of the unused ends of files.
    pub blanks: Vec<(u64, u64)>,
    /// Places in `log`, by queue.
    pub queues: BTreeMap<(String, i32), Vec<usize>>,
    pub end: u64,
    pub durable: u64,
    pub poisoned: bool,
    pub last_time: i64,
    /// Messages, and their bytes, put since the store was opened.
    pub put: (u64, u64),
    /// The clock was followed backwards since the store was opened.
    pub clock_went_back: bool,
    /// Whether the store was closed before it was opened.
    pub clean: bool,
    /// Kinds of findings that there may be.
    pub findings: Vec<&'static str>,
}

impl Model {
    pub fn new(segment_bytes: u64, kind: Kind) -> Self {
        Self {
            segment_bytes,
            kind,
            log: Vec::new(),
            blanks: Vec::new(),
            queues: BTreeMap::new(),
            end: 0,
            durable: 0,
            poisoned: false,
            last_time: 0,
            put: (0, 0),
            clock_went_back: false,
            clean: true,
            findings: vec!["clock"],
        }
    }

    /// Another model that goes on from here.
    pub fn copy(&self) -> Self {
        Self { log: self.log.clone(), blanks: self.blanks.clone(), queues: self.queues.clone(), findings: self.findings.clone(), ..*self }
    }

    pub fn visible(&self) -> u64 {
        if self.kind.sync || self.poisoned { self.durable } else { self.end }
    }

    /// Bytes that a record can take in the file at hand.
    fn room(&self) -> u64 {
        (self.segment_bytes - self.end % self.segment_bytes).saturating_sub(BLANK_HEADER)
    }

    /// The messages of a queue that can be read.
    pub fn visible_in(&self, queue: &(String, i32)) -> Vec<&Message> {
        let places = self.queues.get(queue).map_or(&[][..], Vec::as_slice);
        places.iter().map(|&place| &self.log[place]).filter(|message| message.physical < self.visible()).collect()
    }

    /// … with the offset that each begins at.
    pub fn with_offsets(&self, queue: &(String, i32)) -> Vec<(u64, &Message)> {
        let mut next = 0;
        let place = |message| {
            next += Message::offsets(message);
            (next - message.offsets(), message)
        };
        self.visible_in(queue).into_iter().map(place).collect()
    }

    pub fn next(&self, queue: &(String, i32)) -> u64 {
        let places = self.queues.get(queue).map_or(&[][..], Vec::as_slice);
        places.iter().map(|&place| self.log[place].offsets()).sum()
    }

    /// The message that a draft becomes when it is put now, without its place. One of a group goes to no light queues.
    pub fn message(&self, draft: &Draft, in_group: bool) -> Message {
        let (topic, queue_id) = queues()[draft.queue].clone();
        let takes_place = matches!(draft.transaction, 0 | COMMIT);
        let inner = if topic == BATCHES && takes_place && !in_group { draft.inner } else { 0 };
        let light_names = if topic == BATCHES { Vec::new() } else { draft.light.clone() };
        let draft = &Draft { inner, light: light_names, ..draft.clone() };
        let (given_properties, given) = properties(draft);
        let mut properties = given_properties.clone();
        if inner > 0 {
            let base = format!("INNER_BASE\u{1}{}\u{2}", self.next(&(topic.clone(), queue_id)));
            properties.splice(..0, base.into_bytes());
        }
        let named = !in_group && takes_place && !topic.starts_with("%RETRY%") && topic != SCHEDULE;
        let light: Vec<&'static str> = if named { draft.light.iter().map(|&light| LIGHT[light]).collect() } else { Vec::new() };
        if !light.is_empty() {
            if draft.open_end {
                properties.push(2);
            }
            let offset = |name: &str| self.next(&(String::from(name), 0)) + u64::from(topic == name);
            let offsets: Vec<String> = light.iter().map(|name| offset(name).to_string()).collect();
            properties.extend_from_slice(format!("INNER_MULTI_QUEUE_OFFSET\u{1}{}\u{2}", offsets.join(",")).as_bytes());
        }
        let added = if self.kind.record_crc { CRC_PROPERTY + u64::from(properties.last().is_some_and(|&last| last != 2)) } else { 0 };
        let hosts: u64 = [1, 2].iter().map(|bit| if draft.v6 & bit == 0 { 8 } else { 20 }).sum();
        let topic_length = if topic.len() > 127 { 2 } else { 1 };
        let overhead = 72 + hosts + topic_length + topic.len() as u64 + 2 + properties.len() as u64 + added;
        let body = match inner {
            0 => self.body(&draft.body, overhead, if light.is_empty() { 0 } else { LIGHT_MARGIN }),
            count => wire_batch(count),
        };
        let tags_code = match given.delay.filter(|_| topic == SCHEDULE) {
            Some(delay) => i64::MIN + delay, // the store time is added when it is known
            None => given.tags.map_or(0, |tags| i64::from(java_hash(tags))),
        };
        Message {
            size: overhead + body.len() as u64,
            topic,
            queue_id,
            queue_offset: takes_place.then_some(0),
            physical: 0,
            time: 0,
            transaction: draft.transaction,
            v6: draft.v6,
            body,
            given_properties: if draft.stale_crc { [STALE_CRC, &given_properties].concat() } else { given_properties },
            properties,
            record_crc: self.kind.record_crc,
            tags: given.tags,
            keys: given.keys,
            inner,
            light,
            tags_code,
            indexed: self.kind.index,
        }
    }

    /// The body of a record that has `overhead` bytes beside it, and leaves `margin` bytes of its file.
    fn body(&self, body: &Body, overhead: u64, margin: u64) -> Vec<u8> {
        let largest = self.segment_bytes - BLANK_HEADER;
        match *body {
            Body::Bytes(length) => vec![b'b'; u64::from(length).min(largest - overhead - margin) as usize],
            Body::Filling(rest) => {
                let rest = u64::from(rest) + margin;
                let room = if self.room() >= overhead + rest { self.room() } else { largest };
                vec![b'f'; (room - overhead - rest) as usize]
            }
            Body::Record(pick) if !self.log.is_empty() => {
                let earlier = &self.log[usize::from(pick) % self.log.len()];
                let mut bytes = vec![0; 8];
                bytes[..4].copy_from_slice(&(earlier.size as u32).to_be_bytes());
                bytes[4..].copy_from_slice(&0xDAA3_20A7_u32.to_be_bytes());
                bytes.extend_from_slice(&earlier.body[..earlier.body.len().min(500)]);
                bytes
            }
            Body::Record(_) => Vec::new(),
        }
    }

    /// The store time of what is put now.
    pub fn tick(&mut self, now: i64) -> i64 {
        if self.last_time.saturating_sub(now) > HELD_MS {
            self.clock_went_back = true;
            self.last_time = now;
        }
        self.last_time = self.last_time.max(now);
        self.last_time
    }

    /// A file that has no room for so many bytes ends with a blank.
    pub fn make_room(&mut self, size: u64) {
        if size > self.room() {
            let rest = self.segment_bytes - self.end % self.segment_bytes;
            self.blanks.push((self.end, rest));
            self.end += rest;
        }
    }

    /// Puts a message at the end of the log.
    pub fn append(&mut self, mut message: Message, time: i64) -> &Message {
        self.make_room(message.size);
        message.physical = self.end;
        message.time = time;
        if message.tags_code < -(1 << 40) {
            message.tags_code = time + (message.tags_code - i64::MIN);
        }
        if message.queue_offset.is_some() {
            message.queue_offset = Some(self.next(&(message.topic.clone(), message.queue_id)));
            let places = self.queues.entry((message.topic.clone(), message.queue_id)).or_default();
            places.push(self.log.len());
            for (_, &name) in message.light.iter().enumerate().filter(|&(n, name)| !message.light[..n].contains(name)) {
                self.queues.entry((String::from(name), 0)).or_default().push(self.log.len());
            }
        }
        self.end += message.size;
        self.put = (self.put.0 + 1, self.put.1 + message.size);
        self.log.push(message);
        &self.log[self.log.len() - 1]
    }

    /// The store was opened again over what the log holds below `end`.
    pub fn reopen(&mut self, end: u64, kind: Kind, clean: bool) {
        self.findings = match () {
            () if clean => vec!["clock"],
            () if end < self.end => vec!["clock", "unclean", "cut"],
            () => vec!["clock", "unclean"],
        };
        self.clean = clean;
        self.log.retain(|message| message.end() <= end);
        self.blanks.retain(|&(at, size)| at + size <= end);
        let kept = self.log.len();
        self.queues.values_mut().for_each(|places| places.retain(|&place| place < kept));
        self.queues.retain(|_, places| !places.is_empty());
        (self.end, self.durable, self.kind) = (end, end, kind);
        (self.poisoned, self.clock_went_back, self.put) = (false, false, (0, 0));
        self.last_time = self.log.last().map_or(0, |message| message.time);
    }

    /// Positions at which a message or a blank stands, in order, and the end.
    pub fn borders(&self) -> Vec<u64> {
        let mut borders: Vec<u64> = self.log.iter().map(|message| message.physical).collect();
        borders.extend(self.blanks.iter().map(|&(at, _)| at).chain([self.end]));
        borders.sort_unstable();
        borders
    }

    pub fn topics(&self) -> Vec<String> {
        let mut topics: Vec<String> = self.queues.keys().map(|(topic, _)| topic.clone()).collect();
        topics.dedup();
        topics
    }
}

/// So many short messages in RocketMQ's wire form.
fn wire_batch(count: u8) -> Vec<u8> {
    (0..count).flat_map(|n| [&23_i32.to_be_bytes()[..], &[0; 12], &1_i32.to_be_bytes(), &[n], &[0; 2]].concat()).collect()
}

/// What a property string says to the store.
struct Given {
    tags: Option<&'static str>,
    keys: Vec<&'static str>,
    delay: Option<i64>,
}

fn properties(draft: &Draft) -> (Vec<u8>, Given) {
    let keys: Vec<&str> = draft.keys.iter().map(|&key| KEYS[key]).collect();
    let mut pairs: Vec<String> = Vec::new();
    let tags = draft.tags.map(|tags| TAGS[tags]);
    pairs.extend(tags.map(|tags| format!("TAGS\u{1}{tags}")));
    if !keys.is_empty() {
        pairs.push(format!("KEYS\u{1}{}", keys.join("  ")));
    }
    pairs.extend(draft.delay.map(|level| format!("DELAY\u{1}{level}")));
    if !draft.light.is_empty() {
        let names: Vec<&str> = draft.light.iter().map(|&light| LIGHT[light]).collect();
        pairs.push(format!("INNER_MULTI_DISPATCH\u{1}{}", names.join(",")));
    }
    if draft.inner > 0 {
        pairs.push(format!("INNER_NUM\u{1}{}", draft.inner));
    }
    pairs.extend(draft.uniq_key.map(|key| format!("UNIQ_KEY\u{1}{}", KEYS[key])));
    let mut text = pairs.join("\u{2}");
    if !text.is_empty() && !draft.open_end {
        text.push('\u{2}');
    }
    let delay = draft.delay.filter(|&level| level > 0).map(|level| 1000 * DELAYS[usize::from(level.min(18)) - 1]);
    (text.into_bytes(), Given { tags, keys: keys.into_iter().chain(draft.uniq_key.map(|key| KEYS[key])).collect(), delay })
}

/// Java's `String.hashCode`, word for word.
pub fn java_hash(text: &str) -> i32 {
    text.encode_utf16().fold(0, |hash: i32, unit| hash.wrapping_mul(31).wrapping_add(i32::from(unit)))
}
