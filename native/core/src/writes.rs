//! Writes to derived files, planned under the lock and carried out without it.

use alloc::string::String;
use alloc::vec::Vec;

use crate::error::{IoError, IoKind};
use crate::storage::Storage;

/// One write: `bytes` of the plan's buffer into a file that is made at full size if there is none.
#[derive(Debug)]
struct Write {
    path: String,
    file_bytes: u64,
    at: u64,
    start: usize,
    end: usize,
}

/// Writes in the order in which they were planned.
#[derive(Debug, Default)]
pub struct Writes {
    bytes: Vec<u8>,
    list: Vec<Write>,
}

impl Writes {
    /// Bytes planned so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Plans to write what `encode` appends to the buffer.
    pub fn push(&mut self, path: String, file_bytes: u64, at: u64, encode: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        encode(&mut self.bytes);
        self.list.push(Write { path, file_bytes, at, start, end: self.bytes.len() });
    }

    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.list.iter().map(|write| write.path.as_str())
    }

    pub fn run<S: Storage>(&self, storage: &S) -> Result<(), IoError> {
        for write in &self.list {
            let bytes = &self.bytes[write.start..write.end];
            match storage.write_at(&write.path, write.at, bytes) {
                Err(missing) if missing.kind == IoKind::NotFound => {
                    if let Some((parent, _)) = write.path.rsplit_once('/') {
                        storage.create_dir(parent)?;
                    }
                    storage.create(&write.path, write.file_bytes)?;
                    storage.write_at(&write.path, write.at, bytes)?;
                }
                outcome => outcome?,
            }
        }
        Ok(())
    }
}
