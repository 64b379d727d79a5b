//! Stores that say of themselves how far they have come, and what is found when they were killed.

use std::sync::Arc;

use moraine_core::engine::sidecar::WATERMARK_PATH;
use moraine_core::engine::{Engine, Progress};
use moraine_core::format::watermark::{Running, Watermark};
use moraine_core::memory::{MemoryClock, MemoryStorage};
use moraine_core::options::Options;

use super::{NOW, Store, flush, write_behind};
use crate::faulty::FaultyStorage;

/// As the flusher does it: begins, writes what waits, says it.
pub fn checkpoint(store: &mut Store, storage: &MemoryStorage) {
    store.writer().unwrap().begin_checkpoint();
    flush(store, storage);
    write_behind(store, storage);
    let mut plan = store.writer().unwrap().plan_checkpoint().unwrap().expect("everything is in files");
    plan.run(storage, &mut || {}).unwrap();
    store.writer().unwrap().checkpointed(plan).unwrap();
}

pub fn watermark(store: &mut Store, storage: &MemoryStorage) {
    flush(store, storage);
    let mut plan = store.writer().unwrap().plan_watermark(true).expect("something is durable that was not");
    plan.run(storage).unwrap();
    store.writer().unwrap().watermarked(plan);
}

pub fn running(storage: &MemoryStorage) -> Option<Running> {
    Watermark::newest(&storage.contents(WATERMARK_PATH)?)?.running
}

/// Opens a store; with it, how many bytes of the log were looked at.
#[allow(clippy::arc_with_non_send_sync)] // one thread
pub fn reopened(storage: &MemoryStorage, options: Options) -> (Store, u64) {
    let mut looked_at = 0;
    let mut progress = |progress: Progress| looked_at = progress.total;
    let store = Engine::open(Arc::new(storage.clone()), MemoryClock::at(NOW + 1), options, &mut progress).unwrap();
    (store, looked_at)
}

/// Opens copies of a store, which die in the first call that changes something, in the second one, and so on until an open
/// is done; `then` gets what each has left.
#[allow(clippy::arc_with_non_send_sync)] // one thread
pub fn opens_that_die(storage: &MemoryStorage, clock: &MemoryClock, options: &Options, then: &mut dyn FnMut(u32, &MemoryStorage)) {
    for dies_in in 0.. {
        let memory = storage.snapshot();
        let faulty = FaultyStorage { memory: memory.clone(), ..FaultyStorage::default() };
        faulty.full.dies_in.set(Some(dies_in));
        let done = Engine::open(Arc::new(faulty.clone()), clock.clone(), options.clone(), &mut |_| {}).is_ok();
        then(dies_in, &memory);
        if done {
            return;
        }
    }
}
