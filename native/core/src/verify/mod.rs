//! Verifying: everything in a store held against everything else. Nothing is changed, no lock is taken.
//!
//! One scan of the log, then each queue file and each index file against the records that they lead to. Memory does not grow
//! with the log: it is proportional to the number of queues, and to what is found ([`MAX_FAULTS`] at most).

use alloc::string::String;
use alloc::vec::Vec;

use crate::engine::close::ABORT_PATH;
use crate::engine::plans::CHECKPOINT_PATH;
use crate::engine::sidecar::WATERMARK_PATH;
use crate::engine::{Progress, Settled, is_closed};
use crate::error::{Error, IoError, IoKind};
use crate::format::checkpoint::Checkpoint;
use crate::format::index_file::Geometry;
use crate::limits::CHECKPOINT_BYTES;
use crate::log::segments::Segments;
use crate::log::view::LogView;
use crate::storage::Storage;

mod batch_queues;
mod files;
mod index;
mod keys;
mod log;
mod places;
mod queues;
mod report;
mod seals;

pub use report::{Fault, MAX_FAULTS, Remedy};

use index::IndexFiles;
use log::Walked;
use places::Places;
use report::Report;

/// How a store is verified.
#[derive(Clone, Debug)]
pub struct VerifyOptions {
    /// Every byte; else structure, sizes, the ends of log and queues, and samples.
    pub deep: bool,
    /// What delay levels mean, in ms. A store that was written with others has other delivery times in its queues: whole
    /// seconds behind the store time are taken, too.
    pub delay_levels: Vec<i64>,
    /// Geometry of index files, where their length alone does not tell.
    pub geometry: Geometry,
    /// What a store that is open for writing says of itself: its files are complete up to there only.
    pub live: Option<Settled>,
}

/// What was found, in the order of the files.
#[derive(Clone, Debug, Default)]
pub struct Verified {
    pub faults: Vec<Fault>,
    /// `false`: stopped by the caller before everything was looked at.
    pub complete: bool,
}

/// Why a part ends early.
enum Halt {
    Stopped,
    Failed(Error),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Halt::Failed(error)
    }
}

impl From<IoError> for Halt {
    fn from(error: IoError) -> Self {
        Halt::Failed(error.into())
    }
}

/// Verifies the store in `storage`. `go_on` is told how far it has come after each bounded step, and says whether to go on.
///
/// What cannot be read is a fault, too; an error is returned only where the store directory itself cannot be listed.
pub fn verify<S: Storage>(storage: &S, options: &VerifyOptions, go_on: &mut dyn FnMut(Progress) -> bool) -> Result<Verified, Error> {
    let mut report = Report::default();
    let outcome = Verifier::prepare(storage, options, go_on, &mut report).and_then(|mut verifier| verifier.run());
    match outcome {
        Ok(()) => Ok(Verified { faults: report.finish(), complete: true }),
        Err(Halt::Stopped) => Ok(Verified { faults: report.finish(), complete: false }),
        Err(Halt::Failed(error)) => Err(error),
    }
}

struct Verifier<'a, S: Storage> {
    storage: &'a S,
    options: &'a VerifyOptions,
    go_on: &'a mut dyn FnMut(Progress) -> bool,
    report: &'a mut Report,
    segments: Segments<S::Segment>,
    /// Closed cleanly, by `abort`.
    clean: bool,
    checkpoint: Checkpoint,
    checkpoint_bytes: Vec<u8>,
    places: Places,
    index: IndexFiles,
    /// What the scan of the log has seen.
    walked: Walked,
    /// Offset behind the last record, once the log was looked at.
    end: u64,
    /// Store time of the last record.
    last_store_timestamp: Option<i64>,
}

impl<'a, S: Storage> Verifier<'a, S> {
    fn prepare(
        storage: &'a S,
        options: &'a VerifyOptions,
        go_on: &'a mut dyn FnMut(Progress) -> bool,
        report: &'a mut Report,
    ) -> Result<Self, Halt> {
        storage.list("")?;
        let mut checkpoint_bytes = alloc::vec![0; CHECKPOINT_BYTES];
        let read = match storage.read_at(CHECKPOINT_PATH, 0, &mut checkpoint_bytes) {
            Ok(read) => read,
            Err(missing) if missing.kind == IoKind::NotFound => 0,
            Err(error) => {
                report.unreadable(CHECKPOINT_PATH, &error.into(), Remedy::Delete);
                0
            }
        };
        checkpoint_bytes.truncate(read);
        let clean = options.live.is_none() && is_closed(storage, &checkpoint_bytes).unwrap_or(false);
        let mut noticed = Vec::new();
        let segments = match Segments::load(storage, crate::limits::MIN_SEGMENT_BYTES, false, &mut noticed) {
            Ok(segments) => segments,
            Err(error) => {
                report.unreadable(crate::log::DIRECTORY, &error, Remedy::Salvage);
                Segments::load_what_opens(storage)?
            }
        };
        noticed.into_iter().for_each(|finding| report.noticed(finding, clean));
        if !clean && options.live.is_none() {
            let has_abort = !storage.len(ABORT_PATH).is_ok_and(|len| len.is_none());
            let file = if has_abort { ABORT_PATH } else { WATERMARK_PATH };
            report.push("unclean", file, 0, 0, Remedy::Open, || {
                String::from("the store was not closed, or is open elsewhere: its files may lack what was put last")
            });
        }
        let checkpoint = Checkpoint::decode(&checkpoint_bytes);
        let places = Places::find(storage, clean, report)?;
        let index = IndexFiles::find(storage, options, clean, &checkpoint, report)?;
        Ok(Self {
            storage,
            options,
            go_on,
            report,
            segments,
            clean,
            checkpoint,
            checkpoint_bytes,
            places,
            index,
            walked: Walked::default(),
            end: 0,
            last_store_timestamp: None,
        })
    }

    fn run(&mut self) -> Result<(), Halt> {
        self.verify_log()?;
        self.verify_queues()?;
        self.verify_batch_queues()?;
        self.verify_index()?;
        self.verify_files()
    }

    /// The log as far as it was found to reach.
    fn view(&self) -> LogView<S::Segment> {
        LogView::new(self.segments.clone(), self.end)
    }

    fn tell(&mut self, phase: &'static str, done: u64, total: u64) -> Result<(), Halt> {
        if (self.go_on)(Progress { phase, done, total: total.max(done) }) { Ok(()) } else { Err(Halt::Stopped) }
    }

    /// Whether a message that a fault speaks of is still there: retention may have removed it meanwhile.
    fn is_still_there(&self, physical: u64) -> bool {
        self.options.live.is_none()
            || self
                .segments
                .find(physical)
                .is_none_or(|placed| self.storage.len(&crate::log::segments::path(placed.base)).is_ok_and(|len| len.is_some()))
    }

    fn remedy_of_queues(&self) -> Remedy {
        if self.clean { Remedy::RebuildQueues } else { Remedy::Open }
    }
}
