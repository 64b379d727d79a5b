//! The rare calls: one `#[napi]` function each, one call into the store.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use moraine_core::engine::{Appended, Boundary, ScanItem};
use moraine_core::error::Error;
use moraine_core::options::{Compat, FlushMode, Options};
use moraine_host::clock::HostClock;
use moraine_host::shared::OpenSettings;
use napi::bindgen_prelude::{Env, Float64Array, Function, Int32Array, Uint8Array, Uint8ArraySlice, Uint32Array};
use napi_derive::napi;

use crate::env;
use crate::failure::Failure;
use crate::guard::{self, guarded};
use crate::retention::RetentionOptions;
use crate::tasks::{self, EventArguments};

/// Kinds of an item of `scan`, and its numbers: kind, physical offset, size.
#[napi]
pub const SCAN_MESSAGE: u32 = 0;
#[napi]
pub const SCAN_BLANK: u32 = 1;
#[napi]
pub const SCAN_DAMAGED: u32 = 2;
#[napi]
pub const SCAN_STRIDE: u32 = 3;

/// `EngineOptions` of contract.ts, with the clock's first reading instead of the clock.
#[napi(object, object_to_js = false)]
pub struct OpenOptions {
    #[napi(ts_type = "'async' | 'sync'")]
    pub flush: String,
    pub flush_interval_ms: f64,
    pub segment_bytes: f64,
    pub queue_file_entries: f64,
    pub index_slots: f64,
    pub index_entries: f64,
    pub record_crc: bool,
    pub index: bool,
    pub index_tags: bool,
    #[napi(ts_type = "'5' | '4.9'")]
    pub compat: String,
    pub max_message_bytes: f64,
    /// What the delay levels 1, 2 … mean, in ms.
    pub delay_levels: Vec<f64>,
    pub retention: Option<RetentionOptions>,
    pub read_only: bool,
    pub create: bool,
    /// Milliseconds since the epoch: the store's time stands there until `setClock` moves it.
    pub clock_ms: Option<f64>,
    /// Bytes of the log between two queue checkpoints. No option of the API's: tests that kill a store make it small.
    pub checkpoint_bytes: Option<f64>,
}

/// Room for a clean close on a full disk: for the entries of a hundred thousand messages.
const RESERVE_BYTES: u64 = 4 << 20;

impl OpenOptions {
    pub fn settings(self, path: String) -> Result<OpenSettings, Error> {
        let flush = match self.flush.as_str() {
            "async" => FlushMode::Async,
            "sync" => FlushMode::Sync,
            other => return Err(Error::argument("flush", format!("flush is {other:?}, must be \"async\" or \"sync\""))),
        };
        let compat = match self.compat.as_str() {
            "5" => Compat::V5,
            "4.9" => Compat::V4_9,
            other => return Err(Error::argument("compat", format!("compat is {other:?}, must be \"5\" or \"4.9\""))),
        };
        let checkpoint_bytes = match self.checkpoint_bytes {
            None => Options::default().checkpoint_bytes,
            Some(bytes) => guard::offset("checkpointBytes", bytes)?,
        };
        Ok(OpenSettings {
            path: PathBuf::from(path),
            flush_interval: Duration::from_millis(guard::offset("flushIntervalMs", self.flush_interval_ms)?),
            clock: match self.clock_ms {
                None => HostClock::System,
                Some(now) => HostClock::Driven(Arc::new(AtomicI64::new(guard::time("clockMs", now)?))),
            },
            options: Options {
                flush,
                segment_bytes: guard::offset("segmentBytes", self.segment_bytes)?,
                queue_file_entries: guard::u32("queueFileEntries", self.queue_file_entries)?,
                index_slots: guard::u32("indexSlots", self.index_slots)?,
                index_entries: guard::u32("indexEntries", self.index_entries)?,
                record_crc: self.record_crc,
                index: self.index,
                index_tags: self.index_tags,
                compat,
                max_message_bytes: guard::u32("maxMessageBytes", self.max_message_bytes)?,
                read_only: self.read_only,
                create: self.create,
                delay_levels: self
                    .delay_levels
                    .into_iter()
                    .map(|level| Ok(guard::offset("delayLevels", level)? as i64))
                    .collect::<Result<_, Error>>()?,
                retention: self.retention.map(|retention| retention.policy()).transpose()?,
                reserve_bytes: RESERVE_BYTES,
                checkpoint_bytes,
                process_id: std::process::id(),
            },
        })
    }
}

/// Starts to open a store. Returns its handle, which is void until `onEvent` says `EVENT_OPENED`.
#[napi]
pub fn open(path: String, options: OpenOptions, on_event: Function<EventArguments, ()>) -> napi::Result<u32> {
    guarded(|| tasks::open(options.settings(path)?, on_event))
}

/// Starts to close a store: what is in flight ends, everything is synced, the lock is released; then `EVENT_CLOSED`.
#[napi]
pub fn close(handle: u32) -> napi::Result<()> {
    guarded(|| {
        env::with(handle, |store| {
            store.shared.close();
            Ok(())
        })
    })
}

/// Moves the time of a store that was opened with `clockMs`.
#[napi]
pub fn set_clock(handle: u32, now: f64) -> napi::Result<()> {
    guarded(|| {
        let now = guard::time("clock", now)?;
        env::with(handle, |store| {
            let Some(clock) = &store.clock else {
                return Err(Error::argument("clock", "this store was opened with the system's clock, which cannot be set").into());
            };
            clock.store(now, Ordering::Relaxed);
            Ok(())
        })
    })
}

/// Asks for a sync; `EVENT_SETTLED` follows, at the latest with a durable offset as great as the one returned.
#[napi]
pub fn request_flush(handle: u32) -> napi::Result<f64> {
    guarded(|| {
        env::with(handle, |store| {
            let end = store.shared.positions().end;
            store.shared.request_flush();
            Ok(end as f64)
        })
    })
}

/// The failure of the last `put` that stored fewer messages than asked, once.
#[napi]
pub fn take_error(handle: u32) -> napi::Result<Option<String>> {
    guarded(|| env::with(handle, |store| Ok(store.put_failure.take().map(Failure::into_json))))
}

/// The record at a physical offset; `null` where none starts.
#[napi]
pub fn at(env: &Env, handle: u32, physical_offset: f64) -> napi::Result<Option<Uint8ArraySlice<'_>>> {
    let mut record = Vec::new();
    let found = guarded(|| {
        let physical = guard::offset("physicalOffset", physical_offset)?;
        env::with(handle, |store| Ok(store.shared.at(physical, &mut record)?))
    })?;
    match found {
        // One record: copying it into memory of the engine's costs less than a finalizer.
        Some(bytes) => Uint8ArraySlice::copy_from(env, &record[..bytes]).map(Some),
        None => Ok(None),
    }
}

#[napi(object, object_from_js = false)]
pub struct ScanPart {
    /// `SCAN_STRIDE` numbers an item.
    pub items: Float64Array,
    /// The records of the messages, back to back.
    pub bytes: Uint8Array,
    /// One for every damaged range.
    pub reasons: Vec<String>,
    /// Where to go on.
    pub next: f64,
}

/// Walks the log from `from` towards `to`.
#[napi]
pub fn scan(handle: u32, from: f64, to: f64, max_items: f64, max_bytes: f64) -> napi::Result<ScanPart> {
    guarded(|| {
        let (from, to) = (guard::offset("from", from)?, guard::offset("to", to)?);
        let (max_items, max_bytes) = (guard::count("maxItems", max_items)?, guard::count("maxBytes", max_bytes)?);
        let (mut bytes, mut found) = (Vec::new(), Vec::new());
        let next = env::with(handle, |store| Ok(store.shared.scan(from, to, max_items, max_bytes, &mut bytes, &mut found)?))?;
        let mut items = Vec::with_capacity(found.len() * SCAN_STRIDE as usize);
        let mut reasons = Vec::new();
        for item in found {
            let (kind, at, size) = match item {
                ScanItem::Message { at, size } => (SCAN_MESSAGE, at, u64::from(size)),
                ScanItem::Blank { at, size } => (SCAN_BLANK, at, size),
                ScanItem::Damaged { at, size, reason } => {
                    reasons.push(reason);
                    (SCAN_DAMAGED, at, size)
                }
            };
            items.extend([f64::from(kind), at as f64, size as f64]);
        }
        Ok(ScanPart { items: Float64Array::new(items), bytes: Uint8Array::new(bytes), reasons, next: next as f64 })
    })
}

#[napi(object, object_from_js = false)]
pub struct AppendedPart {
    pub physical_offsets: Float64Array,
    pub queue_ids: Int32Array,
    /// -1 for a message that stands in no queue.
    pub queue_offsets: Float64Array,
    pub sizes: Float64Array,
    pub store_timestamps: Float64Array,
    pub tags_codes: Float64Array,
    /// Places in `topics`.
    pub topic_indexes: Uint32Array,
    pub topics: Vec<String>,
    /// Where to go on.
    pub next: f64,
}

/// The messages whose records start from `from` on, below `to`: up to `max`, as columns.
#[napi]
pub fn appended(handle: u32, from: f64, to: f64, max: f64) -> napi::Result<AppendedPart> {
    guarded(|| {
        let (from, to) = (guard::offset("from", from)?, guard::offset("to", to)?);
        let max = guard::count("max", max)?;
        let mut found = Appended::default();
        let next = env::with(handle, |store| Ok(store.shared.appended(from, to, max, &mut found)?))?;
        Ok(AppendedPart {
            physical_offsets: Float64Array::new(found.physical_offsets),
            queue_ids: Int32Array::new(found.queue_ids),
            queue_offsets: Float64Array::new(found.queue_offsets),
            sizes: Float64Array::new(found.sizes),
            store_timestamps: Float64Array::new(found.store_timestamps),
            tags_codes: Float64Array::new(found.tags_codes),
            topic_indexes: Uint32Array::new(found.topic_indexes),
            topics: found.topics,
            next: next as f64,
        })
    })
}

#[napi(object, object_from_js = false)]
pub struct QueueRange {
    pub min: f64,
    pub max: f64,
    pub next: f64,
}

/// Minimum, maximum and next offset of a queue.
#[napi]
pub fn offsets(handle: u32, topic: String, queue_id: f64) -> napi::Result<QueueRange> {
    guarded(|| {
        let queue_id = guard::queue_id(queue_id)?;
        let found = env::with(handle, |store| Ok(store.shared.read(|reader| Ok(reader.offsets(topic.as_bytes(), queue_id)))?))?;
        Ok(QueueRange { min: found.min as f64, max: found.max as f64, next: found.next as f64 })
    })
}

/// Queue offset for a store time (store-format §8.3).
#[napi]
pub fn offset_by_time(
    handle: u32,
    topic: String,
    queue_id: f64,
    timestamp: f64,
    #[napi(ts_arg_type = "'lower' | 'upper'")] boundary: String,
) -> napi::Result<f64> {
    guarded(|| {
        let (queue_id, timestamp) = (guard::queue_id(queue_id)?, guard::time("timestamp", timestamp)?);
        let boundary = match boundary.as_str() {
            "lower" => Boundary::Lower,
            "upper" => Boundary::Upper,
            other => {
                return Err(Error::argument("boundary", format!("boundary is {other:?}, must be \"lower\" or \"upper\"")).into());
            }
        };
        env::with(handle, |store| {
            let offset = store.shared.offset_by_time(topic.as_bytes(), queue_id, timestamp, boundary)?;
            Ok(offset as f64)
        })
    })
}

/// Store time of the message at a queue offset; `null` where there is none.
#[napi]
pub fn time_of(handle: u32, topic: String, queue_id: f64, queue_offset: f64) -> napi::Result<Option<f64>> {
    guarded(|| {
        let (queue_id, offset) = (guard::queue_id(queue_id)?, guard::offset("queueOffset", queue_offset)?);
        env::with(handle, |store| {
            let time = store.shared.read(|reader| reader.time_of(topic.as_bytes(), queue_id, offset))?;
            Ok(time.map(|time| time as f64))
        })
    })
}

#[napi(object, object_from_js = false)]
pub struct QueueEntries {
    /// Queue offset of the first entry.
    pub start: f64,
    /// Physical offset, size and tags code of each.
    pub entries: Float64Array,
}

/// Entries of a queue.
#[napi]
pub fn entries(handle: u32, topic: String, queue_id: f64, from: f64, max: f64) -> napi::Result<QueueEntries> {
    guarded(|| {
        let (queue_id, from) = (guard::queue_id(queue_id)?, guard::offset("from", from)?);
        let max = guard::count("max", max)?;
        let (start, found) =
            env::with(handle, |store| Ok(store.shared.read(|reader| reader.entries(topic.as_bytes(), queue_id, from, max))?))?;
        let entries = found.iter().flat_map(|entry| [entry.physical as f64, f64::from(entry.size), entry.tags_code as f64]).collect();
        Ok(QueueEntries { start: start as f64, entries: Float64Array::new(entries) })
    })
}

#[napi(object, object_from_js = false)]
pub struct Watched {
    /// Names the watch, until `unwatch`.
    pub watch: u32,
    /// Maximum of the queue: a message at it, or above, makes the watch ready.
    pub max: f64,
}

/// Watches a queue, which need not exist: the third number of `put`'s results, and `takeArrivals`, tell of it.
#[napi]
pub fn watch(handle: u32, topic: String, queue_id: f64) -> napi::Result<Watched> {
    guarded(|| {
        let queue_id = guard::queue_id(queue_id)?;
        let (watch, max) = env::with(handle, |store| Ok(store.shared.watch(topic.as_bytes(), queue_id)?))?;
        Ok(Watched { watch, max: max as f64 })
    })
}

#[napi]
pub fn unwatch(handle: u32, watch: f64) -> napi::Result<()> {
    guarded(|| {
        let watch = guard::u32("watch", watch)?;
        env::with(handle, |store| Ok(store.shared.unwatch(watch)?))
    })
}

#[napi]
pub fn topics(handle: u32) -> napi::Result<Vec<String>> {
    guarded(|| env::with(handle, |store| Ok(store.shared.read(|reader| Ok(reader.topics()))?)))
}

/// Ids of the queues of a topic.
#[napi]
pub fn queues(handle: u32, topic: String) -> napi::Result<Vec<i32>> {
    guarded(|| env::with(handle, |store| Ok(store.shared.read(|reader| Ok(reader.queues(topic.as_bytes())))?)))
}
