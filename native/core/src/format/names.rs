//! Names: of files (§0.2), of messages (§2.10), and which topics there may be (§2.7).

use alloc::format;
use alloc::string::String;
use core::fmt::Write as _;

use crate::format::record::{Address, Host};
use crate::limits::{MAX_SYSTEM_TOPIC_BYTES, MAX_TOPIC_BYTES};

pub const FILE_NAME_DIGITS: usize = 20;

/// Name of the file that begins at `offset`: 20 digits.
pub fn file_name(offset: u64) -> String {
    format!("{offset:020}")
}

/// Appends [`file_name`], without what formatting costs.
pub fn push_file_name(offset: u64, to: &mut String) {
    push_digits(offset, FILE_NAME_DIGITS, to);
}

/// Appends a number, with zeros in front where it has fewer than `least` digits.
pub fn push_digits(number: u64, least: usize, to: &mut String) {
    let mut digits = [b'0'; FILE_NAME_DIGITS];
    let (mut rest, mut at) = (number, FILE_NAME_DIGITS);
    while rest > 0 {
        at -= 1;
        digits[at] += (rest % 10) as u8;
        rest /= 10;
    }
    let from = at.min(FILE_NAME_DIGITS.saturating_sub(least.max(1)));
    to.extend(digits[from..].iter().map(|&digit| char::from(digit)));
}

/// Offset at which the file `name` begins; `None` unless it is exactly 20 digits that make an offset (a positive i64).
pub fn parse_file_name(name: &str) -> Option<u64> {
    if name.len() != FILE_NAME_DIGITS || !name.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    name.parse().ok().filter(|&offset| offset <= i64::MAX as u64)
}

/// The id that a broker gives a stored message: address, port and physical offset in upper case hex, 32 or 56 characters.
pub fn offset_message_id(host: &Host, physical: u64) -> String {
    let address = host.address.bytes();
    let mut id = String::with_capacity(2 * (address.len() + 12));
    for byte in address.iter().chain(&host.port.to_be_bytes()).chain(&physical.to_be_bytes()) {
        // Writing to a String does not fail.
        let _ = write!(id, "{byte:02X}");
    }
    id
}

/// The id that a client gives a message before it sends it, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UniqKey {
    pub address: Address,
    /// Low 16 bits of the client's process id.
    pub pid: u16,
    /// Hash of the client's class loader.
    pub class_loader_hash: u32,
    /// Since the first of the month, 00:00 of the client's local time.
    pub since_month_start_ms: u32,
    pub counter: u16,
}

/// `None` unless `text` is 32 (IPv4) or 56 (IPv6) hex digits.
pub fn parse_uniq_key(text: &str) -> Option<UniqKey> {
    let mut bytes = [0; 28];
    let bytes = bytes.get_mut(..text.len() / 2)?;
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        *byte = hex_digit(pair[0])? << 4 | hex_digit(pair[1])?;
    }
    let (address, rest) = bytes.split_last_chunk::<12>()?;
    let address = match address.len() {
        4 => Address::V4(address.try_into().ok()?),
        16 => Address::V6(address.try_into().ok()?),
        _ => return None,
    };
    let [p0, p1, h0, h1, h2, h3, t0, t1, t2, t3, c0, c1] = *rest;
    Some(UniqKey {
        address,
        pid: u16::from_be_bytes([p0, p1]),
        class_loader_hash: u32::from_be_bytes([h0, h1, h2, h3]),
        since_month_start_ms: u32::from_be_bytes([t0, t1, t2, t3]),
        counter: u16::from_be_bytes([c0, c1]),
    })
}

fn hex_digit(digit: u8) -> Option<u8> {
    // to_digit answers at most 15
    char::from(digit).to_digit(16).map(|value| value as u8)
}

/// Whether messages may be put under this name. `Err` is a sentence for the one who chose it.
///
/// RocketMQ's limits, which also make every topic a safe name for a directory: no separator, no dot.
pub fn check_topic(topic: &[u8]) -> Result<(), String> {
    if topic.is_empty() {
        return Err(String::from("topic is empty, at least 1 character is needed"));
    }
    let shown = String::from_utf8_lossy(&topic[..topic.len().min(MAX_SYSTEM_TOPIC_BYTES)]);
    if let Some(at) = topic.iter().position(|&byte| !is_topic_byte(byte)) {
        return Err(format!("topic {shown:?} has a character at byte {at} that is none of A-Z a-z 0-9 % | _ -"));
    }
    let longest = if is_system_topic(topic) { MAX_SYSTEM_TOPIC_BYTES } else { MAX_TOPIC_BYTES };
    if topic.len() > longest {
        return Err(format!(
            "topic {shown:?} has {} bytes, at most {MAX_TOPIC_BYTES} are allowed ({MAX_SYSTEM_TOPIC_BYTES} after %RETRY% and %DLQ%)",
            topic.len()
        ));
    }
    Ok(())
}

fn is_topic_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'%' | b'|' | b'_' | b'-')
}

fn is_system_topic(topic: &[u8]) -> bool {
    topic.starts_with(b"%RETRY%") || topic.starts_with(b"%DLQ%")
}
