//! The property string (§2.4): `name \x01 value \x02`, repeated.

use alloc::vec::Vec;

use crate::format::big_endian::array_at;
use crate::format::record_crc::{self, Trailer};

const SEPARATOR: u8 = 1;
const END: u8 = 2;

/// Name of the property that carries the CRC of the whole record (§2.5).
pub const RECORD_CRC_NAME: &[u8] = b"__CRC32#";
/// Bytes of that property: name, `\x01`, ten digits, `\x02`.
pub const RECORD_CRC_BYTES: usize = 20;

/// (name, value) pairs in order, by RocketMQ's decoding rules.
///
/// The end of the string ends a property like `\x02`. The first `\x01` ends the name, later ones belong to the value.
/// What has no `\x01`, no name or no value is no property. Of several with one name the last counts: the caller's part.
pub fn pairs(properties: &[u8]) -> Pairs<'_> {
    Pairs { rest: properties }
}

/// See [`pairs`].
#[derive(Clone, Debug)]
pub struct Pairs<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        while !self.rest.is_empty() {
            let bytes = self.rest;
            let mut separator = None;
            let mut from = 0;
            let end = loop {
                let Some(at) = next_mark(bytes, from) else { break bytes.len() };
                if bytes[at] == END {
                    break at;
                }
                separator = separator.or(Some(at));
                from = at + 1;
            };
            self.rest = bytes.get(end + 1..).unwrap_or_default();
            if let Some(separator) = separator
                && separator > 0
                && separator + 1 < end
            {
                return Some((&bytes[..separator], &bytes[separator + 1..end]));
            }
        }
        None
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
    pub inner_num: Option<&'a [u8]>,
    pub inner_base: Option<&'a [u8]>,
}

/// What dispatch needs of a property string, found in one pass; a later property of a name wins.
pub fn dispatched(properties: &[u8]) -> Dispatched<'_> {
    let mut found = Dispatched::default();
    for (name, value) in pairs(properties) {
        let place = match name {
            b"TAGS" => &mut found.tags,
            b"KEYS" => &mut found.keys,
            b"UNIQ_KEY" => &mut found.uniq_key,
            b"DELAY" => &mut found.delay,
            b"INNER_MULTI_DISPATCH" => &mut found.multi_dispatch,
            b"INNER_NUM" => &mut found.inner_num,
            b"INNER_BASE" => &mut found.inner_base,
            _ => continue,
        };
        *place = Some(value);
    }
    found
}

/// The string without any property called `name`; `None` if it has none.
pub fn without(properties: &[u8], name: &[u8]) -> Option<Vec<u8>> {
    let is_named = |property: &[u8]| property.strip_prefix(name).is_some_and(|rest| rest.first() == Some(&SEPARATOR));
    let segments = || properties.split_inclusive(|&byte| byte == END);
    segments().any(is_named).then(|| segments().filter(|segment| !is_named(segment)).flatten().copied().collect())
}

/// The string without any `__CRC32#` property, valid or not; `None` if it has none.
///
/// Such a property covers the record that it came from, so it goes before the string is stored again.
pub fn without_record_crc(properties: &[u8]) -> Option<Vec<u8>> {
    if !properties.contains(&b'#') || !properties.split_inclusive(|&byte| byte == END).any(is_record_crc) {
        return None;
    }
    let mut kept = Vec::with_capacity(properties.len());
    for property in properties.split_inclusive(|&byte| byte == END).filter(|property| !is_record_crc(property)) {
        kept.extend_from_slice(property);
    }
    Some(kept)
}

/// Whether the string ends with what a reader takes for the CRC of its record, whole or with a damaged name.
///
/// Such a string can be stored only with a CRC of the record behind it.
pub fn ends_like_record_crc(properties: &[u8]) -> bool {
    record_crc::trailer(properties) != Trailer::Absent
}

fn is_record_crc(property: &[u8]) -> bool {
    property.strip_prefix(RECORD_CRC_NAME).is_some_and(|rest| rest.first() == Some(&SEPARATOR))
}
