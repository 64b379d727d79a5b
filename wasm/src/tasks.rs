//! What is asked for now and then: removing files, and looking after a store that nobody has open here.

use std::sync::Arc;

use moraine_core::crossing;
use moraine_core::engine::remake::Derived;
use moraine_core::engine::retention::Wish;
use moraine_core::engine::{Settled, delete_topic, expire, upkeep};
use moraine_core::error::Error;
use moraine_core::format::index_file::Geometry;
use moraine_core::options::{FlushMode, Options};
use moraine_core::verify::{self, VerifyOptions};

use crate::answers::{answer, say, with_inbox};
use crate::clock::WasmClock;
use crate::imports;
use crate::options;
use crate::storage::WasmStorage;
use crate::store::{report, with_store};

/// Removes files of the log; NaN: not asked. What was removed is in the outbox as JSON.
#[unsafe(no_mangle)]
pub extern "C" fn expire(before: f64, max_bytes: f64) -> i32 {
    with_store(|store| {
        let given = |value: f64| Some(value).filter(|value| !value.is_nan());
        let wish = Wish::Asked { before: given(before).map(|ms| ms as i64), max_bytes: given(max_bytes).map(|most| most as u64) };
        let done = expire::expire(&store.engine, store.storage.as_ref(), wish)?;
        say(&crossing::expired(&done));
        Ok(0)
    })
}

/// Looks at what the store may remove by its own rules, so long after the last look; 1 if something was removed.
#[unsafe(no_mangle)]
pub extern "C" fn look(elapsed_ms: f64) -> i32 {
    with_store(|store| {
        let outcome = expire::expire(&store.engine, store.storage.as_ref(), Wish::Due { elapsed_ms: elapsed_ms as u64 });
        match outcome {
            Ok(done) => Ok(i32::from(done.files > 0)),
            Err(error) => {
                // The engine remembers the last one only: a disk that stays full must not fill the memory.
                store.engine.get_mut().report_retention(&error);
                Err(error)
            }
        }
    })
}

/// Deletes the topic whose name is in the inbox: 1 if there was one.
#[unsafe(no_mangle)]
pub extern "C" fn delete_topic(topic_bytes: usize) -> i32 {
    with_store(|store| {
        let topic = with_inbox(topic_bytes, <[u8]>::to_vec);
        delete_topic::delete_topic(&store.engine, store.storage.as_ref(), &topic).map(i32::from)
    })
}

/// Holds the log from a physical offset on; returns the number of the hold.
#[unsafe(no_mangle)]
pub extern "C" fn retain(from: f64) -> i32 {
    with_store(|store| Ok(store.engine.get_mut().writer()?.retain(from as u64) as i32))
}

#[unsafe(no_mangle)]
pub extern "C" fn release(hold: u32) -> i32 {
    with_store(|store| {
        store.engine.get_mut().release(hold);
        Ok(0)
    })
}

/// How far the files of the open store are complete: `[end, queuesBelow, indexOpenFrom]` as JSON, for `verify`.
#[unsafe(no_mangle)]
pub extern "C" fn settled() -> i32 {
    with_store(|store| {
        let Settled { end, queues_below, index_open_from } = store.engine.get_mut().reader().settled();
        let mut json = format!("[{end},{queues_below},");
        match index_open_from {
            Some(name) => crossing::write_text(&mut json, &name),
            None => json.push_str("null"),
        }
        json.push(']');
        say(&json);
        Ok(0)
    })
}

fn options_in(bytes: usize) -> Result<Options, Error> {
    std::panic::set_hook(Box::new(|panic| imports::panicked(&panic.to_string())));
    with_inbox(bytes, options::read)
}

fn storage(root: u32, read_only: bool, options: &Options) -> WasmStorage {
    WasmStorage::new(root, read_only, options.flush == FlushMode::Sync)
}

/// Verifies a store. `end` is NaN where nobody has it open here; otherwise that and `queues_below` are what the open store says,
/// and the name of its first open index file lies in the inbox behind the rest.
#[unsafe(no_mangle)]
pub extern "C" fn verify(bytes: usize, deep: u32, end: f64, queues_below: f64, index_bytes: usize) -> i32 {
    answer(|| {
        let options = options_in(bytes)?;
        let index_open_from = with_inbox(bytes + index_bytes, |given| {
            let name = &given[bytes.min(given.len())..];
            (!name.is_empty()).then(|| String::from_utf8_lossy(name).into_owned())
        });
        let live = (!end.is_nan()).then_some(Settled { end: end as u64, queues_below: queues_below as u64, index_open_from });
        let storage = storage(0, true, &options);
        let geometry = Geometry { slots: options.index_slots, entries: options.index_entries };
        let options = VerifyOptions { deep: deep != 0, delay_levels: options.delay_levels, geometry, live };
        let found = verify::verify(&storage, &options, &mut |progress| imports::progress(progress.phase, progress.done, progress.total))?;
        say(&crossing::verified(&found));
        Ok(0)
    })
}

/// Makes derived files again, under the lock that the caller holds.
#[unsafe(no_mangle)]
pub extern "C" fn rebuild(bytes: usize, queues: u32, index: u32) -> i32 {
    answer(|| {
        let options = options_in(bytes)?;
        let storage = Arc::new(storage(0, false, &options));
        let what = Derived { queues: queues != 0, index: index != 0 };
        let rebuilt = upkeep::rebuild(&storage, &WasmClock, &options, what, &mut report)?;
        say(&crossing::rebuilt(&rebuilt));
        Ok(0)
    })
}

/// Saves every whole record of the store into the one in root 1, whose lock the caller holds.
#[unsafe(no_mangle)]
pub extern "C" fn salvage(bytes: usize) -> i32 {
    answer(|| {
        let options = options_in(bytes)?;
        let (source, target) = (storage(0, true, &options), Arc::new(storage(1, false, &options)));
        let saved = upkeep::salvage(&source, target, WasmClock, &options, &mut report)?;
        say(&crossing::salvaged(&saved));
        Ok(0)
    })
}
