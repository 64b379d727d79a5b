//! Whether a directory is one of a store. Names only are looked at: the lock comes before the first byte.

use alloc::format;

use crate::error::{Code, Error};
use crate::storage::Storage;

/// Names of which a store has at least one.
const STORE_NAMES: [&str; 11] = [
    "commitlog",
    "consumequeue",
    "consumequeue_ext",
    "batchconsumequeue",
    "compaction",
    "index",
    "config",
    "checkpoint",
    "abort",
    "lock",
    "moraine",
];

/// A directory with other things in it is not made a store, and one without a store is none to be read. `shown`: the
/// directory, as whoever asked has named it.
pub fn refuse_other_directories<S: Storage>(shown: &str, storage: &S, create: bool) -> Result<(), Error> {
    let entries = storage.list("")?.unwrap_or_default();
    if entries.iter().any(|entry| STORE_NAMES.contains(&entry.name.as_str()) || entry.name.starts_with("dledger-")) {
        return Ok(());
    }
    // What file systems and people put into a directory that is otherwise empty.
    let other = entries.iter().map(|entry| entry.name.as_str()).filter(|name| !name.starts_with('.') && *name != "lost+found").min();
    match other {
        Some(name) => Err(no_store(shown, &format!("it holds {name}, and nothing that belongs to a store"), create)),
        None if !create => Err(no_store(shown, "the directory is empty", false)),
        None => Ok(()),
    }
}

/// STORE_INVALID_ARGUMENT for the argument `path`.
pub fn no_store(shown: &str, reason: &str, create: bool) -> Error {
    let or_empty = if create { ", or an empty one to create a store in" } else { "" };
    let message = format!("{shown} is no store: {reason}; give the directory that holds commitlog{or_empty}");
    Error::new(Code::InvalidArgument, message).text("argument", "path").text("path", shown)
}
