//! Index files on disk: which there are, how they are laid out, reading one in place.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::DIRECTORY;
use crate::error::{Error, Finding};
use crate::format::index_file::{Geometry, Header, IndexEntry, decode_slot, parse_file_name};
use crate::limits::{INDEX_ENTRY_BYTES, INDEX_HEADER_BYTES, INDEX_SLOT_BYTES};
use crate::storage::{EntryKind, ReadFiles, Storage, place_taken};

/// An index file that takes no more entries here.
#[derive(Clone, Debug)]
pub struct SealedFile {
    pub name: String,
    pub geometry: Geometry,
    pub header: Header,
}

impl SealedFile {
    pub fn path(&self) -> String {
        [DIRECTORY, "/", &self.name].concat()
    }

    /// The newest entry of a key's slot, 0 for none.
    pub fn slot<R: ReadFiles>(&self, storage: &R, key_hash: u32) -> Result<u32, Error> {
        let mut raw = [0; INDEX_SLOT_BYTES as usize];
        let read = storage.read(&self.path(), self.geometry.slot_at(self.geometry.slot_of(key_hash)), &mut raw)?;
        Ok(if read == raw.len() { decode_slot(&raw, self.header.count) } else { 0 })
    }
}

/// An entry in a file; `None` where the file is too short.
pub fn entry<R: ReadFiles>(storage: &R, path: &str, geometry: &Geometry, number: u32) -> Result<Option<IndexEntry>, Error> {
    let mut raw = [0; INDEX_ENTRY_BYTES as usize];
    let read = storage.read(path, geometry.entry_at(number), &mut raw)?;
    Ok((read == raw.len()).then(|| IndexEntry::decode(&raw)))
}

/// The index files by age, oldest first. The file's length says its geometry: the first of `candidates` that fits,
/// else RocketMQ's 1 : 4; a file that fits neither, or whose counts do not fit it, is reported and left out. Where something
/// else has the place of one, a store that is to be written is refused.
pub fn load<S: Storage>(storage: &S, candidates: &[Geometry], write: bool, findings: &mut Vec<Finding>) -> Result<Vec<SealedFile>, Error> {
    let mut files = Vec::new();
    for entry in storage.list(DIRECTORY)?.unwrap_or_default() {
        let file = format!("{DIRECTORY}/{}", entry.name);
        let mut report = |kind, message: String| {
            findings.push(Finding { kind, file: file.clone(), offset: 0, length: entry.len, message });
        };
        if parse_file_name(&entry.name).is_none() {
            report("stray-file", String::from("is no index file"));
            continue;
        }
        if entry.kind != EntryKind::File {
            findings.push(place_taken(file, "an index file", write)?);
            continue;
        }
        let mut raw = [0; INDEX_HEADER_BYTES as usize];
        if storage.read_at(&file, 0, &mut raw)? < raw.len() {
            report("index-geometry", format!("{} bytes are no index file; it is left out", entry.len));
            continue;
        }
        let header = Header::decode(&raw);
        let fits = |g: &Geometry| g.file_bytes() == entry.len && header.count <= g.entries && header.slots_used <= g.slots;
        match candidates.iter().copied().chain(Geometry::from_file_bytes(entry.len)).find(fits) {
            Some(geometry) => files.push(SealedFile { name: entry.name, geometry, header }),
            None => report("index-geometry", format!("{} bytes fit no number of slots and entries; it is left out", entry.len)),
        }
    }
    files.sort_unstable_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}
