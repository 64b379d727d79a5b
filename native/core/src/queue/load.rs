//! Loading queues from their directories: which there are, and how far the files of each go (store-format §3.1, §3.4).

use alloc::vec::Vec;

use super::DIRECTORY;
use super::extent::{self, Extent, QueueDirectory, Trust};
use super::files::QueueFiles;
use super::table::{QueueIndex, QueueTable};
use super::tail::Tail;
use crate::error::{Error, Finding};
use crate::format::queue_entry::QueueEntry;
use crate::storage::Storage;

/// What a queue's files held when they were loaded.
#[derive(Clone, Copy, Debug)]
pub struct LoadedQueue {
    pub place: QueueIndex,
    /// Its newest entry.
    pub last: Option<QueueEntry>,
    /// The first entry behind a hole.
    pub behind: Option<QueueEntry>,
    /// Its newest file was cut, in a store that was closed cleanly.
    pub is_damaged: bool,
}

impl QueueFiles {
    /// Loads all queues below `consumequeue/` into the table. The file size found wins over `file_entries`. With `repair`,
    /// a last file that a crash left empty or short is mended.
    pub fn load<S: Storage>(
        storage: &S,
        file_entries: u32,
        (trust, repair): (Trust, bool),
        table: &mut QueueTable,
        findings: &mut Vec<Finding>,
    ) -> Result<(Self, Vec<LoadedQueue>), Error> {
        let found = extent::find::<S, QueueEntry>(storage, |_| true, repair, findings)?;
        let files = Self { file_entries: extent::file_entries::<QueueEntry>(&found, file_entries, trust)?, ext: None };
        let mut loaded = Vec::with_capacity(found.len());
        for mut queue in found {
            let extent = queue.extent(storage, files.file_entries, (trust, repair), findings)?;
            let Some(Extent { first, end, last, behind, is_damaged }) = extent else { continue };
            let place = table.find_or_add(queue.topic.as_bytes(), queue.id);
            let queue = table.queue_mut(place);
            queue.min = first;
            queue.tail = Tail::starting_at(end);
            queue.in_files = true;
            loaded.push(LoadedQueue { place, last, behind, is_damaged });
        }
        Ok((files, loaded))
    }

    /// Entries of one file, by the files that are there; `file_entries` where there is none.
    ///
    /// STORE_CORRUPT for files that cannot be of one size.
    pub fn entries_on_disk<S: Storage>(storage: &S, file_entries: u32) -> Result<u64, Error> {
        extent::fitting_entries::<QueueEntry>(&extent::find::<S, QueueEntry>(storage, |_| true, false, &mut Vec::new())?, file_entries)
    }

    /// Adds the queues that have a directory and are not in the table, without a message: what stands in their files does
    /// not count.
    pub fn add_others<S: Storage>(storage: &S, table: &mut QueueTable) -> Result<(), Error> {
        for QueueDirectory { topic, id, .. } in extent::queue_directories(storage, DIRECTORY, |_| true)? {
            if table.find(topic.as_bytes(), id).is_none() {
                let place = table.find_or_add(topic.as_bytes(), id);
                table.queue_mut(place).in_files = true;
            }
        }
        Ok(())
    }
}
