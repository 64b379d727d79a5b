//! The property string (§2.4): `name \x01 value \x02`, repeated.

use alloc::vec::Vec;
use core::ops::Range;

use crate::format::marks::{Marks, OneOrTwo};
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
    Pairs(Segments::of(properties))
}

/// See [`pairs`].
#[derive(Clone, Debug)]
pub struct Pairs<'a>(Segments<'a>);

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let bytes = self.0.bytes;
        self.0.by_ref().find_map(Segment::pair).map(|(name, value)| (&bytes[name], &bytes[value]))
    }
}

/// What lies between the ends of properties and has a `\x01`, as places.
#[derive(Clone, Debug)]
struct Segments<'a> {
    bytes: &'a [u8],
    marks: Marks<'a, OneOrTwo>,
    at: usize,
}

/// Where one begins and ends, and where its first `\x01` stands.
struct Segment {
    start: usize,
    separator: usize,
    end: usize,
}

impl<'a> Segments<'a> {
    #[inline]
    fn of(bytes: &'a [u8]) -> Self {
        Self { bytes, marks: Marks::new(bytes), at: 0 }
    }
}

impl Iterator for Segments<'_> {
    type Item = Segment;

    #[inline]
    fn next(&mut self) -> Option<Segment> {
        let len = self.bytes.len();
        loop {
            let mark = self.marks.next()?;
            if self.bytes[mark] == END {
                self.at = mark + 1;
                continue;
            }
            let (start, separator) = (self.at, mark);
            let end = loop {
                let Some(mark) = self.marks.next() else { break len };
                if self.bytes[mark] == END {
                    break mark;
                }
            };
            self.at = end + 1;
            return Some(Segment { start, separator, end });
        }
    }
}

impl Segment {
    /// Name and value, if it is a property.
    #[inline]
    fn pair(self) -> Option<(Range<usize>, Range<usize>)> {
        let Self { start, separator, end } = self;
        (separator > start && separator + 1 < end).then(|| (start..separator, separator + 1..end))
    }
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
    record_crc: bool,
    /// There is more than tags and keys.
    more: bool,
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
        let (tags, keys, uniq_key) = (self.tags.of(properties), self.keys.of(properties), self.uniq_key.of(properties));
        if !self.more {
            return Dispatched { tags, keys, uniq_key, ..Dispatched::default() };
        }
        Dispatched {
            tags,
            keys,
            uniq_key,
            delay: self.delay.of(properties),
            multi_dispatch: self.multi_dispatch.of(properties),
            multi_queue_offset: self.multi_queue_offset.of(properties),
            inner_num: self.inner_num.of(properties),
            inner_base: self.inner_base.of(properties),
        }
    }

    /// Whether the string has a `__CRC32#` property, valid or not.
    #[inline]
    pub fn has_record_crc(&self) -> bool {
        self.record_crc
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
    for Segment { start, separator, end } in Segments::of(properties) {
        let value = separator + 1..end;
        let place = match &properties[start..separator] {
            b"TAGS" => &mut found.tags,
            b"KEYS" => &mut found.keys,
            b"UNIQ_KEY" => &mut found.uniq_key,
            RECORD_CRC_NAME => {
                found.record_crc = true;
                continue;
            }
            name => {
                let place = match name {
                    b"DELAY" => &mut found.delay,
                    MULTI_DISPATCH_NAME => &mut found.multi_dispatch,
                    MULTI_QUEUE_OFFSET_NAME => &mut found.multi_queue_offset,
                    b"INNER_NUM" => &mut found.inner_num,
                    INNER_BASE_NAME => &mut found.inner_base,
                    _ => continue,
                };
                found.more = true;
                place
            }
        };
        if value.is_empty() {
            continue;
        }
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
    dispatched_places(properties).has_record_crc().then(|| {
        copy_without(properties, &[RECORD_CRC_NAME], &mut kept);
        kept
    })
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
