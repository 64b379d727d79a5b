//! The background thread of a store, which moves the frontiers of its segments.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use crate::prefill::Frontier;

/// Started by the first segment that asks for it, ended and waited for by `stop` or drop: once that has returned
/// nothing is written any more.
pub(crate) struct Background {
    queue: Arc<Queue>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Default)]
struct Queue {
    jobs: Mutex<Jobs>,
    more: Condvar,
}

#[derive(Default)]
struct Jobs {
    waiting: VecDeque<Arc<Frontier>>,
    stopped: bool,
    started: bool,
}

impl Background {
    pub(crate) fn new() -> Self {
        Self { queue: Arc::default(), thread: Mutex::new(None) }
    }

    pub(crate) fn queue(&self, frontier: &Arc<Frontier>) {
        let mut jobs = self.queue.lock();
        if jobs.stopped {
            return;
        }
        if !jobs.started {
            let queue = self.queue.clone();
            match std::thread::Builder::new().name("moraine-prefill".into()).spawn(move || queue.work()) {
                Ok(thread) => {
                    jobs.started = true;
                    *self.thread.lock().unwrap_or_else(PoisonError::into_inner) = Some(thread);
                }
                Err(_) => {
                    // No thread to be had: the writer prefills for itself, and asks again later.
                    frontier.leave_queue();
                    return;
                }
            }
        }
        jobs.waiting.push_back(frontier.clone());
        drop(jobs);
        self.queue.more.notify_one();
    }

    /// Ends the thread and waits for it: at most one step.
    pub(crate) fn stop(&self) {
        let mut jobs = self.queue.lock();
        jobs.stopped = true;
        jobs.waiting.clear();
        drop(jobs);
        self.queue.more.notify_all();
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // It does not panic; if it did, there is nothing to add to what the panic has said.
            let _ = thread.join();
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, Jobs> {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self) {
        while let Some(frontier) = self.next() {
            frontier.leave_queue();
            // An error needs no report: a full disk is found again by the writer when it gets there, a failed sync is kept.
            while matches!(frontier.step_ahead(), Ok(true)) && !self.lock().stopped {}
        }
    }

    fn next(&self) -> Option<Arc<Frontier>> {
        let mut jobs = self.lock();
        loop {
            if jobs.stopped {
                return None;
            }
            if let Some(frontier) = jobs.waiting.pop_front() {
                return Some(frontier);
            }
            jobs = self.more.wait(jobs).unwrap_or_else(PoisonError::into_inner);
        }
    }
}
