//! Every bit of every file of a small store, flipped.

use std::collections::BTreeSet;

use crate::cases::Cases;
use crate::image::*;
use crate::judge::*;

/// Behind the last byte that is not zero, so many are tried as any other.
const BEHIND: usize = 8;
/// Of the zeros behind only one byte in so many is.
const RARE: u64 = 64;

/// What a flipped bit of a file may cost.
fn allowed<'a>(image: &Image, path: &str, at: usize, altered: Option<&'a [u8]>) -> Allowed<'a> {
    let nothing = Allowed::default();
    if let Some(base) = base_of(path) {
        let (number, is_record) = image.message_at(base + at as u64);
        let lost = if is_record { BTreeSet::from([number]) } else { BTreeSet::new() };
        let cut = Some(number).filter(|&number| number >= image.known);
        let altered = altered.map(|bytes| (number, bytes)).filter(|_| is_record);
        return Allowed { lost, cut, altered, ..nothing };
    }
    let file = path.split('/').next().unwrap_or_default();
    match file {
        "consumequeue" | "batchconsumequeue" => Allowed { hidden: 1, ..nothing },
        "index" => Allowed { unfound: true, ..nothing },
        _ => nothing,
    }
}

/// The fields in front of the body of a record, and those behind, which only a checksum over all of it covers.
fn is_unprotected(image: &Image, path: &str, at: usize) -> bool {
    let Some(base) = base_of(path).filter(|_| image.ending == Ending::ClosedByRocketmq) else { return false };
    let (number, is_record) = image.message_at(base + at as u64);
    if !is_record {
        return false;
    }
    let message = &image.model.messages[number];
    let body = u32::from_be_bytes(message.bytes[84..88].try_into().unwrap()) as usize;
    let within = base as usize + at - message.physical as usize;
    !(0..12).contains(&within) && !(84..88 + body).contains(&within)
}

fn flip(image: &Image, path: &str, at: usize, bit: u32) -> Outcome {
    let storage = image.storage.snapshot();
    storage.change(path, at, |byte| *byte ^= 1 << bit);
    let damaged = [Damaged::bytes(path, at as u64, at as u64 + 1)];
    if is_unprotected(image, path, at) {
        return judge_unprotected(image, &storage, path, at);
    }
    judge(image, &storage, &damaged, &allowed(image, path, at, None))
}

/// A record that is taken for another one: all others are there.
fn judge_unprotected(image: &Image, storage: &moraine_core::memory::MemoryStorage, path: &str, at: usize) -> Outcome {
    let base = base_of(path).unwrap();
    let (number, _) = image.message_at(base + at as u64);
    let message = &image.model.messages[number];
    let log = storage.contents(path).unwrap();
    let from = (message.physical - base) as usize;
    let bytes = &log[from..from + message.bytes.len()];
    judge_others(image, storage, number, bytes)
}

fn every_bit(ending: Ending, stride: u64) {
    let image = Image::new(ending);
    let mut cases = Cases::new("bits", ending, stride);
    for path in image.storage.paths() {
        let contents = image.storage.contents(&path).unwrap();
        let used = contents.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1 + BEHIND);
        for at in 0..contents.len() {
            for bit in 0..8 {
                let rare = if at < used { 1 } else { RARE };
                cases.weighed(rare, || format!("bit {bit} of byte {at} of {path}"), || flip(&image, &path, at, bit));
            }
        }
    }
    cases.end(100);
}

#[test]
fn bits_of_a_closed_store() {
    every_bit(Ending::Closed, 257);
}

#[test]
fn bits_of_a_killed_store() {
    every_bit(Ending::Killed, 257);
}

#[test]
fn bits_of_a_closed_store_without_a_sidecar() {
    every_bit(Ending::ClosedWithoutSidecar, 257);
}

#[test]
fn bits_of_a_killed_store_without_a_sidecar() {
    every_bit(Ending::KilledWithoutSidecar, 257);
}

#[test]
fn bits_of_a_store_that_rocketmq_closed() {
    every_bit(Ending::ClosedByRocketmq, 257);
}
