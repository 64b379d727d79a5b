//! What a sequence is made of, and how it is drawn: small sizes, few names, and much that collides.

use std::fmt;

use proptest::prelude::*;

/// Topic of messages that wait: their entries hold a time instead of a hash.
pub const SCHEDULE: &str = "SCHEDULE_TOPIC_XXXX";

/// What a message may name beside its own queue: light queues, and one that nobody can reach.
pub const LIGHT: [&str; 3] = ["%LMQ%a", "%LMQ%b", "%LMQ%a x"];

/// The topic that has batch queues, by the topic table.
pub const BATCHES: &str = "B";
pub const TOPIC_TABLE: &str = r#"{"topicConfigTable":{"B":{"attributes":{"queue.type":"BatchCQ"}}}}"#;

/// Topic and queue id of each queue. Two topics have a queue 0; the last one's name needs a V2 record.
pub fn queues() -> Vec<(String, i32)> {
    let long = format!("%RETRY%{}", "g".repeat(130));
    let named =
        [("T", 0), ("T", 1), ("T", i32::MAX), ("U", 0), (SCHEDULE, 2), ("Aa", 7), ("BB", 7), ("%LMQ%a", 0), ("%LMQ%b", 0), (BATCHES, 1)];
    named.iter().map(|&(topic, id)| (String::from(topic), id)).chain([(long, 0)]).collect()
}

const QUEUES: usize = 11;
/// Keys: `Aa` and `BB` have one hash, as have their doubles; the rest is plain, long, or looks like a hash of tags.
pub const KEYS: [&str; 7] = ["k", "Aa", "BB", "AaBB", "BBAa", "T#t", "0123456789ABCDEF0123456789ABCDEF"];
pub const TAGS: [&str; 5] = ["t", "Aa", "BB", "order-created", "\u{1F680}"];

/// A message to be put.
#[derive(Clone)]
pub struct Draft {
    pub queue: usize,
    pub body: Body,
    pub tags: Option<usize>,
    pub keys: Vec<usize>,
    pub uniq_key: Option<usize>,
    /// Delay level, as text in the property.
    pub delay: Option<u8>,
    /// Messages of an inner batch, where the topic takes them; 0 for a plain message.
    pub inner: u8,
    /// Names in INNER_MULTI_DISPATCH.
    pub light: Vec<usize>,
    /// The two transaction bits of the sysFlag: 0 none, 1 prepared, 2 commit, 3 rollback.
    pub transaction: i32,
    /// Bit 0: the born host has 16 address bytes; bit 1: the store host.
    pub v6: u8,
    /// Leaves out the character that ends the last property, as a client may.
    pub open_end: bool,
    /// Brings the `__CRC32#` of another record along.
    pub stale_crc: bool,
}

/// Short: only what is out of the ordinary, so that a sequence can be read.
impl fmt::Debug for Draft {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{{queue {}, {:?}", self.queue, self.body)?;
        self.tags.map_or(Ok(()), |tags| write!(f, ", tags {tags}"))?;
        if !self.keys.is_empty() {
            write!(f, ", keys {:?}", self.keys)?;
        }
        self.uniq_key.map_or(Ok(()), |key| write!(f, ", uniq key {key}"))?;
        self.delay.map_or(Ok(()), |level| write!(f, ", delay {level}"))?;
        if self.inner > 0 {
            write!(f, ", inner {}", self.inner)?;
        }
        if !self.light.is_empty() {
            write!(f, ", light {:?}", self.light)?;
        }
        let flags = [
            (self.transaction, "transaction"),
            (i32::from(self.v6), "v6"),
            (i32::from(self.open_end), "open end"),
            (i32::from(self.stale_crc), "stale crc"),
        ];
        flags.iter().filter(|(value, _)| *value != 0).try_for_each(|(value, name)| write!(f, ", {name} {value}"))?;
        f.write_str("}")
    }
}

#[derive(Clone, Debug)]
pub enum Body {
    Bytes(u16),
    /// So long that the record leaves this many bytes of its file behind the room for a blank's header.
    Filling(u16),
    /// The bytes of an earlier record.
    Record(u16),
}

/// A place in something, wherever that ends: the remainder by its length counts, or how far it lies behind the end.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    In(u16),
    Behind(u64),
}

impl Place {
    /// As an offset in `0..length`, or at or behind `length`.
    pub fn within(self, length: u64) -> u64 {
        match self {
            Place::In(_) if length == 0 => 0,
            Place::In(pick) => u64::from(pick) % length,
            Place::Behind(more) => length.saturating_add(more),
        }
    }
}

/// Questions, each answered at once.
#[derive(Clone, Debug)]
pub enum Question {
    Get { queue: usize, at: Place, max: usize, bytes: usize },
    GetTags { queue: usize, at: Place, max: usize, bytes: usize, tags: Vec<usize> },
    Entries { queue: usize, from: Place, max: usize },
    Offsets { queue: usize },
    ByTime { queue: usize, at: u16, later: i64, upper: bool },
    TimeOf { queue: usize, at: Place },
    Lookup { queue: usize, key: usize, range: Option<(u16, u16)> },
    Scan { from: u16, to: Place },
    At { record: u16, further: i8 },
    Names,
    Positions,
    Stats,
    Health,
}

/// Why a batch is refused: which of its messages has what is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    Body,
    Properties,
    QueueId,
    Topic,
    InnerBatch,
    Port,
}

/// What is different when the store is opened again.
#[derive(Clone, Debug, Default)]
pub struct Change {
    /// Of `consumequeue`, `index`, `checkpoint` and `batchconsumequeue`, by bit: removed before.
    pub lose: u8,
    pub sync: bool,
    pub record_crc: bool,
    pub index: bool,
    pub index_tags: bool,
    pub compat_4: bool,
    /// Other sizes are asked for; those on disk win.
    pub other_sizes: bool,
}

#[derive(Clone, Debug)]
pub enum Operation {
    Put(Vec<Draft>),
    /// All to the queue of the first.
    PutGroup(Vec<Draft>),
    PutWrong(Vec<Draft>, usize, Wrong),
    PutOnFullDisk(Vec<Draft>),
    Ask(Question),
    PlanFlush,
    FinishFlush,
    Flush,
    PlanBehind,
    /// Carries the plan out up to this write, where the disk is full.
    RunBehind(usize),
    FinishBehind,
    PutOffBehind,
    WriteBehind,
    Clock(i64),
    Close(Change),
    Crash(Change),
    /// As a crash, but of the log's bytes that no sync covers only these many are there: the rest reads as zeros.
    TornCrash(Place, Change),
    ReadOnly,
    Poison,
}

fn draft() -> impl Strategy<Value = Draft> {
    let queue = prop_oneof![12 => 0..4usize, 2 => 4..QUEUES, 1 => Just(QUEUES - 1)];
    let body = prop_oneof![
        10 => (0..300u16).prop_map(Body::Bytes),
        2 => Just(Body::Bytes(0)),
        2 => (0..2000u16).prop_map(Body::Bytes),
        2 => (0..12u16).prop_map(Body::Filling),
        1 => any::<u16>().prop_map(Body::Record),
    ];
    let keys = prop_oneof![1 => Just(vec![]), 3 => prop::collection::vec(0..KEYS.len(), 0..4)];
    let transaction = prop_oneof![8 => Just(0), 1 => 1..4];
    let strings = (prop::option::of(0..TAGS.len()), keys, prop::option::weighted(0.3, 0..KEYS.len()), prop::option::weighted(0.2, 0..21u8));
    let light = prop_oneof![6 => Just(vec![]), 1 => prop::collection::vec(0..LIGHT.len(), 1..4)];
    let flaws = (prop::bool::weighted(0.1), prop::bool::weighted(0.05), 0..6u8);
    (queue, body, strings, light, transaction, 0..4u8, flaws).prop_map(
        |(queue, body, strings, light, transaction, v6, (open_end, stale_crc, inner))| {
            let (tags, keys, uniq_key, delay) = strings;
            Draft { queue, body, tags, keys, uniq_key, delay, inner, light, transaction, v6, open_end, stale_crc }
        },
    )
}

fn drafts() -> impl Strategy<Value = Vec<Draft>> {
    prop_oneof![
        8 => prop::collection::vec(draft(), 1..4),
        2 => prop::collection::vec(draft(), 1..16),
        1 => prop::collection::vec(draft(), 1..60),
    ]
}

fn place() -> impl Strategy<Value = Place> {
    prop_oneof![6 => any::<u16>().prop_map(Place::In), 2 => (0..3u64).prop_map(Place::Behind), 1 => Just(Place::Behind(u64::MAX >> 11))]
}

fn question() -> impl Strategy<Value = Question> {
    let queue = || 0..QUEUES;
    let max = || prop_oneof![4 => 1..6usize, 1 => Just(100_000usize)];
    let bytes = || prop_oneof![4 => 1..3000usize, 2 => Just(1usize << 20), 1 => Just(0usize)];
    let range = prop::option::of((any::<u16>(), any::<u16>()));
    prop_oneof![
        6 => (queue(), place(), max(), bytes()).prop_map(|(queue, at, max, bytes)| Question::Get { queue, at, max, bytes }),
        3 => (queue(), place(), max(), bytes(), prop::collection::vec(0..TAGS.len(), 1..3))
            .prop_map(|(queue, at, max, bytes, tags)| Question::GetTags { queue, at, max, bytes, tags }),
        2 => (queue(), place(), max()).prop_map(|(queue, from, max)| Question::Entries { queue, from, max }),
        1 => queue().prop_map(|queue| Question::Offsets { queue }),
        3 => (queue(), any::<u16>(), -1..2i64, any::<bool>()).prop_map(|(queue, at, later, upper)| Question::ByTime { queue, at, later, upper }),
        1 => (queue(), place()).prop_map(|(queue, at)| Question::TimeOf { queue, at }),
        4 => (queue(), 0..KEYS.len(), range).prop_map(|(queue, key, range)| Question::Lookup { queue, key, range }),
        1 => (any::<u16>(), place()).prop_map(|(from, to)| Question::Scan { from, to }),
        2 => (any::<u16>(), any::<i8>()).prop_map(|(record, further)| Question::At { record, further }),
        1 => Just(Question::Names),
        1 => Just(Question::Positions),
        1 => Just(Question::Stats),
        1 => Just(Question::Health),
    ]
}

fn change() -> impl Strategy<Value = Change> {
    let lose = prop_oneof![3 => Just(0u8), 1 => 0..16u8];
    let rare = || prop::bool::weighted(0.1);
    (lose, any::<bool>(), any::<bool>(), rare(), rare(), rare(), rare()).prop_map(
        |(lose, sync, record_crc, no_index, index_tags, compat_4, other_sizes)| Change {
            lose,
            sync,
            record_crc,
            index: !no_index,
            index_tags,
            compat_4,
            other_sizes,
        },
    )
}

fn wrong() -> impl Strategy<Value = Wrong> {
    prop::sample::select(vec![Wrong::Body, Wrong::Properties, Wrong::QueueId, Wrong::Topic, Wrong::InnerBatch, Wrong::Port])
}

/// Ties, small steps, days, and corrections backwards that are held, or followed.
fn clock_step() -> impl Strategy<Value = i64> {
    prop_oneof![
        6 => 0..3i64,
        3 => prop::sample::select(vec![1000, 3000, 86_400_000]),
        2 => prop::sample::select(vec![-1, -1000, -600_000]),
        1 => prop::sample::select(vec![-600_001, -172_800_000]),
    ]
}

fn operation() -> impl Strategy<Value = Operation> {
    prop_oneof![
        24 => drafts().prop_map(Operation::Put),
        3 => drafts().prop_map(Operation::PutGroup),
        2 => (drafts(), any::<prop::sample::Index>(), wrong()).prop_map(|(drafts, at, wrong)| {
            let at = at.index(drafts.len());
            Operation::PutWrong(drafts, at, wrong)
        }),
        1 => drafts().prop_map(Operation::PutOnFullDisk),
        24 => question().prop_map(Operation::Ask),
        1 => Just(Operation::PlanFlush),
        2 => Just(Operation::FinishFlush),
        4 => Just(Operation::Flush),
        2 => Just(Operation::PlanBehind),
        2 => (0..6usize).prop_map(Operation::RunBehind),
        2 => Just(Operation::FinishBehind),
        1 => Just(Operation::PutOffBehind),
        3 => Just(Operation::WriteBehind),
        6 => clock_step().prop_map(Operation::Clock),
        2 => change().prop_map(Operation::Close),
        2 => change().prop_map(Operation::Crash),
        1 => (place(), change()).prop_map(|(kept, change)| Operation::TornCrash(kept, change)),
        1 => Just(Operation::ReadOnly),
        1 => prop::bool::weighted(0.3).prop_map(|poison| if poison { Operation::Poison } else { Operation::Flush }),
    ]
}

/// Operations, drawn one by one; a sequence is made of them by [`super::sequence`].
pub fn any_operation() -> BoxedStrategy<Operation> {
    operation().boxed()
}
