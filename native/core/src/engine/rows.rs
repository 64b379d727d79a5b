//! What the queue table of a clean close says of each queue: how far it goes, and that nobody has been in its directory.
//!
//! As long as nobody has, the rows are the queues, and no directory is read. Otherwise they are what the files are held
//! against: a queue that has lost some is built again from the log, and none goes on below where it was.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::dispatch::{names_a_directory, start_queue_at};
use crate::error::{Error, Finding, IoError};
use crate::format::queue_table::{BatchRow, Header, Kind, QueueRow, TableReader, TopicRow};
use crate::format::record::MIN_BYTES;
use crate::limits::QUEUE_ENTRY_BYTES;
use crate::queue::batch::BatchTable;
use crate::queue::batch_files::BatchFiles;
use crate::queue::files::QueueFiles;
use crate::queue::table::QueueTable;
use crate::queue::tail::Tail;
use crate::queue::topics::Topic;
use crate::queue::{BATCH_DIRECTORY, DIRECTORY};
use crate::storage::{DirectoryStamp, Storage};

/// The queues of a store, of both kinds.
pub(super) struct Queues {
    pub plain: QueueTable,
    pub files: QueueFiles,
    pub batches: BatchTable,
    pub batch_files: BatchFiles,
}

/// The table of what the files of all queues hold; with the stamps of their directories if `stamped` is there.
pub(super) fn encode<S: Storage>(
    stamped: Option<&S>,
    snapshot: u64,
    (queues, file_entries): (&QueueTable, u64),
    (batches, batch_file_entries): (&BatchTable, u64),
) -> Result<Vec<u8>, IoError> {
    let mut stamps = Stamps { storage: stamped, path: String::new() };
    let mut body = Vec::new();
    let plain_topics = encode_topics(
        &mut stamps,
        DIRECTORY,
        queues.topics(),
        &mut body,
        |place, directory, rows| {
            let queue = queues.queue(place);
            let is_kept = queue.in_files && (stamped.is_none() || directory != DirectoryStamp::default());
            if is_kept {
                let next = queue.tail.first();
                QueueRow { id: queue.id, min: queue.min, next, last_file: last_file(next, file_entries), directory }.encode(rows);
            }
            is_kept
        },
        |place| queues.queue(place).id,
    )?;
    let batch_topics = encode_topics(
        &mut stamps,
        BATCH_DIRECTORY,
        batches.topics(),
        &mut body,
        |place, directory, rows| {
            let queue = batches.queue(place);
            // Also of one without a file: its messages are gone, and their offsets are not given again.
            let next = queue.next_held();
            let is_kept = next > 0;
            if is_kept {
                let (first, held) = queue.held();
                BatchRow { id: queue.id, min: queue.min, next, first, held, directory }.encode(rows);
            }
            is_kept
        },
        |place| batches.queue(place).id,
    )?;
    let directory = |stamps: &mut Stamps<'_, S>, path| stamps.of(format_args!("{path}"));
    let plain = Kind { topics: plain_topics, file_entries, directory: directory(&mut stamps, DIRECTORY)? };
    let batch = Kind { topics: batch_topics, file_entries: batch_file_entries, directory: directory(&mut stamps, BATCH_DIRECTORY)? };
    let mut table = Vec::with_capacity(body.len() + 128);
    Header { snapshot, plain, batch }.encode(&mut table);
    table.append(&mut body);
    Ok(table)
}

/// Adds the topics of a kind; how many there are. `row` adds a queue's, and says whether it did.
fn encode_topics<'a, S: Storage, P: Copy + 'a>(
    stamps: &mut Stamps<'_, S>,
    root: &str,
    topics: impl Iterator<Item = &'a Topic<P>>,
    out: &mut Vec<u8>,
    row: impl Fn(P, DirectoryStamp, &mut Vec<u8>) -> bool,
    id: impl Fn(P) -> i32,
) -> Result<u32, IoError> {
    let (mut count, mut rows) = (0, Vec::new());
    for topic in topics {
        rows.clear();
        let mut queues = 0;
        for place in topic.places() {
            let directory = stamps.of(format_args!("{root}/{}/{}", topic.name, id(place)))?;
            queues += u32::from(row(place, directory, &mut rows));
        }
        let directory = stamps.of(format_args!("{root}/{}", topic.name))?;
        if queues > 0 && (TopicRow { name: &topic.name, queues, directory }).encode(out) {
            count += 1;
            out.append(&mut rows);
        }
    }
    Ok(count)
}

/// Where the last file of a queue starts that goes on at `next`.
fn last_file(next: u64, file_entries: u64) -> u64 {
    let last = next.saturating_sub(1);
    (last - last % file_entries) * QUEUE_ENTRY_BYTES
}

/// The queues of a table, and whether their directories are as they were; `None`: these bytes are no table of that number.
pub(super) fn decode<S: Storage>(storage: &S, bytes: &[u8], snapshot: u64, end: u64) -> Result<Option<(Queues, bool)>, IoError> {
    let mut stamps = Stamps { storage: Some(storage), path: String::new() };
    let mut reader = TableReader::new(bytes);
    let Some(Header { plain, batch, .. }) = reader.header().filter(|header| header.snapshot == snapshot) else {
        return Ok(None);
    };
    let (mut queues, mut batches) = (QueueTable::default(), BatchTable::default());
    let mut untouched = true;
    for (root, kind) in [(DIRECTORY, plain), (BATCH_DIRECTORY, batch)] {
        untouched = untouched && stamps.of(format_args!("{root}"))? == kind.directory;
        for _ in 0..kind.topics {
            let Some(topic) = reader.topic().filter(|topic| names_a_directory(topic.name.as_bytes())) else { return Ok(None) };
            untouched = untouched && stamps.of(format_args!("{root}/{}", topic.name))? == topic.directory;
            for _ in 0..topic.queues {
                let row = if root == DIRECTORY {
                    reader.queue().filter(|row| row.last_file == last_file(row.next, kind.file_entries)).map(|row| {
                        let place = queues.find_or_add(topic.name.as_bytes(), row.id);
                        let queue = queues.queue_mut(place);
                        (queue.min, queue.tail, queue.in_files) = (row.min, Tail::starting_at(row.next), true);
                        (row.id, row.directory)
                    })
                } else {
                    // An entry for each record at most.
                    reader.batch_queue().filter(|row| row.held - row.first <= end / u64::from(MIN_BYTES)).map(|row| {
                        let place = batches.find_or_add(topic.name.as_bytes(), row.id);
                        batches.load(place, row.first, row.held, row.next, row.min);
                        (row.id, row.directory)
                    })
                };
                let Some((id, directory)) = row else { return Ok(None) };
                untouched = untouched && stamps.of(format_args!("{root}/{}/{id}", topic.name))? == directory;
            }
        }
    }
    let files = QueueFiles { file_entries: plain.file_entries, ext: None };
    let batch_files = BatchFiles { file_entries: batch.file_entries };
    Ok(reader.is_at_end().then_some((Queues { plain: queues, files, batches, batch_files }, untouched)))
}

impl Queues {
    /// The size of files of a kind of which the table has no queue: those that are there came after it, or are all that is left
    /// of queues without a message. Sizes that are there win over `asked`.
    pub(super) fn fit_untold_files<S: Storage>(&mut self, storage: &S, asked: u32, configured: &BTreeSet<String>) -> Result<(), Error> {
        if self.plain.is_empty() {
            self.files.file_entries = QueueFiles::entries_on_disk(storage, asked)?;
        }
        if self.batches.places().next().is_none() {
            self.batch_files.file_entries = BatchFiles::entries_on_disk(storage, asked, configured)?;
        }
        Ok(())
    }

    /// The first plain queue that holds less in `now`: all of them have to be built again from the log.
    pub(super) fn lost(&self, now: &QueueTable) -> Option<Finding> {
        let rows = self.plain.topics().flat_map(|topic| topic.places().map(move |place| (topic, self.plain.queue(place))));
        let (topic, row) = rows.into_iter().find(|(topic, row)| match now.find(topic.name.as_bytes(), row.id) {
            Some(place) => now.queue(place).next() < row.next() || now.queue(place).min > row.min,
            None => row.next() > 0,
        })?;
        Some(lost(DIRECTORY, &topic.name, row.id, row.min, row.next()))
    }

    /// The first batch queue that holds less in `now`.
    pub(super) fn lost_batches(&self, now: &BatchTable) -> Option<Finding> {
        let rows = self.batches.topics().flat_map(|topic| topic.places().map(move |place| (topic, self.batches.queue(place))));
        let had_entries = rows.filter(|(_, row)| !row.is_empty());
        let (topic, row) = had_entries.into_iter().find(|(topic, row)| match now.find(topic.name.as_bytes(), row.id) {
            Some(place) => {
                let queue = now.queue(place);
                queue.next() < row.next() || queue.held().0 > row.held().0 || queue.held().1 < row.held().1
            }
            None => true,
        })?;
        Some(lost(BATCH_DIRECTORY, &topic.name, row.id, row.min, row.next()))
    }

    /// After that: no queue goes on below where it was, whatever of its messages is left. In a plain queue blank entries
    /// stand for the others, so that its files say it too.
    pub(super) fn raise(&self, now: &mut QueueTable, file_entries: u64, findings: &mut Vec<Finding>) {
        for (topic, row) in self.plain.topics().flat_map(|topic| topic.places().map(move |place| (topic, self.plain.queue(place)))) {
            let place = now.find_or_add(topic.name.as_bytes(), row.id);
            let next = now.queue(place).next();
            let Some(last) = row.next().checked_sub(1).filter(|&last| next <= last) else { continue };
            if next == now.queue(place).min {
                start_queue_at(now, place, last, file_entries); // there is no entry
            }
            if !now.push_blanks(place, row.next()) {
                findings.push(Finding {
                    kind: "queue-gap",
                    file: format!("{DIRECTORY}/{}/{}", topic.name, row.id),
                    offset: 0,
                    length: 0,
                    message: format!("queue offsets {next} to {last} are lost, too many to be left out: they are given again"),
                });
            }
        }
    }

    /// The same of batch queues, whose offsets may have gaps.
    pub(super) fn raise_batches(&self, now: &mut BatchTable) {
        for (topic, row) in self.batches.topics().flat_map(|topic| topic.places().map(move |place| (topic, self.batches.queue(place)))) {
            let place = now.find_or_add(topic.name.as_bytes(), row.id);
            now.raise(place, row.next());
        }
    }
}

fn lost(root: &str, topic: &str, id: i32, min: u64, next: u64) -> Finding {
    Finding {
        kind: "queue-damaged",
        file: format!("{root}/{topic}/{id}"),
        offset: 0,
        length: 0,
        message: format!(
            "its files hold less than the queue offsets {min} to {next} that they had; the queues are built again from the log"
        ),
    }
}

/// Stamps of directories; the path is kept between calls.
struct Stamps<'a, S> {
    /// `None`: they are all taken for unknown.
    storage: Option<&'a S>,
    path: String,
}

impl<S: Storage> Stamps<'_, S> {
    fn of(&mut self, spelled: fmt::Arguments<'_>) -> Result<DirectoryStamp, IoError> {
        let Some(storage) = self.storage else { return Ok(DirectoryStamp::default()) };
        self.path.clear();
        // Writing to a String does not fail.
        let _ = fmt::Write::write_fmt(&mut self.path, spelled);
        storage.directory_stamp(&self.path)
    }
}
