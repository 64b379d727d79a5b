//! Looking after the store in a directory: verifying it, building its derived files again, saving what is left of it.
//! Each call works through to its end in the calling thread.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use moraine_core::engine::place::{no_store, refuse_other_directories};
use moraine_core::engine::remake::{Derived, Rebuilt};
use moraine_core::engine::salvage::{self, Salvaged};
use moraine_core::engine::{Progress, Settled, upkeep};
use moraine_core::error::{Error, IoKind};
use moraine_core::format::index_file::Geometry;
use moraine_core::options::Options;
use moraine_core::verify::{self, Verified, VerifyOptions};

use crate::clock::HostClock;
use crate::files::{Access, HostStorage};
use crate::lock::StoreLock;

/// Verifies the store in `path`: takes no lock, changes nothing. `live`: what the store says that has it open here.
pub fn verify(
    path: &Path,
    options: &Options,
    deep: bool,
    live: Option<Settled>,
    go_on: &mut dyn FnMut(Progress) -> bool,
) -> Result<Verified, Error> {
    let storage = existing(path, Access::READ_ONLY)?;
    let geometry = Geometry { slots: options.index_slots, entries: options.index_entries };
    let options = VerifyOptions { deep, delay_levels: options.delay_levels.clone(), geometry, live };
    verify::verify(&storage, &options, go_on)
}

/// Makes derived files of the store in `path` again, under its lock, and leaves it closed. What was noticed when it was
/// opened at the end is among the findings.
pub fn rebuild(path: &Path, options: &Options, what: Derived, progress: &mut dyn FnMut(Progress)) -> Result<Rebuilt, Error> {
    let storage = Arc::new(existing(path, Access { create: false, ..Access::READ_WRITE })?);
    let lock = StoreLock::acquire(storage.root())?;
    let options = Options { process_id: std::process::id(), ..options.clone() };
    let outcome = upkeep::rebuild(&storage, &HostClock::System, &options, what, progress);
    storage.stop_background();
    lock.release();
    outcome
}

/// Saves every whole record of the store in `from` into a new one in `to`, which must not be there or be empty, and
/// leaves that closed. The old one is only read.
pub fn salvage(from: &Path, to: &Path, options: &Options, progress: &mut dyn FnMut(Progress)) -> Result<Salvaged, Error> {
    let source = existing(from, Access::READ_ONLY)?;
    refuse_filled(to, source.root())?;
    let target = Arc::new(HostStorage::open(to, Access::READ_WRITE)?);
    let lock = StoreLock::acquire(target.root())?;
    let options = Options { process_id: std::process::id(), ..options.clone() };
    let outcome = upkeep::salvage(&source, Arc::clone(&target), HostClock::System, &options, progress);
    target.stop_background();
    lock.release();
    outcome
}

/// A directory that holds a store, as opening one sees it.
fn existing(path: &Path, access: Access) -> Result<HostStorage, Error> {
    let shown = path.to_string_lossy();
    let storage = HostStorage::open(path, access).map_err(|error| match error.kind {
        IoKind::NotFound => no_store(&shown, "there is no such directory", false),
        _ => error.into(),
    })?;
    refuse_other_directories(&shown, &storage, false)?;
    Ok(storage)
}

/// The new store must be empty, and not lie in the old one.
fn refuse_filled(to: &Path, from: &Path) -> Result<(), Error> {
    let shown = to.to_string_lossy();
    let absolute = std::path::absolute(to).unwrap_or_else(|_| PathBuf::from(to));
    if absolute.starts_with(from) {
        return Err(Error::argument("out", format!("{shown} lies in the store that is to be saved, which is not changed")));
    }
    match std::fs::read_dir(to) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(crate::errno::io_error(&error, "opendir", &shown).into()),
        Ok(mut entries) => match entries.next() {
            None => Ok(()),
            Some(_) if to.join(salvage::NOTE_PATH).exists() => {
                Err(Error::argument("out", format!("{shown} holds what a salvage left that was cut off; delete it and begin again")))
            }
            Some(_) => Err(Error::argument("out", format!("{shown} is not empty; name a directory that is, or that is not there"))),
        },
    }
}
