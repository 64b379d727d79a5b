//! `moraine/reserve`: room for a clean close on a full disk. The log accepts puts as long as its segment has room, and their
//! queue and index entries wait in memory; what waits then is bounded by what the reserve can take.

use alloc::vec;

use super::sidecar::SIDECAR;
use super::{Engine, Writer};
use crate::error::{Error, IoError, IoKind};
use crate::storage::{Clock, Storage};

pub const RESERVE_PATH: &str = "moraine/reserve";
/// Bytes written at once.
const PIECE_BYTES: usize = 1 << 16;
/// Room that an entry takes in its file, with what the files of a few hundred queues take beside it.
const BYTES_AN_ENTRY: u64 = 40;

impl<S: Storage, C: Clock> Engine<S, C> {
    /// Fills the reserve. A disk without room for it leaves the store without one.
    pub(super) fn fill_reserve(&mut self) -> Result<(), IoError> {
        let size = self.options.reserve_bytes;
        let storage = alloc::sync::Arc::clone(&self.storage);
        if size == 0 || matches!(storage.len(RESERVE_PATH), Ok(Some(len)) if len >= size) {
            return Ok(());
        }
        let fill = || -> Result<(), IoError> {
            storage.create_dir(SIDECAR)?;
            storage.create(RESERVE_PATH, 0)?;
            let zeros = vec![0; PIECE_BYTES];
            let mut at = 0;
            while at < size {
                let piece = (size - at).min(PIECE_BYTES as u64);
                storage.write_at(RESERVE_PATH, at, &zeros[..piece as usize])?;
                at += piece;
            }
            Ok(())
        };
        match fill() {
            Err(error) if error.kind == IoKind::Full => storage.remove(RESERVE_PATH),
            Err(error) if error.kind == IoKind::WrongType => Ok(()),
            outcome => outcome,
        }
    }

    /// Entries that may wait in memory while the disk is full: as many as the reserve can take.
    pub(super) fn entries_on_a_full_disk(&self) -> usize {
        (self.options.reserve_bytes / BYTES_AN_ENTRY) as usize
    }
}

impl<S: Storage, C: Clock> Writer<'_, S, C> {
    /// Carries out what a close has to write; where the disk is full, once more without the reserve.
    pub(super) fn with_reserve<R>(&self, write: impl Fn(&S) -> Result<R, IoError>) -> Result<R, Error> {
        let storage = self.0.storage.as_ref();
        match write(storage) {
            Err(full) if full.kind == IoKind::Full && matches!(storage.len(RESERVE_PATH), Ok(Some(_))) => {
                storage.remove(RESERVE_PATH)?;
                Ok(write(storage)?)
            }
            outcome => Ok(outcome?),
        }
    }
}
