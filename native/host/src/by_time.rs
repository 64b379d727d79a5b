//! The queue offset for a time, found beside the lock: entries in files and store times are read without it, however long the disk
//! takes, out of mappings where there are any.

use std::sync::Arc;

use moraine_core::engine::Boundary;
use moraine_core::engine::by_time::EntryPlace;
use moraine_core::error::{Error, IoError};
use moraine_core::format::queue_entry::QueueEntry;
use moraine_core::limits::QUEUE_ENTRY_BYTES;
use moraine_core::queue::files::HeldEntries;

use crate::files::HostStorage;
use crate::mapped::Mapping;
use crate::shared::{Core, Shared};

impl Shared {
    /// The queue offset for a store time (ms); 0 for a queue that does not exist.
    pub fn offset_by_time(&self, topic: &[u8], queue_id: i32, timestamp: i64, boundary: Boundary) -> Result<u64, Error> {
        match self.core.offset_beside_the_lock(topic, queue_id, timestamp, boundary)? {
            Some(offset) => Ok(offset),
            None => self.read(|reader| reader.offset_by_time(topic, queue_id, timestamp, boundary)),
        }
    }
}

impl Core {
    /// `None` where the search has to be made under the lock.
    fn offset_beside_the_lock(&self, topic: &[u8], queue_id: i32, timestamp: i64, boundary: Boundary) -> Result<Option<u64>, Error> {
        let Some(search) = self.look(|reader| Ok(reader.search_time(topic, queue_id)))? else { return Ok(None) };
        let mut file: Option<EntryFile> = None;
        let found = search.offset_by_time(timestamp, boundary, |offset| {
            if let Some(file) = file.as_ref().filter(|file| file.held.offsets.contains(&offset)) {
                return Ok(file.entry(&self.storage, offset)?);
            }
            match self.look(|reader| Ok(reader.entry_place(&search, offset)))? {
                EntryPlace::Memory(entry) => Ok(entry),
                EntryPlace::File(held) => Ok(file.insert(EntryFile::new(&self.storage, held)).entry(&self.storage, offset)?),
            }
        });
        // What keeps something from being read, the look under the lock says, or it finds that it is not needed any more.
        let holds = found.is_ok() && self.look(|reader| Ok(reader.holds(&search)))?;
        Ok(found.ok().filter(|_| holds))
    }
}

/// A queue file while entries of it are read one by one.
struct EntryFile {
    held: HeldEntries,
    mapping: Option<Arc<Mapping>>,
}

impl EntryFile {
    fn new(storage: &HostStorage, held: HeldEntries) -> Self {
        Self { mapping: storage.mapping(&held.path), held }
    }

    /// The entry at a queue offset; `None` where the file, cut by somebody, has none.
    fn entry(&self, storage: &HostStorage, offset: u64) -> Result<Option<QueueEntry>, IoError> {
        let at = (offset - self.held.offsets.start) * QUEUE_ENTRY_BYTES;
        let mut raw = [0; QUEUE_ENTRY_BYTES as usize];
        let is_read = self.mapping.as_ref().is_some_and(|mapping| mapping.read_within(at, &mut raw))
            || storage.read_few(&self.held.path, at, &mut raw)? == raw.len();
        Ok(QueueEntry::decode(&raw).filter(|_| is_read))
    }
}
