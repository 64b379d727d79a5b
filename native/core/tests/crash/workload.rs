//! Workloads: what is done to a store before it crashes, drawn from a seed.

use moraine_core::options::{FlushMode, Options};
use moraine_core::sim::SimRandom;

/// Queues that messages are put to; the topic of the last one has batch queues.
pub const OWN: [(&str, i32); 4] = [("T", 0), ("T", 1), ("U", 3), ("B", 0)];
pub const BATCH: usize = 3;
pub const LIGHT: [&str; 2] = ["%LMQ%a", "%LMQ%b"];
/// What is deleted.
pub const DELETED: [&str; 5] = ["T", "U", "B", LIGHT[0], LIGHT[1]];
pub const KEYS: [&str; 3] = ["k0", "k1", "k2"];
pub const TOPIC_TABLE: &str = r#"{"topicConfigTable":{"B":{"attributes":{"queue.type":"BatchCQ"}}}}"#;

#[derive(Clone, Debug, Default)]
pub struct Draft {
    /// Different for every message of a workload.
    pub number: u32,
    pub queue: usize,
    pub body: usize,
    /// 0 none, 1 prepared, 2 commit, 3 rollback.
    pub transaction: i32,
    pub tagged: bool,
    pub keys: Vec<usize>,
    pub light: Vec<usize>,
    /// Messages of an inner batch; 0 for a plain message.
    pub inner: u8,
}

impl Draft {
    pub fn takes_place(&self) -> bool {
        matches!(self.transaction, 0 | 2)
    }
}

#[derive(Clone, Debug)]
pub enum Step {
    Put(Vec<Draft>),
    Group(Vec<Draft>),
    /// Log synced; messages that are put while it is.
    Flush(Vec<Draft>),
    /// Queue and index entries written behind; messages that are put meanwhile.
    Behind(Vec<Draft>),
    /// A queue checkpoint, as a flusher makes one.
    Checkpoint {
        /// Messages that are put when it is begun.
        begun: Vec<Draft>,
        /// Messages that are put between two of its syncs, and flushed there.
        meanwhile: Vec<Draft>,
    },
    /// The durable position said on disk; messages that are put meanwhile.
    Watermark(Vec<Draft>),
    /// Digests of all finished segments; messages that are put meanwhile.
    Seal(Vec<Draft>),
    /// The log taken back to the end of one of its messages, or to its beginning: the number says which.
    Truncate(u64),
    /// The oldest files of the log removed, until no more than some of its bytes are left: the number says which.
    Expire(u64),
    /// A topic deleted, or a light queue: the number says which.
    Delete(usize),
    /// Queues, index or both made again from the log of a store that was closed before, or was not.
    Rebuild {
        closed: bool,
        queues: bool,
        index: bool,
    },
    Clock(i64),
    Close,
    /// The process dies, and the store is opened by another.
    Kill,
    /// The power fails, and the store is opened again; what is lost follows from the number.
    PowerCut(u64),
}

#[derive(Clone, Debug)]
pub struct Workload {
    pub seed: u64,
    pub options: Options,
    pub steps: Vec<Step>,
}

/// Files so small that they roll after a few messages.
fn small(random: &mut SimRandom) -> Options {
    Options {
        flush: if random.one_in(2) { FlushMode::Sync } else { FlushMode::Async },
        segment_bytes: *random.pick(&[2048, 4096, 8192, 16384]),
        queue_file_entries: *random.pick(&[4, 10, 30]) as u32,
        index_slots: 8,
        index_entries: *random.pick(&[6, 16, 32]) as u32,
        ..Options::default()
    }
}

impl Workload {
    pub fn random(seed: u64) -> Self {
        let random = &mut SimRandom::new(seed);
        let options = small(random);
        let mut number = 0;
        let steps = (0..5 + random.below(14)).map(|_| step(random, &options, &mut number)).collect();
        Self { seed, options, steps }
    }
}

fn step(random: &mut SimRandom, options: &Options, number: &mut u32) -> Step {
    let mut drafts =
        |random: &mut SimRandom, most: u64| -> Vec<Draft> { (0..random.below(most + 1)).map(|_| draft(random, options, number)).collect() };
    match random.below(31) {
        0..=6 => {
            let mut some = drafts(random, 3);
            some.extend((some.is_empty()).then(|| draft(random, options, number)));
            Step::Put(some)
        }
        7 => {
            let mut group = drafts(random, 2);
            group.push(draft(random, options, number));
            let queue = random.below(BATCH as u64) as usize;
            let plain = |draft| Draft { queue, transaction: 0, light: Vec::new(), inner: 0, body: 30, ..draft };
            Step::Group(group.into_iter().map(plain).collect())
        }
        8..=11 => Step::Flush(drafts(random, 1)),
        12..=14 => Step::Behind(drafts(random, 1)),
        15 => Step::Clock(*random.pick(&[1, 40, 5_000, 60_000, 31_536_000_000, -50, -500_000, -700_000])),
        16..=17 => Step::Close,
        18 => Step::Kill,
        20..=23 => Step::Checkpoint { begun: drafts(random, 1), meanwhile: drafts(random, 1) },
        24..=25 => Step::Watermark(drafts(random, 1)),
        26 => Step::Seal(drafts(random, 1)),
        27 => Step::Truncate(random.next_u64()),
        28 => Step::Expire(random.next_u64()),
        29 => Step::Delete(random.below(DELETED.len() as u64) as usize),
        30 => {
            let queues = random.one_in(2);
            Step::Rebuild { closed: random.one_in(2), queues, index: !queues || random.one_in(2) }
        }
        _ => Step::PowerCut(random.next_u64()),
    }
}

fn draft(random: &mut SimRandom, options: &Options, number: &mut u32) -> Draft {
    *number += 1;
    let queue = random.below(OWN.len() as u64) as usize;
    let body = match random.below(8) {
        0 => 0,
        1 => 600 + random.below(options.segment_bytes / 2 - 300) as usize,
        _ => random.below(200) as usize,
    };
    let transaction = if random.one_in(6) { 1 + random.below(3) as i32 } else { 0 };
    let is_plain = queue != BATCH && transaction == 0;
    let mut some = |all: usize, one_in: u64| -> Vec<usize> { (0..all).filter(|_| random.one_in(one_in)).collect() };
    let keys = some(KEYS.len(), 3);
    let light = if is_plain { some(LIGHT.len(), 6) } else { Vec::new() };
    let inner = if queue == BATCH && transaction == 0 { random.below(4) as u8 } else { 0 };
    Draft { number: *number, queue, body, transaction, tagged: random.one_in(2), keys, light, inner }
}
