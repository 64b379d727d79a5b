//! Light queues (§3.6): a message's INNER_MULTI_DISPATCH names queues that it goes to beside its own, its
//! INNER_MULTI_QUEUE_OFFSET has its offsets there. Both are lists divided by commas.

use alloc::vec::Vec;

/// What the name of a light queue begins with. It is the topic of a queue with the id [`LIGHT_QUEUE_ID`].
pub const LIGHT_QUEUE_PREFIX: &[u8] = b"%LMQ%";
pub const LIGHT_QUEUE_ID: i32 = 0;

const DIVIDER: u8 = b',';

/// Whether messages of a topic go to other queues: those of retries, of the system and of delivery times never do.
pub fn may_multi_dispatch(topic: &[u8]) -> bool {
    !topic.starts_with(b"%RETRY%") && !topic.starts_with(b"rmq_sys_") && topic != b"SCHEDULE_TOPIC_XXXX"
}

pub fn is_light_queue(name: &[u8]) -> bool {
    name.starts_with(LIGHT_QUEUE_PREFIX)
}

/// Whether a list says nothing. RocketMQ takes no account of such a property.
pub fn is_blank(list: &[u8]) -> bool {
    list.iter().all(|byte| matches!(byte, b'\t'..=b'\r' | 0x1C..=b' '))
}

/// The items of a list, as Java's `String.split` has them: empty ones at the end do not count.
pub fn items(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let end = list.iter().rposition(|&byte| byte != DIVIDER).map_or(0, |last| last + 1);
    list[..end].split(|&byte| byte == DIVIDER).take(if end == 0 { 0 } else { usize::MAX })
}

/// (name, offset) of every queue that a record goes to beside its own, by its two properties.
///
/// Lists of different lengths lead nowhere, nor do names with a slash, nor names without an offset: RocketMQ gives
/// none to queues that are no light ones (and would stop dispatching for good at an empty item in the middle).
pub fn entries<'a>(names: &'a [u8], offsets: &'a [u8]) -> impl Iterator<Item = (&'a [u8], u64)> {
    let count = items(names).count();
    let counts = !is_blank(names) && !is_blank(offsets) && items(offsets).count() == count;
    items(names)
        .zip(items(offsets))
        .take(if counts { count } else { 0 })
        .filter(|(name, _)| !name.contains(&b'/'))
        .filter_map(|(name, offset)| Some((name, core::str::from_utf8(offset).ok()?.parse().ok()?)))
}

/// Number of digits of an offset.
pub fn digits(offset: u64) -> usize {
    offset.checked_ilog10().unwrap_or(0) as usize + 1
}

/// Appends the list of offsets to `to`, an item per name: `None` for one that gets none.
pub fn write_offsets(offsets: impl Iterator<Item = Option<u64>>, to: &mut Vec<u8>) {
    for (n, offset) in offsets.enumerate() {
        if n > 0 {
            to.push(DIVIDER);
        }
        let Some(mut rest) = offset else { continue };
        let from = to.len();
        to.resize(from + digits(rest), b'0');
        for digit in to[from..].iter_mut().rev() {
            *digit += (rest % 10) as u8;
            rest /= 10;
        }
    }
}
