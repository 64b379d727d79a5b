//! Salvaging: every whole record of a damaged store into a new one.
//!
//! Records keep all they say but their place in the log, and with it the checksum over all of them. The store that is
//! saved from is only read; nothing in it has to be right but the records themselves.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::close::ABORT_PATH;
use super::kept::{self, KeptFile};
use super::open::Progress;
use super::remake_files::{batch_topics, usual_file_bytes};
use super::sidecar::{WATERMARK_PATH, marker_stands};
use super::{Engine, Writer};
use crate::error::{Code, Error, Finding};
use crate::format::index_file::Geometry;
use crate::format::kept::Kept;
use crate::format::record::move_to;
use crate::format::watermark::Watermark;
use crate::index::files as index_files;
use crate::limits::QUEUE_ENTRY_BYTES;
use crate::log::scan::{BadReason, Scanner, Step};
use crate::log::segments::{self, Segments};
use crate::log::view::LogView;
use crate::options::Options;
use crate::queue::DIRECTORY;
use crate::queue::extent::Trust;
use crate::queue::files::QueueFiles;
use crate::queue::table::QueueTable;
use crate::storage::{Clock, EntryKind, Segment, Storage};

/// It is there from before the first file of the new store until that is closed.
pub const NOTE_PATH: &str = "moraine/salvage";
const DIRECTORY_OF_NOTE: &str = "moraine";
const CONFIG: &str = "config";
/// Our own table of what no log can give back, in all its versions: positions of the old log, which are others in the new one.
const OWN_TABLE: &str = "moraine.json";
/// What a store is made of that a new one has by itself.
const REMADE: [&str; 11] = [
    "rocksdbstore",
    "commitlog",
    "consumequeue",
    "batchconsumequeue",
    "consumequeue_ext",
    "index",
    "checkpoint",
    "abort",
    "abort.bak",
    "lock",
    "moraine",
];
/// Directories in `config/` deeper than this are not copied.
const MAX_DEPTH: usize = 3;
const CHUNK_BYTES: usize = 1 << 20;
/// Queue and index entries that wait before they are written.
const WAITING_ENTRIES: usize = 1 << 16;
/// Bytes that are put between two syncs.
const SYNC_BYTES: u64 = 64 << 20;
const PROGRESS_BYTES: u64 = 4 << 20;
/// Most findings that are kept.
const MAX_FINDINGS: usize = 10_000;

/// What was saved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Salvaged {
    pub messages: u64,
    /// Bytes of their records.
    pub bytes: u64,
    /// Ranges of the old log that hold no whole record, and how long they are together.
    pub lost_ranges: u64,
    pub lost_bytes: u64,
    /// What was lost, and what could not be taken over.
    pub findings: Vec<Finding>,
}

/// STORE_CORRUPT for a store that a salvage was to fill, and did not: messages are missing, and those of deleted topics may be shown.
pub fn refuse_cut_off<S: Storage>(storage: &S) -> Result<(), Error> {
    if storage.len(NOTE_PATH)?.is_none() {
        return Ok(());
    }
    let reason = "a salvage into this store was cut off, so that messages are missing: delete the directory and salvage again. To \
                  open what there is, delete this file";
    Err(Error::corrupt(NOTE_PATH, 0, reason))
}

/// Begins a new store in `to`, which is empty, for what `from` holds: its configuration, and its sizes of files. Until [`end`]
/// it can be opened by nobody.
///
/// `findings` tell what of the old store is left behind.
pub fn begin<S: Storage, T: Storage, C: Clock>(
    from: &S,
    to: Arc<T>,
    clock: C,
    options: &Options,
    findings: &mut Vec<Finding>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Engine<T, C>, Error> {
    to.create_dir(DIRECTORY_OF_NOTE)?;
    to.create(NOTE_PATH, 0)?;
    to.sync(NOTE_PATH)?;
    to.sync_dir(DIRECTORY_OF_NOTE)?;
    to.sync_dir("")?;
    copy_config(from, to.as_ref(), findings)?;
    Engine::open_any(to, clock, options_like(from, options)?, progress)
}

/// Closes the new store: it is complete, and one like any other.
pub fn end<T: Storage, C: Clock>(mut to: Engine<T, C>) -> Result<(), Error> {
    to.writer()?.close()?;
    to.storage.remove(NOTE_PATH)?;
    Ok(to.storage.sync_dir(DIRECTORY_OF_NOTE)?)
}

/// Options for the new store: file sizes as in the old one.
fn options_like<S: Storage>(from: &S, options: &Options) -> Result<Options, Error> {
    let segments = Segments::load_what_opens(from)?;
    let segment_bytes = if segments.is_empty() { options.segment_bytes } else { segments.segment_bytes() };
    let entries = usual_file_bytes(from, DIRECTORY, QUEUE_ENTRY_BYTES)?.map(|bytes| bytes / QUEUE_ENTRY_BYTES);
    let asked = Geometry { slots: options.index_slots, entries: options.index_entries };
    let geometry = index_files::load(from, &[asked], false, &mut Vec::new())?.last().map_or(asked, |file| file.geometry);
    Ok(Options {
        segment_bytes,
        queue_file_entries: entries.and_then(|entries| u32::try_from(entries).ok()).unwrap_or(options.queue_file_entries),
        index_slots: geometry.slots,
        index_entries: geometry.entries,
        read_only: false,
        create: true,
        ..options.clone()
    })
}

/// Copies `config/` into the new store, before it is opened: topics say there which queues they have. Tells what of the
/// old store is left behind.
fn copy_config<S: Storage, T: Storage>(from: &S, to: &T, findings: &mut Vec<Finding>) -> Result<(), Error> {
    for entry in from.list("")?.unwrap_or_default() {
        // RocketMQ makes this one also where nothing is compacted.
        let is_void = entry.name == "compaction" && from.list("compaction/compactionLog")?.is_none_or(|topics| topics.is_empty());
        if entry.name != CONFIG && !REMADE.contains(&entry.name.as_str()) && !entry.name.starts_with('.') && !is_void {
            left_out(&entry.name, "is not part of the new store: what it says of places in the log would be wrong there", findings);
        }
    }
    copy_directory(from, to, CONFIG, 0, findings)
}

fn left_out(file: &str, message: &str, findings: &mut Vec<Finding>) {
    findings.push(Finding { kind: "left-out", file: file.to_string(), offset: 0, length: 0, message: message.to_string() });
}

fn copy_directory<S: Storage, T: Storage>(from: &S, to: &T, dir: &str, depth: usize, findings: &mut Vec<Finding>) -> Result<(), Error> {
    let Some(entries) = from.list(dir)? else { return Ok(()) };
    to.create_dir(dir)?;
    let mut buffer = vec![0; CHUNK_BYTES];
    for entry in entries {
        let path = format!("{dir}/{}", entry.name);
        match entry.kind {
            EntryKind::Directory if depth < MAX_DEPTH => copy_directory(from, to, &path, depth + 1, findings)?,
            EntryKind::File if depth == 0 && entry.name.starts_with(OWN_TABLE) => {}
            EntryKind::File => {
                if let Err(error) = copy_file(from, to, &path, &mut buffer)? {
                    left_out(&path, &error.message, findings);
                }
            }
            _ => left_out(&path, "is not copied", findings),
        }
    }
    Ok(to.sync_dir(dir)?)
}

/// `Ok(Err(_))`: the old file cannot be read.
fn copy_file<S: Storage, T: Storage>(from: &S, to: &T, path: &str, buffer: &mut [u8]) -> Result<Result<(), Error>, Error> {
    to.create(path, 0)?;
    let mut at = 0;
    loop {
        let read = match from.read_at(path, at, buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) => return Ok(Err(error.into())),
        };
        to.write_at(path, at, &buffer[..read])?;
        at += read as u64;
    }
    to.sync(path)?;
    Ok(Ok(()))
}

/// Puts every whole record of the log in `from` into `to`, which [`begin`] has made, in the order of the log.
///
/// An error is one of the new store, such as STORE_FULL: it holds what was saved until then.
pub fn salvage<S: Storage, T: Storage, C: Clock>(
    from: &S,
    to: &mut Engine<T, C>,
    progress: &mut dyn FnMut(Progress),
) -> Result<Salvaged, Error> {
    let mut log = Segments::load_what_opens(from)?;
    let end = closed_end(from, &log)?.unwrap_or(log.extent());
    let mut salvaged = Salvaged::default();
    let kept = KeptFile::of_another(from, &mut log, &mut salvaged.findings)?;
    for topic in batch_topics(from, &to.topics.kinds.batch)? {
        to.batches.add_topic(topic.as_bytes());
    }
    let hidden = Hidden::of(&kept);
    let mut saving = Saving { to, salvaged, hidden, moved: Vec::new(), unsynced: 0 };
    saving.walk(&log, end, progress)?;
    saving.settle(true)?;
    saving.keep(kept)?;
    saving.compare_ends(from);
    let Saving { mut salvaged, to, .. } = saving;
    to.log.segments().clone().name_files(&mut to.findings);
    let noticed = to.findings.len().min(MAX_FINDINGS.saturating_sub(salvaged.findings.len()));
    salvaged.findings.extend(to.findings.iter().take(noticed).cloned());
    Ok(salvaged)
}

/// Where the log ends by our own clean close: whole records behind are ghosts of a log that was cut.
fn closed_end<S: Storage>(from: &S, log: &Segments<S::Segment>) -> Result<Option<u64>, Error> {
    let mut slots = vec![0; 2 * Watermark::BYTES];
    let is_clean = from.len(ABORT_PATH).is_ok_and(|len| len.is_none()) && marker_stands(from).unwrap_or(false);
    let read = from.read_at(WATERMARK_PATH, 0, &mut slots).unwrap_or(0);
    let closed = Watermark::newest(&slots[..read]).and_then(|newest| newest.closed);
    Ok(closed.filter(|closed| is_clean && (closed.min, closed.extent) == (log.min(), log.extent())).map(|closed| closed.end))
}

/// Messages of deleted topics: saved with the log, and hidden in the new one as they were in the old.
struct Hidden {
    /// Offsets of the old log below which messages of a topic are hidden, the highest first.
    waiting: Vec<(u64, String)>,
}

impl Hidden {
    fn of(kept: &Kept) -> Self {
        let topics = kept.topics.iter().filter(|(_, topic)| topic.hidden_below > 0);
        let mut waiting: Vec<(u64, String)> = topics.map(|(name, topic)| (topic.hidden_below, name.clone())).collect();
        waiting.sort_unstable_by(|a, b| b.cmp(a));
        Self { waiting }
    }

    /// The next topic of which everything that is hidden lies in front of `at`.
    fn passed(&mut self, at: u64) -> Option<String> {
        self.waiting.pop_if(|(below, _)| *below <= at).map(|(_, name)| name)
    }
}

struct Saving<'a, T: Storage, C: Clock> {
    to: &'a mut Engine<T, C>,
    salvaged: Salvaged,
    hidden: Hidden,
    /// A record, made one of its new place.
    moved: Vec<u8>,
    /// Bytes put since the last sync.
    unsynced: u64,
}

impl<T: Storage, C: Clock> Saving<'_, T, C> {
    fn walk<G: Segment>(&mut self, log: &Segments<G>, end: u64, progress: &mut dyn FnMut(Progress)) -> Result<(), Error> {
        let (min, total) = (log.min(), end.saturating_sub(log.min()));
        for (_, name) in &self.hidden.waiting {
            self.to.queues.hide(name, u64::MAX);
        }
        let mut scanner = Scanner::new(LogView::new(log.clone(), end), min, end);
        let mut told = min;
        loop {
            let at = scanner.position();
            if at >= told + PROGRESS_BYTES {
                told = at;
                progress(Progress { phase: "log", done: at - min, total });
            }
            match scanner.step() {
                Ok(Step::Message { at, bytes }) => {
                    while let Some(name) = self.hidden.passed(at) {
                        self.to.queues.hide(&name, self.to.log.end());
                    }
                    if let Err(error) = self.save(bytes) {
                        // Of this record alone: its topic has queues of both kinds, or it fits no file of the new log.
                        if !matches!(error.code, Code::UnsupportedFormat | Code::MessageTooLarge) {
                            return Err(error);
                        }
                        self.lost(log, at, at + bytes.len() as u64, &error.message);
                    }
                }
                Ok(Step::Blank { .. }) => {}
                Ok(Step::End) => break,
                Ok(Step::Bad { at, reason }) => match scanner.resync() {
                    Ok(Some(next)) => {
                        self.lost(log, at, next, &format!("{reason}"));
                        scanner.seek(next);
                    }
                    Ok(None) => {
                        if !matches!(reason, BadReason::Empty | BadReason::Missing) {
                            self.lost(log, at, at, &format!("{reason}, and no whole record behind it"));
                        }
                        break;
                    }
                    Err(error) => self.pass_over(log, &mut scanner, at, &error),
                },
                Err(error) => self.pass_over(log, &mut scanner, at, &error),
            }
        }
        progress(Progress { phase: "log", done: total, total });
        while let Some(name) = self.hidden.passed(u64::MAX) {
            self.to.queues.hide(&name, self.to.log.end());
        }
        Ok(())
    }

    /// Writes down what the old store kept beside its log, with the places that it has in the new one. Queues without messages
    /// go on at their next offset from the next open on.
    fn keep(&mut self, mut kept: Kept) -> Result<(), Error> {
        kept.minimum = 0;
        for (name, topic) in kept.topics.iter_mut().filter(|(_, topic)| topic.hidden_below > 0) {
            topic.hidden_below = self.to.queues.hidden_below(name.as_bytes());
        }
        if kept != self.to.kept.kept {
            kept::write(self.to.storage.as_ref(), &kept)?;
            self.to.kept.kept = kept;
        }
        Ok(())
    }

    /// The rest of a file that cannot be read.
    fn pass_over<G: Segment>(&mut self, log: &Segments<G>, scanner: &mut Scanner<G>, at: u64, error: &Error) {
        let next = log.next_base(at).unwrap_or(log.extent()).max(at + 1);
        self.lost(log, at, next, &error.message);
        scanner.seek(next);
    }

    fn lost<G: Segment>(&mut self, log: &Segments<G>, from: u64, to: u64, reason: &str) {
        self.salvaged.lost_ranges += 1;
        self.salvaged.lost_bytes += to - from;
        if self.salvaged.findings.len() < MAX_FINDINGS {
            let file = segments::path(log.find(from).map_or(0, |placed| placed.base));
            let message = format!("{reason}; what these {} bytes held is lost", to - from);
            self.salvaged.findings.push(Finding { kind: "lost", file, offset: from, length: to - from, message });
        }
    }

    fn save(&mut self, record: &[u8]) -> Result<(), Error> {
        self.to.writer()?.adopt(record, &mut self.moved)?;
        self.salvaged.messages += 1;
        self.salvaged.bytes += record.len() as u64;
        self.unsynced += record.len() as u64;
        self.settle(false)
    }

    /// Syncs and writes what waits, when it is much or the last.
    fn settle(&mut self, all: bool) -> Result<(), Error> {
        let storage = alloc::sync::Arc::clone(&self.to.storage);
        let mut writer = self.to.writer()?;
        if all || self.unsynced >= SYNC_BYTES || writer.pending_entries() >= WAITING_ENTRIES {
            if let Some(plan) = writer.plan_flush() {
                plan.run(storage.as_ref())?;
                writer.flushed(plan);
            }
            while let Some(plan) = writer.plan_behind() {
                plan.run(storage.as_ref())?;
                writer.wrote_behind(plan);
            }
            self.unsynced = 0;
        }
        Ok(())
    }

    /// Queues whose newest messages are lost: who has read them is ahead of what comes next.
    fn compare_ends<S: Storage>(&mut self, from: &S) {
        let mut queues = QueueTable::default();
        let entries = self.to.options.queue_file_entries;
        let Ok((_, loaded)) = QueueFiles::load(from, entries, (Trust::Clean, false), &mut queues, &mut Vec::new()) else { return };
        for queue in loaded {
            let (topic, id, had) = (&queues.topic_of(queue.place).name, queues.queue(queue.place).id, queues.queue(queue.place).next());
            let put = self.to.queues.find(topic.as_bytes(), id).map_or(0, |place| self.to.queues.queue(place).next());
            let has = put.max(self.to.kept.kept.next(topic, id));
            if has < had && self.salvaged.findings.len() < MAX_FINDINGS {
                let message = format!("had come to queue offset {had}, goes on at {has}: set back consumers that are ahead of it");
                let file = format!("{DIRECTORY}/{topic}/{id}");
                self.salvaged.findings.push(Finding { kind: "queue-end", file, offset: 0, length: 0, message });
            }
        }
    }
}

impl<S: Storage, C: Clock> Writer<'_, S, C> {
    /// Puts a whole record of another log at the end of this one, with the queue offset that it has. `moved` is memory.
    ///
    /// STORE_MESSAGE_TOO_LARGE for one that fits no file of this log.
    pub(super) fn adopt(&mut self, record: &[u8], moved: &mut Vec<u8>) -> Result<(), Error> {
        let log = &mut self.0.log;
        let (size, largest) = (record.len() as u64, log.largest_record());
        if size > largest {
            let message = format!("a record of {size} bytes does not fit a file of the log, which takes {largest}");
            return Err(Error::new(Code::MessageTooLarge, message));
        }
        if log.room() < size {
            let storage = alloc::sync::Arc::clone(&self.0.storage);
            log.roll(storage.as_ref())?;
        }
        moved.clear();
        moved.extend_from_slice(record);
        move_to(moved, self.0.log.end());
        self.enter_record(moved)
    }
}
