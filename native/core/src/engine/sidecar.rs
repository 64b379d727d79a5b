//! The sidecar `moraine/`: watermark and queue table, written so that neither ever says more than is true.
//!
//! An open for writing supersedes what a clean close has left before it changes anything; a close writes it anew when all
//! it speaks of is synced. In between the table may be overwritten in place: nothing refers to it.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Engine, rows};
use crate::error::{Error, IoError, IoKind};
use crate::format::crc::crc32;
use crate::format::index_file::Geometry;
use crate::format::watermark::{Closed, LastRecord, Running, TableIdentity, Watermark};
use crate::limits::MAX_QUEUE_TABLE_BYTES;
use crate::log::view::LogView;
use crate::storage::{Clock, Segment, Storage};

/// The folder for what moraine adds to a store.
pub const SIDECAR: &str = "moraine";
pub const WATERMARK_PATH: &str = "moraine/watermark";
/// Queue tables, written in turn: the one that the watermark refers to is never written over.
pub const QUEUES_PATHS: [&str; 2] = ["moraine/queues-0", "moraine/queues-1"];
/// RocketMQ writes `lock` into the first bytes of this file whenever it starts.
pub const LOCK_PATH: &str = "lock";
/// What we write there instead: while it stands, RocketMQ has not been here.
pub const LOCK_MARKER: [u8; 4] = *b"mrn1";

/// Where the queue table of a snapshot stands.
pub fn queues_path(snapshot: u64) -> &'static str {
    QUEUES_PATHS[(snapshot % 2) as usize]
}

/// Writes the queue table of a snapshot, which no slot refers to yet, and syncs it.
pub(super) fn write_table<S: Storage>(storage: &S, snapshot: u64, table: &[u8]) -> Result<(), IoError> {
    let path = queues_path(snapshot);
    storage.create_dir(SIDECAR)?;
    storage.remove(path)?;
    storage.create(path, 0)?;
    storage.write_at(path, 0, table)?;
    storage.sync(path)?;
    storage.sync_dir(SIDECAR)
}

/// The watermark file, as it was found.
#[derive(Debug)]
pub(super) struct Sidecar {
    exists: bool,
    /// Something that is no file stands in the place of one: nothing is written there.
    blocked: bool,
    /// The slot that counts.
    pub(super) newest: Option<Watermark>,
    /// A slot holds something, and it is not whole.
    pub(super) damaged: bool,
    /// Geometry of the index, if the store has not been RocketMQ's since it was written.
    pub(super) geometry: Option<Geometry>,
    sequence: u64,
    /// The newest queue table that a slot refers to.
    snapshot: u64,
    /// What the newest slot says of a store that is open for writing, if that is true.
    pub(super) running: Option<Running>,
}

impl Sidecar {
    /// Reads what is there. Bytes that are no watermark are as good as none.
    pub(super) fn read<S: Storage>(storage: &S) -> Result<Self, IoError> {
        let mut sidecar =
            Self { exists: false, blocked: false, newest: None, damaged: false, geometry: None, sequence: 0, snapshot: 0, running: None };
        let file = match storage.len(WATERMARK_PATH) {
            Ok(None) => return Ok(sidecar),
            Ok(Some(_)) => {
                let mut bytes = alloc::vec![0; 2 * Watermark::BYTES];
                let read = storage.read_at(WATERMARK_PATH, 0, &mut bytes)?;
                bytes.truncate(read);
                bytes
            }
            Err(error) if error.kind == IoKind::WrongType => return Ok(Self { blocked: true, damaged: true, ..sidecar }),
            Err(error) => return Err(error),
        };
        let slots = file.as_chunks::<{ Watermark::BYTES }>().0;
        sidecar.exists = true;
        sidecar.newest = Watermark::newest(&file);
        sidecar.damaged = slots.iter().any(|slot| slot.iter().any(|&byte| byte != 0) && Watermark::decode(slot).is_none());
        sidecar.sequence = sidecar.newest.map_or(0, |newest| newest.sequence);
        sidecar.snapshot = sidecar.newest.and_then(|newest| newest.snapshot()).unwrap_or(0);
        if marker_stands(storage)? {
            sidecar.geometry = sidecar.newest.and_then(|newest| newest.geometry);
        }
        Ok(sidecar)
    }

    /// Before anything else is changed: from here on the sidecar says that the store is open, and only what holds.
    pub(super) fn supersede<S: Storage>(&mut self, storage: &S, running: Option<Running>) -> Result<(), IoError> {
        self.running = running;
        match self.newest {
            Some(newest) if newest.closed.is_some() || newest.running != running => {
                self.write(storage, Watermark { closed: None, running, ..newest })
            }
            _ => Ok(()),
        }
    }

    /// Says of a store that is open what nothing said before.
    pub(super) fn vouch<S: Storage>(&mut self, storage: &S, running: Running, unindexed: Option<u64>) -> Result<(), IoError> {
        self.write(storage, Watermark { running: Some(running), geometry: self.geometry, unindexed, ..Watermark::default() })
    }

    /// Nothing of what was said while the store is open holds any more, but of the index.
    pub(super) fn void<S: Storage>(&mut self, storage: &S, unindexed: Option<u64>) -> Result<(), IoError> {
        self.write(storage, Watermark { geometry: self.geometry, unindexed, ..Watermark::default() })
    }

    fn write<S: Storage>(&mut self, storage: &S, slot: Watermark) -> Result<(), IoError> {
        let slot = Watermark { sequence: self.next_sequence(), ..slot };
        slot.write(storage, self.exists)?;
        self.wrote(&slot);
        Ok(())
    }

    /// A slot was written.
    pub(super) fn wrote(&mut self, slot: &Watermark) {
        (self.exists, self.sequence, self.running, self.geometry) = (true, slot.sequence, slot.running, slot.geometry);
        self.snapshot = slot.snapshot().unwrap_or(self.snapshot);
    }

    pub(super) fn exists(&self) -> bool {
        self.exists
    }

    /// Number of the slot that is written next.
    pub(super) fn next_sequence(&self) -> u64 {
        self.sequence + 1
    }

    /// Number of the queue table that is written next.
    pub(super) fn next_snapshot(&self) -> u64 {
        self.snapshot + 1
    }

    /// Nothing can be written where the watermark belongs.
    pub(super) fn is_unusable(&self) -> bool {
        self.blocked
    }
}

impl Watermark {
    /// Writes the slot; without a file it is made.
    pub(super) fn write<S: Storage>(&self, storage: &S, exists: bool) -> Result<(), IoError> {
        if !exists {
            storage.create_dir(SIDECAR)?;
            storage.create(WATERMARK_PATH, 2 * Watermark::BYTES as u64)?;
            storage.sync_dir(SIDECAR)?;
        }
        storage.write_at(WATERMARK_PATH, self.slot_at(), &self.encode())?;
        // A failed sync is never tried again, not even one that found the disk full.
        storage.sync(WATERMARK_PATH).map_err(|failed| IoError { kind: IoKind::Other, ..failed })
    }

    fn snapshot(&self) -> Option<u64> {
        let derived = self.running.and_then(|running| running.derived).map(|derived| derived.queues.snapshot);
        self.closed.map(|closed| closed.queues.snapshot).or(derived)
    }
}

/// Whether our marker stands in `lock`.
pub(super) fn marker_stands<S: Storage>(storage: &S) -> Result<bool, IoError> {
    let mut marker = [0; LOCK_MARKER.len()];
    match storage.read_at(LOCK_PATH, 0, &mut marker) {
        Ok(read) => Ok(read == marker.len() && marker == LOCK_MARKER),
        Err(error) if matches!(error.kind, IoKind::NotFound | IoKind::WrongType) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Writes our marker into `lock`: a RocketMQ that is started on this store wipes it out.
pub(super) fn write_marker<S: Storage>(storage: &S) -> Result<(), IoError> {
    if !marker_stands(storage)? {
        storage.create(LOCK_PATH, LOCK_MARKER.len() as u64)?;
        storage.write_at(LOCK_PATH, 0, &LOCK_MARKER)?;
        storage.sync(LOCK_PATH)?;
    }
    Ok(())
}

impl<S: Storage, C: Clock> Engine<S, C> {
    /// The last thing but one that a close does, when everything else is synced: says that the store is closed, and how.
    ///
    /// A store that gets no such word opens more slowly, so nothing fails because a disk is full or something else
    /// stands in its place.
    pub(super) fn write_sidecar(&mut self) -> Result<(), Error> {
        if self.sidecar.blocked {
            return Ok(());
        }
        match self.write_closed() {
            Err(error) if matches!(error.kind, IoKind::Full | IoKind::WrongType) => Ok(()),
            Ok(true) => Ok(()),
            Ok(false) => {
                let storage = alloc::sync::Arc::clone(&self.storage);
                Ok(self.sidecar.void(storage.as_ref(), self.unindexed())?)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// False: nothing can be said.
    fn write_closed(&mut self) -> Result<bool, IoError> {
        if self.sidecar_withheld {
            return Ok(false);
        }
        let storage = alloc::sync::Arc::clone(&self.storage);
        let segments = self.log.segments();
        let (min, extent, end) = (segments.min(), segments.extent(), self.log.end());
        let last = last_record(&self.log.view(end), self.last_record);
        if last.is_none() && end != min {
            return Ok(false); // a log that ends in damage: nothing proves that it is still the same
        }
        let snapshot = self.sidecar.next_snapshot();
        let table = self.encode_queues(Some(storage.as_ref()), snapshot)?;
        if table.len() as u64 > MAX_QUEUE_TABLE_BYTES {
            return Ok(false);
        }
        write_table(storage.as_ref(), snapshot, &table)?;
        let queues = TableIdentity { snapshot, bytes: table.len() as u64, crc: crc32(&table) };
        let geometry = self.index.newest_geometry().or(self.sidecar.geometry);
        let unindexed = self.unindexed();
        let closed = Some(Closed { min, extent, end, last, checkpoint: self.checkpoint, queues });
        self.sidecar.write(storage.as_ref(), Watermark { closed, geometry, unindexed, ..Watermark::default() })?;
        Ok(true)
    }
}

impl<S: Storage, C: Clock> Engine<S, C> {
    /// Without an index what follows its newest file is indexed by the next open that keeps one.
    pub(super) fn unindexed(&self) -> Option<u64> {
        self.index.newest().filter(|_| !self.options.index).and_then(|newest| u64::try_from(newest.end_physical).ok())
    }

    /// The table of what the files of all queues hold; with the stamps of their directories if `stamped` is there.
    pub(super) fn encode_queues(&self, stamped: Option<&S>, snapshot: u64) -> Result<Vec<u8>, IoError> {
        let queues = (&self.queues, self.queue_files.file_entries);
        rows::encode(stamped, snapshot, queues, (&self.batches, self.batch_files.file_entries))
    }
}

/// What identifies the record at `at`; `None` where there is no whole one.
pub(super) fn last_record<G: Segment>(log: &LogView<G>, at: u64) -> Option<LastRecord> {
    let mut bytes = Vec::new();
    let size = log.record_at(at, &mut bytes).ok()??;
    let store_timestamp = log.store_timestamp(at).ok()??;
    Some(LastRecord { at, size: u32::try_from(size).ok()?, crc: crc32(&bytes), store_timestamp })
}

/// For the report of an open: why a sidecar that was there does not count.
pub(super) fn distrusted(file: &str, reason: &str) -> crate::error::Finding {
    crate::error::Finding {
        kind: "sidecar",
        file: String::from(file),
        offset: 0,
        length: 0,
        message: format!("{reason}; it does not count, the store was opened by what its other files say"),
    }
}
