//! Taking entries back, the newest first: when the log is truncated, what leads behind its end goes.

use alloc::string::String;
use alloc::vec::Vec;

use super::active::ActiveFile;
use super::files::{self, SealedFile};
use super::put::Index;
use crate::error::Error;
use crate::format::index_file::{Header, IndexEntry};
use crate::storage::Storage;
use crate::writes::Unsynced;

impl Index {
    /// Takes back every entry of a message at or above `physical`. The file that then is the newest takes entries again;
    /// those without any left go: their names are returned, to be removed. What is written is to be synced: `unsynced`.
    ///
    /// `store_timestamp` tells that of the message at an offset.
    pub fn cut<S: Storage>(
        &mut self,
        storage: &S,
        physical: u64,
        unsynced: &mut Unsynced,
        store_timestamp: impl Fn(u64) -> Result<Option<i64>, Error>,
    ) -> Result<Vec<String>, Error> {
        let mut removed = Vec::new();
        while self.newest().is_some_and(|header| header.end_physical >= physical as i64) {
            let was_sealed = self.active.is_none() && self.full.is_empty();
            let Some(mut file) = self.pop_newest(storage)? else { break };
            let written = file.take_back(storage, physical)?;
            let before = self.newest().copied();
            if file.header.count <= 1 && before.is_some() {
                removed.push(file.name);
                continue;
            }
            match file.last_entry(storage)? {
                Some(entry) => {
                    let time = u64::try_from(entry.physical).map_or(Ok(None), &store_timestamp)?;
                    file.header.end_physical = entry.physical;
                    file.header.end_timestamp = time.unwrap_or(file.header.begin_timestamp);
                }
                None => file.header = before.as_ref().map_or_else(Header::default, Header::following),
            }
            if storage.len(&file.path())?.is_some() {
                file.write_slots(|writes| writes.run(storage))?;
                file.zero_entries(storage, written)?;
                if was_sealed {
                    storage.sync(&file.path())?; // sealed files are believed after a crash
                }
                unsynced.insert(&file.path());
            }
            self.active = Some(file);
            break;
        }
        Ok(removed)
    }

    /// Takes the newest file off, with its slots in memory.
    fn pop_newest<S: Storage>(&mut self, storage: &S) -> Result<Option<ActiveFile>, Error> {
        if let Some(file) = self.active.take().or_else(|| self.full.pop_back()) {
            return Ok(Some(file));
        }
        match self.sealed.pop() {
            Some(SealedFile { name, geometry, header }) => Ok(Some(ActiveFile::load(storage, name, geometry, header)?)),
            None => Ok(None),
        }
    }
}

impl ActiveFile {
    /// Takes back the newest entries, as long as they lead to `physical` or behind it. Returns the number of the entry up
    /// to which (exclusive) the file on disk holds some.
    fn take_back<S: Storage>(&mut self, storage: &S, physical: u64) -> Result<u32, Error> {
        let written = self.written_entries();
        while let Some(entry) = self.last_entry(storage)? {
            if entry.physical < physical as i64 {
                break;
            }
            self.undo(&entry);
        }
        Ok(written)
    }

    fn last_entry<S: Storage>(&self, storage: &S) -> Result<Option<IndexEntry>, Error> {
        let number = self.header.count.saturating_sub(1);
        match self.pending_entry(number) {
            _ if number == 0 => Ok(None),
            Some(entry) => Ok(Some(entry)),
            None => files::entry(storage, &self.path(), &self.geometry, number),
        }
    }

    /// Zeroes the entries of the file on disk from the next one on, below `written`.
    fn zero_entries<S: Storage>(&self, storage: &S, written: u32) -> Result<(), Error> {
        const ZEROS: [u8; 4096] = [0; 4096];
        let (mut at, end) = (self.geometry.entry_at(self.header.count), self.geometry.entry_at(written));
        while at < end {
            let len = (end - at).min(ZEROS.len() as u64);
            storage.write_at(&self.path(), at, &ZEROS[..len as usize])?;
            at += len;
        }
        Ok(())
    }
}
