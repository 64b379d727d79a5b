//! What was appended, as columns: the heads and ends of records, read back from the log without their bodies.

use alloc::string::String;
use alloc::vec::Vec;

use hashbrown::HashMap;

use crate::dispatch::{Dispatch, takes_queue_entry};
use crate::error::Error;
use crate::format::record::{BODY_LENGTH_PREFIX_BYTES, Head, Record, body_at, body_length_agrees, head};
use crate::log::scan::Scanner;
use crate::log::view::LogView;
use crate::storage::Segment;

/// Bytes of heads and ends that one call reads, about.
const BYTES_AT_ONCE: usize = 4 << 20;

/// One row a message, one column a fact. Reused between calls.
#[derive(Debug, Default)]
pub struct Appended {
    pub physical_offsets: Vec<f64>,
    pub queue_ids: Vec<i32>,
    /// -1 for a message that stands in no queue: a prepared or a rolled back one.
    pub queue_offsets: Vec<f64>,
    /// Bytes of the record.
    pub sizes: Vec<f64>,
    pub store_timestamps: Vec<f64>,
    pub tags_codes: Vec<f64>,
    /// Places in `topics`.
    pub topic_indexes: Vec<u32>,
    pub topics: Vec<String>,
    known: HashMap<Vec<u8>, u32>,
    /// A record without its body.
    bodiless: Vec<u8>,
}

impl Appended {
    pub fn len(&self) -> usize {
        self.sizes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.sizes.is_empty()
    }

    /// Reads the records that start in `from..to`, `max` at most, with tags codes by `delay_levels` (ms); replaces what
    /// was here. Returns where to go on.
    ///
    /// Checksums are not compared. Stops in front of bytes that are no record; asked at them, STORE_CORRUPT says in
    /// `nextOffset` where records go on.
    pub fn read<G: Segment>(&mut self, log: &LogView<G>, delay_levels: &[i64], from: u64, to: u64, max: usize) -> Result<u64, Error> {
        self.clear();
        let to = to.min(log.end());
        let mut at = from.max(log.min());
        let mut bytes = 0;
        while at < to && self.len() < max && bytes < BYTES_AT_ONCE {
            let rest = log.rest(at);
            let mut first = [0; 8];
            let step = match log.read(at, &mut first)? {
                // Fewer than eight bytes are left: a segment that another program filled to the last byte.
                false if rest > 0 => Ok(rest),
                false => Err("no commit log file holds this offset"),
                true => match head(&first) {
                    Head::Record { size } => self.row(log, delay_levels, at, size).map(|outcome| outcome.map(|()| u64::from(size)))?,
                    Head::Blank { size } if u64::from(size) == room_of_segment(log, at) => Ok(u64::from(size)),
                    _ => Err("no record stands there"),
                },
            };
            match step {
                Ok(step) => at += step,
                Err(_) if !self.is_empty() => break,
                Err(reason) => {
                    let next = Scanner::new(log.clone(), at, to).resync()?.unwrap_or(to);
                    return Err(log.corrupt(at, reason).number("nextOffset", next as i64));
                }
            }
            bytes += self.bodiless.len();
        }
        Ok(at)
    }

    fn clear(&mut self) {
        self.physical_offsets.clear();
        self.queue_ids.clear();
        self.queue_offsets.clear();
        self.sizes.clear();
        self.store_timestamps.clear();
        self.tags_codes.clear();
        self.topic_indexes.clear();
        self.topics.clear();
        self.known.clear();
    }

    /// Adds the record of `size` bytes at `at`; or says why it is none.
    fn row<G: Segment>(&mut self, log: &LogView<G>, delay_levels: &[i64], at: u64, size: u32) -> Result<Result<(), &'static str>, Error> {
        if !self.read_bodiless(log, at, size)? {
            return Ok(Err("the lengths of the record there do not add up"));
        }
        let record = match Record::parse(&self.bodiless) {
            Ok(record) if record.physical_offset() == at as i64 => record,
            Ok(_) => return Ok(Err("the record there was written for another position")),
            Err(_) => return Ok(Err("the lengths of the record there do not add up")),
        };
        let entry = Dispatch::of(&record, at, delay_levels).queue_entry();
        let topic = match self.known.get(record.topic()) {
            Some(&known) => known,
            None => {
                let index = self.topics.len() as u32;
                self.topics.push(String::from_utf8_lossy(record.topic()).into_owned());
                self.known.insert(record.topic().into(), index);
                index
            }
        };
        self.physical_offsets.push(at as f64);
        self.queue_ids.push(record.queue_id());
        self.queue_offsets.push(if takes_queue_entry(record.sys_flag()) { record.queue_offset() as f64 } else { -1.0 });
        self.sizes.push(f64::from(size));
        self.store_timestamps.push(record.store_timestamp() as f64);
        self.tags_codes.push(entry.tags_code as f64);
        self.topic_indexes.push(topic);
        Ok(Ok(()))
    }

    /// Puts the record together as it would be with an empty body; false where its lengths cannot be true.
    fn read_bodiless<G: Segment>(&mut self, log: &LogView<G>, at: u64, size: u32) -> Result<bool, Error> {
        let mut prefix = [0; BODY_LENGTH_PREFIX_BYTES];
        let length = prefix.len().min(size as usize);
        if u64::from(size) > log.rest(at) || !log.read(at, &mut prefix[..length])? || !body_length_agrees(&prefix, size) {
            return Ok(false);
        }
        let body_at = body_at(&prefix);
        // `body_length_agrees`: the end is short, and not negative.
        let body = u32::from_be_bytes([prefix[body_at - 4], prefix[body_at - 3], prefix[body_at - 2], prefix[body_at - 1]]);
        let Some(end) = (size as usize).checked_sub(body_at + body as usize) else { return Ok(false) };
        self.bodiless.clear();
        self.bodiless.extend_from_slice(&prefix[..body_at]);
        self.bodiless.resize(body_at + end, 0);
        self.bodiless[..4].copy_from_slice(&((body_at + end) as u32).to_be_bytes());
        self.bodiless[body_at - 4..body_at].fill(0);
        log.read(at + (body_at + body as usize) as u64, &mut self.bodiless[body_at..])
    }
}

/// Bytes from `at` to the end of its segment.
fn room_of_segment<G: Segment>(log: &LogView<G>, at: u64) -> u64 {
    log.segments().find(at).map_or(0, |placed| placed.base + placed.segment.size() - at)
}
