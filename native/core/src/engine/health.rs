//! Health: what was noticed when the store was opened, and the files that make it up.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Reader;
use crate::error::{Error, Finding};
use crate::format::index_file::{Geometry, Header};
use crate::storage::{Clock, EntryKind, Storage};

/// Directories deeper than this are not looked into.
const MAX_DEPTH: usize = 4;

/// A file of the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFact {
    /// Relative to the store directory.
    pub path: String,
    pub bytes: u64,
    /// `commitlog`, `consumequeue`, `batchconsumequeue`, `consumequeue_ext`, `index`, `checkpoint`, `abort`, `lock`, `config`, `sidecar`, `other`.
    pub kind: &'static str,
}

/// An index file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexFileFact {
    pub file: String,
    pub geometry: Geometry,
    pub header: Header,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Whether the store had been closed cleanly before it was opened.
    pub clean: bool,
    pub findings: Vec<Finding>,
    /// By path.
    pub files: Vec<FileFact>,
    /// Oldest first.
    pub index_files: Vec<IndexFileFact>,
}

impl<S: Storage, C: Clock> Reader<'_, S, C> {
    /// Reads the directories: costs time with many queues.
    pub fn health(&self) -> Result<Health, Error> {
        let engine = self.0;
        let mut files = Vec::new();
        collect(engine.storage.as_ref(), "", 0, &mut files)?;
        files.sort_unstable_by(|a: &FileFact, b| a.path.cmp(&b.path));
        let sealed = engine.index.sealed.iter().map(|file| (&file.name, file.geometry, file.header));
        let written = engine.index.full.iter().chain(&engine.index.active).map(|file| (&file.name, file.geometry, file.header));
        let index_files = sealed.chain(written).map(|(name, geometry, header)| IndexFileFact { file: name.clone(), geometry, header });
        Ok(Health { clean: engine.clean, findings: engine.findings.clone(), files, index_files: index_files.collect() })
    }
}

fn collect<S: Storage>(storage: &S, dir: &str, depth: usize, files: &mut Vec<FileFact>) -> Result<(), Error> {
    for entry in storage.list(dir)?.unwrap_or_default() {
        let path = if dir.is_empty() { entry.name } else { format!("{dir}/{}", entry.name) };
        match entry.kind {
            EntryKind::Directory if depth < MAX_DEPTH => collect(storage, &path, depth + 1, files)?,
            EntryKind::Directory => {}
            EntryKind::File | EntryKind::Other => files.push(FileFact { kind: kind(&path), path, bytes: entry.len }),
        }
    }
    Ok(())
}

fn kind(path: &str) -> &'static str {
    match path.split_once('/').map_or(path, |(first, _)| first) {
        "commitlog" => "commitlog",
        "consumequeue" => "consumequeue",
        "batchconsumequeue" => "batchconsumequeue",
        "consumequeue_ext" => "consumequeue_ext",
        "index" => "index",
        "checkpoint" => "checkpoint",
        "abort" => "abort",
        "lock" => "lock",
        "config" => "config",
        "moraine" => "sidecar",
        _ => "other",
    }
}
