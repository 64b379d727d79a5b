//! Looking after a store that nobody has open: building its derived files again, saving what is left of it. The caller
//! holds the lock of what is written.

use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::close::ABORT_PATH;
use super::remake::{self, Derived, Rebuilt};
use super::salvage::{self, Salvaged};
use super::{Engine, Progress};
use crate::error::{Code, Error, Finding};
use crate::options::Options;
use crate::storage::{Clock, Storage};

/// Makes derived files of the store again, and leaves it closed. What was noticed when it was opened at the end is among
/// the findings.
pub fn rebuild<S: Storage, C: Clock + Clone>(
    storage: &Arc<S>,
    clock: &C,
    options: &Options,
    what: Derived,
    progress: &mut dyn FnMut(Progress),
) -> Result<Rebuilt, Error> {
    salvage::refuse_cut_off(storage.as_ref())?;
    let options = &Options { read_only: false, create: false, ..options.clone() };
    let open = |progress: &mut dyn FnMut(Progress)| -> Result<Vec<Finding>, Error> {
        let mut engine = Engine::open(Arc::clone(storage), clock.clone(), options.clone(), progress)?;
        let noticed = engine.reader().health()?.findings;
        engine.writer()?.close()?;
        Ok(noticed)
    };
    // One that was not closed is recovered first. Where damaged queue files keep it from that, they are made again all the same.
    let mut noticed = Vec::new();
    if storage.len(ABORT_PATH)?.is_some() {
        match open(progress) {
            Err(error) if error.code != Code::Corrupt => return Err(error),
            outcome => noticed = outcome.unwrap_or_default(),
        }
    }
    let mut rebuilt = remake::rebuild(storage.as_ref(), clock, options, what, progress)?;
    noticed.extend(open(progress)?);
    let mut told: BTreeSet<(String, u64)> = rebuilt.findings.iter().map(|known| (known.file.clone(), known.offset)).collect();
    rebuilt.findings.extend(noticed.into_iter().filter(|finding| told.insert((finding.file.clone(), finding.offset))));
    Ok(rebuilt)
}

/// Saves every whole record of `source` into a new store in `target`, which is empty, and leaves that closed. The old one
/// is only read.
pub fn salvage<S: Storage, T: Storage, C: Clock>(
    source: &S,
    target: Arc<T>,
    clock: C,
    options: &Options,
    progress: &mut dyn FnMut(Progress),
) -> Result<Salvaged, Error> {
    let mut findings: Vec<Finding> = Vec::new();
    let mut engine = salvage::begin(source, target, clock, options, &mut findings, progress)?;
    let mut salvaged = salvage::salvage(source, &mut engine, progress)?;
    salvaged.findings.splice(0..0, findings);
    salvage::end(engine)?;
    Ok(salvaged)
}
