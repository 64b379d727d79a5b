//! `config/moraine.json`: read when a store is opened, held against what is there, and written so that a whole version of
//! it is on disk at every instant, also on a full disk.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::Engine;
use super::known::correct_min;
use super::reserve::RESERVE_PATH;
use super::rows::Queues;
use crate::dispatch::{names_a_directory, start_queue_at};
use crate::error::{Error, Finding, IoError, IoKind};
use crate::format::json::NotJson;
use crate::format::kept::Kept;
use crate::log;
use crate::log::segments::{self, Segments};
use crate::queue::batch::BatchTable;
use crate::queue::batch_lookup;
use crate::queue::files::QueueFiles;
use crate::queue::table::{QueueIndex, QueueTable};
use crate::queue::{BATCH_DIRECTORY, DIRECTORY, EXT_DIRECTORY};
use crate::storage::{Clock, EntryKind, Storage};

pub const KEPT_PATH: &str = "config/moraine.json";
const BACKUP_PATH: &str = "config/moraine.json.bak";
const NEW_PATH: &str = "config/moraine.json.tmp";
const CONFIG: &str = "config";

/// Longest text that is read or written: some millions of queues.
const MAX_KEPT_BYTES: u64 = 256 * 1024 * 1024;
/// Bytes that file systems give room in.
const BLOCK_BYTES: u64 = 4096;
/// Blank entries that make up for entries that are gone, in one queue.
const MAX_BLANKS: u64 = 1_000_000;

/// What is kept, and what is left to be done for it.
#[derive(Debug, Default)]
pub(super) struct KeptFile {
    pub(super) kept: Kept,
    /// It is not what the file says: to be written before anything is put.
    changed: bool,
    /// There is no file.
    missing: bool,
    /// Segments below the minimum that are still there, by their offsets.
    pub(super) garbage: Vec<u64>,
    /// Deleted topics of which no message is left in any queue.
    deleted: Vec<String>,
}

impl KeptFile {
    /// Reads the file, or the version before, and takes the segments below the minimum off the log: they are what a crash
    /// has left of a removal. A minimum that no segment lies at or above is not this log's.
    pub(super) fn load<S: Storage>(storage: &S, segments: &mut Segments<S::Segment>, findings: &mut Vec<Finding>) -> Result<Self, Error> {
        let (kept, missing) = read(storage, findings)?;
        let mut file = Self { kept, missing, ..Self::default() };
        let (minimum, extent) = (file.kept.minimum, segments.extent());
        let mut foreign = false;
        if segments.last().is_some_and(|last| last.base >= minimum) {
            file.garbage = segments.drop_below(minimum).iter().map(|dropped| dropped.base).collect();
            findings.retain(|finding| finding.kind != "log-gap" || finding.offset + finding.length > minimum);
        } else if minimum > 0 {
            (file.kept.minimum, foreign) = (0, true);
        }
        for topic in file.kept.topics.values_mut().filter(|topic| topic.hidden_below > extent) {
            (topic.hidden_below, foreign) = (0, true);
        }
        file.kept.topics.retain(|name, _| names_a_directory(name.as_bytes()));
        if foreign {
            file.changed = true;
            let reason = "speaks of a longer log than the one that is there; what it says of places in the log does not count";
            findings.push(about(KEPT_PATH, String::from(reason)));
        }
        Ok(file)
    }

    /// What a store keeps that is only read from, and its log without the segments below the minimum.
    pub(super) fn of_another<S: Storage>(
        storage: &S,
        segments: &mut Segments<S::Segment>,
        findings: &mut Vec<Finding>,
    ) -> Result<Kept, Error> {
        match Self::load(storage, segments, findings) {
            Ok(file) => Ok(file.kept),
            Err(error) => {
                findings.push(about(KEPT_PATH, error.message));
                Ok(Kept::default())
            }
        }
    }

    /// Tells the queues which messages are hidden: before any is entered.
    pub(super) fn hide(&self, queues: &mut QueueTable) {
        for (name, topic) in self.kept.topics.iter().filter(|(_, topic)| topic.hidden_below > 0) {
            queues.hide(name, topic.hidden_below);
        }
    }

    /// Brings queues that were filled from files and log to what is kept: nothing hidden is shown, and no queue goes on
    /// below its next offset. A queue that begins below it again is RocketMQ's, which deletes a topic with its offsets.
    pub(super) fn settle<S: Storage>(
        &mut self,
        storage: &S,
        Queues { plain: queues, files, batches, batch_files }: &mut Queues,
        (log_min, log_end): (u64, u64),
        findings: &mut Vec<Finding>,
    ) -> Result<(), Error> {
        for (name, topic) in &mut self.kept.topics {
            if topic.hidden_below > log_end {
                (topic.hidden_below, self.changed) = (log_end, true); // new messages will stand there
                queues.hide(name, log_end);
            }
            let hidden = topic.hidden_below;
            let is_batch = batches.holds(name.as_bytes());
            let mut is_live = false;
            if hidden > 0 {
                for place in queues.topic(name.as_bytes()).map(|topic| topic.places().collect::<Vec<_>>()).unwrap_or_default() {
                    correct_min(storage, files, queues, place, hidden)?;
                    is_live |= queues.queue(place).min < queues.queue(place).next();
                }
                let ids: Vec<i32> = batches.topic(name.as_bytes()).map(|topic| topic.queue_ids().collect()).unwrap_or_default();
                for id in ids {
                    let place = batches.find_or_add(name.as_bytes(), id);
                    batch_lookup::correct_min(storage, batch_files, batches, place, hidden.max(log_min))?;
                    is_live |= batches.queue(place).min < batches.queue(place).next();
                }
            }
            topic.next.retain(|&id, &mut next| {
                let began_anew = if is_batch {
                    continue_batch_queue(batches, name, id, next, hidden > 0)
                } else {
                    continue_queue(queues, files, name, id, next, hidden > 0)
                };
                if began_anew {
                    let reason =
                        format!("begins below queue offset {next}, where it was before: it was deleted and made again by another program");
                    findings.push(about(&format!("{DIRECTORY}/{name}/{id}"), reason));
                    self.changed = true;
                }
                !began_anew
            });
            if hidden > 0 && !is_live {
                self.deleted.push(name.clone());
            }
        }
        Ok(())
    }
}

/// Lets a batch queue without messages go on at `next`. True where it has messages below.
fn continue_batch_queue(batches: &mut BatchTable, name: &str, id: i32, next: u64, deleted: bool) -> bool {
    let place = batches.find_or_add(name.as_bytes(), id);
    let queue = batches.queue(place);
    if queue.min < queue.next() {
        return queue.next() < next;
    }
    let next = next.max(queue.next());
    if deleted {
        batches.begin_anew(place, u64::MAX);
    }
    batches.continue_at(place, next);
    false
}

/// Lets a queue without messages go on at `next`. True where it has messages below.
fn continue_queue(queues: &mut QueueTable, files: &QueueFiles, name: &str, id: i32, next: u64, deleted: bool) -> bool {
    let place: QueueIndex = queues.find_or_add(name.as_bytes(), id);
    let (min, known, in_files) = (queues.queue(place).min, queues.queue(place).next(), queues.queue(place).in_files);
    if min < known {
        return known < next;
    }
    let next = next.max(known);
    if deleted || !in_files {
        if queues.queue(place).tail.is_empty() {
            start_queue_at(queues, place, next, files.file_entries);
        }
        if deleted {
            queues.begin_anew(place, queues.queue(place).next(), files.file_entries);
        }
    } else if next - known <= MAX_BLANKS && queues.push_blanks(place, next) {
        // The crash took entries of messages that had expired: its files say so, too.
        queues.queue_mut(place).min = next;
    } else {
        start_queue_at(queues, place, next, files.file_entries);
    }
    false
}

impl<S: Storage, C: Clock> Engine<S, C> {
    /// Does what a crash has left of removals, and writes what is kept if it changed. A store that removes by itself has
    /// the file from the start: on a full disk there is no room for the first one.
    pub(super) fn take_over_kept(&mut self) -> Result<(), Error> {
        let storage = alloc::sync::Arc::clone(&self.storage);
        remove_segments(storage.as_ref(), &mut self.kept.garbage)?;
        for topic in core::mem::take(&mut self.kept.deleted) {
            remove_topic(storage.as_ref(), &topic)?.iter().for_each(|path| self.unsynced.remove(path));
        }
        if self.kept.changed || (self.kept.missing && self.options.retention.is_some()) {
            match write(storage.as_ref(), &self.kept.kept) {
                Err(full) if full.kind == IoKind::Full && !self.kept.changed => {}
                outcome => outcome?,
            }
            (self.kept.changed, self.kept.missing) = (false, false);
        }
        Ok(())
    }

    /// Before the log is cut at `to`: what will be put there is not hidden.
    pub(super) fn unhide_from(&mut self, to: u64) -> Result<(), Error> {
        if self.kept.kept.topics.values().all(|topic| topic.hidden_below <= to) {
            return Ok(());
        }
        let mut kept = self.kept.kept.clone();
        for (name, topic) in kept.topics.iter_mut().filter(|(_, topic)| topic.hidden_below > to) {
            topic.hidden_below = to;
            self.queues.hide(name, to);
        }
        write(self.storage.as_ref(), &kept)?;
        self.kept.kept = kept;
        Ok(())
    }
}

/// Removes segments, the oldest first, and takes them off the list.
pub(super) fn remove_segments<S: Storage>(storage: &S, bases: &mut Vec<u64>) -> Result<(), IoError> {
    if bases.is_empty() {
        return Ok(());
    }
    bases.sort_unstable();
    while let Some(&base) = bases.first() {
        storage.remove(&segments::path(base))?;
        bases.remove(0);
    }
    storage.sync_dir(log::DIRECTORY)
}

/// Removes the directories of all queues of a topic; returns the files that are gone.
fn remove_topic<S: Storage>(storage: &S, topic: &str) -> Result<Vec<String>, IoError> {
    let mut ids: Vec<i32> = Vec::new();
    for root in [DIRECTORY, BATCH_DIRECTORY, EXT_DIRECTORY] {
        let entries = storage.list(&format!("{root}/{topic}"))?.unwrap_or_default();
        let directories = entries.into_iter().filter(|entry| entry.kind == EntryKind::Directory);
        ids.extend(directories.filter_map(|entry| entry.name.parse::<i32>().ok()));
    }
    remove_queues(storage, topic, &ids)
}

/// Removes the directories of queues of a topic, and the topic's when nothing is left in it; returns the files that are gone.
pub(super) fn remove_queues<S: Storage>(storage: &S, topic: &str, ids: &[i32]) -> Result<Vec<String>, IoError> {
    let mut gone = Vec::new();
    for root in [DIRECTORY, BATCH_DIRECTORY, EXT_DIRECTORY] {
        let topic_dir = format!("{root}/{topic}");
        if storage.list(&topic_dir)?.is_none() {
            continue;
        }
        for id in ids {
            let dir = format!("{topic_dir}/{id}");
            for entry in storage.list(&dir)?.unwrap_or_default() {
                if entry.kind == EntryKind::File {
                    let path = format!("{dir}/{}", entry.name);
                    storage.remove(&path)?;
                    gone.push(path);
                }
            }
            remove_if_empty(storage, &dir)?;
        }
        remove_if_empty(storage, &topic_dir)?;
        storage.sync_dir(root)?;
    }
    Ok(gone)
}

/// Something else that lies in a directory keeps it, as does a link in its place.
fn remove_if_empty<S: Storage>(storage: &S, dir: &str) -> Result<(), IoError> {
    if storage.list(dir)?.is_none_or(|entries| !entries.is_empty()) {
        return Ok(());
    }
    match storage.remove_dir(dir) {
        Err(link) if link.kind == IoKind::WrongType => Ok(()),
        outcome => outcome,
    }
}

/// Writes a version: as a new file, synced, that takes the name of the last one, which becomes the one before.
///
/// On a full disk the version before is written over: its blocks are there already, and the last one stays whole meanwhile.
pub(super) fn write<S: Storage>(storage: &S, kept: &Kept) -> Result<(), IoError> {
    let mut text = kept.encode();
    let blocks = (text.len() as u64).next_multiple_of(BLOCK_BYTES);
    pad(&mut text, blocks);
    if text.len() as u64 > MAX_KEPT_BYTES {
        return Err(IoError::new(IoKind::Other, "write", KEPT_PATH, "more queues without messages than the file can hold"));
    }
    storage.create_dir(CONFIG)?;
    storage.remove(NEW_PATH)?;
    match write_whole(storage, NEW_PATH, &text) {
        Ok(()) => {}
        Err(full) if full.kind == IoKind::Full => {
            storage.remove(NEW_PATH)?;
            return write_over(storage, &text, full);
        }
        Err(failed) => return Err(failed),
    }
    if storage.len(KEPT_PATH)?.is_some() {
        storage.rename(KEPT_PATH, BACKUP_PATH)?;
    }
    storage.rename(NEW_PATH, KEPT_PATH)?;
    storage.sync_dir(CONFIG)?;
    storage.sync_dir("")?;
    if storage.len(BACKUP_PATH)?.is_none() {
        // For a full disk; where it is that already, there is nothing to be done about it.
        match write_whole(storage, BACKUP_PATH, &text) {
            Err(full) if full.kind == IoKind::Full => {}
            outcome => outcome?,
        }
    }
    Ok(())
}

/// As [`write`]; where there is no room for the first version, the reserve makes some: true then, and it is gone.
pub(super) fn write_with_reserve<S: Storage>(storage: &S, kept: &Kept) -> Result<bool, IoError> {
    match write(storage, kept) {
        Err(full) if full.kind == IoKind::Full && matches!(storage.len(RESERVE_PATH), Ok(Some(_))) => {
            storage.remove(RESERVE_PATH)?;
            write(storage, kept).map(|()| true)
        }
        outcome => outcome.map(|()| false),
    }
}

/// Blanks behind the text, to a whole number of blocks: another version of the same number of blocks takes no new room.
fn pad(text: &mut String, bytes: u64) {
    text.extend((text.len() as u64..bytes.min(MAX_KEPT_BYTES)).map(|_| ' '));
}

fn write_whole<S: Storage>(storage: &S, path: &str, text: &str) -> Result<(), IoError> {
    storage.create(path, 0)?;
    storage.write_at(path, 0, text.as_bytes())?;
    storage.sync(path)
}

/// Writes over the version before, which then takes the place of the last one.
fn write_over<S: Storage>(storage: &S, text: &str, full: IoError) -> Result<(), IoError> {
    let (Some(there), Some(_)) = (storage.len(BACKUP_PATH)?, storage.len(KEPT_PATH)?) else {
        return Err(full);
    };
    let mut padded = String::from(text);
    pad(&mut padded, there);
    storage.write_at(BACKUP_PATH, 0, padded.as_bytes())?;
    storage.sync(BACKUP_PATH)?;
    storage.rename(BACKUP_PATH, KEPT_PATH)?;
    storage.sync_dir(CONFIG)
}

/// What the file says, and whether there is none.
fn read<S: Storage>(storage: &S, findings: &mut Vec<Finding>) -> Result<(Kept, bool), Error> {
    let (mut damaged, mut found) = (None, false);
    for path in [KEPT_PATH, BACKUP_PATH] {
        let Some(bytes) = storage.len(path)? else { continue };
        found = true;
        if bytes > MAX_KEPT_BYTES {
            return Err(Error::corrupt(path, 0, &format!("{bytes} bytes are too long for what it holds: want at most {MAX_KEPT_BYTES}")));
        }
        let mut text = vec![0; bytes as usize];
        let read = storage.read_at(path, 0, &mut text)?;
        match Kept::parse(&text[..read]) {
            Ok(kept) => {
                let used = "is damaged, or of a later version; the version before it is used";
                findings.extend(damaged.map(|path| about(path, String::from(used))));
                return Ok((kept, false));
            }
            Err(NotJson) => damaged = damaged.or(Some(path)),
        }
    }
    let lost = "is damaged, or of a later version, and so is the version before it; where queues are built again, deleted topics come back";
    findings.extend(damaged.map(|path| about(path, String::from(lost))));
    Ok((Kept::default(), !found))
}

fn about(file: &str, message: String) -> Finding {
    Finding { kind: "kept", file: String::from(file), offset: 0, length: 0, message }
}
