//! Opening a store: directory, lock, engine; in this order, and back again when one fails.

use std::sync::Arc;

use moraine_core::engine::place::{no_store, refuse_other_directories};
use moraine_core::engine::{Engine, Progress};
use moraine_core::error::{Error, IoKind};
use moraine_core::options::FlushMode;

use crate::files::{Access, HostStorage};
use crate::lock::StoreLock;
use crate::prefill::Ahead;
use crate::shared::{HostEngine, OpenSettings};

/// Where the WebAssembly engine gives a file its size before its name (`wasm-files.ts`).
const MAKING: &str = "moraine/making";

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
    let shown = path.to_string_lossy();
    let storage = HostStorage::open(&path, access).map_err(|error| match error.kind {
        IoKind::NotFound if !access.create => no_store(&shown, "there is no such directory", false),
        _ => error.into(),
    })?;
    let storage = Arc::new(storage);
    refuse_other_directories(&shown, storage.as_ref(), access.create)?;
    let lock = if access.read_only { None } else { Some(StoreLock::acquire(storage.root())?) };
    if lock.is_some() {
        // A second name of a file of the log, where a process of the WebAssembly engine was killed as it made one.
        let _ = std::fs::remove_file(storage.root().join(MAKING));
    }
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
