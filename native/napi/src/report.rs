//! What a store says about itself: health and counters.

use moraine_core::engine;
use napi_derive::napi;

use crate::env;
use crate::guard::guarded;

#[napi(object, object_from_js = false)]
pub struct Finding {
    pub kind: String,
    pub file: String,
    pub offset: f64,
    pub length: f64,
    pub message: String,
}

#[napi(object, object_from_js = false)]
pub struct FileFact {
    pub path: String,
    pub bytes: f64,
    pub kind: String,
}

#[napi(object, object_from_js = false)]
pub struct IndexFileFact {
    pub file: String,
    pub slots: u32,
    pub entries: u32,
    pub used: u32,
    pub begin_timestamp: f64,
    pub end_timestamp: f64,
    pub begin_physical_offset: f64,
    pub end_physical_offset: f64,
}

/// `EngineHealth` of contract.ts.
#[napi(object, object_from_js = false)]
pub struct Health {
    pub clean: bool,
    pub findings: Vec<Finding>,
    pub files: Vec<FileFact>,
    pub index_files: Vec<IndexFileFact>,
    pub segment_bytes: f64,
    pub queue_file_entries: f64,
}

#[napi]
pub fn health(handle: u32) -> napi::Result<Health> {
    let (found, options) =
        guarded(|| env::with(handle, |store| Ok(store.shared.read(|reader| Ok((reader.health()?, reader.options().clone())))?)))?;
    Ok(Health {
        clean: found.clean,
        findings: found
            .findings
            .into_iter()
            .map(|finding| Finding {
                kind: finding.kind.to_owned(),
                file: finding.file,
                offset: finding.offset as f64,
                length: finding.length as f64,
                message: finding.message,
            })
            .collect(),
        files: found
            .files
            .into_iter()
            .map(|file| FileFact { path: file.path, bytes: file.bytes as f64, kind: file.kind.to_owned() })
            .collect(),
        index_files: found
            .index_files
            .into_iter()
            .map(|index| IndexFileFact {
                file: index.file,
                slots: index.geometry.slots,
                entries: index.geometry.entries,
                // Entry 0 is never used (store-format §4).
                used: index.header.count.saturating_sub(1),
                begin_timestamp: index.header.begin_timestamp as f64,
                end_timestamp: index.header.end_timestamp as f64,
                begin_physical_offset: index.header.begin_physical as f64,
                end_physical_offset: index.header.end_physical as f64,
            })
            .collect(),
        segment_bytes: options.segment_bytes as f64,
        queue_file_entries: f64::from(options.queue_file_entries),
    })
}

/// How near a store is to making a put wait, from 0 to 1.
#[napi]
pub fn pressure(handle: u32) -> napi::Result<f64> {
    guarded(|| env::with(handle, |store| Ok(store.shared.pressure()?)))
}

/// Counters since the store was opened.
#[napi(object, object_from_js = false)]
pub struct Stats {
    pub messages_put: f64,
    pub bytes_put: f64,
    pub flushes: f64,
    pub segments_rolled: f64,
    pub queues: f64,
    pub segments: f64,
    pub index_files: f64,
    pub waiting_entries: f64,
}

#[napi]
pub fn stats(handle: u32) -> napi::Result<Stats> {
    let found = guarded(|| env::with(handle, |store| Ok(store.shared.read(|reader| Ok(reader.stats()))?)))?;
    // Taken apart by name, so that a counter added to the engine does not compile until it is here.
    let engine::Stats { messages_put, bytes_put, flushes, segments_rolled, queues, segments, index_files, waiting_entries } = found;
    Ok(Stats {
        messages_put: messages_put as f64,
        bytes_put: bytes_put as f64,
        flushes: flushes as f64,
        segments_rolled: segments_rolled as f64,
        queues: queues as f64,
        segments: segments as f64,
        index_files: index_files as f64,
        waiting_entries: waiting_entries as f64,
    })
}
