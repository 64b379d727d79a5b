//! Reads that do not wait for a disk: those of what is in memory answer at once (`hot.rs`), the others by an event.

use moraine_core::error::Error;
use moraine_core::limits::MAX_GET_MESSAGES;
use moraine_host::shared::{Fetched, Wanted};
use napi::bindgen_prelude::{Env, Float64Array, Uint8Array, Uint8ArraySlice};
use napi_derive::napi;

use crate::env;
use crate::guard::{self, guarded};
use crate::hot::{GET_HEAD, head_numbers};

/// What was read.
#[napi(object, object_from_js = false)]
pub struct FetchedPart {
    /// `GET_HEAD` numbers, then the queue offset of each message.
    pub columns: Float64Array,
    /// The records, back to back.
    pub bytes: Uint8Array,
}

/// Asks for messages of a queue, from a thread that may wait for the disk; `EVENT_FETCHED` follows with the number.
#[napi]
#[allow(clippy::too_many_arguments)] // those of `get`, flat as they cross
pub fn fetch(
    handle: u32,
    number: u32,
    topic: String,
    queue_id: f64,
    queue_offset: f64,
    max: f64,
    max_bytes: f64,
    filter: Uint8Array,
) -> napi::Result<()> {
    guarded(|| {
        let wanted = Wanted::Messages {
            topic: topic.into_bytes(),
            queue_id: guard::queue_id(queue_id)?,
            offset: guard::offset("queueOffset", queue_offset)?,
            max: guard::count("max", max)?.min(MAX_GET_MESSAGES),
            max_bytes: guard::count("maxBytes", max_bytes)?,
            filter: filter.to_vec(),
        };
        env::with(handle, |store| Ok(store.shared.fetch(number, wanted)?))
    })
}

/// Asks for the record at a physical offset; `EVENT_FETCHED` follows with the number.
#[napi]
pub fn fetch_at(handle: u32, number: u32, physical_offset: f64) -> napi::Result<()> {
    guarded(|| {
        let wanted = Wanted::At(guard::offset("physicalOffset", physical_offset)?);
        env::with(handle, |store| Ok(store.shared.fetch(number, wanted)?))
    })
}

/// Nobody waits for a fetch any more; it may be answered all the same.
#[napi]
pub fn forget_fetch(handle: u32, number: u32) -> napi::Result<()> {
    guarded(|| {
        env::with(handle, |store| {
            store.shared.forget(number);
            Ok(())
        })
    })
}

/// What was read for a fetch, once.
#[napi]
pub fn take_fetched(handle: u32, number: u32) -> napi::Result<FetchedPart> {
    guarded(|| {
        env::with(handle, |store| {
            let Some(answer) = store.answers.take(number) else {
                return Err(Error::argument("number", format!("nothing was read under {number}, or it was taken")).into());
            };
            let Fetched { head, queue_offsets, bytes, .. } = answer.fetched;
            let mut columns = Vec::with_capacity(GET_HEAD as usize + queue_offsets.len());
            columns.extend_from_slice(&head_numbers(&head));
            columns.extend_from_slice(&queue_offsets);
            Ok(FetchedPart { columns: Float64Array::new(columns), bytes: Uint8Array::new(bytes) })
        })
    })
}

/// The record at a physical offset, `null` where none starts; no bytes where it is not in memory.
#[napi]
pub fn at_in_memory(env: &Env, handle: u32, physical_offset: f64) -> napi::Result<Option<Uint8ArraySlice<'_>>> {
    let mut record = Vec::new();
    let found = guarded(|| {
        let physical = guard::offset("physicalOffset", physical_offset)?;
        env::with(handle, |store| match store.shared.at_in_memory(physical, &mut record)? {
            Some(found) => Ok(found),
            None => Ok(Some(0)),
        })
    })?;
    found.map(|bytes| Uint8ArraySlice::copy_from(env, &record[..bytes])).transpose()
}

/// Whether the end of the log is followed: `EVENT_ARRIVED` then says whenever another thread has put.
#[napi]
pub fn follow(handle: u32, follows: bool) -> napi::Result<()> {
    guarded(|| {
        env::with(handle, |store| {
            store.shared.follow(follows);
            Ok(())
        })
    })
}
