//! Sealing: the digest of every finished segment, taken in the background after the roll and kept in the sidecar, so that
//! `verify` finds what no CRC covers.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use xxhash_rust::xxh64::Xxh64;

use super::sidecar::SIDECAR;
use super::{Engine, Reader, Writer};
use crate::error::{IoError, IoKind};
use crate::format::seal::{self, Seal};
use crate::storage::{Clock, Segment, Storage};

pub const SEALS_PATH: &str = "moraine/seals";
/// Longest file that is read: the seals of two million segments.
pub const MAX_SEALS_BYTES: u64 = 80_000_000;
/// Rows of the file that are read at once.
const PIECE_ROWS: usize = 1024;
/// Bytes of a segment that are read at once.
const SLICE_BYTES: usize = 1 << 20;

/// What the rows of the file, which has `len` bytes, say up to the first that is none; and where that is.
pub(crate) fn read_rows<S: Storage>(storage: &S, len: u64) -> Result<(BTreeMap<u64, Seal>, u64), IoError> {
    let mut seals = BTreeMap::new();
    let mut piece = vec![0; PIECE_ROWS * Seal::BYTES];
    let (len, mut at) = (len.min(MAX_SEALS_BYTES), 0);
    while at < len {
        let read = storage.read_at(SEALS_PATH, at, &mut piece)?;
        let rows = seal::read(&piece[..read], &mut seals);
        at += rows as u64;
        if rows < piece.len() {
            break;
        }
    }
    Ok((seals, at))
}

/// The seals of a store.
#[derive(Debug, Default)]
pub(super) struct Seals {
    seals: BTreeMap<u64, Seal>,
    /// Where the next row goes.
    rows_end: u64,
    /// Segments from here on are sealed when they are finished: older ones were not written under our eyes.
    from: u64,
    in_flight: bool,
}

impl Seals {
    /// What is there of a log that begins at `minimum`; nothing if it is no file.
    pub(super) fn load<S: Storage>(storage: &S, minimum: u64) -> Result<Self, IoError> {
        let Ok(Some(len)) = storage.len(SEALS_PATH) else { return Ok(Self::default()) };
        let (seals, rows_end) = read_rows(storage, len)?;
        let from = seals.values().next_back().map_or(0, |seal| seal.base + seal.size);
        let mut seals = Self { seals, rows_end, from, in_flight: false };
        seals.drop_below(minimum);
        Ok(seals)
    }

    /// The seals, by the first bytes of their segments.
    pub(super) fn all(&self) -> impl Iterator<Item = &Seal> {
        self.seals.values()
    }

    /// Segments that were finished before `active` stay without a seal, if they have none.
    pub(super) fn begin_at(&mut self, active: u64) {
        self.from = if self.rows_end == 0 { active } else { self.from.min(active) };
    }

    /// Segments in front of `minimum` are gone: nothing is said of them any more. Their rows stay where they are.
    pub(super) fn drop_below(&mut self, minimum: u64) {
        self.seals = self.seals.split_off(&minimum);
    }

    fn append<S: Storage>(&mut self, storage: &S, seal: Seal) -> Result<(), IoError> {
        if storage.len(SEALS_PATH)?.is_none() {
            storage.create_dir(SIDECAR)?;
            storage.create(SEALS_PATH, 0)?;
        }
        storage.write_at(SEALS_PATH, self.rows_end, &seal.encode())?;
        self.rows_end += Seal::BYTES as u64;
        seal::enter(&mut self.seals, seal);
        Ok(())
    }
}

/// Takes the digest of a finished segment, a slice at a time.
pub struct SealPlan<S: Storage> {
    segment: Arc<S::Segment>,
    base: u64,
    at: u64,
    digest: Xxh64,
    slice: Vec<u8>,
    /// Cuts of the log before the plan.
    cuts: u64,
}

impl<S: Storage> SealPlan<S> {
    /// Reads the next slice; true: it was the last.
    pub fn step(&mut self) -> Result<bool, IoError> {
        let left = self.segment.size() - self.at;
        let slice = &mut self.slice[..left.min(SLICE_BYTES as u64) as usize];
        self.segment.read_at(self.at, slice)?;
        self.digest.update(slice);
        self.at += slice.len() as u64;
        Ok(self.at == self.segment.size())
    }
}

impl<S: Storage, C: Clock> Writer<'_, S, C> {
    /// The oldest segment that is to be sealed: finished, durable, without a seal. One plan at a time: the next one after
    /// [`Writer::sealed`].
    pub fn plan_seal(&mut self) -> Option<SealPlan<S>> {
        let engine = &mut *self.0;
        if engine.seals.in_flight || engine.sidecar.is_unusable() {
            return None;
        }
        let (from, durable) = (engine.seals.from, engine.durable);
        let placed = engine.log.segments().iter().find(|placed| placed.base >= from)?;
        if placed.base + placed.segment.size() > durable {
            return None;
        }
        engine.seals.in_flight = true;
        let segment = Arc::clone(&placed.segment);
        Some(SealPlan { segment, base: placed.base, at: 0, digest: Xxh64::new(0), slice: vec![0; SLICE_BYTES], cuts: engine.cuts })
    }

    /// A segment was read to its end, or could not be (`failed`): then it stays without a seal.
    pub fn sealed(&mut self, plan: SealPlan<S>, failed: bool) -> Result<(), IoError> {
        let engine = &mut *self.0;
        engine.seals.in_flight = false;
        if plan.cuts != engine.cuts {
            return Ok(()); // it may be another one by now
        }
        let size = plan.segment.size();
        engine.seals.from = plan.base + size;
        if failed || plan.base < engine.log.segments().min() {
            return Ok(()); // not whole, or gone meanwhile
        }
        let storage = Arc::clone(&engine.storage);
        match engine.seals.append(storage.as_ref(), Seal { base: plan.base, size, digest: plan.digest.digest() }) {
            // No seal, no harm.
            Err(error) if matches!(error.kind, IoKind::Full | IoKind::WrongType) => Ok(()),
            Ok(()) => {
                engine.unsynced.insert(SEALS_PATH);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }
}

impl<S: Storage, C: Clock> Reader<'_, S, C> {
    /// The digests of the finished segments that are there, the oldest first.
    pub fn seals(&self) -> Vec<Seal> {
        self.0.seals.all().copied().collect()
    }
}

impl<S: Storage, C: Clock> Engine<S, C> {
    /// Before the log is taken back to `to`.
    pub(super) fn break_seals(&mut self, to: u64) -> Result<(), IoError> {
        self.seals.from = self.seals.from.min(to - to % self.log.segments().segment_bytes());
        if self.seals.all().all(|seal| seal.base + seal.size <= to) {
            return Ok(());
        }
        let storage = Arc::clone(&self.storage);
        match self.seals.append(storage.as_ref(), Seal { base: to, size: 0, digest: 0 }) {
            Err(full) if full.kind == IoKind::Full => {
                self.seals = Seals { from: self.seals.from, ..Seals::default() };
                storage.remove(SEALS_PATH)?;
                storage.sync_dir(SIDECAR)
            }
            outcome => outcome.and_then(|()| storage.sync(SEALS_PATH)),
        }
    }
}
