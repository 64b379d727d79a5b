//! How far the files of an open store are complete: for whoever reads them while it goes on.

use alloc::string::String;

use super::{Reader, Settled};
use crate::storage::{Clock, Storage};

impl<S: Storage, C: Clock> Reader<'_, S, C> {
    /// See [`Settled`]. Looks at each queue once.
    pub fn settled(&self) -> Settled {
        let engine = self.0;
        let end = self.raw_log().end();
        let simple = engine.queues.places().filter_map(|place| {
            let tail = &engine.queues.queue(place).tail;
            tail.from(tail.first()).find(|entry| !entry.is_blank()).map(|entry| entry.physical)
        });
        let batches = engine.batches.places().filter_map(|place| Some(engine.batches.queue(place).first_waiting()?.physical));
        let queues_below = simple.chain(batches).fold(end, u64::min);
        let open = engine.index.full.front().or(engine.index.active.as_ref());
        Settled { end, queues_below, index_open_from: open.map(|file| String::from(file.name.as_str())) }
    }
}
