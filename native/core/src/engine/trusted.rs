//! When the sidecar counts (durability: when the watermark counts): RocketMQ may have been here in between, or a backup may
//! have been put back. All of it must hold, or it is void and the store is opened as one of RocketMQ's.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::sidecar::{QUEUES_PATH, Sidecar, WATERMARK_PATH, distrusted, last_file, marker_stands, stamp_of};
use crate::dispatch::{names_a_directory, start_queue_at, takes_queue_entry};
use crate::error::{Error, Finding};
use crate::format::checkpoint::Checkpoint;
use crate::format::crc::crc32;
use crate::format::queue_entry::QueueEntry;
use crate::format::queue_table::TableReader;
use crate::format::record::Record;
use crate::format::watermark::{Closed, LastRecord};
use crate::limits::MAX_QUEUE_TABLE_BYTES;
use crate::log::segments::Segments;
use crate::log::view::LogView;
use crate::options::Options;
use crate::queue;
use crate::queue::files::QueueFiles;
use crate::queue::table::QueueTable;
use crate::queue::tail::Tail;
use crate::storage::{DirectoryStamp, Segment, Storage};

/// Blank entries that make up for messages that the log has lost, in one queue.
const MAX_LOST_ENTRIES: u64 = 1_000_000;

/// What a clean close said of a store that is still as it was then.
pub(super) struct Proven {
    pub(super) closed: Closed,
    /// The table of all queues, unless somebody has been in their directories.
    pub(super) queues: Option<(QueueTable, QueueFiles)>,
    /// What it said of each, in that case.
    rows: Vec<Row>,
}

#[derive(Clone, Debug)]
struct Row {
    topic: String,
    id: i32,
    min: u64,
    next: u64,
}

impl Sidecar {
    /// What the sidecar proves of the store; `None` if it is void. A reason that somebody should know of is reported.
    pub(super) fn prove<S: Storage>(
        &self,
        storage: &S,
        clean: bool,
        checkpoint: &[u8],
        segments: &Segments<S::Segment>,
        options: &Options,
        findings: &mut Vec<Finding>,
    ) -> Result<Option<Proven>, Error> {
        let closed = match self.newest.and_then(|newest| newest.closed) {
            Some(closed) => closed,
            None => {
                if self.damaged {
                    findings.push(distrusted(WATERMARK_PATH, "a slot of it is damaged"));
                }
                return Ok(None);
            }
        };
        // All of these happen when RocketMQ is used in between, or files are removed on purpose.
        // An open that was killed may have taken back the time of the queues, and nothing else.
        let taken_back = Checkpoint { logics: 0, ..closed.checkpoint };
        let is_ours = [closed.checkpoint, taken_back].iter().any(|ours| checkpoint == ours.encode());
        if !clean || !marker_stands(storage)? || !is_ours {
            return Ok(None);
        }
        if let Err(reason) = same_log(&closed, segments)? {
            findings.push(distrusted(WATERMARK_PATH, reason));
            return Ok(None);
        }
        let Some(bytes) = read_table(storage, &closed)? else {
            findings.push(distrusted(QUEUES_PATH, "it is not the queue table that the last close has written"));
            return Ok(None);
        };
        match load(storage, &bytes, &closed, segments, options)? {
            Some(proven) => Ok(Some(proven)),
            None => {
                findings.push(distrusted(QUEUES_PATH, "it is no queue table"));
                Ok(None)
            }
        }
    }
}

/// Whether the log is the one that was closed, and ends where it did.
fn same_log<G: Segment>(closed: &Closed, segments: &Segments<G>) -> Result<Result<(), &'static str>, Error> {
    if (closed.min, closed.extent) != (segments.min(), segments.extent()) || !(closed.min..=closed.extent).contains(&closed.end) {
        return Ok(Err("the log has other files than when the store was closed"));
    }
    let view = LogView::new(segments.clone(), segments.extent());
    match closed.last {
        Some(last) if !is_there(&view, &last, closed.end)? => {
            return Ok(Err("the last record of the log is not the one that was there when the store was closed"));
        }
        None if closed.end != closed.min => return Ok(Err("it names no last record of a log that had some")),
        _ => {}
    }
    let mut behind = [0; 8];
    let behind = &mut behind[..view.rest(closed.end).min(8) as usize];
    if !behind.is_empty() && (!view.read(closed.end, behind)? || behind.iter().any(|&byte| byte != 0)) {
        return Ok(Err("something was written behind the end that the log had when the store was closed"));
    }
    Ok(Ok(()))
}

fn is_there<G: Segment>(view: &LogView<G>, last: &LastRecord, end: u64) -> Result<bool, Error> {
    if last.at.saturating_add(u64::from(last.size)) > end || view.rest(last.at) < u64::from(last.size) {
        return Ok(false);
    }
    let mut bytes = vec![0; last.size as usize];
    Ok(view.read(last.at, &mut bytes)? && crc32(&bytes) == last.crc)
}

/// The bytes of the queue table, if they are those that the watermark names.
fn read_table<S: Storage>(storage: &S, closed: &Closed) -> Result<Option<Vec<u8>>, Error> {
    let len = closed.queues.bytes;
    // Something that is no file in its place is as good as none.
    let Ok(Some(there)) = storage.len(QUEUES_PATH) else { return Ok(None) };
    if there != len || len > MAX_QUEUE_TABLE_BYTES {
        return Ok(None);
    }
    let mut bytes = vec![0; len as usize];
    let read = storage.read_at(QUEUES_PATH, 0, &mut bytes)?;
    Ok((read == bytes.len() && crc32(&bytes) == closed.queues.crc).then_some(bytes))
}

/// The queues of a table. `None`: these bytes are none.
fn load<S: Storage>(
    storage: &S,
    bytes: &[u8],
    closed: &Closed,
    segments: &Segments<S::Segment>,
    options: &Options,
) -> Result<Option<Proven>, Error> {
    let mut reader = TableReader::new(bytes);
    let Some(header) = reader.header().filter(|header| header.snapshot == closed.queues.snapshot) else {
        return Ok(None);
    };
    let mut untouched = header.directory == storage.directory_stamp(queue::DIRECTORY)?;
    let (mut table, mut rows, mut path) = (QueueTable::default(), Vec::new(), String::new());
    for _ in 0..header.topics {
        let Some(topic) = reader.topic().filter(|topic| names_a_directory(topic.name.as_bytes())) else {
            return Ok(None);
        };
        untouched = untouched && topic.directory == stamp_of(storage, &mut path, format_args!("{}/{}", queue::DIRECTORY, topic.name))?;
        for _ in 0..topic.queues {
            let Some(row) = reader.queue().filter(|row| row.last_file == last_file(row.next, header.file_entries)) else {
                return Ok(None);
            };
            if untouched {
                let directory = stamp_of(storage, &mut path, format_args!("{}/{}/{}", queue::DIRECTORY, topic.name, row.id))?;
                untouched = row.directory == directory && directory != DirectoryStamp::default();
            }
            let place = table.find_or_add(topic.name.as_bytes(), row.id);
            let queue = table.queue_mut(place);
            queue.min = row.min;
            queue.tail = Tail::starting_at(row.next);
            queue.in_files = true;
        }
    }
    if !reader.is_at_end() {
        return Ok(None);
    }
    let files = QueueFiles { file_entries: header.file_entries, ext: None };
    untouched = untouched && newest_is_there(storage, &files, &table, closed, segments)?;
    if !untouched {
        for topic in table.topics() {
            for place in topic.places() {
                let queue = table.queue(place);
                rows.push(Row { topic: topic.name.clone(), id: queue.id, min: queue.min, next: queue.next() });
            }
        }
    }
    // Sizes of files that are there win over options; of a table without queues there are none.
    let file_entries = if table.is_empty() { u64::from(options.queue_file_entries) } else { header.file_entries };
    let queues = untouched.then_some((table, QueueFiles { file_entries, ext: None }));
    Ok(Some(Proven { closed: *closed, queues, rows }))
}

/// Whether the queue of the last record leads to it: files that were put back in place leave no trace in directories.
fn newest_is_there<S: Storage>(
    storage: &S,
    files: &QueueFiles,
    table: &QueueTable,
    closed: &Closed,
    segments: &Segments<S::Segment>,
) -> Result<bool, Error> {
    let Some(last) = closed.last else { return Ok(true) };
    let mut bytes = Vec::new();
    LogView::new(segments.clone(), closed.end).record_at(last.at, &mut bytes)?;
    let Ok(record) = Record::parse(&bytes) else { return Ok(false) };
    let (true, Some(place)) = (takes_queue_entry(record.sys_flag()), table.find(record.topic(), record.queue_id())) else {
        return Ok(true);
    };
    let offset = u64::try_from(record.queue_offset()).unwrap_or(u64::MAX);
    Ok(files.entry(storage, table, place, offset)?.is_some_and(|entry| entry.physical == last.at))
}

impl Proven {
    /// The first queue whose files hold less than they did: all have to be built again from the log.
    pub(super) fn lost(&self, table: &QueueTable) -> Option<Finding> {
        let lost = self.rows.iter().find(|row| match table.find(row.topic.as_bytes(), row.id) {
            Some(place) => table.queue(place).next() < row.next || table.queue(place).min > row.min,
            None => row.next > 0,
        })?;
        Some(Finding {
            kind: "queue-damaged",
            file: format!("{}/{}/{}", queue::DIRECTORY, lost.topic, lost.id),
            offset: 0,
            length: 0,
            message: format!(
                "its files hold less than the queue offsets {} to {} that they had; the queues are built again from the log",
                lost.min, lost.next
            ),
        })
    }

    /// After that: no queue goes on below where it was, whatever of its messages is left. Blank entries stand for the
    /// others, so that its files say it too.
    pub(super) fn raise(&self, table: &mut QueueTable, file_entries: u64) {
        for row in &self.rows {
            let place = table.find_or_add(row.topic.as_bytes(), row.id);
            let next = table.queue(place).next();
            let Some(last) = row.next.checked_sub(1).filter(|&last| next <= last) else { continue };
            if next == table.queue(place).min || last - next > MAX_LOST_ENTRIES {
                start_queue_at(table, place, last, file_entries);
            }
            (table.queue(place).next()..row.next).for_each(|_| table.push(place, QueueEntry::BLANK));
        }
    }
}
