//! Watched queues: who waits for messages learns from a list which queues got some, and nothing looks at a queue before.
//!
//! A put costs one comparison while no queue is watched. A watch belongs to one who waits for many: several of them, each
//! with watches of its own, are several watchers.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::vec::Vec;

use hashbrown::HashMap;

use super::Engine;
use crate::error::Error;
use crate::storage::{Clock, Storage};

/// The number of a watch; given again after it was dropped.
pub type WatchId = u32;

/// One who watches queues; the first is there from the start. Given again after it was dropped.
pub type WatcherId = u32;

/// All who watch.
#[derive(Debug)]
pub(super) struct Watchers(Vec<Option<Watches>>);

/// What one watches, and which of it has got messages that can be read.
#[derive(Debug, Default)]
struct Watches {
    /// By topic: (queue id, watch). Whether a queue exists does not matter.
    by_topic: HashMap<Vec<u8>, Vec<(i32, WatchId)>>,
    watches: Vec<Option<Watch>>,
    free: Vec<WatchId>,
    /// Watches whose queues have messages that cannot be read yet.
    hidden: Vec<WatchId>,
    /// Watches whose queues have got messages that can be read, each once.
    ready: Vec<WatchId>,
}

#[derive(Debug)]
struct Watch {
    topic: Vec<u8>,
    queue_id: i32,
    /// Readable positions above it make the watch ready, while it is hidden.
    first: u64,
    /// Position of the newest message.
    last: u64,
    is_hidden: bool,
    is_ready: bool,
}

impl Default for Watchers {
    fn default() -> Self {
        Self(alloc::vec![Some(Watches::default())])
    }
}

impl Watchers {
    /// A message of the queue was written at `physical`: to be told of every entry that a queue gets, of whatever kind,
    /// before [`Watchers::reached`].
    #[inline]
    pub fn appended(&mut self, topic: &[u8], queue_id: i32, physical: u64) {
        for watches in self.0.iter_mut().flatten() {
            if !watches.by_topic.is_empty() {
                watches.note(topic, queue_id, physical);
            }
        }
    }

    /// Everything below `visible` can be read.
    #[inline]
    pub fn reached(&mut self, visible: u64) {
        for watches in self.0.iter_mut().flatten() {
            if !watches.hidden.is_empty() {
                watches.show(visible);
            }
        }
    }

    /// The log ends at `end` now: of what could not be read yet nothing lies behind it, and what comes instead is told of.
    pub fn cut(&mut self, end: u64) {
        self.0.iter_mut().flatten().for_each(|watches| watches.cut(end));
    }

    /// How many of a watcher's watches are ready.
    pub fn ready(&self, watcher: WatcherId) -> usize {
        self.of(watcher).map_or(0, |watches| watches.ready.len())
    }

    fn of(&self, watcher: WatcherId) -> Option<&Watches> {
        self.0.get(watcher as usize)?.as_ref()
    }

    fn of_mut(&mut self, watcher: WatcherId) -> Result<&mut Watches, Error> {
        let found = self.0.get_mut(watcher as usize).and_then(Option::as_mut);
        found.ok_or_else(|| Error::argument("watcher", format!("there is no watcher {watcher}: it was dropped, or never added")))
    }
}

impl Watches {
    fn cut(&mut self, end: u64) {
        for &id in &self.hidden {
            if let Some(watch) = self.watches[id as usize].as_mut() {
                (watch.first, watch.last) = (watch.first.min(end), watch.last.min(end));
            }
        }
    }

    fn note(&mut self, topic: &[u8], queue_id: i32, physical: u64) {
        let Some(queues) = self.by_topic.get(topic) else { return };
        let Ok(at) = queues.binary_search_by_key(&queue_id, |&(known, _)| known) else { return };
        let id = queues[at].1;
        if let Some(watch) = self.watches[id as usize].as_mut() {
            watch.last = physical;
            if !watch.is_hidden {
                (watch.is_hidden, watch.first) = (true, physical);
                self.hidden.push(id);
            }
        }
    }

    fn show(&mut self, visible: u64) {
        let (watches, ready) = (&mut self.watches, &mut self.ready);
        self.hidden.retain(|&id| {
            let Some(watch) = watches[id as usize].as_mut() else { return false };
            if watch.first >= visible {
                return true;
            }
            if !watch.is_ready {
                watch.is_ready = true;
                ready.push(id);
            }
            // A newer message than what can be read now: the watch is told again when that can be.
            (watch.is_hidden, watch.first) = (watch.last >= visible, visible);
            watch.is_hidden
        });
    }

    /// A ready watch, which is so no longer.
    fn take_ready(&mut self) -> Option<(WatchId, &mut Watch)> {
        let id = self.ready.pop()?;
        let watch = self.watches.get_mut(id as usize)?.as_mut()?;
        watch.is_ready = false;
        Some((id, watch))
    }

    fn add(&mut self, topic: &[u8], queue_id: i32) -> (WatchId, bool) {
        let queues = match self.by_topic.get_mut(topic) {
            Some(queues) => queues,
            None => self.by_topic.entry(topic.to_owned()).or_default(),
        };
        let at = match queues.binary_search_by_key(&queue_id, |&(known, _)| known) {
            Ok(at) => return (queues[at].1, false),
            Err(at) => at,
        };
        let id = self.free.pop().unwrap_or(self.watches.len() as WatchId);
        queues.insert(at, (queue_id, id));
        let watch = Watch { topic: topic.to_owned(), queue_id, first: 0, last: 0, is_hidden: false, is_ready: false };
        match self.watches.get_mut(id as usize) {
            Some(slot) => *slot = Some(watch),
            None => self.watches.push(Some(watch)),
        }
        (id, true)
    }

    fn remove(&mut self, id: WatchId) -> Result<(), Error> {
        let Some(watch) = self.watches.get_mut(id as usize).and_then(Option::take) else {
            return Err(Error::argument("watch", format!("watch {id} is of no queue: it was dropped before, or never made")));
        };
        if let Some(queues) = self.by_topic.get_mut(&watch.topic) {
            queues.retain(|&(queue_id, _)| queue_id != watch.queue_id);
            if queues.is_empty() {
                self.by_topic.remove(&watch.topic);
            }
        }
        if watch.is_hidden {
            self.hidden.retain(|&other| other != id);
        }
        if watch.is_ready {
            self.ready.retain(|&other| other != id);
        }
        self.free.push(id);
        Ok(())
    }
}

impl<S: Storage, C: Clock> Engine<S, C> {
    /// Another one who watches, beside the first, whose number is 0.
    pub fn add_watcher(&mut self) -> WatcherId {
        let all = &mut self.watches.0;
        let free = all.iter().position(Option::is_none).unwrap_or(all.len());
        all.resize_with(all.len().max(free + 1), || None);
        all[free] = Some(Watches::default());
        free as WatcherId
    }

    /// Ends all watches of a watcher.
    pub fn drop_watcher(&mut self, watcher: WatcherId) {
        if let Some(watches) = self.watches.0.get_mut(watcher as usize) {
            *watches = None;
        }
    }

    /// How many watches of a watcher are ready.
    pub fn ready(&self, watcher: WatcherId) -> usize {
        self.watches.ready(watcher)
    }

    /// Watches a queue, which need not exist and is not made. Returns the watch (the same one if there is one already)
    /// and the queue's maximum: what lies above it makes the watch ready.
    pub fn watch(&mut self, watcher: WatcherId, topic: &[u8], queue_id: i32) -> Result<(WatchId, u64), Error> {
        let offsets = self.reader().offsets(topic, queue_id);
        let (visible, end) = (self.visible(), self.log.end());
        let watches = self.watches.of_mut(watcher)?;
        let (id, is_new) = watches.add(topic, queue_id);
        if is_new
            && offsets.next > offsets.max
            && let Some(watch) = watches.watches[id as usize].as_mut()
        {
            // Put before, and not to be read yet.
            (watch.is_hidden, watch.first, watch.last) = (true, visible, end.saturating_sub(1));
            watches.hidden.push(id);
        }
        Ok((id, offsets.max))
    }

    /// Ends a watch. STORE_INVALID_ARGUMENT for one that there is not.
    pub fn unwatch(&mut self, watcher: WatcherId, id: WatchId) -> Result<(), Error> {
        self.watches.of_mut(watcher)?.remove(id)
    }

    /// Takes a watcher's ready watches off the list, as many as `out` has room for, as pairs: watch, maximum of its queue.
    /// They are ready again when more arrives. Returns how many.
    pub fn take_arrivals(&mut self, watcher: WatcherId, out: &mut [f64]) -> usize {
        let mut taken = 0;
        for pair in out.chunks_exact_mut(2) {
            let Some((id, watch)) = self.watches.of_mut(watcher).ok().and_then(Watches::take_ready) else { break };
            let (topic, queue_id) = (core::mem::take(&mut watch.topic), watch.queue_id);
            let max = self.reader().offsets(&topic, queue_id).max;
            if let Ok(Some(watch)) = self.watches.of_mut(watcher).map(|watches| watches.watches[id as usize].as_mut()) {
                watch.topic = topic;
            }
            pair.copy_from_slice(&[f64::from(id), max as f64]);
            taken += 1;
        }
        taken
    }
}
