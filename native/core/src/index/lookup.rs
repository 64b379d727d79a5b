//! Finding messages by key: chains from the newest file to the oldest.
//!
//! An index says where to look, never what is there: hits are compared with the record by the caller. Damaged files
//! may hide a message; they cannot make a walk endless, because links strictly fall.

use alloc::vec::Vec;

use super::files::{self, SealedFile};
use super::put::Index;
use crate::error::Error;
use crate::format::index_file::IndexEntry;
use crate::storage::Storage;

/// Positions of the messages whose key has the hash, newest first, without repeats, below `visible` and at or above
/// `min`. At most `limit`.
pub fn positions<S: Storage>(index: &Index, storage: &S, key_hash: u32, min: u64, visible: u64, limit: usize) -> Result<Vec<u64>, Error> {
    let mut found = Vec::new();
    let mut collect = |entry: &IndexEntry| {
        if entry.key_hash == key_hash
            && let Ok(physical) = u64::try_from(entry.physical)
            && (min..visible).contains(&physical)
        {
            found.push(physical);
        }
        found.len() < limit
    };
    let mut go_on = true;
    for file in index.active.iter().chain(index.full.iter().rev()) {
        if go_on {
            let path = file.path();
            let read = |number| match file.pending_entry(number) {
                Some(entry) => Ok(Some(entry)),
                None => files::entry(storage, &path, &file.geometry, number),
            };
            go_on = walk(file.slot(key_hash), file.header.count, read, &mut collect)?;
        }
    }
    for file in index.sealed.iter().rev() {
        if go_on {
            go_on = sealed(storage, file, key_hash, &mut collect)?;
        }
    }
    found.sort_unstable_by(|a, b| b.cmp(a));
    found.dedup();
    Ok(found)
}

fn sealed<S: Storage>(storage: &S, file: &SealedFile, key_hash: u32, collect: &mut impl FnMut(&IndexEntry) -> bool) -> Result<bool, Error> {
    let path = file.path();
    let slot = file.slot(storage, key_hash)?;
    walk(slot, file.header.count, |number| files::entry(storage, &path, &file.geometry, number), collect)
}

/// Follows a chain from entry `number` down; false when `collect` has enough.
fn walk(
    number: u32,
    count: u32,
    read: impl Fn(u32) -> Result<Option<IndexEntry>, Error>,
    collect: &mut impl FnMut(&IndexEntry) -> bool,
) -> Result<bool, Error> {
    let mut number = number;
    let mut above = count;
    while number > 0 && number < above {
        let Some(entry) = read(number)? else {
            break;
        };
        if !collect(&entry) {
            return Ok(false);
        }
        above = number;
        number = entry.previous;
    }
    Ok(true)
}
