//! What an open finds: all that the files of a store say of themselves, before the log is looked at.

use alloc::format;
use alloc::vec::Vec;

use super::counts::Lost;
use super::kept::KeptFile;
use super::known::{IndexClues, load_checkpoint, load_index, refuse_wrong_mount};
use super::resumed::Resumed;
use super::rows::Queues;
use super::seals::Seals;
use super::sidecar::{Sidecar, marker_stands};
use super::trusted::Proven;
use crate::error::{Code, Error, Finding};
use crate::format::checkpoint::Checkpoint;
use crate::format::watermark::{Derived, Running};
use crate::index::put::Index;
use crate::kinds;
use crate::log::segments::Segments;
use crate::options::Options;
use crate::queue::batch::BatchTable;
use crate::queue::batch_files::BatchFiles;
use crate::queue::batch_load::LoadedBatchQueue;
use crate::queue::ext::ExtFiles;
use crate::queue::extent::Trust;
use crate::queue::files::QueueFiles;
use crate::queue::load::LoadedQueue;
use crate::queue::table::QueueTable;
use crate::storage::Storage;
use crate::topics::{TopicKinds, TopicTable};

pub(super) struct Found<S: Storage> {
    /// `abort` is not there, nor does the watermark say that the store was left open.
    pub clean: bool,
    pub topics: TopicTable,
    pub segments: Segments<S::Segment>,
    pub checkpoint: Checkpoint,
    pub sidecar: Sidecar,
    /// See the field of the engine.
    pub sidecar_withheld: bool,
    /// What the sidecar proves, if it counts: of a store that was closed, or of one that was not.
    pub proven: Option<Proven>,
    /// Below it the log was written, by a watermark that proves no more: a rebuild has closed the store since, or its last
    /// record is damaged.
    pub written: u64,
    pub resumed: Option<Resumed>,
    pub queues: Queues,
    /// They are what the sidecar says; otherwise what their files hold.
    pub queues_said: bool,
    pub seals: Seals,
    /// The queues that were loaded from their files.
    pub loaded: Vec<LoadedQueue>,
    pub loaded_batches: Vec<LoadedBatchQueue>,
    /// The index files that count, and the offset from which messages have to be indexed again.
    pub index: Index,
    pub index_known: u64,
    /// It is what the sidecar says of it: nothing is indexed again below the offset up to which it speaks.
    pub index_said: bool,
    /// What no log can give back.
    pub kept: KeptFile,
    pub findings: Vec<Finding>,
}

impl<S: Storage> Found<S> {
    /// Nothing is changed but last files of queues that a crash left empty or short.
    pub fn load(storage: &S, options: &Options) -> Result<Self, Error> {
        let write = !options.read_only;
        let mut findings = Vec::new();
        let topics = TopicTable::load(storage, &mut findings)?;
        if write {
            refuse_unsupported(storage, &topics.kinds)?;
        }
        let sidecar = Sidecar::read(storage)?;
        let mut segments = Segments::load(storage, options.segment_bytes, write, &mut findings)?;
        let kept = KeptFile::load(storage, &mut segments, &mut findings)?;
        let (checkpoint_bytes, checkpoint) = load_checkpoint(storage)?;
        let clean = sidecar.is_closed(storage, &checkpoint_bytes)?;
        let mut proven = sidecar.prove(storage, clean, &checkpoint_bytes, &segments, &mut findings)?;

        let mut resumed = match proven {
            Some(_) => None,
            None => sidecar.resume(storage, clean, &checkpoint_bytes, &segments, options, &mut findings)?,
        };

        let written = match proven.is_none() && clean {
            true => sidecar.written_before(storage, &checkpoint_bytes, &segments)?,
            false => 0,
        };
        let noticed = findings.len();
        let said = proven.as_mut().and_then(|proven| proven.queues.take());
        let said = said.or_else(|| resumed.as_mut().and_then(|resumed| resumed.queues.take()));
        let queues_said = said.is_some();
        let (mut queues, loaded, loaded_batches) = match said {
            Some(mut queues) => {
                queues.batches.configure(&topics.kinds.batch, &queues.plain, &mut findings);
                queues.fit_untold_files(storage, options.queue_file_entries, &topics.kinds.batch)?;
                (queues, Vec::new(), Vec::new())
            }
            None => load_queues(storage, options, clean, &topics.kinds, &mut findings)?,
        };
        let sidecar_withheld = findings.len() > noticed;
        kept.hide(&mut queues.plain);
        queues.files.ext = ExtFiles::load(storage, write, &mut findings)?;
        refuse_wrong_mount(&segments, &loaded, &loaded_batches)?;
        let seals = if proven.is_some() || resumed.is_some() { Seals::load(storage, segments.min())? } else { Seals::default() };
        let derived = resumed.as_ref().and_then(|resumed| resumed.running.derived);
        let unindexed = sidecar.newest.and_then(|newest| newest.unindexed);
        let clues = IndexClues { options, known_geometry: sidecar.geometry, unindexed, clean, checkpoint: &checkpoint, derived };
        let (index, index_known) = load_index(storage, &clues, &segments, segments.extent(), &mut findings)?;
        let index_said = index_known == derived.map_or(u64::MAX, |derived| derived.upto);
        Ok(Self {
            clean,
            topics,
            segments,
            checkpoint,
            sidecar,
            sidecar_withheld,
            proven,
            written,
            resumed,
            queues,
            queues_said,
            seals,
            loaded,
            loaded_batches,
            index,
            index_known,
            index_said,
            kept,
            findings,
        })
    }
}

impl<S: Storage> Found<S> {
    /// What the watermark may go on saying while the store is open, before anything is put. Of queues that are `lost` it says
    /// how far they had come.
    pub fn running(&self, lost: Lost) -> Option<Running> {
        let lost = lost.plain || lost.batches;
        let index = |derived: Derived| derived.index.filter(|_| self.index_said);
        let queues = |derived: Derived| (self.queues_said || lost).then_some(Derived { lost, index: index(derived), ..derived });
        if let Some(Resumed { running, .. }) = &self.resumed {
            return Some(Running { derived: running.derived.and_then(queues), ..*running });
        }
        let closed = self.proven.as_ref()?.closed;
        let session = self.sidecar.next_sequence();
        let derived = queues(Derived { upto: closed.end, min: closed.min, queues: closed.queues, lost, index: self.index.mark() });
        Some(Running { min: closed.min, durable: closed.end, last: closed.last, checkpoint: closed.checkpoint, derived, session })
    }
}

/// The queues, by what their directories hold.
fn load_queues<S: Storage>(
    storage: &S,
    options: &Options,
    clean: bool,
    kinds: &TopicKinds,
    findings: &mut Vec<Finding>,
) -> Result<(Queues, Vec<LoadedQueue>, Vec<LoadedBatchQueue>), Error> {
    let trust = (if clean { Trust::Clean } else { Trust::Crashed }, !options.read_only);
    let (mut plain, mut batches) = (QueueTable::default(), BatchTable::default());
    let asked = options.queue_file_entries;
    let (files, loaded) = QueueFiles::load(storage, asked, trust, &mut plain, findings)?;
    let (batch_files, loaded_batches) = BatchFiles::load(storage, asked, trust, &kinds.batch, &plain, &mut batches, findings)?;
    Ok((Queues { plain, files, batches, batch_files }, loaded, loaded_batches))
}

pub(super) fn refuse_unsupported<S: Storage>(storage: &S, topics: &TopicKinds) -> Result<(), Error> {
    let reasons = kinds::unsupported(storage, topics, marker_stands(storage)?)?;
    if reasons.is_empty() {
        return Ok(());
    }
    let message = format!("this store cannot be written yet: {}; open it with readOnly: true, or with RocketMQ", reasons.join("; "));
    Err(Error::new(Code::UnsupportedFormat, message))
}
