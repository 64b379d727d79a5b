//! Opening a store: directory, lock, engine; in this order, and back again when one fails.

use std::path::Path;
use std::sync::Arc;

use moraine_core::engine::{Engine, Progress};
use moraine_core::error::{Code, Error, IoKind};
use moraine_core::options::FlushMode;
use moraine_core::storage::Storage;

use crate::files::{Access, HostStorage};
use crate::lock::StoreLock;
use crate::prefill::Ahead;
use crate::shared::{HostEngine, OpenSettings};

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

pub(crate) struct Opened {
    pub(crate) engine: HostEngine,
    pub(crate) storage: Arc<HostStorage>,
    /// `None` in a read-only store.
    pub(crate) lock: Option<StoreLock>,
}

pub(crate) fn open(settings: OpenSettings, progress: &mut dyn FnMut(Progress)) -> Result<Opened, Error> {
    let OpenSettings { path, mut options, clock, .. } = settings;
    let access = Access {
        read_only: options.read_only,
        create: options.create && !options.read_only,
        ahead: match options.flush {
            FlushMode::Sync => Ahead::Synced,
            FlushMode::Async => Ahead::Written,
        },
    };
    let storage = HostStorage::open(&path, access).map_err(|error| match error.kind {
        IoKind::NotFound if !access.create => no_store(&path, "there is no such directory", false),
        _ => error.into(),
    })?;
    let storage = Arc::new(storage);
    refuse_other_directories(&path, &storage, access.create)?;
    let lock = if access.read_only { None } else { Some(StoreLock::acquire(storage.root())?) };
    if options.process_id == 0 {
        options.process_id = std::process::id();
    }
    match Engine::open(storage.clone(), clock, options, progress) {
        Ok(engine) => Ok(Opened { engine, storage, lock }),
        Err(error) => {
            storage.stop_background();
            if let Some(lock) = lock {
                lock.undo();
            }
            Err(error)
        }
    }
}

/// A directory with other things in it is not made a store, and one without a store is none to be read.
/// Names only are looked at: the lock comes before the first byte.
pub(crate) fn refuse_other_directories(path: &Path, storage: &HostStorage, create: bool) -> Result<(), Error> {
    let entries = storage.list("")?.unwrap_or_default();
    if entries.iter().any(|entry| STORE_NAMES.contains(&entry.name.as_str()) || entry.name.starts_with("dledger-")) {
        return Ok(());
    }
    // What file systems and people put into a directory that is otherwise empty.
    let other = entries.iter().map(|entry| entry.name.as_str()).filter(|name| !name.starts_with('.') && *name != "lost+found").min();
    match other {
        Some(name) => Err(no_store(path, &format!("it holds {name}, and nothing that belongs to a store"), create)),
        None if !create => Err(no_store(path, "the directory is empty", false)),
        None => Ok(()),
    }
}

pub(crate) fn no_store(path: &Path, reason: &str, create: bool) -> Error {
    let path = path.to_string_lossy();
    let or_empty = if create { ", or an empty one to create a store in" } else { "" };
    let message = format!("{path} is no store: {reason}; give the directory that holds commitlog{or_empty}");
    Error::new(Code::InvalidArgument, message).text("argument", "path").text("path", path)
}
