//! A byte of a store is flipped: verifying names the file and the place, or nobody reads that byte.

use moraine_core::engine::sidecar::queues_path;
use moraine_core::format::ext_unit::ExtUnit;
use moraine_core::format::record::Head;
use moraine_core::format::watermark::Watermark;
use moraine_core::memory::MemoryStorage;

use crate::kinds::*;

/// Whether a byte can be anything: nobody reads it, or nothing says what it should be.
fn is_free(storage: &MemoryStorage, kind: &str, path: &str, at: usize) -> bool {
    let bytes = storage.contents(path).unwrap();
    if path == "lock" {
        return true; // another marker says that RocketMQ was here, which is no fault
    }
    if path == "moraine/live" || (path.starts_with("moraine/queues-") && path != named_table(storage)) {
        return true; // of a store that was closed they say nothing
    }
    if path.starts_with("config/") {
        return true; // a word in JSON may be another one
    }
    if path.starts_with("index/") {
        return (40 + 16 * 4..40 + 16 * 4 + 20).contains(&at); // entry 0 is never used
    }
    if path.starts_with("consumequeue_ext/") {
        return ExtUnit::decode(&bytes[at / 20 * 20..]).is_none(); // behind the last unit of a file
    }
    if path.starts_with("commitlog/") {
        return in_blank(&bytes, at) || (kind == "without record CRCs" && !in_body(&bytes, at));
    }
    false
}

/// The queue table that counts.
fn named_table(storage: &MemoryStorage) -> &'static str {
    let closed = Watermark::newest(&storage.contents("moraine/watermark").unwrap()).unwrap().closed.unwrap();
    queues_path(closed.queues.snapshot)
}

/// Behind the header of the blank at the end of a segment.
fn in_blank(bytes: &[u8], at: usize) -> bool {
    let mut position = 0;
    while let Some(first) = bytes.get(position..position + 8) {
        match moraine_core::format::record::head(first.try_into().unwrap()) {
            Head::Record { size } => position += size as usize,
            Head::Blank { .. } => return at >= position + 8,
            _ => return false,
        }
    }
    false
}

/// In the body of a record: what its own checksum covers.
fn in_body(bytes: &[u8], at: usize) -> bool {
    let mut position = 0;
    while let Some(first) = bytes.get(position..position + 8) {
        let Head::Record { size } = moraine_core::format::record::head(first.try_into().unwrap()) else { return true };
        let body = i32::from_be_bytes(bytes[position + 84..position + 88].try_into().unwrap()) as usize;
        if (position + 88..position + 88 + body).contains(&at) {
            return true;
        }
        position += size as usize;
        if at < position {
            return false;
        }
    }
    true
}

#[test]
fn every_97th_byte_of_every_kind_of_store() {
    let (mut named, mut free) = (0, 0);
    for (k, kind) in KINDS.into_iter().enumerate() {
        let storage = closed(kind);
        let mut at_all = 13 * k; // another phase in each kind
        for path in storage.paths() {
            let len = storage.contents(&path).unwrap().len();
            while at_all < len {
                let at = at_all;
                at_all += 97;
                let flipped = storage.snapshot();
                flipped.change(&path, at, |byte| *byte ^= 0x10);
                let faults = verified(&flipped, true).faults;
                if is_free(&storage, kind, &path, at) {
                    free += 1;
                    continue;
                }
                let base = path.strip_prefix("commitlog/").map_or(0, |name| name.parse::<u64>().unwrap());
                let place = base + at as u64;
                let is_named = faults.iter().any(|fault| {
                    let finding = &fault.finding;
                    finding.file == path && finding.offset <= place + 1 && (place < finding.offset + finding.length || finding.length == 0)
                });
                assert!(is_named, "{kind}: byte {at} of {path} in {faults:#?}");
                named += 1;
            }
            at_all -= len;
        }
    }
    assert!(named > 1500 && free < named / 4, "{named} named, {free} free");
}
