//! What a store says about itself: health and counters.

use std::collections::HashMap;

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
        guarded(|| env::with(handle, |store| Ok(store.shared.read(|reader| Ok((reader.health(), reader.options().clone())))?)))?;
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
                slots: index.slots,
                entries: index.entries,
                used: index.used,
                begin_timestamp: index.begin_timestamp as f64,
                end_timestamp: index.end_timestamp as f64,
                begin_physical_offset: index.begin_physical_offset as f64,
                end_physical_offset: index.end_physical_offset as f64,
            })
            .collect(),
        segment_bytes: options.segment_bytes as f64,
        queue_file_entries: f64::from(options.queue_file_entries),
    })
}

/// Counters by name.
#[napi]
pub fn stats(handle: u32) -> napi::Result<HashMap<String, f64>> {
    guarded(|| {
        let found = env::with(handle, |store| Ok(store.shared.read(|reader| Ok(reader.stats()))?))?;
        Ok(found.named().into_iter().map(|(name, value)| (name.to_owned(), value as f64)).collect())
    })
}
