//! From a record to its entry in a batch queue (store-format §2.8, §3.7).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::dispatch::{Dispatch, names_a_directory, takes_queue_entry};
use crate::error::Finding;
use crate::format::batch_entry::BatchEntry;
use crate::format::properties::{Dispatched, dispatched};
use crate::format::queue_entry::QueueEntry;
use crate::format::record::{Record, SYS_FLAG_INNER_BATCH};
use crate::limits::MAX_BATCH_BASE;
use crate::log::segments;
use crate::queue::batch::BatchTable;
use crate::queue::table::QueueTable;

/// Bytes in front of the body of a message in a wire batch (§2.9): size, magic, CRC, flag, length of the body.
const WIRE_HEADER_BYTES: usize = 20;

/// Whether a record found in the log belongs to a batch queue: its topic has such queues. Where neither configuration
/// nor queues tell, an inner batch does.
pub fn belongs_to_batch_queue(batches: &BatchTable, simple: &QueueTable, dispatch: &Dispatch<'_>) -> bool {
    batches.holds(dispatch.topic) || (dispatch.sys_flag & SYS_FLAG_INNER_BATCH != 0 && simple.topic(dispatch.topic).is_none())
}

/// The entry of a record whose first message has queue offset `base`.
pub fn batch_entry(dispatch: &Dispatch<'_>, base: u64, messages: u32) -> BatchEntry {
    let QueueEntry { physical, size, tags_code } = dispatch.queue_entry();
    BatchEntry { physical, size, tags_code, store_timestamp: dispatch.store_timestamp, base, messages }
}

/// Messages of the batch that INNER_NUM tells of: RocketMQ reads a positive 16-bit number.
pub fn parse_inner_num(value: &[u8]) -> Option<u32> {
    let number: i16 = core::str::from_utf8(value).ok()?.parse().ok()?;
    u32::try_from(number).ok().filter(|&number| number > 0)
}

/// Queue offset and number of the messages of a record in a batch queue, by what it says; `None` where that is no number.
pub fn batch_place(record: &Record<'_>) -> Option<(u64, u32)> {
    said_place(record, &dispatched(record.properties())).and_then(|(base, messages)| Some((u64::try_from(base).ok()?, messages)))
}

fn said_place(record: &Record<'_>, names: &Dispatched<'_>) -> Option<(i64, u32)> {
    match (names.inner_base, names.inner_num) {
        (Some(base), Some(number)) => {
            let base = core::str::from_utf8(base).ok().and_then(|base| base.parse::<i64>().ok());
            base.zip(parse_inner_num(number))
        }
        _ => Some((record.queue_offset(), 1)),
    }
}

/// Number of messages in a wire batch (§2.9); `None` where its lengths do not add up.
pub fn count_wire_messages(mut body: &[u8]) -> Option<u32> {
    let mut count = 0;
    while !body.is_empty() {
        let length = |at: usize| body.get(at..)?.first_chunk().map(|raw| i32::from_be_bytes(*raw));
        let size = usize::try_from(length(0)?).ok().filter(|&size| size <= body.len())?;
        let body_bytes = usize::try_from(length(16)?).ok()?;
        let properties_at = WIRE_HEADER_BYTES.checked_add(body_bytes)?;
        let raw = body.get(properties_at..)?.first_chunk()?;
        let properties = usize::try_from(i16::from_be_bytes(*raw)).ok()?;
        if properties_at + 2 + properties != size {
            return None;
        }
        body = &body[size..];
        count += 1;
    }
    Some(count)
}

/// Enters a record found in the log into its batch queue, at the offsets that it names. What RocketMQ wrote twice for one
/// offset keeps the first record; offsets that no record has are reported, unless messages of the topic are `hidden`.
pub fn redispatch_to_batch_queue(
    table: &mut BatchTable,
    record: &Record<'_>,
    dispatch: &Dispatch<'_>,
    hidden: bool,
    findings: &mut Vec<Finding>,
) {
    if !takes_queue_entry(dispatch.sys_flag) {
        return;
    }
    let mut report = |kind, message: String| {
        let file = segments::path(dispatch.physical);
        findings.push(Finding { kind, file, offset: dispatch.physical, length: u64::from(dispatch.size), message });
    };
    if !names_a_directory(dispatch.topic) || record.queue_id() < 0 {
        return report("topic-name", String::from("its topic or queue id cannot name a directory; no queue leads to it"));
    }
    let Some((base, messages)) = said_place(record, &dispatch.names) else {
        return report("queue-gap", String::from("INNER_BASE or INNER_NUM is no number; no queue leads to it"));
    };
    let Some(base) = u64::try_from(base).ok().filter(|&base| base <= MAX_BATCH_BASE) else {
        return report("queue-gap", format!("queue offset {base} is none that a batch queue can hold; no queue leads to it"));
    };
    let place = table.find_or_add(dispatch.topic, record.queue_id());
    let (next, empty) = (table.queue(place).next(), table.queue(place).is_empty());
    if empty {
        table.queue_mut(place).min = base; // the first message that the log still holds
    } else if base < next {
        return report("queue-duplicate", format!("queue offset {base} was given to an earlier message too, which keeps it"));
    } else if base > next && (table.queue(place).has_messages() && !hidden) {
        report("queue-gap", format!("queue offsets {next} to {} have no message", base - 1));
    }
    table.push(place, batch_entry(dispatch, base, messages));
}
