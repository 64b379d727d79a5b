//! `moraine/live`: how far the log was written, for the case that the process alone dies. Not synced, one store into a
//! mapping for a put.
//!
//! Two cells of 64 bytes, written in turn, so that a process that dies while it writes one leaves the other. Numbers are
//! big-endian.
//!
//! | at | type | field |
//! |---|---|---|
//! | 0 | 4 bytes | `MRNL` |
//! | 8 | u64 | where it was written: boot, mount, directory. In another place it says nothing |
//! | 16 | u64 | number of the store's opening: that of the watermark's slot then |
//! | 24 | u64 | turn: the cell with the greater one counts |
//! | 32 | u64 | offset behind the last byte of the log |
//! | 60 | u32 | CRC-32 of everything before |

use alloc::sync::Arc;

use super::Engine;
use super::sidecar::SIDECAR;
use crate::error::IoError;
use crate::format::big_endian::array_at;
use crate::format::crc::crc32;
use crate::storage::{Clock, Segment, Storage};

pub const LIVE_PATH: &str = "moraine/live";
const FILE_BYTES: u64 = 4096;
const CELL_BYTES: usize = 64;
const MAGIC: [u8; 4] = *b"MRNL";
const CRC_AT: usize = 60;

/// The block of a store that is open for writing.
pub(super) struct Live<G> {
    segment: Arc<G>,
    identity: u64,
    session: u64,
    turn: u64,
}

impl<G: Segment> Live<G> {
    /// Makes the block anew. `None` where the storage cannot say where it is, or has no room: then opening after a kill
    /// goes by what was synced.
    pub(super) fn create<S: Storage<Segment = G>>(storage: &S, session: u64, written: u64) -> Result<Option<Self>, IoError> {
        let Some(identity) = storage.identity()? else { return Ok(None) };
        storage.create_dir(SIDECAR)?;
        storage.remove(LIVE_PATH)?;
        let segment = storage.create_segment(LIVE_PATH, FILE_BYTES)?;
        segment.reserve(FILE_BYTES)?;
        let mut live = Self { segment, identity, session, turn: 0 };
        live.note(written)?;
        Ok(Some(live))
    }

    /// The log ends at `written` now.
    pub(super) fn note(&mut self, written: u64) -> Result<(), IoError> {
        self.turn += 1;
        let mut cell = [0; CELL_BYTES];
        cell[..4].copy_from_slice(&MAGIC);
        for (field, at) in [self.identity, self.session, self.turn, written].iter().zip([8, 16, 24, 32]) {
            cell[at..at + 8].copy_from_slice(&field.to_be_bytes());
        }
        let crc = crc32(&cell[..CRC_AT]);
        cell[CRC_AT..].copy_from_slice(&crc.to_be_bytes());
        let at = self.turn % 2 * CELL_BYTES as u64;
        self.segment.fill(at, CELL_BYTES, |out| out.copy_from_slice(&cell))
    }
}

/// How far the log was written when the process died that had opened the store as `session`; `None` if that cannot be
/// known: there is no block, or the system was started anew since, or the store lies elsewhere.
pub(super) fn written<S: Storage>(storage: &S, session: u64) -> Result<Option<u64>, IoError> {
    let (Some(identity), Ok(Some(_))) = (storage.identity()?, storage.len(LIVE_PATH)) else { return Ok(None) };
    let mut cells = [0; 2 * CELL_BYTES];
    if storage.read_at(LIVE_PATH, 0, &mut cells)? < cells.len() {
        return Ok(None);
    }
    let newest = cells.as_chunks::<CELL_BYTES>().0.iter().filter_map(|cell| {
        let field = |at| u64::from_be_bytes(array_at(cell, at));
        let is_whole = cell[..4] == MAGIC && u32::from_be_bytes(array_at(cell, CRC_AT)) == crc32(&cell[..CRC_AT]);
        (is_whole && (field(8), field(16)) == (identity, session)).then(|| (field(24), field(32)))
    });
    Ok(newest.max().map(|(_, written)| written))
}

impl<S: Storage, C: Clock> Engine<S, C> {
    /// Something was appended.
    pub(super) fn note_written(&mut self) {
        let end = self.log.end();
        if self.live.as_mut().is_some_and(|live| live.note(end).is_err()) {
            self.live = None; // what stands there says less
        }
    }

    /// Before the log is taken back to `to`.
    pub(super) fn take_back_written(&mut self, to: u64) -> Result<(), IoError> {
        match &mut self.live {
            // Both cells: the other one says more.
            Some(live) => live.note(to).and_then(|()| live.note(to)),
            None => self.storage.remove(LIVE_PATH),
        }
    }
}
