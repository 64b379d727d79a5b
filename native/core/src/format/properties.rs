//! The property string (§2.4): `name \x01 value \x02`, repeated.

use alloc::vec::Vec;
use core::ops::Range;

use crate::format::big_endian::array_at;
use crate::format::record_crc::{self, Trailer};

pub(crate) const SEPARATOR: u8 = 1;
pub(crate) const END: u8 = 2;

/// Name of the property with the queues that a message goes to beside its own, and of the one with its offsets there (§3.6).
pub const MULTI_DISPATCH_NAME: &[u8] = b"INNER_MULTI_DISPATCH";
pub const MULTI_QUEUE_OFFSET_NAME: &[u8] = b"INNER_MULTI_QUEUE_OFFSET";
/// Name of the property that says where an inner batch begins in its queue (§2.9).
pub const INNER_BASE_NAME: &[u8] = b"INNER_BASE";
/// Name of the property that carries the CRC of the whole record (§2.5).
pub const RECORD_CRC_NAME: &[u8] = b"__CRC32#";
/// Bytes of that property: name, `\x01`, ten digits, `\x02`.
pub const RECORD_CRC_BYTES: usize = 20;

/// (name, value) pairs in order, by RocketMQ's decoding rules.
///
/// The end of the string ends a property like `\x02`. The first `\x01` ends the name, later ones belong to the value.
/// What has no `\x01`, no name or no value is no property. Of several with one name the last counts: the caller's part.
pub fn pairs(properties: &[u8]) -> Pairs<'_> {
    Pairs { bytes: properties, at: 0 }
}

/// See [`pairs`].
#[derive(Clone, Debug)]
pub struct Pairs<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Pairs<'_> {
    /// Where name and value of the next pair stand.
    #[inline]
    fn next_places(&mut self) -> Option<(Range<usize>, Range<usize>)> {
        while self.at < self.bytes.len() {
            let start = self.at;
            let mut separator = None;
            let mut from = start;
            let end = loop {
                let Some(at) = next_mark(self.bytes, from) else { break self.bytes.len() };
                if self.bytes[at] == END {
                    break at;
                }
                separator = separator.or(Some(at));
                from = at + 1;
            };
            self.at = end + 1;
            if let Some(separator) = separator
                && separator > start
                && separator + 1 < end
            {
                return Some((start..separator, separator + 1..end));
            }
        }
        None
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.bytes;
        self.next_places().map(|(name, value)| (&bytes[name], &bytes[value]))
    }
}

/// Position of the first `\x01` or `\x02` at or after `from`, looked for eight bytes at a time.
#[inline]
fn next_mark(bytes: &[u8], from: usize) -> Option<usize> {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let mut at = from;
    while at + 8 <= bytes.len() {
        let word = u64::from_le_bytes(array_at(bytes, at));
        // The high bit of each byte below 3, as far as the lowest such byte; behind it a borrow may mark others.
        let below_3 = word.wrapping_sub(3 * EACH) & !word & (0x80 * EACH);
        if below_3 == 0 {
            at += 8;
            continue;
        }
        at += below_3.trailing_zeros() as usize / 8;
        if bytes[at] != 0 {
            return Some(at);
        }
        at += 1;
    }
    let rest = bytes.get(at..)?;
    Some(at + rest.iter().position(|&byte| byte == SEPARATOR || byte == END)?)
}

/// The properties that dispatch needs.
#[derive(Default, Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dispatched<'a> {
    pub tags: Option<&'a [u8]>,
    pub keys: Option<&'a [u8]>,
    pub uniq_key: Option<&'a [u8]>,
    pub delay: Option<&'a [u8]>,
    pub multi_dispatch: Option<&'a [u8]>,
    pub multi_queue_offset: Option<&'a [u8]>,
    pub inner_num: Option<&'a [u8]>,
    pub inner_base: Option<&'a [u8]>,
}

/// Where the values that dispatch needs stand in a property string: what one pass over it found, to be kept.
#[derive(Default, Clone, Copy, Debug)]
pub struct DispatchedPlaces {
    tags: Place,
    keys: Place,
    uniq_key: Place,
    delay: Place,
    multi_dispatch: Place,
    multi_queue_offset: Place,
    inner_num: Place,
    inner_base: Place,
}

/// A value is never empty: length 0 means that there is none.
#[derive(Default, Clone, Copy, Debug)]
struct Place {
    at: u16,
    len: u16,
}

impl Place {
    #[inline]
    fn of<'a>(&self, properties: &'a [u8]) -> Option<&'a [u8]> {
        let at = usize::from(self.at);
        if self.len == 0 { None } else { properties.get(at..at + usize::from(self.len)) }
    }
}

impl DispatchedPlaces {
    /// The values, in the string that the places are from; what was appended to it does not matter.
    #[inline]
    pub fn of<'a>(&self, properties: &'a [u8]) -> Dispatched<'a> {
        Dispatched {
            tags: self.tags.of(properties),
            keys: self.keys.of(properties),
            uniq_key: self.uniq_key.of(properties),
            delay: self.delay.of(properties),
            multi_dispatch: self.multi_dispatch.of(properties),
            multi_queue_offset: self.multi_queue_offset.of(properties),
            inner_num: self.inner_num.of(properties),
            inner_base: self.inner_base.of(properties),
        }
    }

    /// Whether the message names queues beside its own (§3.6).
    #[inline]
    pub fn has_multi_dispatch(&self) -> bool {
        self.multi_dispatch.len != 0
    }
}

/// What dispatch needs of a property string, found in one pass; a later property of a name wins.
pub fn dispatched(properties: &[u8]) -> Dispatched<'_> {
    dispatched_places(properties).of(properties)
}

/// As [`dispatched`], as places. Of a string longer than a record can have, what lies behind its longest is left out.
pub fn dispatched_places(properties: &[u8]) -> DispatchedPlaces {
    let mut found = DispatchedPlaces::default();
    let mut pairs = pairs(properties);
    while let Some((name, value)) = pairs.next_places() {
        let place = match &properties[name] {
            b"TAGS" => &mut found.tags,
            b"KEYS" => &mut found.keys,
            b"UNIQ_KEY" => &mut found.uniq_key,
            b"DELAY" => &mut found.delay,
            MULTI_DISPATCH_NAME => &mut found.multi_dispatch,
            MULTI_QUEUE_OFFSET_NAME => &mut found.multi_queue_offset,
            b"INNER_NUM" => &mut found.inner_num,
            INNER_BASE_NAME => &mut found.inner_base,
            _ => continue,
        };
        if let (Ok(at), Ok(len)) = (u16::try_from(value.start), u16::try_from(value.len())) {
            *place = Place { at, len };
        }
    }
    found
}

/// The string without any `__CRC32#` property, valid or not; `None` if it has none.
///
/// Such a property covers the record that it came from, so it goes before the string is stored again.
pub fn without_record_crc(properties: &[u8]) -> Option<Vec<u8>> {
    let mut kept = Vec::new();
    has_record_crc(properties).then(|| {
        copy_without(properties, &[RECORD_CRC_NAME], &mut kept);
        kept
    })
}

/// Whether the string has a `__CRC32#` property, valid or not.
pub fn has_record_crc(properties: &[u8]) -> bool {
    properties.contains(&b'#') && segments(properties).any(|property| is_named(property, RECORD_CRC_NAME))
}

/// Appends the string to `to`, less every property with one of these names, whatever its value.
pub fn copy_without(properties: &[u8], names: &[&[u8]], to: &mut Vec<u8>) {
    for property in segments(properties).filter(|property| !names.iter().any(|name| is_named(property, name))) {
        to.extend_from_slice(property);
    }
}

/// Whether the string ends with what a reader takes for the CRC of its record, whole or with a damaged name.
///
/// Such a string can be stored only with a CRC of the record behind it.
pub fn ends_like_record_crc(properties: &[u8]) -> bool {
    record_crc::trailer(properties) != Trailer::Absent
}

/// What lies between the ends of properties, each with its end.
fn segments(properties: &[u8]) -> impl Iterator<Item = &[u8]> {
    properties.split_inclusive(|&byte| byte == END)
}

fn is_named(property: &[u8], name: &[u8]) -> bool {
    property.strip_prefix(name).is_some_and(|rest| rest.first() == Some(&SEPARATOR))
}
