//! Taking a store over: its files are brought to what was found, and say that it is open. Only now anything changes.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::cmp::Reverse;

use super::Engine;
use super::close::{ABORT_BACKUP_PATH, ABORT_PATH};
use super::complete::take_over_batch_queues;
use super::live::{LIVE_PATH, Live};
use super::plans::CHECKPOINT_PATH;
use super::rebuild::Rebuilt;
use super::seals::SEALS_PATH;
use super::sidecar::{SIDECAR, last_record, write_marker};
use super::written_again::write_again;
use crate::error::{Error, IoError, IoKind};
use crate::format::index_file::parse_file_name;
use crate::format::watermark::Running;
use crate::limits::CHECKPOINT_BYTES;
use crate::log;
use crate::log::append::LogWriter;
use crate::log::scan::{ScanItem, Scanner};
use crate::log::segments;
use crate::log::view::LogView;
use crate::storage::{Clock, Segment, Storage};

impl<S: Storage, C: Clock> Engine<S, C> {
    /// Queues are built again that `checkpoint` calls complete: it says so no more, until they are. A second crash would
    /// leave some of them half built. Nothing else in it changes: a sidecar that tells of lost queues is to count until
    /// they are back.
    pub(super) fn take_back_queues(&mut self) -> Result<(), Error> {
        if self.storage.len(CHECKPOINT_PATH)?.is_none() {
            return Ok(());
        }
        self.checkpoint.logics = 0;
        self.storage.write_at(CHECKPOINT_PATH, 0, &self.checkpoint.encode())?;
        Ok(self.storage.sync(CHECKPOINT_PATH)?)
    }

    /// Brings the files to what was found, and marks the store as open. Every step can be repeated.
    /// `running` is what the watermark may say of it.
    pub(super) fn take_over(&mut self, rebuilt: &Rebuilt, running: Option<Running>) -> Result<(), Error> {
        let storage = Arc::clone(&self.storage);
        // First: what the sidecar alone tells of, such as a queue that was removed, is being built again, and nothing else
        // makes the next open do it should this one be killed.
        storage.create(ABORT_BACKUP_PATH, 0)?;
        storage.create(ABORT_PATH, 0)?;
        storage.write_at(ABORT_PATH, 0, self.options.process_id.to_string().as_bytes())?;
        storage.sync_dir("")?;
        self.session = running.map_or(self.sidecar.next_sequence(), |running| running.session);
        self.sidecar.supersede(storage.as_ref(), running)?;
        if running.is_none() {
            // RocketMQ may have written other segments, and taken back what was written.
            storage.remove(SEALS_PATH)?;
            storage.remove(LIVE_PATH)?;
        }
        // Nor may the note of a rebuild come back that was ended before.
        match storage.sync_dir(SIDECAR) {
            Err(missing) if matches!(missing.kind, IoKind::NotFound | IoKind::WrongType) => {}
            outcome => outcome?,
        }
        match storage.len(CHECKPOINT_PATH)? {
            Some(len) if len == CHECKPOINT_BYTES as u64 => {}
            None => storage.create(CHECKPOINT_PATH, CHECKPOINT_BYTES as u64)?,
            // Zeros behind the front of a time would make one that nobody wrote, and vouch for queues that are made again.
            Some(_) => {
                storage.write_at(CHECKPOINT_PATH, 0, &self.checkpoint.encode())?;
                storage.sync(CHECKPOINT_PATH)?;
            }
        }
        write_marker(storage.as_ref())?;
        storage.sync_dir("")?;
        self.cut_log(rebuilt.log_end.end)?;
        self.break_seals(rebuilt.log_end.end)?;
        if !self.clean {
            // What was read may be in the page cache only: its writer died before the sync.
            let from = running.map_or(rebuilt.scanned_from, |running| running.durable);
            self.log.between(from).try_for_each(|(segment, from, to)| write_again(segment.as_ref(), from, to))?;
        }
        for &place in &rebuilt.touched {
            self.queue_files.clear_behind(storage.as_ref(), &self.queues, place, &mut self.unsynced)?;
        }
        if let Some(ext) = self.queue_files.ext {
            self.ext_ends = ext.take_over(storage.as_ref(), &self.queue_files, &self.queues, &mut self.unsynced)?;
        }
        take_over_batch_queues(storage.as_ref(), &self.batch_files, &self.batches, &rebuilt.touched_batches, &mut self.unsynced)?;
        self.take_over_kept()?;
        self.drop_distrusted_index_files(&rebuilt.index_names)?;
        self.fill_reserve()?;
        self.seals.begin_at(self.log.segments().last().map_or(0, |active| active.base));
        self.live = Live::create(storage.as_ref(), self.session, rebuilt.log_end.end).unwrap_or(None);
        if running.is_none() {
            self.vouch_for_the_log()?;
        }
        Ok(())
    }

    /// RocketMQ's evidence showed how far the log goes, over damage that nobody may have looked at. After a kill it may show
    /// that no more: the watermark does, for what is put from here on, too.
    fn vouch_for_the_log(&mut self) -> Result<(), IoError> {
        let (storage, segments) = (Arc::clone(&self.storage), self.log.segments());
        let (min, end) = (segments.min(), self.log.end());
        let view = self.log.view(end);
        let named = last_record(&view, self.last_record).or_else(|| last_record(&view, newest_whole_record(&view)?));
        let Some(last) = named.filter(|_| !self.sidecar.is_unusable()) else { return Ok(()) };
        let (checkpoint, session) = (self.checkpoint, self.session);
        let running = Running { min, durable: end, last: Some(last), checkpoint, derived: None, session };
        match self.sidecar.vouch(storage.as_ref(), running, self.unindexed()) {
            Err(error) if matches!(error.kind, IoKind::Full | IoKind::WrongType) => Ok(()),
            outcome => outcome,
        }
    }

    /// Removes the segments behind the end, and zeroes the rest of the one that it lies in: RocketMQ leaves stale
    /// records there, and takes them for new ones (store-format trap 12).
    fn cut_log(&mut self, end: u64) -> Result<(), Error> {
        let mut segments = self.log.segments().clone();
        for placed in segments.split_off(end + 1).iter().rev() {
            self.storage.remove(&segments::path(placed.base))?;
        }
        if let Some(active) = segments.last() {
            let at = end.saturating_sub(active.base);
            match self.clean {
                _ if at >= active.segment.size() => {}
                true => active.segment.zero_from(at)?,
                // Who zeroed it before may have died before the sync, or met one that failed.
                false => active.segment.zero_again(at)?,
            }
            self.storage.sync_dir(log::DIRECTORY)?;
        }
        self.log = LogWriter::new(segments, end);
        Ok(())
    }

    /// Index files that were left out of the index: what they lead to is indexed again in new ones, which may get the
    /// names of these. The newest goes first, and for good: one that is left without those before it would count, if the times in
    /// it are older than theirs.
    fn drop_distrusted_index_files(&mut self, trusted: &BTreeSet<String>) -> Result<(), Error> {
        let mut entries = self.storage.list(crate::index::DIRECTORY)?.unwrap_or_default();
        entries.retain(|entry| parse_file_name(&entry.name).is_some() && !trusted.contains(&entry.name));
        entries.sort_unstable_by_key(|entry| Reverse(parse_file_name(&entry.name)));
        for entry in &entries {
            self.storage.remove(&format!("{}/{}", crate::index::DIRECTORY, entry.name))?;
            self.storage.sync_dir(crate::index::DIRECTORY)?;
        }
        Ok(())
    }
}

/// Where the newest whole record lies, in a log that ends in damage.
pub(super) fn newest_whole_record<G: Segment>(view: &LogView<G>) -> Option<u64> {
    view.segments().iter().rev().find_map(|placed| {
        let mut scanner = Scanner::new(view.clone(), placed.base, placed.base + placed.segment.size());
        let mut newest = None;
        loop {
            match scanner.next_item() {
                Ok(Some(ScanItem::Message { at, .. })) => newest = Some(at),
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return newest,
            }
        }
    })
}
